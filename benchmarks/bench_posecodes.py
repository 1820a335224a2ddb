"""How many poses a second are measured and answered by all posecodes, on one core: prints them and writes benchmarks/posecodes.json.

    OMP_NUM_THREADS=1 python benchmarks/bench_posecodes.py
"""
import json, os, platform, time
from pathlib import Path
import numpy as np
from text2pose.core import atomic_path
from text2pose.data import canonical, own_poses
from text2pose.posecodes import POSECODES, measure, posecodes, scores

def main(
    n=40_000,   # poses
    repeats=5,  # the best counts
):
    "The hand-written poses, shaken."
    own = np.stack([p['joints'] for p in own_poses()])
    x = np.tile(own, (-(-n//len(own)),1,1))[:n]
    x = canonical(x+.01*np.random.default_rng(0).normal(size=x.shape))
    res = {}
    for name,f in dict(measure=measure, posecodes=posecodes, scores=scores).items():
        best = min(_timed(f, x) for _ in range(repeats))
        res[name] = round(n/best)
        print(f'{name:10} {n/best:10,.0f} poses/s')
    d = dict(command='OMP_NUM_THREADS=1 python benchmarks/bench_posecodes.py', poses=n, codes=len(POSECODES), threads=os.environ.get('OMP_NUM_THREADS', 'default'), machine=platform.machine(), load_average=round(os.getloadavg()[0],1), poses_per_second=res)
    with atomic_path(Path(__file__).with_suffix('.json')) as tmp: tmp.write_text(json.dumps(d, indent=1)+'\n')

def _timed(f, x):
    t = time.perf_counter()
    f(x)
    return time.perf_counter()-t

if __name__=='__main__': main()
