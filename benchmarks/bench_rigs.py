"""What retargeting does to the captures of every rig: spine, feet, residual, and whether rigs can be told apart.

The picture shows the rigs of the sources that are free for any use.

python benchmarks/bench_rigs.py      needs TEXT2POSE_DATA; writes rigs.json and ../figures/rigs.png
"""
import json
from collections import defaultdict
from pathlib import Path
import numpy as np
import torch
from text2pose.core import data_dir
from text2pose.data import PARENTS, bone_lengths, canonical, distinct_frames, good_frames, plot_bodies
from text2pose.humanml3d import ALL_SOURCES, OPEN_SOURCES, read_realmocap22
from text2pose.posecodes import posecodes
from text2pose.skeleton import (
    forward_kinematics, inverse_kinematics, measure_rigs, rest_offsets, retarget, rig_name)
from text2pose.eval import foot_pitch, spine_bend

HERE = Path(__file__).parent
STRIDE = 8

def standing_pitch(x):
    "Pitch of the lower foot, degrees, (n,)."
    return foot_pitch(x)[np.arange(len(x)), x[:,[10,11],2].argmin(1)]

def residual(x):
    "Metres by which the rigid body of a pose's own lengths misses it, (n,)."
    x = torch.from_numpy(x).double()
    offsets = rest_offsets(torch.from_numpy(bone_lengths(x.numpy())))
    return (forward_kinematics(inverse_kinematics(x, offsets), offsets)-x).norm(dim=-1).amax(-1).numpy()

def figures_of(x):
    "What the table shows of the poses of a rig."
    bend = spine_bend(x)
    return dict(spine_mean=bend.mean(), spine_95=np.quantile(bend, .95), foot_pitch=np.median(standing_pitch(x)),
                residual_mm=1000*np.median(residual(x)))

def directions(x):
    "Unit bones (n, 63)."
    bones = x[:,1:]-x[:,PARENTS[1:]]
    return (bones/np.linalg.norm(bones, axis=-1, keepdims=True)).reshape(len(x), -1)

def rig_accuracy(features, rig, clip, seed=0, per_rig=400):
    "How often a classifier names the rig of a pose of an unseen clip; every rig counts the same."
    from sklearn.ensemble import ExtraTreesClassifier
    rng = np.random.default_rng(seed)
    names = np.unique(clip)
    held = np.isin(clip, rng.choice(names, len(names)//3, replace=False))
    train = np.concatenate([rng.choice(np.flatnonzero((rig==r)&~held), per_rig) for r in np.unique(rig)])
    model = ExtraTreesClassifier(200, random_state=seed, n_jobs=1).fit(features[train], rig[train])
    right = model.predict(features[held])==rig[held]
    return float(np.mean([right[rig[held]==r].mean() for r in np.unique(rig[held])]))

def main():
    "Measure every rig of realmocap22, and draw three poses of each."
    folder = data_dir()/'realmocap22'
    poses,clips = defaultdict(list),defaultdict(list)
    rests = {}
    for source in ALL_SOURCES:
        rests |= measure_rigs(read_realmocap22(folder, (source,)), STRIDE)
        for clip in read_realmocap22(folder, (source,)):
            frames = canonical(clip.joints)[good_frames(clip.joints)[0]][::STRIDE]
            if len(frames)==0: continue
            poses[rig_name(clip)].append(frames[distinct_frames(frames)])
            clips[rig_name(clip)].append(np.full(len(poses[rig_name(clip)][-1]), clip.id))
    poses = {rig:np.concatenate(x) for rig,x in poses.items()}
    placed = {rig:retarget(x, rests[rig]) for rig,x in poses.items()}
    result = {rig:dict(poses=len(x), before=figures_of(x), after=figures_of(placed[rig])) for rig,x in poses.items()}
    rng = np.random.default_rng(0)
    chosen = {rig:rng.choice(len(x), min(len(x), 1500), replace=False) for rig,x in poses.items()}
    rig = np.concatenate([np.full(len(i), r) for r,i in chosen.items()])
    clip = np.concatenate([np.concatenate(clips[r])[i] for r,i in chosen.items()])
    before,after = (np.concatenate([x[r][i] for r,i in chosen.items()]) for x in (poses, placed))
    result['rig told by a classifier'] = dict(
        chance=1/len(poses), bones_before=rig_accuracy(directions(before), rig, clip),
        bones_after=rig_accuracy(directions(after), rig, clip),
        posecodes_after=rig_accuracy(posecodes(after), rig, clip))
    rounded = json.loads(json.dumps(result, default=float), parse_float=lambda v: round(float(v), 3))
    (HERE/'rigs.json').write_text(json.dumps(rounded, indent=1)+'\n')
    for name,r in rounded.items(): print(name, r)
    shown,titles = [],[]
    for name,x in poses.items():
        if name.split(',')[0] not in OPEN_SOURCES: continue
        for i in rng.choice(len(x), 2, replace=False):
            shown += [x[i], placed[name][i]]
            titles += [name, 'on our body']
    fig = plot_bodies(np.stack(shown), titles, views=('side',), n_cols=10)
    fig.savefig(HERE/'../figures/rigs.png')

if __name__=='__main__': main()
