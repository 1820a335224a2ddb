"""Write web/src/skeleton_data.js: names, bone lengths, joint limits and the drawn body, for the view's JavaScript."""
import json
from pathlib import Path

import numpy as np

from text2pose import data, editing, skeleton
from text2pose.core import atomic_path

OUT = Path(__file__).parents[1]/'web/src/skeleton_data.js'

def rounded(
    x, # array, or lists of arrays
)->list: # numbers with 15 digits
    "Numbers that are written the same on every machine."
    if isinstance(x, (list,tuple)): return [rounded(v) for v in x]
    return np.round(np.asarray(x, dtype=np.float64), 15).tolist()

def tables(
)->dict: # name → what skeleton.js and scene.js need
    "Everything that the JavaScript takes from Python."
    limits = skeleton.joint_limits()
    cones = [[name,start,end,against] for name,(start,end,against) in skeleton._CONES.items()]
    return dict(
        names=data.JOINT_NAMES, parents=data.PARENTS, mirror=data.MIRROR_IDX, tree=data.KINEMATIC_TREE,
        lengths=rounded(skeleton.reference_bone_lengths()), rest_bones=rounded(editing._REST),
        rest=rounded(skeleton._rest_directions('hanging').numpy()),
        cones=cones, poles=rounded(skeleton._poles()[...,0].transpose(2,0,1)), corners=rounded(skeleton._corners()),
        edges=rounded(skeleton._edges().T.reshape(len(cones),-1,2)), limit_names=skeleton.LIMIT_NAMES,
        trunk_twist=limits['trunk_twist'], knee_backward=limits['knee_backward'],
        readiness=rounded(editing._EACH_READINESS[:,0,0]), tired_by=rounded(editing._TIRED_BY),
        moves=rounded(editing._MOVES), groups=editing.GROUPS,
        body_metres=data._BODY_METRES, body_points=[[k,*v] for k,v in data._BODY_POINTS.items()],
        body_parts=data._BODY_PARTS, body_colors=data._BODY_COLORS,
        normal_ranges=skeleton.NORMAL_RANGES)

def text(
)->str: # of the file
    "One line for each table."
    lines = [f'export const {name} = {json.dumps(value, ensure_ascii=False)}' for name,value in tables().items()]
    return '// Written by tools/make_web_data.py from the Python tables: do not edit\n'+'\n'.join(lines)+'\n'

if __name__=='__main__':
    with atomic_path(OUT) as tmp: tmp.write_text(text(), encoding='utf-8')
    print(f'{OUT.name}: {OUT.stat().st_size} bytes')
