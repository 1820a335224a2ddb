"""The three phases of chapter 05 and each of their ingredients left out, on the same data, with the same small network
and the same number of noisy poses: writes benchmarks/ablation.json, run by run, and the strip of figures/.

    TEXT2POSE_DATA=... python benchmarks/bench_ablation.py [--table open.parquet] [--cache captions]
    python benchmarks/bench_ablation.py --figures        # only draw figures/ablation_strip.png from the JSON

Runs that the JSON holds already are not run again; settings other than theirs are refused. The data are random rows of
the preset `open`. The four phases:

- baseline: what a newcomer would write. Noise is predicted, the cosine schedule is used in full, the anatomy loss
  compares squared lengths, and no layer of the network normalizes.
- anatomical: LayerNorm, clipped betas, and the loss on lengths; as the baseline it denoises positions, without words.
- text: the preset `text` with the scorer that ships with the package, which finds its exemplars and gives it a reader.
- release: as text, with the timesteps, the noise on tokens and the average of weights that the shipped weights had.

The weights of the package are measured beside them (`shipped`). Losses are `val_losses`, on training and on held-out
poses: with words and exemplars where a run has them, so the own pose of a training caption may be among its exemplars.
Poses are drawn for prompts of chapter 06 with enforcement off.
"""
import argparse, json, os, platform, time
from pathlib import Path
import numpy as np
import torch
from torch import nn
from tqdm import tqdm
from text2pose.core import asset, atomic_path, read_json
from text2pose.data import N_JOINTS, PARENTS, draw_body, plot_pose, read_pose_table
from text2pose.skeleton import reference_bone_lengths
from text2pose.text import load_scorer, load_text_encoder
from text2pose.diffusion import alphas_cumprod
from text2pose.cfg import Text2PosePipeline
from text2pose.dataset import CaptionStates, TrainingSet, build_table, encode_captions
from text2pose.train import Batch, Exemplars, Trainer, _commit, losses, phase_config, val_losses, with_exemplars
from text2pose.eval import naturalness, prompt_adherence, read_prompts

HERE = Path(__file__).parent
UNET = dict(block_channels=[64,128], layers_per_block=1, body_channels=256, body_steps=1)
# captions are expensive to read: each serves eight noisy poses; one step in six has the follow loss, as in bench_gpu
SAME = dict(batch_size=64, noise_samples_per_caption=8, follow_every=6, follow_loss_weight=30., lr=2e-3)
RELEASE = dict(timestep_bias=1.5, token_noise=.1, ema_decay=.9995)  # of text2pose/assets/weights/training.json
NO_WORDS = dict(cond_drop_prob=1., code_loss_weight=0., num_exemplars=0)
# arm → phase, and what differs from it: fields of TrainConfig, of the network ('unet'), whether its layers normalize,
# and how far from 1 its modulation may scale ('scale_limit')
ARMS = {
    'baseline':('baseline', dict(normalized=False)),
    'anatomical':('anatomical', {}),
    'text':('text', {}),
    'release':('text', RELEASE),
    'anatomical, no normalization':('anatomical', dict(normalized=False)),
    'anatomical, GroupNorm':('anatomical', dict(unet=dict(norm='group_norm'))),
    'anatomical, scales clamped':('anatomical', dict(scale_limit=1.)),
    'anatomical, betas not clipped':('anatomical', dict(schedule='squaredcos')),
    'anatomical, squared lengths':('anatomical', dict(anatomy='naive')),
    'anatomical, no anatomy loss':('anatomical', dict(anatomy='none')),
    'text, noise predicted':('text', dict(prediction_type='epsilon')),
    'text, positions':('text', dict(representation='positions')),
    'text, no position loss':('text', dict(position_weight=0.)),
    'text, no exemplars':('text', dict(num_exemplars=0)),
    'text, no follow loss':('text', dict(follow_loss_weight=0., follow_every=10**9)),
    'text, no words':('text', NO_WORDS),
    'text, four times the steps':('text', dict(n_steps=1200))}
PHASES = ('baseline','anatomical','text','release')
TIMESTEPS = [0, *range(25, 1000, 25), 999]
STRIP_PROMPTS = ('arms raised','sitting cross-legged','deep squat')
NUM_STEPS = 20  # of DDIM

# ---- Data -----------------------------------------------------------------------------------------------------------

def some_rows(table, split, n, seed=0):
    "n random rows of a split, or all."
    rows = np.flatnonzero(np.array(table['split'].to_pylist())==split)
    if len(rows)>n: rows = np.sort(np.random.default_rng(seed).choice(rows, n, replace=False))
    return table.take(rows)

def train_and_val(table, encoder, n_train, n_val, **kwargs):
    "(TrainingSet, CaptionStates) of random rows of train and val."
    sets = [TrainingSet(some_rows(table, split, n), split) for split,n in (('train',n_train), ('val',n_val))]
    return [(s, encode_captions(s.captions, encoder, **kwargs)) for s in sets]

def unread(data):
    "A token for every caption, for networks without words: the null embedding takes its place."
    captions,states = data
    one = torch.zeros(len(states.lengths), states.tokens.shape[-1], dtype=states.tokens.dtype)
    return captions, CaptionStates(one, torch.arange(len(one)), torch.ones(len(one), dtype=torch.long))

# ---- Networks -------------------------------------------------------------------------------------------------------

def without_norms(net):
    "Put the identity in the place of every LayerNorm."
    for module in list(net.modules()):
        for name,child in list(module.named_children()):
            if isinstance(child, nn.LayerNorm): setattr(module, name, nn.Identity())

def modulations(net):
    "Layers that give shifts and scales in turn, and the width of each of these."
    layers = [m for m in net.modules() if isinstance(getattr(m, 'modulation', None), nn.Linear)]
    def width(m): return m.conv1.proj.out_features if hasattr(m, 'conv1') else m.ff[0].in_features
    return [(m.modulation, width(m)) for m in layers]

def clamp_scales(net, limit):
    "Keep the scales of all modulations within 1 ± limit."
    for layer,dim in modulations(net):
        def clamped(layer, args, out, dim=dim):
            shift,scale = out.unflatten(-1, (-1,2,dim)).unbind(-2)
            return torch.stack([shift, scale.clamp(-limit, limit)], -2).flatten(-3)
        layer.register_forward_hook(clamped)

class ArmTrainer(Trainer):
    "Trains a network with or without norms and limits."
    def __init__(self, *args, normalized=True, scale_limit=None, **kwargs):
        self.normalized,self.scale_limit = normalized,scale_limit
        super().__init__(*args, **kwargs)

    def new_model(self):
        model = super().new_model()
        if not self.normalized: without_norms(model.unet)
        if self.scale_limit: clamp_scales(model.unet, self.scale_limit)
        return model

def arm_config(arm, n_steps, seed, **kwargs):
    "The configuration of an arm, and what its ArmTrainer is told."
    phase,changes = ARMS[arm]
    of_trainer = {k:v for k,v in changes.items() if k in ('normalized','scale_limit')}
    changes = {**SAME, **kwargs, **{k:v for k,v in changes.items() if k not in of_trainer}}
    unet = {**UNET, **kwargs.get('unet', {}), **ARMS[arm][1].get('unet', {})}
    return phase_config(phase, **{'n_steps':n_steps, 'seed':seed, **changes, 'unet':unet}), of_trainer

def largest_scale(model, data, states, n=250):
    "The largest amount by which the modulation of a network multiplies (its scale is 1 plus this), over val samples."
    found,handles = [],[]
    for layer,dim in modulations(model.unet):
        def note(layer, args, out, dim=dim): found.append(out.unflatten(-1, (-1,2,dim))[...,1,:].abs().max().item())
        handles.append(layer.register_forward_hook(note))
    val_losses(model, data, states, n, with_text=False)
    for h in handles: h.remove()
    return max(found)

# ---- Measures -------------------------------------------------------------------------------------------------------

def zero_prediction_constant(std):
    "C of naive(t) ≈ C·((1−ᾱ)/ᾱ)²: the loss on squared lengths of a network that predicts no noise, std (22, 3) metres."
    v = (std[1:]**2+std[PARENTS[1:]]**2).double()  # (21, 3) variances of the coordinates of bone vectors
    lengths = torch.from_numpy(reference_bone_lengths()).double()
    # E|d|⁴ of a normal vector with variances v is (Σv)²+2Σv²
    return ((v.sum(1)**2+2*(v**2).sum(1))/lengths**4).mean().item()

@torch.no_grad()
def losses_by_timestep(model, data, states, with_text, exemplars=None, n=40, seed=0):
    "Losses of the same n held-out poses and noise at each of TIMESTEPS."
    g = torch.Generator().manual_seed(seed)
    joints,captions,_ = data.draw(n, g)
    eps = torch.randn(n, N_JOINTS, 3, generator=g)
    tokens,mask = states(captions, 'cpu')
    lengths = torch.from_numpy(reference_bone_lengths())
    drop = torch.full((n,), not with_text)
    out = dict(diffusion=[], anatomy=[], naive=[])
    for t in TIMESTEPS:
        batch = Batch(tokens, mask, model.normalize(joints), eps, torch.full((n,), t), drop)
        if exemplars is not None: batch = with_exemplars(batch, model, exemplars.nearest(tokens, mask))
        parts = losses(model, batch, lengths)
        for k in out: out[k].append(rounded(parts[k].double().mean().item()))
    return out

def rounded(x, digits=5):
    "To so many significant digits."
    return float(f'{x:.{digits}g}')

def measure(model, data, with_text, exemplars, n):
    "`val_losses` on training or on held-out poses."
    values = val_losses(model, *data, n=n, with_text=with_text, exemplars=exemplars)
    return {k:rounded(v) for k,v in values.items()}

def measured(model, train, val, with_text, exemplars, n, in_full):
    "Losses on both; in full also without exemplars."
    out = {name:measure(model, data, with_text, exemplars, n) for name,data in (('train',train), ('val',val))}
    if not in_full or exemplars is None: return out
    return dict(out, val_without_exemplars=measure(model, val, with_text, None, n))

def sampled(pipe, prompts, guidance_scale, n=2, seed=0):
    "What is drawn for prompts: how far it reaches, how natural it is, how often it follows."
    res = prompt_adherence(pipe, prompts, n, seed=seed, guidance_scale=guidance_scale, num_inference_steps=NUM_STEPS)
    joints = np.stack([r['joints'] for r in res])
    if not np.isfinite(joints).all(): return dict(finite=float(np.isfinite(joints).all((2,3)).mean()))
    natural = {k:v for k,v in naturalness(joints).items() if k in ('spine_bend','bone_error','plausibility')}
    followed,farthest = np.mean([r['followed'] for r in res]), np.linalg.norm(joints, axis=-1).max()
    return {k:rounded(float(v)) for k,v in dict(followed=followed, farthest=farthest, **natural).items()}

def strip_poses(pipe, guidance_scale):
    "One pose for each of STRIP_PROMPTS, each from other noise, the same noise for every pipeline."
    out = pipe(list(STRIP_PROMPTS), len(STRIP_PROMPTS), guidance_scale=guidance_scale, num_inference_steps=NUM_STEPS,
               enforce_skeleton=False)
    x = out.joints.reshape(len(STRIP_PROMPTS), -1, N_JOINTS, 3)
    return [[[rounded(float(c)) for c in joint] for joint in x[i,i]] for i in range(len(x))]

def drawn(pipe, prompts, with_text, in_full):
    "What a network draws: without words, or at scale 1 and guided."
    scales = {'scale 1':1., 'guided':None} if with_text else {'without words':0.}
    out = {name:sampled(pipe, prompts, scale) for name,scale in scales.items()}
    if not in_full: return dict(sampled=out)
    return dict(sampled=out, poses={name:strip_poses(pipe, scale) for name,scale in scales.items()})

# ---- Runs -----------------------------------------------------------------------------------------------------------

def run(arm, seed, train, val, encoder, scorer, n_steps, n_val, prompts, **kwargs):
    "Train an arm and measure it."
    config,of_trainer = arm_config(arm, n_steps, seed, text_encoder=encoder.name, **kwargs)
    with_text = config.cond_drop_prob<1
    if not with_text: train,val = unread(train),unread(val)
    started,cpu = time.time(),time.process_time()
    trainer = ArmTrainer(config, *train, cpu=True, scorer=scorer if with_text else None, **of_trainer)
    in_full = arm in PHASES and seed==0
    untrained = trainer.averaged()
    before = measure(untrained, val, with_text, None, n_val) if in_full else None
    stopped = None
    try: trainer.fit(progress=lambda steps: tqdm(steps, desc=f'{arm}, seed {seed}', disable=None))
    except RuntimeError as e: stopped = str(e)
    seconds,cpu = time.time()-started, time.process_time()-cpu
    model,exemplars = trainer.averaged(), trainer.exemplars
    out = dict(
        arm=arm, seed=seed, seconds=round(seconds), cpu_seconds=round(cpu), stopped=stopped,
        parameters=sum(p.numel() for p in model.parameters()), before=before,
        **measured(model, train, val, with_text, exemplars, n_val, in_full),
        largest_scale=rounded(largest_scale(model, *val)),
        curve=[{k:rounded(e[k]) for k in ('step','loss','diffusion','anatomy','naive')} for e in trainer.log])
    if in_full:
        def by_timestep(m, exemplars): return losses_by_timestep(m, *val, with_text, exemplars)
        out['by_timestep'] = dict(before=by_timestep(untrained, None), after=by_timestep(model, exemplars))
    pipe = Text2PosePipeline(model, encoder, scorer=exemplars and load_scorer(scorer))
    return dict(out, **drawn(pipe, prompts, with_text, in_full))

def shipped(train, val, n_val, prompts):
    "The weights of the package by the same measures."
    pipe = Text2PosePipeline.from_pretrained()
    exemplars = Exemplars(load_scorer(asset('weights/scorer.safetensors')), train[0].atlas_names)
    of_both = measured(pipe.model, train, val, True, exemplars, n_val, True)
    by_timestep = dict(after=losses_by_timestep(pipe.model, *val, True, exemplars))
    return dict(arm='shipped', seed=0, parameters=sum(p.numel() for p in pipe.model.parameters()), **of_both,
                by_timestep=by_timestep, **drawn(pipe, prompts, True, True))

def planned(n_seeds):
    "(arm, seed), the most telling first."
    others = [(arm,0) for arm in ARMS if arm not in PHASES]
    repeated = [(arm,seed) for seed in range(1, n_seeds) for arm in PHASES[:3]]
    return [*((arm,0) for arm in PHASES), ('shipped',0), *others, *repeated]

def going_on(path, settings):
    "What a JSON file holds of the same settings, or an empty start."
    if not path.is_file(): return dict(**settings, runs=[])
    res = read_json(path)
    differ = [k for k,v in json.loads(json.dumps(settings)).items() if res.get(k)!=v]
    if differ: raise ValueError(f'{path} has another {differ[0]}: {res.get(differ[0])!r}, now {settings[differ[0]]!r}')
    return res

def ablation(plan, path, settings, train, val, encoder, scorer, n_steps, n_val, prompts, **kwargs):
    "Do the runs that are not in the JSON file yet, and write it after each."
    res,commit = going_on(path, settings), _commit()
    place = {p:i for i,p in enumerate(plan)}
    for arm,seed in plan:
        if any((r['arm'],r['seed'])==(arm,seed) for r in res['runs']): continue
        if arm=='shipped': r = shipped(train, val, n_val, prompts)
        else: r = run(arm, seed, train, val, encoder, scorer, n_steps, n_val, prompts, **kwargs)
        res['runs'].append(dict(r, commit=commit))
        res['runs'].sort(key=lambda r: place.get((r['arm'],r['seed']), len(place)))
        with atomic_path(path) as tmp: tmp.write_text(json.dumps(res)+'\n')
        print(f'{arm}, seed {seed}:', {k:f'{v:.3g}' for k,v in r['val'].items()}, r['sampled'], flush=True)
    return res

# ---- The strip ------------------------------------------------------------------------------------------------------

STRIP = (('baseline','without words'), ('anatomical','without words'), ('text','scale 1'), ('text','guided'),
         ('release','guided'), ('shipped','guided'))
BODY = 1.5  # metres: a pose that reaches no further is drawn as a body

def plot_strip(res, size=2.1, dpi=100):
    "A row for each prompt: the same noise through every network; what reaches too far as sticks, scaled down."
    import matplotlib.pyplot as plt
    poses = {(r['arm'],way):np.array(x) for r in res['runs'] for way,x in r.get('poses', {}).items()}
    columns = [c for c in STRIP if c in poses]
    n_rows,n_cols = len(STRIP_PROMPTS),len(columns)
    fig,axs = plt.subplots(n_rows, n_cols, figsize=(.85*size*n_cols,1.12*size*n_rows), dpi=dpi, squeeze=False,
                           layout='constrained')
    for i,prompt in enumerate(STRIP_PROMPTS):
        axs[i,0].text(-.08, .5, prompt, rotation=90, ha='center', va='center', transform=axs[i,0].transAxes)
        for ax,(arm,way) in zip(axs[i], columns):
            x,title = poses[arm,way][i], f'{arm},\n{way}\n' if i==0 else ''
            reach = np.linalg.norm(x, axis=-1).max()
            if reach<BODY: ax.imshow(draw_body(x, size=(round(.8*size*dpi),round(size*dpi))))
            else:
                plot_pose(x/reach, ax, floor=False, lw=2, radius=BODY/2)
                title += f'farthest joint {reach:,.0f} m away,\ndrawn 1 : {reach:,.0f}'
            ax.set_title(title.strip(), fontsize=8, pad=2)
            ax.axis('off')
    return fig

# ---- Command --------------------------------------------------------------------------------------------------------

def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--table', type=Path, help='preset open, written by text2pose data build; built anew by default')
    p.add_argument('--cache', type=Path, help='folder for the states of captions')
    p.add_argument('--rows', type=int, default=16000, help='of the split train')
    p.add_argument('--val-rows', type=int, default=1600)
    p.add_argument('--steps', type=int, default=300, help='of a run')
    p.add_argument('--seeds', type=int, default=3, help='of each phase; the rest has one')
    p.add_argument('--samples', type=int, default=500, help='of training and of held-out poses, to measure losses on')
    p.add_argument('--out', type=Path, default=HERE/'ablation.json')
    p.add_argument('--figures', action='store_true', help='only draw the strip from the JSON')
    return p.parse_args()

def main():
    a = arguments()
    figure = HERE.parent/'figures'/'ablation_strip.png'
    if a.figures:
        plot_strip(read_json(a.out)).savefig(figure)
        return
    torch.set_num_threads(1)
    encoder = load_text_encoder()
    table = read_pose_table(a.table) if a.table else build_table('open', n_words=1, n_variations=8, n_compositions=4000)
    train,val = train_and_val(table, encoder, a.rows, a.val_rows, cache=a.cache)
    prompts = read_prompts('dev')[::4]
    mean,std = train[0].statistics()
    alphas = alphas_cumprod()
    settings = dict(
        command='python benchmarks/bench_ablation.py'+' --table open.parquet'*bool(a.table),
        steps=a.steps, samples_of_a_run=a.steps*SAME['batch_size'], losses_on=a.samples, num_inference_steps=NUM_STEPS,
        prompts=len(prompts), unet=UNET, same=SAME, release=RELEASE, timesteps=TIMESTEPS, strip_prompts=STRIP_PROMPTS,
        data=train[0].summary, val=val[0].summary, table_rows=table.num_rows,
        zero_prediction=dict(constant=rounded(zero_prediction_constant(std)), last=rounded(1/alphas[-1].item())),
        machine=f'{platform.machine()}, {os.cpu_count()} cores, one thread used', torch=torch.__version__)
    scorer = asset('weights/scorer.safetensors')
    res = ablation(planned(a.seeds), a.out, settings, train, val, encoder, scorer, a.steps, a.samples, prompts)
    plot_strip(res).savefig(figure)

if __name__=='__main__': main()
