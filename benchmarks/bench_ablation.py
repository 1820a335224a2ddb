"""The three denoising phases on the same data, with the same small network: writes benchmarks/ablation.json.

    TEXT2POSE_DATA=... python benchmarks/bench_ablation.py
    python benchmarks/bench_ablation.py --steps 20 --out /tmp/a.json  # a quick try

Chapter 05 shows the result. Without TEXT2POSE_DATA the data are the atlas alone; with it, the preset
`open` without captions from geometry and without compositions.

The phases differ in schedule, target, anatomy loss and words. What else belongs to the phase text is left out, so that
the three can be compared: it denoises positions as the others do, without the position loss, and no phase reads
posecodes or looks at exemplars.
"""
import argparse, json, platform
from pathlib import Path
import torch
from tqdm import tqdm
from text2pose.core import atomic_path
from text2pose.dataset import TrainingSet, build_table, encode_captions
from text2pose.text import load_text_encoder
from text2pose.train import Trainer, phase_config, val_losses

UNET = dict(block_channels=[64,128], layers_per_block=1)
SAME = dict(unet=UNET, code_loss_weight=0., representation='positions', position_weight=0., num_exemplars=0)

def train_and_val(table, encoder, **kwargs):
    "(TrainingSet, CaptionStates) of the splits train and val; where there is no val, twice of train."
    train = TrainingSet(table)
    val = TrainingSet(table, 'val') if 'val' in set(table['split'].to_pylist()) else train
    return [(s, encode_captions(s.captions, encoder, **kwargs)) for s in (train,val)]

def ablation(train, val, steps=1500, batch_size=64, seed=0, cpu=True):
    "Train each phase on (TrainingSet, CaptionStates); its losses on val before and after, and its curve."
    phases = {}
    for phase in Trainer.phases:
        config = phase_config(phase, n_steps=steps, batch_size=batch_size, seed=seed, **SAME)
        with_text = config.cond_drop_prob<1
        trainer = Trainer(config, *train, cpu=cpu)
        def measure(): return val_losses(trainer.averaged(), *val, with_text=with_text)
        before = measure()
        def progress(steps): return tqdm(steps, desc=phase, disable=None)
        trainer.fit(progress=progress)
        after = measure()
        curve = [{k:entry[k] for k in ('step','diffusion','anatomy','naive')} for entry in trainer.log]
        phases[phase] = dict(before=before, after=after, curve=curve)
        print(phase, {k:f'{before[k]:.3g} → {v:.3g}' for k,v in after.items()}, flush=True)
    train_set,val_set = train[0],val[0]
    rows,sources = len(val_set), ', '.join(val_set.summary['sources'])
    return dict(steps=steps, batch_size=batch_size, seed=seed, unet=UNET,
                data=train_set.summary, val=f'{rows:,} rows of the split val: {sources}', phases=phases)

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--steps', type=int, default=1500)
    p.add_argument('--batch-size', type=int, default=64)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('ablation.json'))
    a = p.parse_args()
    encoder = load_text_encoder()
    train,val = train_and_val(build_table('open', n_words=0, n_compositions=0), encoder)
    res = dict(command='python benchmarks/bench_ablation.py', machine=platform.machine(), torch=torch.__version__,
               **ablation(train, val, a.steps, a.batch_size, a.seed))
    with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
