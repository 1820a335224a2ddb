"""Measure joint limits, proportions and the calibration of the score again (needs TEXT2POSE_DATA).

Writes text2pose/assets/joint_limits.json from the open captures.
"""
import json
from pathlib import Path
import numpy as np
from text2pose import skeleton
from text2pose.atlas import atlas, atlas_joints
from text2pose.core import atomic_path, data_dir
from text2pose.humanml3d import OPEN_SOURCES

MADE_BY = ('tools/make_limits.py: text2pose.skeleton.measure_joint_limits, measure_proportions and measure_calibration '
           'on realmocap22, sources {sources} (free for any use), split train, with the hand-written poses, the atlas and the '
           'normal ranges of motion of NORMAL_RANGES')

def entry(
    value, # a value of joint_limits.json
)->str:    # its text
    "One line, or one line for each list of a dict."
    if not isinstance(value, dict): return json.dumps(value, ensure_ascii=False)
    return '{\n'+',\n'.join(f'  {json.dumps(k)}: {json.dumps(v)}' for k,v in value.items())+'\n }'

def layout(
    d:dict, # what joint_limits.json holds
)->str:     # its text
    "JSON with one line for each list, to be read and diffed."
    return '{\n'+',\n'.join(f' {json.dumps(k)}: {entry(v)}' for k,v in d.items())+'\n}\n'

def write(
    path, # file
    d:dict, # what it will hold
):
    "Write the limits; the package reads them anew."
    with atomic_path(path) as tmp: tmp.write_text(layout(d), encoding='utf-8')
    skeleton.joint_limits.cache_clear()

def main(
    path=Path(__file__).parents[1]/'text2pose/assets/joint_limits.json', # file to write
):
    "The three measurements, in the order in which they need each other."
    if data_dir() is None: raise SystemExit('set TEXT2POSE_DATA to the folder that holds realmocap22')
    train = {s:skeleton.capture_poses(data_dir()/'realmocap22', s, 'train') for s in OPEN_SOURCES}
    own_bodies = {s:skeleton.capture_poses(data_dir()/'realmocap22', s, 'train', own_body=True) for s in OPEN_SOURCES}
    hand_written = np.concatenate([atlas_joints(name) for name in atlas()])
    d = dict(
        made_by=MADE_BY.format(sources=', '.join(OPEN_SOURCES)),
        licence='Apache-2.0 (statistics; see NOTICE for the sources)',
        unit='degrees; ratios to the mean long bone; metres for size',
        poses={s:len(x) for s,x in train.items()},
        **skeleton.measure_joint_limits(train, certain=hand_written),
        proportions=skeleton.measure_proportions(own_bodies),
        posture=skeleton.measure_posture({**train, 'atlas':hand_written, 'atlas again':hand_written}),
        calibration=dict(half=8., power=1.5))
    write(path, d)
    d['calibration'] = skeleton.measure_calibration(train)  # costs are measured against the limits just written
    write(path, d)
    print(f'{path.name}: {len(d["cones"])} cones from {sum(d["poses"].values())} poses, '
          f'twist {d["trunk_twist"]}°, calibration {d["calibration"]}')

if __name__=='__main__': main()
