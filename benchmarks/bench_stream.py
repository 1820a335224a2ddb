"""Training on a table of ten million rows without holding it: writes benchmarks/stream.json.

    python benchmarks/bench_stream.py [--rows 10000000] [--steps 24] [--window-steps 8] [--folder /tmp/t] [--out FILE]
    python benchmarks/bench_stream.py --rows 200000 --steps 4 --window-steps 2 --out /tmp/s.json  # a quick try

The table is synthetic: rows of the atlas, each with its own name and joints moved by about a centimetre, written part
by part to --folder (about 3 GB for ten million rows). A second process trains the size `small` on it with MiniLM and
says how much memory it had at most.
"""
import argparse, json, os, platform, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np, torch
from text2pose.atlas import atlas_rows
from text2pose.core import atomic_path
from text2pose.data import POSE_DIM, pose_table, table_joints, write_pose_table

def parts(n_rows, size):
    "Tables of `size` rows each."
    import pyarrow as pa
    base = pose_table(atlas_rows(1))
    joints = table_joints(base).reshape(-1, POSE_DIM)
    for start in range(0, n_rows, size):
        n = min(size, n_rows-start)
        g = np.random.default_rng(start)
        which = g.integers(0, len(base), n)
        some = base.take(pa.array(which))
        moved = joints[which]+g.normal(0, .01, (n,POSE_DIM)).astype(np.float32)
        moved[:,:3] = 0
        columns = dict(
            pose_id=pa.array([f'{name}~{start+i}' for i,name in enumerate(some['pose_id'].to_pylist())]),
            split=pa.array(['val' if i%200==0 else 'train' for i in range(n)]),
            joints=pa.FixedSizeListArray.from_arrays(pa.array(moved.reshape(-1)), POSE_DIM))
        for name,column in columns.items():
            some = some.set_column(some.column_names.index(name), base.schema.field(name), column)
        yield some

def megabytes():
    "Most memory that this process had so far (Linux)."
    line, = (line for line in Path('/proc/self/status').read_text().splitlines() if line.startswith('VmHWM'))
    return round(int(line.split()[1])/1024)

def train(path, steps, window_steps):
    "What a run on the table takes; printed as JSON."
    from text2pose.dataset import PoseStream, StatesAtOnce
    from text2pose.text import load_text_encoder
    from text2pose.train import make_trainer, phase_config
    from text2pose.unet import SIZES
    begin = time.perf_counter()
    loaded = megabytes()
    encoder = load_text_encoder()
    stream = PoseStream(path, steps=window_steps)
    opened = time.perf_counter()-begin
    after_opening = megabytes()
    config = phase_config('text', n_steps=steps, batch_size=256, noise_samples_per_caption=8, unet=SIZES['small'])
    trainer = make_trainer(config, stream, StatesAtOnce(stream, encoder), cpu=True)
    begin = time.perf_counter()
    trainer.fit(log_every=steps)
    seconds = time.perf_counter()-begin
    print(json.dumps(dict(
        rows=len(stream), windows=-(-steps//window_steps), window=len(stream.window), steps=steps,
        opening_s=round(opened, 1), training_s=round(seconds, 1), loss=trainer.log[-1]['loss'],
        peak_mb=dict(imported=loaded, opened=after_opening, trained=megabytes()))))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--rows', type=int, default=10_000_000)
    p.add_argument('--steps', type=int, default=24)
    p.add_argument('--window-steps', type=int, default=8)
    p.add_argument('--folder', type=Path)
    p.add_argument('--out', type=Path, default=Path(__file__).parent/'stream.json')
    p.add_argument('--train', type=Path, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.train: return train(a.train, a.steps, a.window_steps)
    with tempfile.TemporaryDirectory(dir=a.folder) as d:
        path = Path(d)/'synthetic.parquet'
        begin = time.perf_counter()
        write_pose_table(parts(a.rows, 65_536), path)
        written = dict(rows=a.rows, gigabytes=round(path.stat().st_size/1e9, 2),
                       seconds=round(time.perf_counter()-begin), peak_mb=megabytes())
        command = [sys.executable, __file__, '--train', str(path), '--steps', str(a.steps), '--window-steps',
                   str(a.window_steps)]
        made = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    how = dict(command='python benchmarks/bench_stream.py '+' '.join(sys.argv[1:]), machine=platform.machine(),
               cpus=os.cpu_count(), python=platform.python_version(), torch=torch.__version__)
    result = dict(**how, written=written, trained=made)
    with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(result, indent=1)+'\n')
    print(json.dumps(result, indent=1))

if __name__=='__main__': main()
