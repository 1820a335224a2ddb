"""How fast the atlas makes poses. Prints a table and writes benchmarks/atlas.json.

    OMP_NUM_THREADS=1 python benchmarks/bench_atlas.py
"""
import json, os, time
from pathlib import Path

import numpy as np, torch

from text2pose import atlas as A

def main(
    per_pose:int=4, # variations of each written pose
):
    "Reading, settling, varying and composing."
    res = {}
    def note(name, f, count):
        f()
        wall,cpu = time.perf_counter(),time.process_time()
        f()
        wall,cpu = time.perf_counter()-wall,time.process_time()-cpu
        n = count()
        res[name] = dict(count=n, wall_s=round(wall,3), cpu_s=round(cpu,3), per_s=round(n/wall), per_cpu_s=round(n/cpu))
        print(f'{name:62} {n:6}   {wall:7.3f} s   {n/wall:8.0f}/s   {n/cpu:8.0f} per processor second')
    where = A._where(None)
    own = [n for n,p in A.atlas().items() if not p.twin_of]
    names = [n for n in own for _ in range(per_pose)]
    rng = np.random.default_rng(0)
    noise,lengths,held = A._noise(rng, len(names)),A._statures(rng, len(names)),[]
    note('reading the YAML files, twins included', lambda: A._read_folder(where.folder), lambda: len(A.atlas()))
    note('written poses onto the floor', lambda: A._solve(A.atlas()), lambda: len(own))
    def vary():
        x,h,_ = A._varied(A.atlas(), A._solved(where), names, noise, lengths)
        held[:] = [h]
        return x
    note('variations: angles, floor, plausibility, posecodes', vary, lambda: len(names))
    print(f'{"":62} drawn once {100*np.mean(held[0]==1):.0f} %, mean spread {held[0].mean():.2f}')
    note('rows of the pose table, one phrase each', lambda: A.atlas_rows(per_pose), lambda: per_pose*len(A.atlas()))
    note('compositions that fit', lambda: A.compositions(1000), lambda: 1000)
    res['threads'] = torch.get_num_threads()
    res['cpus'] = os.cpu_count()
    Path(__file__).with_name('atlas.json').write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
