"""How many samples a second training takes in, on the CPU: prints a table and writes benchmarks/train.json.

    python benchmarks/bench_train.py [--sizes small,base] [--processes 1,2] [--steps 6] [--repeat 3] [--out FILE]
    python benchmarks/bench_train.py --sizes tiny --steps 1 --repeat 1 --out t.json  # a quick try

`loader` is how many noisy poses a second are drawn, with their captions, noise, exemplars and posecodes, when nothing
is trained on them. `where it goes` is the share of a step's seconds spent on drawing, on the forward and the backward
pass, and on the rest: clipping, AdamW and the average. The sizes are those of chapter 03. Captions are made-up states
of 4 to 60 tokens, half of them at most 16; the scorer that looks up exemplars is untrained. Every process has one
thread; two are started by torchrun and exchange their gradients. `samples_per_second` is by the clock, so nothing else
should run meanwhile; `of_a_core` is by the processor time of the first process, and stands a busy machine. Steps should
be a multiple of 6, since one step in six has the follow loss in some of the runs.
"""
import argparse, json, os, platform, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np, torch
from text2pose.atlas import atlas_rows
from text2pose.core import atomic_path
from text2pose.data import pose_table
from text2pose.dataset import CaptionStates, TrainingSet
from text2pose.text import PoseTextScorer
from text2pose.train import Trainer, phase_config
from text2pose.unet import SIZES

# what each size is trained with
RUNS = (
    dict(batch_size=128, noise_samples_per_caption=1, num_exemplars=0),
    dict(batch_size=256, noise_samples_per_caption=1, num_exemplars=0, micro_batch=128),
    dict(batch_size=256, noise_samples_per_caption=8, num_exemplars=0),
    dict(batch_size=256, noise_samples_per_caption=8, num_exemplars=0, follow_every=6),
    dict(batch_size=1024, noise_samples_per_caption=32, num_exemplars=0, follow_every=6),
    dict(batch_size=256, noise_samples_per_caption=8, num_exemplars=4, follow_every=6))
COLUMNS = dict(network=8, processes=9, million_parameters=8, batch_size=6, micro_batch=8, noise_samples_per_caption=6,
               follow_every=7, num_exemplars=10, samples_per_second=17, of_a_core=9, loader_per_second=9)
TITLES = ('network', 'processes', 'million', 'batch', 'at once', 'draws', 'follow', 'exemplars',
          'samples a second', 'of a core', 'loader')

def made_up_states(n_captions, dim=768):
    "Random states of 4 to 60 tokens, and how many each caption has."
    generator = torch.Generator().manual_seed(0)
    lengths = np.random.default_rng(0).lognormal(np.log(16), .55, n_captions).clip(4, 60).astype(int)
    return CaptionStates.of([torch.randn(k, dim, generator=generator) for k in lengths.tolist()]), lengths

def untrained_scorer(folder, dim=768):
    "The file of a scorer that ranks poses by chance."
    torch.manual_seed(0)
    path = Path(folder)/'scorer.safetensors'
    PoseTextScorer(dim).save(path)
    return path

def samples_per_second(trainer, what, steps, repeat, clock=time.perf_counter):
    "Median over repetitions, after one to warm up."
    what()
    speed = []
    for _ in range(repeat):
        start = clock()
        for _ in range(steps): what()
        speed.append(steps*trainer.config.batch_size/(clock()-start))
    return round(float(np.median(speed)), 1)

def where_it_goes(trainer, steps):
    "Shares of the seconds of some steps."
    seconds = dict.fromkeys(('draw','forward','backward'), 0.)
    def timed(name, function):
        def call(*args, **kwargs):
            start = time.perf_counter()
            try: return function(*args, **kwargs)
            finally: seconds[name] += time.perf_counter()-start
        return call
    parts = (trainer.draw_batch, trainer.batch_losses, trainer.acc.backward)
    trainer.draw_batch,trainer.batch_losses,trainer.acc.backward = map(timed, seconds, parts)
    start = time.perf_counter()
    for _ in range(steps): trainer.train_step()
    whole = time.perf_counter()-start
    trainer.draw_batch,trainer.batch_losses,trainer.acc.backward = parts
    return {**{k:round(v/whole, 3) for k,v in seconds.items()}, 'rest':round(1-sum(seconds.values())/whole, 3)}

def measure(size, run, data, states, scorer, steps, repeat):
    "One row of the table."
    torch.set_num_threads(1)
    config = phase_config('text', n_steps=10**6, unet=SIZES[size], **run)
    trainer = Trainer(config, data, states, cpu=True, scorer=scorer if config.num_exemplars else None)
    million = round(sum(w.numel() for w in trainer.inner.parameters())/1e6, 2)
    settings = ('batch_size','noise_samples_per_caption','follow_every','num_exemplars')
    n = trainer.acc.num_processes
    of_a_core = samples_per_second(trainer, trainer.train_step, steps, repeat, time.process_time)/n
    return dict(network=size, processes=n, million_parameters=million,
                **{k:getattr(config, k) for k in settings}, micro_batch=config.micro_batch or config.batch_size,
                of_a_core=round(of_a_core, 1),
                samples_per_second=samples_per_second(trainer, trainer.train_step, steps, repeat),
                loader_per_second=samples_per_second(trainer, trainer.draw_batch, steps, repeat),
                where_it_goes=where_it_goes(trainer, steps))

def measure_all(sizes, a):
    "All rows of this number of processes; the first writes them."
    data = TrainingSet(pose_table(atlas_rows(1)))
    states,_ = made_up_states(len(data.captions))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        scorer = untrained_scorer(folder)
        for size in sizes:
            for run in RUNS:
                rows.append(measure(size, run, data, states, scorer, a.steps, a.repeat))
                if os.environ['RANK']!='0': continue
                print(' '.join(f'{rows[-1][column]:>{width}}' for column,width in COLUMNS.items()), flush=True)
    if os.environ['RANK']=='0': a.rows.write_text(json.dumps(rows))

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--sizes', default='small,base', help=f'some of {", ".join(SIZES)}, separated by commas')
    p.add_argument('--processes', default='1,2')
    p.add_argument('--steps', type=int, default=6)
    p.add_argument('--repeat', type=int, default=3)
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('train.json'))
    p.add_argument('--rows', type=Path, help=argparse.SUPPRESS)  # where one of several processes writes what it found
    a = p.parse_args()
    sizes = a.sizes.split(',')
    if unknown:=[s for s in sizes if s not in SIZES]: p.error(f'unknown size {unknown[0]!r}')
    if a.rows: return measure_all(sizes, a)
    rows = []
    print(' '.join(f'{title:>{width}}' for title,width in zip(TITLES, COLUMNS.values())))
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder)/'rows.json'
        for n in a.processes.split(','):
            options = ['--sizes', a.sizes, '--steps', str(a.steps), '--repeat', str(a.repeat), '--rows', str(found)]
            command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node', n, __file__, *options]
            subprocess.run(command, check=True, env={**os.environ, 'OMP_NUM_THREADS':'1'})
            rows += json.loads(found.read_text())
    _,lengths = made_up_states(1000)
    tokens = dict(median=int(np.median(lengths)), mean=round(float(lengths.mean()), 1), longest=int(lengths.max()))
    res = dict(command='python benchmarks/bench_train.py', tokens=tokens, seconds='of a clock',
               steps=a.steps, repeat=a.repeat, cpus=os.cpu_count(), machine=platform.machine(),
               python=platform.python_version(), torch=torch.__version__,
               load_average=round(os.getloadavg()[0], 1), rows=rows)
    with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
