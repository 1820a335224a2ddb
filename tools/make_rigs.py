"""Measure again how the rigs of the open captures stand still (needs TEXT2POSE_DATA).

Writes text2pose/assets/rig_rests.json.
"""
import json
from pathlib import Path
from text2pose import skeleton
from text2pose.core import atomic_path, data_dir
from text2pose.data import JOINT_NAMES
from text2pose.humanml3d import OPEN_SOURCES, read_realmocap22

MADE_BY = 'tools/make_rigs.py: text2pose.skeleton.measure_rigs on realmocap22, sources cmu, cmu_actions, style100'

def entry(
    rest, # a RigRest
)->str:   # its text
    "One line for a rig."
    bones = [[round(float(v), 4)+0. for v in bone] for bone in rest.bones]
    return json.dumps(dict(foot_pitch=rest.foot_pitch, up_from=rest.up_from, n_frames=rest.n_frames, bones=bones))

def main(
    path=Path(__file__).parents[1]/'text2pose/assets/rig_rests.json', # file to write
):
    "One line for each rig, to be read and diffed."
    if data_dir() is None: raise SystemExit('set TEXT2POSE_DATA to the folder that holds realmocap22')
    rests = skeleton.measure_rigs(read_realmocap22(data_dir()/'realmocap22', OPEN_SOURCES), again=True)
    rigs = ',\n'.join(f'  {json.dumps(name)}: {entry(rest)}' for name,rest in sorted(rests.items()))
    head = dict(made_by=MADE_BY, licence='Apache-2.0 (statistics; see NOTICE for the sources)',
                unit='metres, degrees; bones in joint order, from the parent', joints=JOINT_NAMES)
    lines = [f' {json.dumps(k)}: {json.dumps(v)}' for k,v in head.items()]
    text = '{\n'+',\n'.join(lines)+',\n "rigs": {\n'+rigs+'\n }\n}\n'
    with atomic_path(path) as tmp: tmp.write_text(text, encoding='utf-8')
    skeleton.rig_rests.cache_clear()
    print(f'{path.name}: '+', '.join(f'{name} ({rest.n_frames} frames)' for name,rest in rests.items()))

if __name__=='__main__': main()
