"What several tests need: where the project is, a copy of it to work in, and an environment with no data set, hub or GPU."
import os, shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_caches = {'__pycache__', '.ipynb_checkpoints'}
_not_ours = {'.git', '.venv', '.cache', '.hypothesis', '.pytest_cache', '_docs', '_proc', 'build', 'data', 'dist', 'out', 'runs'}

def _ignore(folder, names):
    at_root = Path(folder)==ROOT
    return {n for n in names if n in _caches or (at_root and (n in _not_ours or n.endswith('.egg-info')))}

def copy_tree(
    dest:Path, # folder to make
)->Path:       # the same folder
    "Copy the project, without environments, builds and a user's data."
    return Path(shutil.copytree(ROOT, dest, ignore=_ignore))

def offline_env(
    **kw,   # more variables
)->dict:    # environment for a subprocess
    "This environment without data set, hub and GPU."
    env = {k:v for k,v in os.environ.items() if k!='TEXT2POSE_DATA'}
    return env | {'HF_HUB_OFFLINE':'1', 'CUDA_VISIBLE_DEVICES':''} | kw
