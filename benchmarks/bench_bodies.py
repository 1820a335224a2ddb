"""How long it takes to draw a pose as a body, and sheets of them. Prints a table and writes benchmarks/bodies.json.

    OMP_NUM_THREADS=1 python benchmarks/bench_bodies.py
"""
import json
import os
import platform
import time
from pathlib import Path

import numpy as np

from text2pose.data import VIEWS, draw_body, own_poses, plot_bodies, plot_poses

def milliseconds(
    f,         # what to time
    arguments, # one tuple per run
):             # (n,) wall clock, (n,) processor
    "Milliseconds of each run; one more before them does not count."
    f(*arguments[0])
    wall,cpu = [],[]
    for a in arguments:
        t,c = time.perf_counter(),time.process_time()
        f(*a)
        wall.append(1e3*(time.perf_counter()-t))
        cpu.append(1e3*(time.process_time()-c))
    return np.array(wall),np.array(cpu)

def drawn(
    plot, # plot_bodies or plot_poses
    joints,
):
    "A sheet, drawn as for a file."
    import matplotlib.pyplot as plt
    fig = plot(joints)
    fig.canvas.draw()
    plt.close(fig)

def main():
    "Every hand-written pose from both usual views, in two sizes; and a sheet of 32 poses."
    import matplotlib
    matplotlib.use('Agg')
    joints = np.stack([p['joints'] for p in own_poses()])
    results = {}
    def note(name, f, arguments):
        wall,cpu = milliseconds(f, arguments)
        times = dict(median_ms=np.median(wall), worst_ms=wall.max())
        times.update(cpu_median_ms=np.median(cpu), cpu_worst_ms=cpu.max())
        r = results[name] = {k:round(float(v),1) for k,v in times.items()}
        print(f'{name:34} median {r["median_ms"]:7.1f} ms   worst {r["worst_ms"]:7.1f} ms   '
              f'processor {r["cpu_median_ms"]:7.1f} and {r["cpu_worst_ms"]:7.1f} ms')
    for view in ('three-quarter','side'):
        for size in ((160,200),(240,300)):
            note(f'draw_body, {view}, {size[0]} x {size[1]}', draw_body, [(x,*VIEWS[view],size) for x in joints])
    note('plot_bodies, 32 poses, two views', drawn, [(plot_bodies,joints[:32])]*3)
    note('plot_poses, 32 poses, sticks', drawn, [(plot_poses,joints[:32])]*3)
    results['cpus'] = os.cpu_count()
    results['threads'] = os.environ.get('OMP_NUM_THREADS')
    results['processor'] = platform.machine()
    Path(__file__).with_name('bodies.json').write_text(json.dumps(results, indent=1)+'\n')

if __name__=='__main__': main()
