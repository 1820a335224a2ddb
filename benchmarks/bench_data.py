"""How fast a pose table is built, encoded and read back. Prints a table and writes benchmarks/data.json.

    python benchmarks/bench_data.py            # own poses; with TEXT2POSE_DATA also the open and research presets
"""
import json, os, tempfile, time
from pathlib import Path

from text2pose.core import data_dir
from text2pose.data import own_clips, read_pose_table, table_joints, table_report, write_pose_table
from text2pose.captions import first_action
from text2pose.humanml3d import humanml3d_vec_from_joints, world_from_humanml3d_vec, write_humanml3d
from text2pose.dataset import build_table

def timed(f):
    t = time.perf_counter()
    out = f()
    return out, time.perf_counter()-t

def main():
    res = {}
    def note(name, n, unit, seconds):
        res[name] = {unit:n, 'seconds':round(seconds,2), 'per_second':round(n/seconds)}
        print(f'{name:44} {n:9,} {unit:9} {seconds:7.1f} s {n/seconds:12,.0f} /s')
    clips = own_clips(10.)
    n = sum(len(c.joints) for c in clips)
    vecs,s = timed(lambda: [humanml3d_vec_from_joints(c.joints) for c in clips])
    note('encode 263-D', n, 'frames', s)
    _,s = timed(lambda: [world_from_humanml3d_vec(v) for v in vecs])
    note('decode 263-D', n, 'frames', s)
    captions = [c.text for k in clips for c in k.captions]
    first_action(captions[0]+', then stops')
    _,s = timed(lambda: [first_action(f'a person {c}, then walks away') for c in captions*20])
    note('first action of untagged captions', 20*len(captions), 'captions', s)
    with tempfile.TemporaryDirectory() as d:
        _,s = timed(lambda: write_humanml3d(clips, Path(d)/'h'))
        note('write HumanML3D folder', 2*n, 'frames', s)
        table,s = timed(lambda: build_table('humanml3d', humanml3d=Path(d)/'h'))
        note('build from HumanML3D folder', table_report(table).read['humanml3d']['frames'], 'frames', s)
        for preset in ('open','research') if data_dir() else ():
            table,s = timed(lambda: build_table(preset))
            note(f'build preset {preset}', sum(c.get('frames',0) for c in table_report(table).read.values()), 'frames', s)
            print(table_report(table))
            res[f'build preset {preset}']['report'] = {k:v for k,v in table_report(table).to_dict().items() if k!='skipped'}
            write_pose_table(table, Path(d)/'t.parquet')
            _,s = timed(lambda: table_joints(read_pose_table(Path(d)/'t.parquet')))
            note(f'read table of {preset}', table.num_rows, 'rows', s)
    res['threads'] = os.environ.get('OMP_NUM_THREADS', 'default')
    res['cpus'] = os.cpu_count()
    Path(__file__).with_suffix('.json').write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
