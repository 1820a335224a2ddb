"""How fast poses are enforced and scored. Prints a table and writes benchmarks/skeleton.json.

    OMP_NUM_THREADS=1 python benchmarks/bench_skeleton.py
"""
import json, os, time
from pathlib import Path

import numpy as np, torch

from text2pose.data import own_poses
from text2pose.skeleton import (
    anatomy_loss, enforce_bone_lengths, enforce_skeleton, plausibility, reference_bone_lengths, skeleton_loss)

def seconds(f, n):
    f()
    times = []
    for _ in range(n):
        t,c = time.perf_counter(),time.process_time()
        f()
        times.append((time.perf_counter()-t, time.process_time()-c))
    return np.array(times).T

def main(
    count:int=10_000, # poses
):
    "Hand-written poses with noise: 1, 2 and 3 cm on every joint; and one pose alone."
    own = np.stack([p['joints'] for p in own_poses()])
    x = np.concatenate([own]*(count//len(own)+1))[:count]
    res = {}
    def note(name, f, n=3):
        wall,cpu = seconds(f, n)
        r = res[name] = dict(best_s=round(wall.min(),4), median_s=round(float(np.median(wall)),4), cpu_s=round(cpu.min(),4))
        print(f'{name:58} best {r["best_s"]:8.4f} s   median {r["median_s"]:8.4f} s   processor {r["cpu_s"]:8.4f} s')
    for sigma in (1,2,3):
        y = (x+np.random.default_rng(sigma).normal(0,sigma/100,x.shape)).astype(np.float32)
        note(f'{count} poses, noise {sigma} cm, enforce_skeleton', lambda: enforce_skeleton(y))
        note(f'{count} poses, noise {sigma} cm, lengths only', lambda: enforce_skeleton(y, limits=False))
    note(f'{count} poses, noise 3 cm, enforce_bone_lengths', lambda: enforce_bone_lengths(y))
    note(f'{count} poses, noise 3 cm, plausibility', lambda: plausibility(y))
    note('1 pose, noise 3 cm, enforce_skeleton', lambda: enforce_skeleton(y[:1]), 20)
    note('1 pose, noise 3 cm, plausibility', lambda: plausibility(y[:1]), 20)
    def train(loss):
        z = torch.from_numpy(y[:256]).requires_grad_()
        loss(z).mean().backward()
    l = torch.from_numpy(reference_bone_lengths())
    note('256 poses, skeleton_loss and its gradient', lambda: train(skeleton_loss), 5)
    note('256 poses, anatomy_loss and its gradient', lambda: train(lambda z: anatomy_loss(z, l)), 5)
    res['threads'] = torch.get_num_threads()
    res['cpus'] = os.cpu_count()
    Path(__file__).with_suffix('.json').write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
