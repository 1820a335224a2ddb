"Recompute the joints of the hand-written poses from their angles, and lay the file out for people to read and diff."
import json
from pathlib import Path
from text2pose.skeleton import pose_from_angles

def line(x): return json.dumps(x, ensure_ascii=False, separators=(',',':'))

def layout(
    d:dict, # what poses.json holds
)->str:     # its text: one line each for a pose's name, captions, angles and joints
    "JSON that is compact, yet shows in a diff which part of which pose changed."
    head = ''.join(f'"{k}": {json.dumps(v, ensure_ascii=False)},\n' for k,v in d.items() if k!='poses')
    poses = [',\n'.join(f'"{k}": {line(v)}' for k,v in p.items()) for p in d['poses']]
    return '{\n' + head + '"poses": [\n' + ',\n'.join(f'{{{p}}}' for p in poses) + '\n]\n}\n'

def main(
    path=Path(__file__).parents[1]/'text2pose/assets/poses.json', # file to read and write back
):
    "Angles to joints (metres, 5 decimals) for every pose."
    d = json.loads(path.read_text(encoding='utf-8'))
    for p in d['poses']: p['joints'] = [[round(float(v),5)+0. for v in j] for j in pose_from_angles(p['angles'])]
    path.write_text(layout(d), encoding='utf-8')
    print(f'{path.name}: {len(d["poses"])} poses, {sum(len(p["captions"]) for p in d["poses"])} captions')

if __name__=='__main__': main()
