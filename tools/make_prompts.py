"""Measure on real poses how often what each prompt of prompts.jsonl asks for is true by chance, and write it there.

    python tools/make_prompts.py
"""
import json
from pathlib import Path
import numpy as np
from text2pose.core import atomic_path, available, data_dir
from text2pose.humanml3d import OPEN_SOURCES
from text2pose.skeleton import capture_poses
from text2pose.posecodes import satisfies

PATH = Path(__file__).parents[1]/'text2pose/assets/prompts.jsonl'
N_POSES = 5000  # of each source: all sources count the same

def real_poses(seed=0):
    "Poses of the open sources, train and val, (sources·N_POSES, 22, 3)."
    rng = np.random.default_rng(seed)
    pools = [capture_poses(data_dir()/'realmocap22', source) for source in OPEN_SOURCES]
    return np.concatenate([p[rng.choice(len(p), N_POSES, replace=len(p)<N_POSES)] for p in pools])

def main(path=PATH):
    if not available('realmocap22'): raise SystemExit('there are no real poses to measure on')
    poses = real_poses()
    rows = [json.loads(l) for l in path.read_text(encoding='utf-8').splitlines()]
    for row in rows: row['chance'] = round(float(satisfies(row['statements'], poses).mean()), 4)
    with atomic_path(path) as tmp:
        tmp.write_text(''.join(json.dumps(row, ensure_ascii=False)+'\n' for row in rows), encoding='utf-8')
    print(f'{path.name}: {len(rows)} prompts measured on {len(poses)} real poses')

if __name__=='__main__': main()
