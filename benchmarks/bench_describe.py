"""How fast poses become words. Prints a table and writes benchmarks/describe.json.

    OMP_NUM_THREADS=1 python benchmarks/bench_describe.py
"""
import json, os, time
from pathlib import Path

import numpy as np

from text2pose.data import own_poses
from text2pose.posecodes import holds, posecodes, satisfies
from text2pose.describe import STYLES, describe, lexicon

def main(
    count:int=20_000, # poses
):
    "Hand-written poses with noise of 1 cm; each job three times, the best counts: by the clock, and in processor time, which other jobs of the machine disturb less."
    own = np.stack([p['joints'] for p in own_poses()])
    x = np.concatenate([own]*(count//len(own)+1))[:count]
    x = (x+np.random.default_rng(0).normal(0, .01, x.shape)).astype(np.float32)
    lex = lexicon()
    res = {}
    def note(name, f, n):
        times = []
        for _ in range(3):
            t,c = time.perf_counter(),time.process_time()
            f()
            times.append((time.perf_counter()-t, time.process_time()-c))
        wall,cpu = np.array(times).min(0)
        r = res[name] = dict(per_s=round(n/wall), per_cpu_s=round(n/cpu))
        print(f'{name:48} {r["per_s"]:9d} a second   {r["per_cpu_s"]:9d} a second of processor time')
    note('poses measured, all codes', lambda: posecodes(x), count)
    note('poses checked, one code', lambda: holds('left_arm_raised', x), count)
    note('poses checked, three statements', lambda: satisfies(['standing','left_arm_raised|right_arm_raised','!left_knee_bent'], x), count)
    codes = posecodes(x)
    note('facts of measured poses', lambda: lex.states(codes), count)
    note('captions, one a pose, measuring included', lambda: describe(x), count)
    note('captions, four a pose, measuring included', lambda: describe(x[:count//4], 4), count)
    for s in STYLES: note(f'captions, style {s}', lambda: describe(x[:count//4], style=s), count//4)
    res['cpus'] = os.cpu_count()
    Path(__file__).with_suffix('.json').write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
