"""The three phases on the same data, with the same small network: writes text2pose/assets/ablation.json, which chapter 05 shows.

    TEXT2POSE_DATA=... python benchmarks/bench_ablation.py            # about eight minutes on one CPU core
    python benchmarks/bench_ablation.py --steps 20 --out /tmp/a.json  # a quick try; without TEXT2POSE_DATA on the hand-written poses alone
"""
import argparse, json
from pathlib import Path
from tqdm import tqdm
from text2pose.text import load_text_encoder
from text2pose.core import asset, atomic_path
from text2pose.dataset import TrainingSet, build_table, encode_captions
from text2pose.train import PHASES, Trainer, phase_config, val_losses

def ablation(train, train_states, held, val_states, steps=1500, batch_size=64, seed=0, unet=dict(block_channels=[64,128], layers_per_block=1), cpu=True):
    "Train each phase; its losses before and after, and the training curve."
    phases = {}
    for phase in PHASES:
        config = phase_config(phase, n_steps=steps, batch_size=batch_size, seed=seed, unet=unet)
        t = Trainer(config, train, train_states, cpu=cpu)
        measure = lambda: val_losses(t.averaged(), held, val_states, with_text=config.cond_drop_prob<1)
        before = measure()
        t.fit(progress=lambda r: tqdm(r, desc=phase, disable=None))
        phases[phase] = dict(before=before, after=measure(), curve=[{k:e[k] for k in ('step','diffusion','anatomy','naive')} for e in t.log])
        print(phase, {k:f'{before[k]:.3g} → {v:.3g}' for k,v in phases[phase]['after'].items()}, flush=True)
    return dict(steps=steps, batch_size=batch_size, seed=seed, unet=unet, data=train.summary, phases=phases)

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--steps', type=int, default=1500)
    p.add_argument('--batch-size', type=int, default=64)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--out', type=Path, default=asset('ablation.json'))
    a = p.parse_args()
    table = build_table('open')
    encoder = load_text_encoder()
    train = TrainingSet(table)
    held = TrainingSet(table, 'val') if 'val' in set(table['split'].to_pylist()) else train
    res = ablation(train, encode_captions(train.captions, encoder), held, encode_captions(held.captions, encoder), a.steps, a.batch_size, a.seed)
    where = 'val split of cmu and cmu_actions; label and human captions' if held is not train else 'none: measured on the training set'
    with atomic_path(a.out) as tmp:
        tmp.write_text(json.dumps(dict(command='python benchmarks/bench_ablation.py', val=where, **res), indent=1)+'\n')

if __name__=='__main__': main()
