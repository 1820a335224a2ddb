"""How fast poses become words. Prints a table and writes benchmarks/describe.json.

    OMP_NUM_THREADS=1 python benchmarks/bench_describe.py
"""
import json, os, time
from pathlib import Path

import numpy as np

from text2pose.core import atomic_path
from text2pose.data import own_poses
from text2pose.describe import STYLES, describe, lexicon, summarize_poses
from text2pose.posecodes import holds, posecodes, satisfies

COMMAND = 'OMP_NUM_THREADS=1 python benchmarks/bench_describe.py'
THREE = ['standing', 'left_arm_raised|right_arm_raised', '!left_knee_bent']

def fastest(job, repeats=3):
    "Seconds by the clock, and of processor time, which other jobs of the machine disturb less; the best of each."
    times = []
    for _ in range(repeats):
        wall,cpu = time.perf_counter(),time.process_time()
        job()
        times.append((time.perf_counter()-wall, time.process_time()-cpu))
    return np.array(times).min(0)

def main(
    count:int=20_000, # poses
):
    "Hand-written poses with noise of 1 cm."
    own = np.stack([p['joints'] for p in own_poses()])
    x = np.concatenate([own]*(count//len(own)+1))[:count]
    x = (x+np.random.default_rng(0).normal(0, .01, x.shape)).astype(np.float32)
    lex,codes = lexicon(),posecodes(x)
    few,very_few = x[:count//4],x[:count//20]
    jobs = {
        'poses measured, all codes':(len(x), lambda: posecodes(x)),
        'poses checked, one code':(len(x), lambda: holds('left_arm_raised', x)),
        'poses checked, three statements':(len(x), lambda: satisfies(THREE, x)),
        'facts of measured poses':(len(x), lambda: lex.states(codes)),
        'captions, one a pose, measuring included':(len(x), lambda: describe(x)),
        'captions, four a pose, measuring included':(4*len(few), lambda: describe(few, 4)),
        **{f'captions, style {s}':(len(few), lambda s=s: describe(few, style=s)) for s in STYLES},
        'summaries, measuring included':(len(very_few), lambda: summarize_poses(very_few))}
    result = dict(command=COMMAND)
    for name,(n,job) in jobs.items():
        wall,cpu = fastest(job)
        row = result[name] = dict(per_s=round(n/wall), per_cpu_s=round(n/cpu))
        print(f'{name:48} {row["per_s"]:9d} a second   {row["per_cpu_s"]:9d} a second of processor time')
    result['cpus'] = os.cpu_count()
    path = Path(__file__).with_name('describe.json')
    with atomic_path(path) as tmp: tmp.write_text(json.dumps(result, indent=1)+'\n')

if __name__=='__main__': main()
