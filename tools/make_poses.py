"""Write poses.json again from the atlas, and lay the file out for people to read and diff.

poses.json holds the poses that the first chapters need before there is an atlas. It says which poses of the atlas these
are, in which order and under which of their phrases; the angles are the atlas's, and the joints are computed from them
(as written, not set on the floor).
"""
import json
from pathlib import Path
from text2pose.atlas import atlas
from text2pose.skeleton import pose_from_angles

def line(x):
    "Compact JSON on one line."
    return json.dumps(x, ensure_ascii=False, separators=(',',':'))

def as_written(
    angles:dict, # part → {angle: degrees}
)->dict:         # the same with whole degrees as integers
    "Angles as an author would write them."
    return {part:{k:int(v) if v==int(v) else v for k,v in values.items()} for part,values in angles.items()}

def layout(
    d:dict, # what poses.json holds
)->str:     # its text: one line each for a pose's name, captions, angles and joints
    "JSON that is compact, yet shows in a diff which part of which pose changed."
    head = ''.join(f'"{k}": {json.dumps(v, ensure_ascii=False)},\n' for k,v in d.items() if k!='poses')
    poses = [',\n'.join(f'"{k}": {line(v)}' for k,v in p.items()) for p in d['poses']]
    return '{\n' + head + '"poses": [\n' + ',\n'.join(f'{{{p}}}' for p in poses) + '\n]\n}\n'

def from_atlas(
    d:dict,    # what poses.json holds
    poses:dict, # name → AtlasPose
)->dict:       # the same with the angles of the atlas
    "Take the angles of the atlas; say which name or caption the atlas does not have."
    out = []
    for p in d['poses']:
        if p['name'] not in poses: raise ValueError(f'poses.json: the atlas has no pose {p["name"]!r}')
        a = poses[p['name']]
        if strange:=[c for c in p['captions'] if c not in a.phrases]:
            raise ValueError(f'poses.json: pose {p["name"]!r}: {strange[0]!r} is not a phrase of it in {a.file}')
        angles = p['angles'] if p['angles']==a.angles else as_written(a.angles)
        joints = [[round(float(v),5)+0. for v in joint] for joint in pose_from_angles(angles)]
        out.append({**p, 'angles':angles, 'joints':joints})
    return {**d, 'poses':out}

def main(
    path=Path(__file__).parents[1]/'text2pose/assets/poses.json', # file to read and write back
):
    "Angles to joints (metres, 5 decimals) for every pose."
    d = from_atlas(json.loads(path.read_text(encoding='utf-8')), atlas())
    path.write_text(layout(d), encoding='utf-8')
    print(f'{path.name}: {len(d["poses"])} poses, {sum(len(p["captions"]) for p in d["poses"])} captions')

if __name__=='__main__': main()
