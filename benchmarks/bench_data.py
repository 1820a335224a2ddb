"""How fast a pose table is built, encoded and read back. Prints a table and writes benchmarks/data.json.

    python benchmarks/bench_data.py            # own poses; with TEXT2POSE_DATA also the open and research presets
"""
import json, os, tempfile, time
from pathlib import Path

from text2pose.core import atomic_path, data_dir
from text2pose.data import own_clips, read_pose_table, table_joints, table_report, write_pose_table
from text2pose.captions import first_action
from text2pose.humanml3d import humanml3d_vec_from_joints, world_from_humanml3d_vec, write_humanml3d
from text2pose.dataset import build_table

def timed(f):
    "What f returns, and the seconds it took."
    start = time.perf_counter()
    out = f()
    return out, time.perf_counter()-start

class Notes(dict):
    "Measurements: name → count, seconds, count a second."
    def add(self, name, n, unit, seconds):
        self[name] = {unit:n, 'seconds':round(seconds,2), 'per_second':round(n/seconds)}
        print(f'{name:44} {n:9,} {unit:9} {seconds:7.1f} s {n/seconds:12,.0f} /s')

def frames_read(table): return sum(counts.get('frames', 0) for counts in table_report(table).read.values())

def time_encoding(notes, clips):
    "263-D frames there and back, and first actions."
    n = sum(len(c.joints) for c in clips)
    vecs,seconds = timed(lambda: [humanml3d_vec_from_joints(c.joints) for c in clips])
    notes.add('encode 263-D', n, 'frames', seconds)
    _,seconds = timed(lambda: [world_from_humanml3d_vec(v) for v in vecs])
    notes.add('decode 263-D', n, 'frames', seconds)
    captions = [c.text for k in clips for c in k.captions]
    first_action(captions[0]+', then stops')
    _,seconds = timed(lambda: [first_action(f'a person {c}, then walks away') for c in captions*20])
    notes.add('first action of untagged captions', 20*len(captions), 'captions', seconds)

def time_tables(notes, clips, folder):
    "Tables of every preset that can be built here."
    _,seconds = timed(lambda: write_humanml3d(clips, folder/'h'))
    notes.add('write HumanML3D folder', 2*sum(len(c.joints) for c in clips), 'frames', seconds)
    table,seconds = timed(lambda: build_table('humanml3d', humanml3d=folder/'h'))
    notes.add('build from HumanML3D folder', table_report(table).read['humanml3d']['frames'], 'frames', seconds)
    for preset in ('open','research') if data_dir() else ():
        name = f'build preset {preset}'
        table,seconds = timed(lambda: build_table(preset))
        notes.add(name, frames_read(table), 'frames', seconds)
        print(table_report(table))
        notes[name]['report'] = {k:v for k,v in table_report(table).to_dict().items() if k!='skipped'}
        write_pose_table(table, folder/'t.parquet')
        _,seconds = timed(lambda: table_joints(read_pose_table(folder/'t.parquet')))
        notes.add(f'read table of {preset}', table.num_rows, 'rows', seconds)

def main():
    notes,clips = Notes(), own_clips(10.)
    time_encoding(notes, clips)
    with tempfile.TemporaryDirectory() as d: time_tables(notes, clips, Path(d))
    notes['threads'] = os.environ.get('OMP_NUM_THREADS', 'default')
    notes['cpus'] = os.cpu_count()
    with atomic_path(Path(__file__).with_name('data.json')) as tmp: tmp.write_text(json.dumps(notes, indent=1)+'\n')

if __name__=='__main__': main()
