"""The three denoising phases on the same data, with the same small network: writes benchmarks/ablation.json.

    TEXT2POSE_DATA=... python benchmarks/bench_ablation.py
    python benchmarks/bench_ablation.py --steps 20 --out /tmp/a.json  # a quick try

Chapter 05 shows the result. Without TEXT2POSE_DATA the data are the atlas alone; with it, the preset
`open` without captions from geometry and without compositions. No phase reads posecodes.
"""
import argparse, json, platform
from pathlib import Path
import torch
from tqdm import tqdm
from text2pose.cfg import Text2PosePipeline
from text2pose.core import atomic_path
from text2pose.dataset import TrainingSet, build_table, encode_captions
from text2pose.text import load_text_encoder
from text2pose.train import Trainer, phase_config, val_losses

UNET = dict(block_channels=[64,128], layers_per_block=1)
PROMPTS = ['arms raised','golf swing','crouching']

def train_and_val(table, encoder, **kwargs):
    "(TrainingSet, CaptionStates) of the splits train and val; where there is no val, twice of train."
    train = TrainingSet(table)
    val = TrainingSet(table, 'val') if 'val' in set(table['split'].to_pylist()) else train
    return [(s, encode_captions(s.captions, encoder, **kwargs)) for s in (train,val)]

def draw_poses(model, encoder, with_text):
    "One pose for each prompt, or as many without words: millimetres, as they come from the network."
    pipe = Text2PosePipeline(model, encoder)
    if with_text: out = pipe(PROMPTS, 1, guidance_scale=2., enforce_skeleton=False)
    else: out = pipe(PROMPTS[0], len(PROMPTS), guidance_scale=0., enforce_skeleton=False)  # 0: the words do not count
    return (1000*out.joints).round().astype(int).tolist()

def ablation(train, val, encoder, steps=1500, batch_size=64, seed=0, cpu=True):
    "Train each phase on (TrainingSet, CaptionStates); its losses on val and a few poses before and after, its curve."
    phases = {}
    for phase in Trainer.phases:
        kwargs = dict(n_steps=steps, batch_size=batch_size, seed=seed, unet=UNET, code_loss_weight=0.)
        config = phase_config(phase, **kwargs)
        with_text = config.cond_drop_prob<1
        trainer = Trainer(config, *train, cpu=cpu)
        def measure():
            model = trainer.averaged()
            return dict(val_losses(model, *val, with_text=with_text), poses=draw_poses(model.cpu(), encoder, with_text))
        before = measure()
        def progress(steps): return tqdm(steps, desc=phase, disable=None)
        trainer.fit(progress=progress)
        after = measure()
        curve = [{k:entry[k] for k in ('step','diffusion','anatomy','naive')} for entry in trainer.log]
        phases[phase] = dict(before=before, after=after, curve=curve)
        print(phase, {k:f'{before[k]:.3g} → {v:.3g}' for k,v in after.items() if k!='poses'}, flush=True)
    (train_set,_),(val_set,_) = train,val
    return dict(steps=steps, batch_size=batch_size, seed=seed, unet=UNET, prompts=PROMPTS,
                data=train_set.summary, val=val_set.summary, phases=phases)

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
               **ablation(train, val, encoder, a.steps, a.batch_size, a.seed))
    with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
