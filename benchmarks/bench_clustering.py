"""How long clustering takes on many poses, and how much memory: prints a table and writes benchmarks/clustering.json.

    python benchmarks/bench_clustering.py [--poses 1000000] [--full] [--out FILE]

The poses are the hand-written ones with shaken joint angles, on bodies of many proportions.
--full adds k-means without mini-batches.
"""
import argparse, json, os, platform, resource, time
from pathlib import Path
import numpy as np, sklearn
from text2pose.clustering import balanced_sample, fit_clusters, fit_outliers
from text2pose.core import atomic_path
from text2pose.data import own_poses
from text2pose.skeleton import ANGLE_JOINTS, enforce_bone_lengths, pose_from_angles, reference_bone_lengths

def shaken(angles, n, rng, spread=20., idle=10.):
    "A pose's angles n times with differences in degrees; hinges do not open beyond straight."
    out = {}
    for part,(_,names) in ANGLE_JOINTS.items():
        given = angles.get(part, {})
        rest = 0 if part=='pelvis' else idle
        out[part] = {k:given.get(k,0)+rng.normal(size=n)*(spread if k in given else rest) for k in names}
        if part.endswith(('knee','elbow')): out[part]['flexion'] = out[part]['flexion'].clip(0, 150)
    return out

def make_poses(n, seed=0):
    "n poses: shaken angles, every bone up to about a fifth longer or shorter."
    rng = np.random.default_rng(seed)
    own = own_poses()
    per = -(-n//len(own))
    x = np.empty((per*len(own),22,3), np.float32)
    for i,p in enumerate(own):
        lengths = reference_bone_lengths()*rng.lognormal(0, .1, (per,21)).astype(np.float32)
        x[i*per:(i+1)*per] = enforce_bone_lengths(pose_from_angles(shaken(p['angles'], per, rng)), lengths)
    return x[rng.permutation(len(x))[:n]]

def peak_memory_mb(): return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024)

def print_row(row):
    "One line of the table."
    speed = ' '*30
    if row['seconds'] is not None: speed = f'{row["seconds"]:7.1f} s {row["poses_per_second"]:12,} poses/s'
    print(f'{row["step"]:30} {speed} {row["peak_memory_mb"]:7,} MB at most so far')

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--poses', type=int, default=1_000_000)
    p.add_argument('--full', action='store_true')
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('clustering.json'))
    a = p.parse_args()
    x = make_poses(a.poses)
    rows = []
    def timed(name, f, n=None):
        t = time.perf_counter()
        r = f()
        s = time.perf_counter()-t
        speed = round((n or len(x))/s)
        rows.append(dict(step=name, seconds=round(s,1), poses_per_second=speed, peak_memory_mb=peak_memory_mb()))
        return r
    def inertia(c): return float((c.distances(x).min(1).astype(np.float64)**2).mean())
    memory = peak_memory_mb()
    rows.append(dict(step='poses in memory', seconds=None, poses_per_second=None, peak_memory_mb=memory))
    mini = timed('fit 8 clusters, mini-batch', lambda: fit_clusters(x, minibatch=True))
    labels = timed('assign', lambda: mini.assign(x))
    timed('balanced sample of 18,000', lambda: balanced_sample(labels, min(18000, len(x))))
    outliers = timed('learn outliers from 100,000', lambda: fit_outliers(x[:100_000]), min(100_000, len(x)))
    timed('score outliers', lambda: outliers.scores(x))
    res = dict(command='python benchmarks/bench_clustering.py'+' --full'*a.full, poses=len(x))
    res |= dict(cpus=os.cpu_count(), machine=platform.machine(), python=platform.python_version())
    res |= dict(scikit_learn=sklearn.__version__, load_average=round(os.getloadavg()[0],1), rows=rows)
    res['inertia'] = dict(minibatch=round(inertia(mini),6))
    if a.full:
        full = timed('fit 8 clusters, full', lambda: fit_clusters(x, minibatch=False))
        excess = 100*(inertia(mini)/inertia(full)-1)
        res['inertia'] |= dict(full=round(inertia(full),6), minibatch_excess_percent=round(excess,2))
    for r in rows: print_row(r)
    print('mean squared distance:', res['inertia'], ' load average', res['load_average'])
    with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
