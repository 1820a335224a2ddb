"""How many samples a second training takes in, on one CPU thread: prints a table and writes benchmarks/train.json.

    python benchmarks/bench_train.py [--steps 6] [--repeat 3] [--out FILE]

Captions are made-up states of 4 to 60 tokens, half of them at most 16. Seconds are of processor time, so that
other programs disturb little.
"""
import argparse, json, os, platform, time
from pathlib import Path
import numpy as np, torch
from text2pose.atlas import atlas_rows
from text2pose.core import atomic_path
from text2pose.data import pose_table
from text2pose.dataset import CaptionStates, TrainingSet
from text2pose.train import Trainer, phase_config

NETS = {'64 and 192 wide, the default':{}, 'without the step on the body':dict(body_channels=0), '64 and 192 wide, one block a stage':dict(layers_per_block=1)}
# batch_size, micro_batch, noise_samples_per_caption
BATCHES = ((128,None,1), (256,128,1), (128,None,4), (256,None,4), (256,None,8))

def made_up_states(n_captions, dim=768):
    "Random states of 4 to 60 tokens, and how many each caption has."
    generator = torch.Generator().manual_seed(0)
    lengths = np.random.default_rng(0).lognormal(np.log(16), .55, n_captions).clip(4, 60).astype(int)
    return CaptionStates.of([torch.randn(k, dim, generator=generator) for k in lengths.tolist()]), lengths

def samples_per_second(trainer, steps, repeat):
    "Median over repetitions, after one step to warm up."
    trainer.train_step()
    speed = []
    for _ in range(repeat):
        start = time.process_time()
        for _ in range(steps): trainer.train_step()
        speed.append(steps*trainer.config.batch_size/(time.process_time()-start))
    return round(float(np.median(speed)))

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--steps', type=int, default=6)
    p.add_argument('--repeat', type=int, default=3)
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('train.json'))
    a = p.parse_args()
    torch.set_num_threads(1)
    data = TrainingSet(pose_table(atlas_rows(1)))
    states,lengths = made_up_states(len(data.captions))
    rows = []
    print(f'{"network":36} {"million":>8} {"batch":>6} {"at once":>8} {"draws":>6} {"samples a second":>17}')
    for name,unet in NETS.items():
        for batch,micro,draws in BATCHES:
            config = phase_config('text', n_steps=10**6, batch_size=batch, micro_batch=micro,
                                  noise_samples_per_caption=draws, unet=unet)
            trainer = Trainer(config, data, states, cpu=True)
            million = round(sum(w.numel() for w in trainer.inner.parameters())/1e6, 2)
            speed = samples_per_second(trainer, a.steps, a.repeat)
            rows.append(dict(network=name, million_parameters=million, batch_size=batch, micro_batch=micro or batch,
                             noise_samples_per_caption=draws, samples_per_second=speed))
            print(f'{name:36} {million:8} {batch:6} {micro or batch:8} {draws:6} {speed:17}', flush=True)
    tokens = dict(median=int(np.median(lengths)), mean=round(float(lengths.mean()), 1), longest=int(lengths.max()))
    res = dict(command='python benchmarks/bench_train.py', tokens=tokens, threads=1, seconds='of processor time',
               cpus=os.cpu_count(), machine=platform.machine(), python=platform.python_version(),
               torch=torch.__version__, load_average=round(os.getloadavg()[0], 1), rows=rows)
    with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
