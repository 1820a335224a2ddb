"""How many poses a second of processor time are measured and answered by all posecodes, on one core.

Prints a table and writes benchmarks/posecodes.json:

    OMP_NUM_THREADS=1 python benchmarks/bench_posecodes.py
"""
import json, os, platform, time
from pathlib import Path
import numpy as np
from text2pose.core import atomic_path
from text2pose.data import canonical, own_poses
from text2pose.posecodes import POSECODES, measure, posecodes, scores

COMMAND = 'OMP_NUM_THREADS=1 python benchmarks/bench_posecodes.py'

def _seconds(f, x):
    start = time.process_time()
    f(x)
    return time.process_time()-start

def main(
    n=40_000,   # poses
    repeats=5,  # the best counts
):
    "The hand-written poses with noise of 1 cm."
    own = np.stack([p['joints'] for p in own_poses()])
    x = np.tile(own, (-(-n//len(own)),1,1))[:n]
    x = canonical(x+.01*np.random.default_rng(0).normal(size=x.shape))
    poses_per_cpu_second = {}
    for name,f in dict(measure=measure, posecodes=posecodes, scores=scores).items():
        best = min(_seconds(f, x) for _ in range(repeats))
        poses_per_cpu_second[name] = round(n/best)
        print(f'{name:10} {n/best:10,.0f} poses a second')
    result = dict(
        command=COMMAND,
        poses=n,
        codes=len(POSECODES),
        threads=os.environ.get('OMP_NUM_THREADS', 'default'),
        machine=platform.machine(),
        load_average=round(os.getloadavg()[0], 1),
        poses_per_cpu_second=poses_per_cpu_second)
    path = Path(__file__).with_name('posecodes.json')
    with atomic_path(path) as tmp: tmp.write_text(json.dumps(result, indent=1)+'\n')

if __name__=='__main__': main()
