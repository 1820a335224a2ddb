"""How far the betas of a schedule may go: the same tiny network trained on squared-cosine betas clipped to
1e-4…high, on linear ones, and on a schedule without any signal at its end: writes benchmarks/betas.json.

    TEXT2POSE_DATA=... python benchmarks/bench_betas.py [--steps 800] [--out FILE]
    python benchmarks/bench_betas.py --steps 20 --poses 32 --out /tmp/b.json  # a quick try

Without TEXT2POSE_DATA the data are the atlas alone; with it, the preset `open` without captions from geometry and
without compositions. No words: every caption is dropped, in training and in sampling. An arm is a schedule, what the
network predicts, the anatomy loss that it is trained with, and a seed; everything else is the same. Results are written
after every arm, and arms that the file already has with the same settings are not trained again.

Measured for each schedule: what is left of the signal at the last step, and how far held-out poses at that step are
from the noise that sampling starts from (`kl`, nats a pose, both taken as Gaussian). For each arm: the losses on
held-out poses at evenly spread timesteps; the anatomy loss where half of the variance is signal (`anatomy_half`), the
same noise for every schedule; and poses sampled without enforcement in 50 steps of DDIM from pure noise (`noise`),
from held-out poses noised to the last step (`real`), and from pure noise with every estimate clipped to five standard
deviations (`clipped`).
"""
import argparse, json, platform
from functools import partial
from pathlib import Path
import numpy as np
import torch
from text2pose.core import atomic_path, read_json
from text2pose.data import N_JOINTS
from text2pose.skeleton import plausibility, reference_bone_lengths
from text2pose.unet import SIZES
from text2pose.diffusion import (
    SCHEDULES, add_noise, alphas_cumprod, clipped_cosine_betas, ddim_step, ddim_timesteps, eps_from_x_0, linear_betas,
    to_x_0_eps, zero_snr_betas)
from text2pose.dataset import CaptionStates, TrainingSet, build_table
from text2pose.train import Batch, Trainer, losses, phase_config, val_losses
from text2pose.eval import bone_length_error

UPPER_BOUNDS = (.002,.004,.006,.01,.02,.05,.2,.999)
TEXT_DIM = 8          # of the one zero token that stands for every caption
N_VARIATIONS = 4      # of each pose of the atlas
NUM_INFERENCE_STEPS = 50
CLIP = 5.             # standard deviations: z-scored joints go about that far
FARTHEST = 1e3        # metres; coordinates of exploded poses are clamped, so that their squares stay finite

def clipped(high): return f'clipped_{high:g}'

SWEPT = {clipped(high):partial(clipped_cosine_betas, high=high) for high in UPPER_BOUNDS}
OTHERS = dict(
    linear=linear_betas, linear_006=partial(linear_betas, high=.006), squaredcos_zero_snr=zero_snr_betas)
SCHEDULES.update({**SWEPT, **OTHERS})

def arms():
    "(schedule, prediction type, anatomy loss, seed) of every run, what matters most first."
    some = [clipped(high) for high in (.006,.02,.999)]
    yield from ((s, 'epsilon', 'sound', 0) for s in SWEPT)
    yield from ((s, 'v_prediction', 'sound', 0) for s in [*some,'squaredcos_zero_snr'])
    yield from ((s, 'epsilon', 'naive', 0) for s in some)
    yield from ((s, 'epsilon', 'sound', 0) for s in ('linear','linear_006'))
    yield from ((s, 'epsilon', 'sound', 1) for s in some[:2])

def gaussian(x):
    "Mean (d,) and covariance (d, d) of poses (n, 22, 3), float64."
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    return x.mean(0), np.cov(x.T)

def frechet(a, b):
    "Fréchet distance of two Gaussians over poses in metres, as the root mean square over joints in cm."
    (mean_a,cov_a),(mean_b,cov_b) = a,b
    root = np.sqrt(np.linalg.eigvals(cov_a@cov_b).real.clip(min=0)).sum()
    squared = ((mean_a-mean_b)**2).sum()+np.trace(cov_a)+np.trace(cov_b)-2*root
    return 100*float(np.sqrt(max(squared, 0)/N_JOINTS))

def kl_from_noise(x_0, alpha):
    "KL divergence of N(0, I) from poses (n, 22, 3), z-scored, noised until alpha of the variance is signal: nats."
    mean,cov = gaussian(x_0)
    excess = alpha*(np.linalg.eigvalsh(cov)-1)  # of the variance in each direction
    return float((excess-np.log1p(excess)).sum()/2+alpha*(mean**2).sum()/2)

def describe_schedule(name, x_0):
    "What a schedule leaves at its last step; x_0 are held-out poses, z-scored."
    betas,last = SCHEDULES[name](), alphas_cumprod(name)[-1].item()
    infinite = last<=0
    return dict(
        beta_min=betas.min(), beta_max=betas.max(), alpha_T=last, signal=last**.5,
        snr_db=None if infinite else 10*np.log10(last/(1-last)),
        amplification=None if infinite else ((1-last)/last)**.5,
        kl=kl_from_noise(x_0, last))

@torch.no_grad()
def sample(model, x, clip=None):
    "Poses without words from x (n, 22, 3) at the last step, metres."
    cfg,n = model.config,len(x)
    alphas,kind = alphas_cumprod(cfg['schedule'], cfg['num_train_timesteps']), cfg['prediction_type']
    timesteps = ddim_timesteps(NUM_INFERENCE_STEPS, len(alphas))
    no_words = torch.zeros(n, 1, TEXT_DIM), torch.ones(n, 1, dtype=torch.bool), torch.ones(n, dtype=torch.bool)
    x = x.double()
    for t,next_t in zip(timesteps, [*timesteps[1:], None]):
        prediction = model(x.float(), torch.full((n,), t), *no_words)[0].double()
        x_0,eps = to_x_0_eps(prediction, x, t, alphas, kind)
        if clip:
            x_0 = x_0.clamp(-clip, clip)
            eps = eps_from_x_0(x_0, x, t, alphas)
        x = ddim_step(x_0, eps, next_t, alphas)
    joints = model.denormalize(x.float())
    return joints.nan_to_num(FARTHEST, FARTHEST, -FARTHEST).clamp(-FARTHEST, FARTHEST)

def quality(joints, real):
    "Generated poses (n, 22, 3) beside held-out ones, whose Gaussian is given."
    made = gaussian(joints)
    return dict(
        bone_error=float(bone_length_error(joints).mean()),
        plausibility=float(np.median(plausibility(joints))),
        spread=float(np.sqrt(np.trace(made[1])/np.trace(real[1]))),
        frechet=frechet(made, real))

def anatomy_half(model, joints, eps):
    "Anatomy loss where half of the variance is signal."
    n = len(joints)
    alphas = alphas_cumprod(model.config['schedule'], model.config['num_train_timesteps'])
    timestep = (alphas-.5).abs().argmin().expand(n)
    tokens,mask = torch.zeros(n, 1, TEXT_DIM), torch.ones(n, 1, dtype=torch.bool)
    batch = Batch(tokens, mask, model.normalize(joints), eps, timestep, torch.ones(n, dtype=torch.bool))
    with torch.no_grad(): parts = losses(model, batch, torch.from_numpy(reference_bone_lengths()))
    return parts['anatomy'].mean().item()

class Bench:
    "Data and settings that all arms share."
    def __init__(self, steps, batch_size, n_poses):
        table = build_table('open', n_words=0, n_compositions=0, n_variations=N_VARIATIONS)
        self.train,self.val = TrainingSet(table), TrainingSet(table, 'val')
        self.steps,self.batch_size = steps,batch_size
        self.mean,self.std = self.train.statistics()
        g = torch.Generator().manual_seed(1)
        real = self.val.draw(4000, g)[0]
        self.real = gaussian(real)
        self.starts = self.val.draw(n_poses, g)[0]
        self.noise = torch.randn(n_poses, N_JOINTS, 3, generator=g)
        self.x_0 = (real-self.mean)/self.std
        self.limits = dict(train=quality(self.train.draw(n_poses, g)[0], self.real),
                           held_out=quality(self.val.draw(n_poses, g)[0], self.real))

    def settings(self):
        "What must be the same for arms to be comparable."
        def counts(data): return {k:data.summary[k] for k in ('rows','sources')}
        return dict(steps=self.steps, batch_size=self.batch_size, poses=len(self.noise), unet='tiny',
                    representation='positions', num_inference_steps=NUM_INFERENCE_STEPS, clip=CLIP,
                    train=counts(self.train), val=counts(self.val), torch=torch.__version__)

    def states(self, data):
        "One zero token for every caption."
        n = len(data.captions)
        return CaptionStates(torch.zeros(1, TEXT_DIM).half(), torch.zeros(n, dtype=torch.long),
                             torch.ones(n, dtype=torch.long))

    def fit(self, schedule, prediction_type, anatomy, seed):
        "A trained model."
        config = phase_config(
            'anatomical', schedule=schedule, prediction_type=prediction_type, anatomy=anatomy, seed=seed,
            n_steps=self.steps, batch_size=self.batch_size, unet=dict(SIZES['tiny']), text_layers=0, num_exemplars=0)
        return Trainer(config, self.train, self.states(self.train), cpu=True).fit().averaged()

    def measure(self, model):
        "Losses on held-out poses, and what is sampled."
        found = val_losses(model, self.val, self.states(self.val), with_text=False)
        alphas = alphas_cumprod(model.config['schedule'])
        last = torch.full((len(self.noise),), len(alphas)-1)
        x_T = add_noise(model.normalize(self.starts), self.noise, last, alphas)
        from_noise,from_real = sample(model, torch.cat([self.noise, x_T])).chunk(2)
        ways = dict(noise=from_noise, real=from_real, clipped=sample(model, self.noise, CLIP))
        return dict(
            losses={k:found[k] for k in ('diffusion','anatomy','total','naive_last')},
            anatomy_half=anatomy_half(model, self.starts, self.noise),
            sampled={k:quality(joints, self.real) for k,joints in ways.items()})

def rounded(v):
    "Numbers of nested dicts and lists with four digits."
    if isinstance(v, dict): return {k:rounded(x) for k,x in v.items()}
    if isinstance(v, list): return [rounded(x) for x in v]
    return float(f'{v:.4g}') if isinstance(v, (float,np.floating)) else v

def print_tables(res):
    "Schedules, then arms."
    print(f"{'schedule':19} {'betas':>15} {'ᾱ_T':>9} {'SNR_T':>8} {'√ᾱ_T':>8} {'error ×':>8} {'KL':>8}")
    for name,s in res['schedules'].items():
        snr,times = ('-inf','inf') if s['snr_db'] is None else (f"{s['snr_db']:.1f}", f"{s['amplification']:.4g}")
        print(f"{name:19} {s['beta_min']:7.1e} … {s['beta_max']:5.3f} {s['alpha_T']:9.2g} {snr:>5} dB "
              f"{s['signal']:8.4f} {times:>8} {s['kl']:8.3f}")
    print(f"\n{'':48} losses on held-out poses          from noise               from noised clipped")
    print(f"{'schedule':19} {'predicts':12} anatomy seed diffusion   anatomy  at ½     bones plaus. spread"
          '   Fréchet   Fréchet   Fréchet')
    for a in res['arms']:
        made,lost = a['sampled'],a['losses']
        noise = made['noise']
        print(f"{a['schedule']:19} {a['prediction_type']:12} {a['anatomy']:7} {a['seed']:4} {lost['diffusion']:9.3f} "
              f"{lost['anatomy']:9.3g} {a['anatomy_half']:6.4f} {100*noise['bone_error']:7.3g}% "
              f"{noise['plausibility']:5.2f} {noise['spread']:7.3g} {noise['frechet']:9.4g} "
              f"{made['real']['frechet']:9.4g} {made['clipped']['frechet']:9.4g}")

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--steps', type=int, default=800)
    p.add_argument('--batch-size', type=int, default=64)
    p.add_argument('--poses', type=int, default=256, help='sampled from each network')
    p.add_argument('--arms', type=int, help='only so many, the first ones')
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('betas.json'))
    a = p.parse_args()
    torch.set_num_threads(1)
    bench = Bench(a.steps, a.batch_size, a.poses)
    settings = bench.settings()
    old = read_json(a.out) if a.out.is_file() else {}
    done = old.get('arms', []) if old.get('settings')==settings else []
    names = ('squaredcos', *SWEPT, *OTHERS)
    res = dict(command=f'python benchmarks/bench_betas.py --steps {a.steps} --batch-size {a.batch_size} '
                       f'--poses {a.poses}', machine=platform.machine(), settings=settings,
               schedules={name:describe_schedule(name, bench.x_0) for name in names}, real=bench.limits, arms=done)
    res = rounded(res)
    for arm in [*arms()][:a.arms]:
        names = dict(zip(('schedule','prediction_type','anatomy','seed'), arm))
        if any(names.items()<=d.items() for d in done): continue
        res['arms'].append(rounded({**names, **bench.measure(bench.fit(*arm))}))
        print(*arm, json.dumps(res['arms'][-1]), flush=True)
        with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(res, indent=1)+'\n')
    print_tables(res)

if __name__=='__main__': main()
