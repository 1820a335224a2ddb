"""How fast poses are enforced and scored, and how well they stand. Prints tables and writes benchmarks/skeleton.json.

    OMP_NUM_THREADS=1 TEXT2POSE_DATA=... python benchmarks/bench_skeleton.py
"""
import json
import os
import time
from pathlib import Path

import numpy as np
import torch

from text2pose.atlas import atlas, atlas_joints
from text2pose.cfg import Text2PosePipeline
from text2pose.core import data_dir
from text2pose.data import canonical, good_frames, own_poses
from text2pose.humanml3d import OPEN_SOURCES, read_realmocap22
from text2pose.skeleton import (
    _heights, _poses_last, anatomy_loss, center_of_mass, enforce_bone_lengths, enforce_skeleton, measure_rigs,
    plausibility, reference_bone_lengths, retarget, rig_name)

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

def time_all(
    count:int=10_000, # poses
)->dict:              # name → best_s, median_s (wall clock), cpu_s (the least), cpu_median_s
    "Hand-written poses with noise: 1, 2 and 3 cm on every joint; and few poses alone."
    own = np.stack([p['joints'] for p in own_poses()])
    x = np.concatenate([own]*(count//len(own)+1))[:count]
    results = {}
    def note(name, f, n=3):
        wall,cpu = seconds(f, n)
        r = dict(best_s=wall.min(), median_s=np.median(wall), cpu_s=cpu.min(), cpu_median_s=np.median(cpu))
        results[name] = r
        r.update({k:round(float(v),5) for k,v in r.items()})
        print(f'{name:58} best {r["best_s"]:8.4f} s   median {r["median_s"]:8.4f} s   processor {r["cpu_s"]:8.4f} s')
    for sigma in (1,2,3):
        y = (x+np.random.default_rng(sigma).normal(0,sigma/100,x.shape)).astype(np.float32)
        note(f'{count} poses, noise {sigma} cm, enforce_skeleton', lambda: enforce_skeleton(y))
        note(f'{count} poses, noise {sigma} cm, lengths only', lambda: enforce_skeleton(y, limits=False))
    note(f'{count} poses, noise 3 cm, enforce_bone_lengths', lambda: enforce_bone_lengths(y))
    note(f'{count} poses, noise 3 cm, plausibility', lambda: plausibility(y))
    for n,word,runs in ((1,'pose',60), (4,'poses',60), (256,'poses',10)):
        note(f'{n} {word}, noise 3 cm, enforce_skeleton', lambda: enforce_skeleton(y[:n]), runs)
        note(f'{n} {word}, noise 3 cm, plausibility', lambda: plausibility(y[:n]), runs)
    lengths = torch.from_numpy(reference_bone_lengths())
    note('256 poses, anatomy_loss and its gradient', lambda: gradient(lambda z: anatomy_loss(z, lengths), y[:256]), 5)
    return results

HALF_WIDTH,TOES,CONTACT,CLEAR,RAISED = .045,.3,.05,.10,.20  # metres, but the toes: share of the foot beyond its ball

def out_of_balance(
    joints, # (n, 22, 3) numpy
):          # cm (n,): how far the centre of mass is outside of the feet's outline, NaN of who is not on his feet alone;
            # and whether one of the feet is raised
    "Balance of poses that stand."
    x = _poses_last(np.asarray(joints))
    skin,heels,floor = _heights(x)
    foot = (x[:,10:12]-x[:,7:9])*np.array([1,1,0])[:,None,None]
    outline = np.concatenate([heels, x[:,10:12], x[:,10:12]+TOES*foot], 1)[:2]
    height = np.concatenate([heels[2], skin[10:12]])-floor
    on_floor = np.concatenate([height, height[2:]])<CONTACT
    around = np.arange(72)[:,None]*2*np.pi/72
    cos,sin = np.cos(around),np.sin(around)
    farthest = np.where(on_floor, cos[...,None]*outline[0]+sin[...,None]*outline[1], -np.inf).max(1)+HALF_WIDTH
    across,along,_ = center_of_mass(x)
    outside = 100*(cos*across+sin*along-farthest).max(0)
    others = np.delete(skin-floor, [7,8,10,11], 0).min(0)
    lowest = np.minimum(height[:2], height[2:])
    return np.where(others>CLEAR, outside, np.nan), lowest.max(0)>RAISED

STANDING = ['a person stands still', 'standing with hands on hips', 'standing upright, arms crossed',
            'standing and waving with the right hand', 'raising both arms while standing', 'standing and pointing to the left',
            'standing with hands behind the head', 'a person stands with feet apart', 'standing and clapping',
            'a soldier salutes', 'standing and reading a book', 'hands clasped in front, standing']
ON_ONE_LEG = ['standing on one leg', 'tree pose', 'standing on the left leg, right knee raised', 'flamingo stance']

def captured(
    slow:bool, # how fast the joints move on average: below 0.3 m/s, or above
)->np.ndarray: # (n, 22, 3), every third frame on the reference body
    "Held-out captures."
    found = []
    for source in OPEN_SOURCES:
        clips = list(read_realmocap22(data_dir()/'realmocap22', (source,), split='val'))
        rests = measure_rigs(clips)
        for clip in clips:
            if len(clip.joints)<3: continue
            speed = np.linalg.norm(np.gradient(clip.joints, axis=0)*clip.fps, axis=-1).mean(-1)
            frames = np.where(good_frames(clip.joints)[0]&((speed<.3)==slow))[0][::3]
            if len(frames): found.append(retarget(canonical(clip.joints[frames]), rests[rig_name(clip)]))
    return np.concatenate(found)

def measure_balance(
)->dict: # who → n, inside, beyond_2_cm (shares), median_cm, p95_cm
    "How well poses stand: of the atlas, of held-out captures, and generated ones."
    pipe = Text2PosePipeline.from_pretrained()
    results = {}
    def note(name, outside, rows):
        d = outside[rows&np.isfinite(outside)]
        results[name] = dict(n=len(d), inside=np.mean(d<=0), beyond_2_cm=np.mean(d>2), median_cm=np.median(d),
                             p95_cm=np.quantile(d, .95))
        results[name] = {k:round(float(v),3) for k,v in results[name].items()}
        print(f'{name:38}', results[name])
    drawn = np.concatenate([atlas_joints(name) for name in sorted(atlas())])
    made = {name:pipe(prompts, n, seed=1).joints
            for name,prompts,n in (('generated, standing',STANDING,10), ('generated, one leg',ON_ONE_LEG,20))}
    poses = {'atlas':drawn, 'captured, slow':captured(True), 'captured, fast':captured(False), **made}
    for name,x in poses.items():
        outside,raised = out_of_balance(x)
        if name!='generated, one leg': note(f'{name}: both feet down', outside, ~raised)
        if name!='generated, standing': note(f'{name}: a foot raised', outside, raised)
    return results

def main():
    "Times, then balance."
    results = dict(seconds=time_all(), balance=measure_balance(), threads=torch.get_num_threads(), cpus=os.cpu_count())
    Path(__file__).with_name('skeleton.json').write_text(json.dumps(results, indent=1)+'\n')

if __name__=='__main__': main()
