"""How fast poses are enforced and scored. Prints a table and writes benchmarks/skeleton.json.

    OMP_NUM_THREADS=1 python benchmarks/bench_skeleton.py
"""
import json
import os
import time
from pathlib import Path

import numpy as np
import torch

from text2pose.data import own_poses
from text2pose.skeleton import (
    anatomy_loss, enforce_bone_lengths, enforce_skeleton, plausibility, reference_bone_lengths)

def seconds(
    f,     # what to time
    n:int, # runs, after one that does not count
):         # (n,) wall clock, (n,) processor
    "Seconds of each run."
    f()
    wall,cpu = [],[]
    for _ in range(n):
        t,c = time.perf_counter(),time.process_time()
        f()
        wall.append(time.perf_counter()-t)
        cpu.append(time.process_time()-c)
    return np.array(wall),np.array(cpu)

def gradient(
    loss,  # of torch poses
    poses, # (n, 22, 3) numpy
):
    "A loss and its gradient."
    z = torch.from_numpy(poses).requires_grad_()
    loss(z).mean().backward()

def main(
    count:int=10_000, # poses
):
    "Hand-written poses with noise: 1, 2 and 3 cm on every joint; and one pose alone."
    own = np.stack([p['joints'] for p in own_poses()])
    x = np.concatenate([own]*(count//len(own)+1))[:count]
    results = {}
    def note(name, f, n=3):
        wall,cpu = seconds(f, n)
        r = results[name] = dict(best_s=wall.min(), median_s=np.median(wall), cpu_s=cpu.min())
        r.update({k:round(float(v),4) for k,v in r.items()})
        print(f'{name:58} best {r["best_s"]:8.4f} s   median {r["median_s"]:8.4f} s   processor {r["cpu_s"]:8.4f} s')
    for sigma in (1,2,3):
        y = (x+np.random.default_rng(sigma).normal(0,sigma/100,x.shape)).astype(np.float32)
        note(f'{count} poses, noise {sigma} cm, enforce_skeleton', lambda: enforce_skeleton(y))
        note(f'{count} poses, noise {sigma} cm, lengths only', lambda: enforce_skeleton(y, limits=False))
    note(f'{count} poses, noise 3 cm, enforce_bone_lengths', lambda: enforce_bone_lengths(y))
    note(f'{count} poses, noise 3 cm, plausibility', lambda: plausibility(y))
    note('1 pose, noise 3 cm, enforce_skeleton', lambda: enforce_skeleton(y[:1]), 20)
    note('1 pose, noise 3 cm, plausibility', lambda: plausibility(y[:1]), 20)
    lengths = torch.from_numpy(reference_bone_lengths())
    note('256 poses, anatomy_loss and its gradient', lambda: gradient(lambda z: anatomy_loss(z, lengths), y[:256]), 5)
    results['threads'] = torch.get_num_threads()
    results['cpus'] = os.cpu_count()
    Path(__file__).with_name('skeleton.json').write_text(json.dumps(results, indent=1)+'\n')

if __name__=='__main__': main()
