"""Train the evaluator of chapter 05b: writes text2pose/assets/evaluator.safetensors, and how it was made (.json).

    TEXT2POSE_DATA=... python tools/make_evaluator.py RUN [--table open.parquet] [--steps 1200]

RUN is a folder for checkpoints and encoded captions: the same command goes on where it was interrupted. Without a table
that of the preset open is built, with one caption from geometry for a pose, 8 variations and 4,000 compositions.
"""
import argparse, json
from pathlib import Path
import torch
from tqdm import tqdm
from text2pose.core import asset, atomic_path, read_json
from text2pose.data import read_pose_table
from text2pose.text import load_text_encoder
from text2pose.dataset import build_table
from text2pose.evaluator import train_evaluator

VERSION = '1'  # counted up with every other evaluator: figures of different versions cannot be compared

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('run', type=Path)
    p.add_argument('--table', type=Path)
    p.add_argument('--steps', type=int, default=1200)
    a = p.parse_args()
    table = read_pose_table(a.table) if a.table else build_table('open', n_words=1, n_variations=8, n_compositions=4000)
    trainer = train_evaluator(table, a.run, load_text_encoder(), a.steps, tqdm)
    trainer.averaged().save(asset('evaluator.safetensors'), VERSION)
    trainer.save(a.run, 'evaluator of poses and words, preset open, by tools/make_evaluator.py')
    how = dict(version=VERSION, threads=torch.get_num_threads(), **read_json(a.run/'training.json'))
    with atomic_path(asset('evaluator.json')) as tmp: tmp.write_text(json.dumps(how, indent=1)+'\n')

if __name__=='__main__': main()
