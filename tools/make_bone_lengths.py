"Measure the bone lengths of the open motion capture again and write the package's table (needs TEXT2POSE_DATA)."
import json
import sys
from text2pose.core import asset, atomic_path, data_dir
from text2pose.humanml3d import OPEN_SOURCES, read_realmocap22
from text2pose.skeleton import measure_bone_lengths

def main():
    "realmocap22 → text2pose/assets/bone_lengths.json"
    if data_dir() is None: sys.exit('TEXT2POSE_DATA is not set: there is nothing to measure')
    measured = measure_bone_lengths(read_realmocap22(data_dir()/'realmocap22', OPEN_SOURCES, split='train'))
    head = dict(
        made_by=f'text2pose.skeleton.measure_bone_lengths on realmocap22, sources {", ".join(OPEN_SOURCES)} '
                '(free for any use), split train; written by tools/make_bone_lengths.py',
        licence='Apache-2.0 (statistics; see NOTICE for the sources)')
    with atomic_path(asset('bone_lengths.json')) as p:
        p.write_text(json.dumps({**head, **measured}, indent=1)+'\n', encoding='utf-8')
    clips = [rig['clips'] for rig in measured['rigs'].values()]
    print(f'bone_lengths.json: {sum(clips)} clips, {len(clips)} rigs')

if __name__=='__main__': main()
