"""The three phases on the same data, with the same small network: writes text2pose/assets/ablation.json, which chapters 05 and 06 show.

    TEXT2POSE_DATA=... python benchmarks/ablation.py            # about eight minutes on one CPU core
    python benchmarks/ablation.py --steps 20 --out /tmp/a.json  # a quick try; without TEXT2POSE_DATA on the hand-written poses alone
"""
import argparse, json
from pathlib import Path
from tqdm import tqdm
from text2pose.cfg import load_text_encoder
from text2pose.data import asset, atomic_path
from text2pose.train import PHASES, Trainer, TrainingSet, build_table, encode_captions, held_out_losses, phase_config

p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
p.add_argument('--steps', type=int, default=1500); p.add_argument('--batch-size', type=int, default=64); p.add_argument('--seed', type=int, default=0)
p.add_argument('--out', type=Path, default=asset('ablation.json'))
a = p.parse_args()

table = build_table('open'); encoder = load_text_encoder()
train = TrainingSet(table); val = TrainingSet(table, 'val') if 'val' in set(table['split'].to_pylist()) else train
train_states,val_states = (encode_captions(s.captions, encoder) for s in (train,val))
unet = dict(block_channels=[64,128], layers_per_block=1); rows = []
for phase in PHASES:
    config = phase_config(phase, n_steps=a.steps, batch_size=a.batch_size, seed=a.seed, unet=unet)
    t = Trainer(config, train, train_states, cpu=True); text = config.cond_drop_prob<1
    measure = lambda: held_out_losses(t.averaged(), val, val_states, with_text=text)
    before = measure(); t.fit(progress=lambda r: tqdm(r, desc=phase, disable=None))
    rows.append(dict(phase=phase, before=before, after=measure(), curve=[{k:e[k] for k in ('step','diffusion','anatomy','naive')} for e in t.log]))
    print(phase, {k:f'{before[k]:.3g} → {v:.3g}' for k,v in rows[-1]['after'].items()}, flush=True)
res = dict(command='python benchmarks/ablation.py', steps=a.steps, batch_size=a.batch_size, seed=a.seed, unet=unet, data=train.summary, held_out='val split of cmu and cmu_actions; label and human captions' if val is not train else 'none: measured on the training set',
    phases={r.pop('phase'):r for r in rows})
with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(res, indent=1)+'\n')
