"What tests and tools share: where the project is, its chapters in order, a copy to work in, a bare environment."
import json, os, re, shutil
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_CACHES = {'__pycache__', '.ipynb_checkpoints', 'node_modules'}
_NOT_OURS = set('.git .venv .venv-docs .cache .hypothesis .pytest_cache _docs _proc build data dist out runs'.split())

def read_cells(
    path:Path, # a notebook
)->list:       # of (cell_type, source), in order
    "The cells of a notebook."
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    return [(c['cell_type'], ''.join(c['source'])) for c in cells]

@lru_cache
def chapters(
)->dict: # module → its notebook, in the order of the book
    "Every notebook that exports a module, by name: 00_core, 00_data, 00a_captions …"
    out = {}
    for path in sorted((ROOT/'nbs').glob('*.ipynb')):
        found = [re.match(r'#\|\s*default_exp\s+(\w+)', s) for t,s in read_cells(path) if t=='code']
        out |= {m[1]:path for m in found if m}
    return out

def _ignore(folder, names):
    at_root = Path(folder)==ROOT
    return {n for n in names if n in _CACHES or (at_root and (n in _NOT_OURS or n.endswith('.egg-info')))}

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
