"""How fast capture files are read: made-up ones, and those of raw_mocap where TEXT2POSE_DATA has them.

Prints a table and writes benchmarks/mocap.json.

    python benchmarks/bench_mocap.py [--repeat 5] [--out FILE]
"""
import argparse, json, os, platform, statistics, tempfile, time
from pathlib import Path
import numpy as np
from text2pose.core import data_dir
from text2pose.data import JOINT_NAMES, PARENTS, own_poses, y_up_from_z_up
from text2pose.mocap import read_mocap, read_motion

def made_up(path, n_frames):
    "A BVH file of 22 joints that all turn, 60 frames a second."
    g = np.random.default_rng(0)
    rest = 100*y_up_from_z_up(own_poses()[0]['joints'])
    out = ['HIERARCHY']
    def joint(j):
        offset = rest[j]-rest[PARENTS[j]] if j else rest[0]
        channels = '3' if j else '6 Xposition Yposition Zposition'
        out.extend([f'{"JOINT" if j else "ROOT"} {JOINT_NAMES[j]}', '{', 'OFFSET '+' '.join(map(str, offset))])
        out.append(f'CHANNELS {channels} Zrotation Xrotation Yrotation')
        for k in (k for k,p in enumerate(PARENTS) if p==j): joint(k)
        out.append('}')
    joint(0)
    rows = np.cumsum(g.normal(size=(n_frames,69)), 0).round(6)
    motion = ['MOTION', f'Frames: {n_frames}', 'Frame Time: 0.0166667']
    motion += [' '.join(map(str, r)) for r in rows.tolist()]
    path.write_text('\n'.join(out+motion)+'\n')

def timed(path, repeat):
    "Median seconds of reading a file."
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        read_mocap(path)
        seconds.append(time.perf_counter()-start)
    return statistics.median(seconds)

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--repeat', type=int, default=5)
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('mocap.json'))
    a = p.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as d:
        files = []
        for n in (1000,10_000):
            made_up(f:=Path(d)/f'made_up_{n}.bvh', n)
            files.append(f)
        raw = data_dir() and data_dir()/'raw_mocap'
        if raw and raw.is_dir(): files += sorted(q for q in raw.rglob('*') if q.suffix in ('.bvh','.amc'))
        for f in files:
            s = timed(f, a.repeat)
            m = read_motion(f)
            name = f.name if len(f.name)<25 else '…'+f.name[-16:]
            if raw and raw in f.parents: name = f'{f.parent.name}/{name}'
            row = dict(file=name, kilobytes=f.stat().st_size//1000)
            row |= dict(frames=len(m.positions), joints=len(m.names))
            rows.append({**row, 'seconds':round(s, 4), 'frames_per_second':round(len(m.positions)/s)})
    print(f'{"file":32} {"kB":>6} {"frames":>7} {"joints":>7} {"seconds":>8} {"frames/s":>9}')
    for r in rows:
        size = f'{r["kilobytes"]:6} {r["frames"]:7} {r["joints"]:7}'
        print(f'{r["file"]:32} {size} {r["seconds"]:8.3f} {r["frames_per_second"]:9,}')
    res = dict(command='python benchmarks/bench_mocap.py', cpus=os.cpu_count(), machine=platform.machine())
    res |= dict(python=platform.python_version(), numpy=np.__version__, runs=a.repeat, files=rows)
    a.out.write_text(json.dumps(res, indent=1, ensure_ascii=False)+'\n', encoding='utf-8')

if __name__=='__main__': main()
