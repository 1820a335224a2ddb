"""Paths of the teacher, a student that learns them, and both side by side: writes benchmarks/student.json.

    python benchmarks/bench_student.py paths PATHS --table open.parquet --files 40  # 5,120 paths each, goes on where it was
    python benchmarks/bench_student.py train PATHS --out OUT --steps 6000           # resumes
    python benchmarks/bench_student.py judge OUT                                    # benchmarks/student.json

A student of the weights in the package; OUT/student.safetensors goes beside them.
"""
import argparse, json, platform, time
from pathlib import Path
import numpy as np
import torch
from tqdm import tqdm
from text2pose.core import atomic_path
from text2pose.data import read_pose_table
from text2pose.student import load_student, teacher_name
from text2pose.cfg import Text2PosePipeline
from text2pose.dataset import TrainingSet
from text2pose.distill import Paths, StudentTrainer, make_paths, student_config

N_VAL = 1  # files that are kept back: the first

def load_paths(pipe, folder):
    "(to learn from, held out): Paths."
    files = sorted(folder.glob('*.safetensors'))
    exemplars = pipe.model.normalize(pipe.memory.joints)
    return Paths(files[N_VAL:], exemplars), Paths(files[:N_VAL], exemplars)

def paths(a, pipe):
    "Make path files."
    data = TrainingSet(read_pose_table(a.table))
    make_paths(pipe, data, a.folder, a.files, progress=lambda some: tqdm(some, disable=None))

def train(a, pipe):
    "Train, or go on."
    learn,val = load_paths(pipe, a.folder)
    print(f'{len(learn):,} paths, {len(val):,} held out', flush=True)
    config = student_config(n_steps=a.steps, batch_size=a.batch_size, lr=a.lr, seed=a.seed)
    start = load_student(a.start, teacher_name(pipe.model, pipe.scorer)) if a.start else None
    trainer = StudentTrainer(config, learn, pipe, val, json.loads(a.net), start=start, cpu=True)
    begin = time.perf_counter()
    def told(steps):
        for i in steps:
            yield i
            if trainer.log and trainer.log[-1]['step']==trainer.step and 'val' in trainer.log[-1]:
                print(f'{trainer.step} {time.perf_counter()-begin:.0f} s', trainer.log[-1], flush=True)
                trainer.save_weights(trainer.averaged(), a.out)
    trainer.fit(a.out, log_every=20, checkpoint_every=200, progress=told)
    trainer.save(a.out, 'student of the weights in the package')

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--threads', type=int, default=1)
    sub = p.add_subparsers(required=True)
    q = sub.add_parser('paths')
    q.set_defaults(run=paths)
    q.add_argument('folder', type=Path)
    q.add_argument('--table', type=Path, required=True)
    q.add_argument('--files', type=int, default=40)
    q = sub.add_parser('train')
    q.set_defaults(run=train)
    q.add_argument('folder', type=Path)
    q.add_argument('--out', type=Path, required=True)
    q.add_argument('--steps', type=int, default=6000)
    q.add_argument('--batch-size', type=int, default=512)
    q.add_argument('--lr', type=float, default=1e-3)
    q.add_argument('--seed', type=int, default=0)
    q.add_argument('--net', default='{}', help='arguments of JumpNet, JSON')
    q.add_argument('--start', type=Path, help='a student to go on from')
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    a.run(a, Text2PosePipeline.from_pretrained())

if __name__=='__main__': main()
