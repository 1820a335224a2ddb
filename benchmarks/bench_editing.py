"""How fast and how exactly poses reach targets. Prints a table and writes benchmarks/editing.json.

    OMP_NUM_THREADS=1 python benchmarks/bench_editing.py

Drags: a hand or foot of a pose of the atlas towards where another pose with a like pelvis has it. Arms: those of
another such pose. Milliseconds are of processor time, the best of several runs.
"""
import json
import os
import time
from pathlib import Path

import numpy as np

from text2pose.core import atomic_path
from text2pose.editing import interpolate_poses, reach, targets_of
from text2pose.library import atlas_library
from text2pose.skeleton import limit_violations, reference_bone_lengths

COMMAND = 'OMP_NUM_THREADS=1 python benchmarks/bench_editing.py'
MODES = {'8 steps, no limits':dict(n_steps=8, limits=False), '4 steps, no limits':dict(n_steps=4, limits=False),
         '24 steps, limits':{}}
LEG = .999*reference_bone_lengths()[[3,6]].sum()  # metres from hip to ankle, at most

def drags(
    n:int,    # poses
    seed:int=0,
):            # poses (n, 22, 3), targets of drags, targets of arms
    "Poses and targets within reach."
    rng = np.random.default_rng(seed)
    poses = atlas_library().joints.astype(float)
    up = poses[:,3]/np.linalg.norm(poses[:,3], axis=-1, keepdims=True)
    first = rng.integers(0, len(poses), n)
    other = np.array([rng.choice(np.flatnonzero(up@up[i]>np.cos(np.radians(15)))) for i in first])
    joint = rng.choice([7,8,20,21], n)
    start,end = poses[first,joint],poses[other,joint]
    place = start+rng.uniform(.2, 1, (n,1))*(end-start)
    hip = poses[first,joint-6]
    too_far = np.maximum(np.linalg.norm(place-hip, axis=-1, keepdims=True)/LEG, 1)
    place = np.where((joint<9)[:,None], hip+(place-hip)/too_far, place)
    targets = np.full(poses[first].shape, np.nan)
    targets[range(n),joint] = place
    return poses[first], targets, targets_of((poses[other],'arms'))

def milliseconds(f, n=7):
    "Of processor time, the best run."
    f()
    times = []
    for _ in range(n):
        start = time.process_time()
        f()
        times.append(time.process_time()-start)
    return round(1000*min(times), 2)

def quality(x, y, targets):
    "Shares of poses: target missed by more than 1 mm; further beyond a limit by more than 1 and 5 degrees."
    off = np.nanmax(np.linalg.norm(y-targets, axis=-1), -1)
    after,before = (np.stack(list(limit_violations(z).values())) for z in (y,x))
    worse = (after-before).max(0)
    return dict(missed_1mm=round(float((off>1e-3).mean()), 4), beyond_1_degree=round(float((worse>1).mean()), 4),
                beyond_5_degrees=round(float((worse>5).mean()), 4))

def main():
    x,hands,arms = drags(1000)
    result = dict(command=COMMAND)
    for what,targets in (('drags',hands), ('arms',arms)):
        for mode,options in MODES.items():
            row = quality(x, reach(x, targets, **options), targets)
            for n in (1,4,64,256):
                row[f'ms_{n}'] = milliseconds(lambda n=n: reach(x[:n], targets[:n], **options))
            result[f'{what}, {mode}'] = row
            print(f'{what}, {mode:22}', '  '.join(f'{k} {v:g}' for k,v in row.items()))
    ms = milliseconds(lambda: interpolate_poses(x[0], x[1], 10))
    result['10 poses between two'] = dict(ms=ms)
    print(f'10 poses between two: {ms} ms')
    result['cpus'] = os.cpu_count()
    path = Path(__file__).with_name('editing.json')
    with atomic_path(path) as tmp: tmp.write_text(json.dumps(result, indent=1)+'\n')

if __name__=='__main__': main()
