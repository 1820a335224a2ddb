"Measure on real poses how often what each prompt of prompts.jsonl asks for is true by chance, and write it into the file."
import json
from pathlib import Path
import numpy as np
from text2pose.core import atomic_path, data_dir
from text2pose.humanml3d import OPEN_SOURCES
from text2pose.skeleton import capture_poses
from text2pose.posecodes import satisfies

PATH = Path(__file__).parents[1]/'text2pose/assets/prompts.jsonl'
N_POSES = 5000        # of each source: all sources count the same

def main(path=PATH):
    "The open sources, train and val, drawn with seed 0."
    if data_dir() is None: raise SystemExit('TEXT2POSE_DATA is not set: there are no real poses to measure on')
    rng = np.random.default_rng(0)
    pools = [capture_poses(data_dir()/'realmocap22', s) for s in OPEN_SOURCES]
    x = np.concatenate([p[rng.choice(len(p), N_POSES, replace=len(p)<N_POSES)] for p in pools])
    rows = [json.loads(l) for l in path.read_text(encoding='utf-8').splitlines()]
    with atomic_path(path) as tmp:
        tmp.write_text(''.join(json.dumps({**r, 'chance':round(float(satisfies(r['statements'], x).mean()), 4)}, ensure_ascii=False)+'\n' for r in rows), encoding='utf-8')
    print(f'{path.name}: {len(rows)} prompts measured on {len(x)} real poses')

if __name__=='__main__': main()
