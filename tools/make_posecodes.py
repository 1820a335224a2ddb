"Measure how common every posecode is in the open captures, and write text2pose/assets/posecodes.json."
import json
from pathlib import Path
from text2pose.core import atomic_path, data_dir
from text2pose.humanml3d import OPEN_SOURCES
from text2pose.posecodes import measure_rates
from text2pose.skeleton import capture_poses

MADE_BY = (
    'tools/make_posecodes.py: text2pose.posecodes.measure_rates on realmocap22, '
    f'sources {", ".join(OPEN_SOURCES)} (free for any use), split train; '
    'each source counts the same, left and right are averaged')

def main(
    path=Path(__file__).parents[1]/'text2pose/assets/posecodes.json', # file to write
):
    "Rates of all codes."
    if data_dir() is None: raise SystemExit('set TEXT2POSE_DATA to the folder that holds realmocap22')
    poses = {s:capture_poses(data_dir()/'realmocap22', s, 'train') for s in OPEN_SOURCES}
    table = dict(
        made_by=MADE_BY,
        licence='Apache-2.0 (statistics; see NOTICE for the sources)',
        unit='share of poses, 0 to 1',
        poses={s:len(x) for s,x in poses.items()},
        rates=measure_rates(poses))
    with atomic_path(path) as tmp: tmp.write_text(json.dumps(table, indent=0)+'\n', encoding='utf-8')
    print(f'{path.name}: {len(table["rates"])} codes on {sum(table["poses"].values())} poses')

if __name__=='__main__': main()
