"""Does the network repeat its training? Distances to the nearest training pose: writes benchmarks/nearest.json.

    python benchmarks/bench_nearest.py --table open.parquet  # a table of the preset open

Generated poses of all public prompts beside held-out poses of the table, all on the reference body. A network that
learned poses by heart would be nearer to them than real poses are to each other.
"""
import argparse, json, platform
from pathlib import Path
import numpy as np
import torch
from text2pose.core import atomic_path
from text2pose.data import read_pose_table
from text2pose.skeleton import enforce_skeleton
from text2pose.cfg import GUIDANCE_INTERVAL, GUIDANCE_SCALE, Text2PosePipeline
from text2pose.dataset import split_rows
from text2pose.eval import nearest_poses, read_prompts
from text2pose.train import _commit

def poses_of(table, split, source=None):
    "Distinct poses of a split on the reference body, (n, 22, 3)."
    rows = split_rows(table, split)
    joints = np.asarray(rows.joints)
    if source is not None: joints = joints[np.isin(rows.source, source)]
    joints = np.unique(joints.round(4), axis=0)
    return enforce_skeleton(torch.tensor(joints), limits=False).float().numpy()

def spread_of(distances):
    "Percentiles of distances in centimetres."
    return {f'{p} %':round(100*float(np.percentile(distances, p)), 2) for p in (1,10,50)}

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--table', type=Path, required=True)
    p.add_argument('--poses', type=int, default=4, help='of each prompt')
    p.add_argument('--held-out', type=int, default=2000)
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('nearest.json'))
    a = p.parse_args()
    table,pipe = read_pose_table(a.table), Text2PosePipeline.from_pretrained()
    pool,held_out = poses_of(table, 'train'), poses_of(table, 'val')
    chosen = np.random.default_rng(0).permutation(len(held_out))[:a.held_out]
    prompts = [r['prompt'] for r in read_prompts()]
    ways = {'two jumps':dict(num_inference_steps=2)} if pipe.student else {}
    ways['six steps'] = dict(num_inference_steps=6, guidance_scale=GUIDANCE_SCALE, guidance_interval=GUIDANCE_INTERVAL)
    rows = {'held-out poses':spread_of(nearest_poses(held_out[chosen], pool)[1])}
    for name,kwargs in ways.items():
        joints = pipe(prompts, a.poses, enforce_skeleton=False, **kwargs).joints
        rows[name] = spread_of(nearest_poses(joints, pool)[1])
    for name,row in rows.items(): print(f'{name:15}', row)
    res = dict(command='python benchmarks/bench_nearest.py', machine=platform.machine(), torch=torch.__version__,
               commit=_commit(), pool=len(pool), prompts=len(prompts), centimetres=rows)
    with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
