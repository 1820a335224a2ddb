"""What other readers of BVH make of our files: print how far their joints are from ours, in every pose.

Needs bvhio and pybvh, in an environment of their own:
    python tools/check_bvh_readers.py write DIR
    python -m venv /tmp/bvh && /tmp/bvh/bin/pip install bvhio pybvh
    /tmp/bvh/bin/python tools/check_bvh_readers.py read DIR
"""
import json, sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

def write(
    folder, # for the files and what is in them
):
    "Own poses with heads turned, with all names and units; and a lone pose."
    from text2pose.data import own_poses, y_up_from_z_up
    from text2pose.export import BVH_UNITS, SKELETON_NAMES, export, on_floor
    folder.mkdir(parents=True, exist_ok=True)
    own = np.stack([p['joints'] for p in own_poses()])
    faces = np.random.default_rng(0).normal(size=(len(own),3))
    for some,x,looking in (('all',own,faces), ('one',own[7:8],None)):
        for names,unit in zip(SKELETON_NAMES, BVH_UNITS):
            path = folder/f'{some}_{names}_{unit}.bvh'
            export(x, path, faces=looking, options=dict(names=names, unit=unit))
            joints = BVH_UNITS[unit]*y_up_from_z_up(on_floor(x))
            called = [n.split(':')[-1] for n in SKELETON_NAMES[names]]
            content = dict(names=called, joints=joints.tolist(), metre=BVH_UNITS[unit])
            path.with_suffix('.json').write_text(json.dumps(content))

def joints_by_bvhio(path, names, n):
    import bvhio
    root = bvhio.readAsHierarchy(str(path))
    joints = {joint.Name:joint for joint,_,_ in root.layout()}
    frames = []
    for i in range(n):
        root.loadPose(i)
        frames.append([[*joints[name].PositionWorld] for name in names])
    return np.array(frames)

def joints_by_pybvh(path, names, n):
    import pybvh
    motion = pybvh.read_bvh_file(str(path))
    return motion.joint_positions()[:,[motion.joint_index[name] for name in names]]

def read(
    folder, # what `write` made
):
    for path in sorted(folder.glob('*.bvh')):
        want = json.loads(path.with_suffix('.json').read_text())
        for reader,by in dict(bvhio=joints_by_bvhio, pybvh=joints_by_pybvh).items():
            apart = np.abs(by(path, want['names'], len(want['joints']))-want['joints']).max()/want['metre']
            print(f'{reader} {version(reader)}, {path.name}: {len(want["joints"])} poses, joints at most '
                  f'{1e3*apart:.3f} mm away')

if __name__=='__main__': dict(write=write, read=read)[sys.argv[1]](Path(sys.argv[2]))
