"""Min-SNR (Hang et al. 2023) beside the plain prediction loss: prints a table and writes benchmarks/min_snr.json.

    python benchmarks/bench_min_snr.py [--steps 150] [--batch-size 64] [--seeds 0,1,2] [--gamma 5] [--out FILE]
    python benchmarks/bench_min_snr.py --steps 5 --seeds 0 --out /tmp/m.json  # a quick try

A tiny denoiser of positions learns poses of the atlas without words, as noise and as velocity. Losses are those of
held-out poses of the atlas, nothing weighted, on the same noise for all runs; `late` is the mean squared error of the
estimate of the clean pose at the noisier half of the timesteps, `early` at the other half, both z-scored.
"""
import argparse, json, os, platform, time
from pathlib import Path
import numpy as np, torch
from text2pose.atlas import atlas_rows
from text2pose.core import atomic_path
from text2pose.data import pose_table
from text2pose.dataset import CaptionStates, TrainingSet
from text2pose.diffusion import add_noise, alphas_cumprod, to_x_0_eps
from text2pose.train import SampleRandom, Trainer, phase_config, sample_keys
from text2pose.unet import SIZES

KINDS = ('epsilon','v_prediction')

def set_of(split):
    "Poses of the atlas; captions are never read, so their states are zeros."
    data = TrainingSet(pose_table(atlas_rows(2, split=split, n_phrases=1)), split)
    return data, CaptionStates.of([torch.zeros(1, 8) for _ in data.captions])

@torch.no_grad()
def held_out(model, val, n=2000):
    "Squared errors of the noise and of the clean pose on held-out poses, timesteps evenly spread."
    data,_ = val
    random = SampleRandom(sample_keys(0, 0, torch.arange(n)))
    joints,_,_ = data.take(random.rand(), random.rand())
    x_0,eps = model.normalize(joints), random.randn(22, 3)
    T = model.config['num_train_timesteps']
    timestep = ((torch.arange(n)+.5)/n*T).long()
    alphas = alphas_cumprod(model.config['schedule'], T)
    x_t = add_noise(x_0, eps, timestep, alphas)
    pred,_ = model(x_t, timestep, torch.zeros(n, 1, 8), torch.ones(n, 1).bool(), torch.ones(n).bool())
    x_0_pred,eps_pred = to_x_0_eps(pred, x_t, timestep, alphas, model.config['prediction_type'])
    def error(a, b): return ((a-b)**2).mean((1,2))
    clean = error(x_0_pred, x_0)
    late = timestep>=T//2
    return dict(diffusion=error(eps_pred, eps).mean().item(), early=clean[~late].mean().item(),
                late=clean[late].mean().item())

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--steps', type=int, default=150)
    p.add_argument('--batch-size', type=int, default=64)
    p.add_argument('--seeds', default='0,1,2')
    p.add_argument('--gamma', type=float, default=5.)
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('min_snr.json'))
    a = p.parse_args()
    torch.set_num_threads(1)
    train,val = set_of('train'),set_of('val')
    rows = []
    for kind in KINDS:
        for gamma in (0.,a.gamma):
            found = []
            for seed in map(int, a.seeds.split(',')):
                config = phase_config(
                    'anatomical', prediction_type=kind, anatomy='none', min_snr_gamma=gamma, n_steps=a.steps,
                    batch_size=a.batch_size, seed=seed, unet=SIZES['tiny'])
                found.append(held_out(Trainer(config, *train, cpu=True).fit().averaged(), val))
            of_seeds = {k:[round(f[k], 5) for f in found] for k in found[0]}
            rows.append(dict(prediction_type=kind, min_snr_gamma=gamma, **of_seeds))
            means = '  '.join(f'{k} {np.mean(v):.4f} ± {np.std(v):.4f}' for k,v in of_seeds.items())
            print(f'{kind:12} gamma {gamma:g}  {means}', flush=True)
    res = dict(command='python benchmarks/bench_min_snr.py', steps=a.steps, batch_size=a.batch_size, seeds=a.seeds,
               unet='tiny', rows_of_training=len(train[0]), rows_held_out=len(val[0]),
               schedule='squaredcos_clipped', processor_seconds=round(time.process_time()), cpus=os.cpu_count(),
               machine=platform.machine(), torch=torch.__version__, rows=rows)
    with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
