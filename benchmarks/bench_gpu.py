"""Everything worth doing on a borrowed GPU: the bake-off of denoisers, and the weights of a release.

    python benchmarks/bench_gpu.py prepare DIR --table open.parquet   # here: what the GPU's machine needs, packed small
    python benchmarks/bench_gpu.py bakeoff DIR --out OUT              # there: OUT/bakeoff.json, OUT/scorer.safetensors
    python benchmarks/bench_gpu.py judge DIR --out OUT                # here: benchmarks/bakeoff.json
    python benchmarks/bench_gpu.py train DIR --out OUT --seconds 480  # there: weights, OUT/gpu.json
    python benchmarks/bench_gpu.py assemble OUT --out WEIGHTS         # here: a folder for from_pretrained
    … --tiny --cpu                                                    # a try on a CPU

The GPU's machine needs no network, no data set and no diffusers; how it trains is in on_device.py.
"""
import argparse, json, shutil, time
from dataclasses import asdict
from pathlib import Path
import numpy as np
import torch
from on_device import (  # before text2pose: it finds the package, and replaces diffusers
    FEATURES, UNIT, CachedEncoder, DeviceExemplars, DeviceSet, FrozenEncoder, Stepper, denoiser_steps, generate,
    held_out_losses, new_model, new_scorer, scorer_step)
from denoisers import ARMS, clock, pass_milliseconds, training_rate
from text2pose.core import atomic_path
from text2pose.data import mirror, read_pose_table
from text2pose.skeleton import reference_bone_lengths
from text2pose.posecodes import satisfies
from text2pose.library import atlas_library
from text2pose.text import load_scorer, load_text_encoder
from text2pose.unet import SIZES, ConditionedUNet
from text2pose.cfg import Text2PoseModel, save_model
from text2pose.dataset import TrainingSet, _atlas_name, split_rows
from text2pose.eval import naturalness, read_prompts
from text2pose.train import _commit, phase_config, scorer_recall

# the follow loss takes as long as all else: one step in six has it, three times as heavy
FOLLOW_EVERY = 6
COMMON = dict(noise_samples_per_caption=8, timestep_bias=1.5, follow_every=FOLLOW_EVERY, follow_loss_weight=30.)
POSITIONS = dict(representation='positions', position_weight=0.)

def arms(tiny=False, **kwargs):
    "Arm → its configuration, which denoises bone directions by default, and the maker of another denoiser or None."
    def config(size='small', unet={}, **changes):
        return phase_config('text', unet={**SIZES['tiny' if tiny else size], **unet}, **COMMON, **changes, **kwargs)
    ours = {
        'small':config(**POSITIONS), 'base':config('base', **POSITIONS),
        'small, directions':config(), 'base, directions':config('base'),
        'small, bones':config(representation='bones'),
        'small, GroupNorm':config(unet=dict(norm='group_norm'), **POSITIONS)}
    out = {name:(c,None) for name,c in ours.items()}
    for name,make in ARMS.items(): out |= {name:(config(**POSITIONS),make), f'{name}, directions':(config(),make)}
    return out

def network(arm):
    "The denoiser of an arm, untrained."
    config,make = arms()[arm]
    return make() if make else ConditionedUNet(**config.unet)

def note(folder, name, value):
    "Write JSON."
    with atomic_path(folder/name) as tmp: tmp.write_text(json.dumps(value, indent=1)+'\n')

def read_json_file(path):
    "What `note` wrote."
    return json.loads(path.read_text())

# ---- Here: pack -----------------------------------------------------------------------------------------------------

def base_names(library):
    "Names of a library's poses, those of mirror images without their ending."
    return [name.removesuffix('_mirrored') for name in library.names]

def pack_split(table, split, groups):
    "Arrays of a TrainingSet with each pose stored once, its captions, and its summary."
    data = TrainingSet(table, split)
    steps = np.round(data.joints.numpy()/UNIT).astype(np.int16).reshape(len(data), -1)
    poses,row_pose = np.unique(steps, axis=0, return_inverse=True)
    names = [_atlas_name(pose_id) or '' for pose_id in split_rows(table, split).pose_id]
    stated = data.stated.numpy()
    stated_at = np.nonzero(stated)
    arrays = dict(
        poses=poses, row_pose=row_pose.astype(np.int32), row_caption=data.caption_idx.numpy().astype(np.int32),
        row_mirrored=data.mirrored_idx.numpy().astype(np.int32), fixed=data.side_is_fixed.numpy(),
        weights=data.weights.numpy().astype(np.float32),
        group=np.array([groups.get(name.removesuffix('_mirrored'), -1) for name in names], np.int32),
        stated_at=np.stack(stated_at).astype(np.int32), stated_sign=stated[stated_at],
        **{f'stats_{name}':torch.stack(data.statistics(f)).numpy() for name,f in FEATURES.items()})
    return {f'{split}_{k}':v for k,v in arrays.items()}, data.captions, data.summary

def pack_library(library, groups):
    "Arrays of the poses that serve as exemplars."
    return dict(library=library.joints.astype(np.float32),
                library_group=np.array([groups[name] for name in base_names(library)], np.int32),
                library_train=np.array([split=='train' for split in library.splits]))

def draw_phrases(library, seed=0):
    "Up to 400 poses of the split train, and one phrase of each."
    rng = np.random.default_rng(seed)
    chosen = [i for i in rng.permutation(len(library.phrases))[:600] if library.splits[i]=='train'][:400]
    return np.array(chosen, np.int32), [str(rng.choice(library.phrases[i])) for i in chosen]

def pack_texts(texts, encoder):
    "Token ids of named lists of texts, numbered anew by what occurs in them, and which the numbers stand for."
    ids = {name:[e.ids for e in encoder.tokenizer.encode_batch(list(some))] for name,some in texts.items()}
    flat = {name:np.concatenate(some) for name,some in ids.items()}
    used = np.unique(np.concatenate(list(flat.values())))
    arrays = {f'{name}_ids':np.searchsorted(used, some).astype(np.uint16) for name,some in flat.items()}
    arrays |= {f'{name}_lengths':np.array([len(i) for i in some], np.uint8) for name,some in ids.items()}
    return arrays, used

def pack_encoder(encoder, used, path):
    "Write the text encoder in half precision, with those rows of the word embeddings only that are needed."
    from safetensors.torch import save_file
    state = {k:v.half().contiguous() for k,v in encoder.model.state_dict().items()}
    state['token_emb'] = state['token_emb'][torch.from_numpy(used).long()].contiguous()
    config = {**encoder.model.config, 'vocab_size':len(used)}
    save_file(state, path, metadata=dict(config=json.dumps(config), early=str(encoder.early)))

def training_rates():
    "Noisy poses a second on one core of this machine, for every arm."
    torch.set_num_threads(1)
    made = [*ARMS, 'small', 'base', 'small, GroupNorm']
    rates = {name:training_rate(network(name)) for name in made}
    def made_as(arm): return arm if arm in made else arm.split(', ')[0]
    return {arm:rates[made_as(arm)] for arm in arms()}

def prepare(a):
    "Write data.npz, encoder.safetensors, meta.json and rates.json."
    a.folder.mkdir(parents=True, exist_ok=True)
    table,library,encoder = read_pose_table(a.table), atlas_library(), load_text_encoder()
    groups = {name:i for i,name in enumerate(dict.fromkeys(base_names(library)))}
    train,train_texts,summary = pack_split(table, 'train', groups)
    val,val_texts,_ = pack_split(table, 'val', groups)
    phrase_pose,phrases = draw_phrases(library)
    dev = [p['prompt'] for p in read_prompts('dev')]
    tokens,used = pack_texts(dict(train=train_texts, val=val_texts, dev=dev, phrases=phrases), encoder)
    pack_encoder(encoder, used, a.folder/'encoder.safetensors')
    np.savez_compressed(a.folder/'data.npz', **train, **val, **pack_library(library, groups), phrase_pose=phrase_pose,
                        **tokens)
    meta = dict(summary=summary, dev=dev, phrases=phrases, library_names=library.names, vocabulary=len(used))
    note(a.folder, 'meta.json', meta)
    note(a.folder, 'rates.json', training_rates())

# ---- There: load ----------------------------------------------------------------------------------------------------

def first_texts(packed, name, n):
    "Token ids and lengths of the first n texts of a packed list."
    lengths = packed[f'{name}_lengths'][:n]
    return packed[f'{name}_ids'][:lengths.sum()], lengths

def some_texts(packed, name, chosen):
    "Some texts of a packed list."
    lengths = packed[f'{name}_lengths']
    starts = lengths.cumsum(dtype=np.int64)-lengths
    ids = [packed[f'{name}_ids'][starts[i]:starts[i]+lengths[i]] for i in chosen]
    return {f'{name}_ids':np.concatenate(ids), f'{name}_lengths':lengths[chosen]}

def some_rows(packed, split, n):
    "About n rows of a split, drawn by weight, with their poses and captions."
    def get(name): return packed[f'{split}_{name}']
    weights = get('weights').astype(float)
    rows = np.unique(np.random.default_rng(0).choice(len(weights), n, p=weights/weights.sum()))
    poses,row_pose = np.unique(get('row_pose')[rows], return_inverse=True)
    both = np.stack([get('row_caption')[rows], get('row_mirrored')[rows]])
    captions,both_idx = np.unique(both, return_inverse=True)
    row_caption,row_mirrored = both_idx.reshape(both.shape).astype(np.int32)
    caption,code = get('stated_at')
    kept = np.isin(caption, captions)
    new = dict(
        poses=get('poses')[poses], row_pose=row_pose, row_caption=row_caption, row_mirrored=row_mirrored,
        fixed=get('fixed')[rows], weights=np.ones(len(rows), np.float32), group=get('group')[rows],
        stated_at=np.stack([np.searchsorted(captions, caption[kept]), code[kept]]),
        stated_sign=get('stated_sign')[kept])
    return {**{f'{split}_{k}':v for k,v in new.items()}, **some_texts(packed, split, captions)}

class Loaded:
    "Everything on the device that a prepared folder holds."
    def __init__(self, a):
        begin = time.perf_counter()
        self.device = torch.device('cuda' if torch.cuda.is_available() and not a.cpu else 'cpu')
        self.meta,packed = read_json_file(a.folder/'meta.json'), dict(np.load(a.folder/'data.npz'))
        if a.tiny: packed |= {**some_rows(packed, 'train', 300), **some_rows(packed, 'val', 300)}
        elif a.rows: packed |= some_rows(packed, 'train', a.rows)
        encoder = FrozenEncoder(a.folder, self.device)
        self.width = -(-int(np.quantile(packed['train_lengths'], .998))//8)*8  # attention wants a multiple of 8
        self.data,self.val = (DeviceSet(encoder, packed, split, self.width) for split in ('train','val'))
        self.texts = {name:self.meta[name][:6] if a.tiny else self.meta[name] for name in ('dev','phrases')}
        states = {}
        for name,texts in self.texts.items():
            found = encoder(*first_texts(packed, name, len(texts)))
            states |= dict(zip(texts, found.as_list()))
        self.encoder = CachedEncoder(states)
        in_train = packed['library_train']
        self.library = torch.from_numpy(packed['library'][in_train]).to(self.device)
        self.library_group = torch.from_numpy(packed['library_group'][in_train]).long().to(self.device)
        self.bone_lengths = torch.from_numpy(reference_bone_lengths()).to(self.device)
        sizes = f'{len(self.data.row_pose)} rows, {self.data.n_poses} poses, {len(self.data.captions.lengths)} captions'
        print(f'{time.perf_counter()-begin:.1f} s to load {sizes}, {self.width} tokens wide', flush=True)

    def machine(self):
        "What it ran on, for the notes."
        name = torch.cuda.get_device_name() if self.device.type=='cuda' else 'cpu'
        return dict(device=name, torch=torch.__version__)

# ---- There: train ---------------------------------------------------------------------------------------------------

def train_scorer(there, n_steps, batch_size):
    "A scorer, and how often it finds the pose of a held-out caption among 32."
    config = phase_config('scorer', n_steps=n_steps, batch_size=batch_size)
    scorer = new_scorer(there.data)
    stepper = Stepper(scorer, [scorer_step(scorer, there.data, config)], config)
    start = clock(there.device)
    while stepper.progress()<1: stepper()
    seconds = clock(there.device)-start
    stepper.finish()
    recall = scorer_recall(scorer, there.val, lambda caption, device: there.val.states(caption), n_pools=200)
    recall = {k:round(v, 4) for k,v in recall.items()}
    print(f'scorer {seconds:.1f} s, graph {bool(stepper.graphs)}', recall, flush=True)
    settings = {k:getattr(config, k) for k in ('phase','seed','batch_size','lr','n_steps')}
    return scorer, dict(
        config=settings, steps=n_steps, samples=n_steps*batch_size, seconds=round(seconds, 1),
        graph=bool(stepper.graphs), recall_in_pools_of_32=recall, log=stepper.short_log(20))

def train_arm(there, config, make, cpu_seconds=None):
    "Train one arm without exemplars; what the bake-off says of it, and poses."
    model = new_model(config, there.data, make)
    stepper = Stepper(model, denoiser_steps(model, there.data, config, there.bone_lengths), config)
    # what else a CPU does counts for nobody
    now = time.process_time if cpu_seconds else lambda: clock(there.device)
    start = now()
    if cpu_seconds: stepper.progress = lambda: (now()-start)/cpu_seconds
    while stepper.progress()<1: stepper()
    seconds = now()-start
    stepper.finish()
    res = dict(
        parameters=sum(p.numel() for p in model.unet.parameters()), steps=stepper.step, batch_size=config.batch_size,
        samples=stepper.step*config.batch_size, seconds=round(seconds, 1), graph=bool(stepper.graphs),
        val=held_out_losses(model, there.val, there.bone_lengths), log=stepper.short_log(25))
    poses = dict(dev=generate(model, there.encoder, there.texts['dev'], 2),
                 phrases=generate(model, there.encoder, there.texts['phrases'], 1))
    return res, poses

def arm_steps(arm, a, device):
    "As many steps as a CPU core would make in the seconds that it is given; a few in a try."
    if a.tiny or device.type=='cpu': return FOLLOW_EVERY
    return max(200, int(read_json_file(a.folder/'rates.json')[arm]*a.cpu_seconds/a.batch_size))

def bakeoff(a):
    "The scorer first, then every arm for as many samples as a CPU core would give it."
    begin = time.perf_counter()
    there = Loaded(a)
    res,poses = dict(**there.machine(), arms={}), {}
    if a.scorer_steps:
        scorer,res['scorer'] = train_scorer(there, a.scorer_steps, a.scorer_batch)
        for path in filter(None, (a.out/'scorer.safetensors', a.scorer)): scorer.save(path)
    cpu_seconds = a.cpu_seconds if there.device.type=='cpu' and not a.tiny else None
    for arm in a.arms:
        if time.perf_counter()-begin>a.max_seconds: break
        n_steps = arm_steps(arm, a, there.device)
        config,make = arms(a.tiny, batch_size=a.batch_size, seed=a.seed, n_steps=n_steps)[arm]
        try: found,made = train_arm(there, config, make, cpu_seconds)
        except Exception as e:  # the others still have a use for the machine
            print(f'{arm} failed: {type(e).__name__} {e}', flush=True)
            continue
        losses = ' '.join(f'{k} {v:.4f}' for k,v in found['val'].items())
        print(f'{arm:24} {found["parameters"]/1e6:5.2f} M {found["seconds"]:6.1f} s graph {found["graph"]} {losses}',
              flush=True)
        res['arms'][arm] = found
        poses |= {f'{arm}|{k}':v for k,v in made.items()}
        note(a.out, 'bakeoff.json', res)
        np.savez_compressed(a.out/'bakeoff_poses.npz', **poses)

def save_halves(state, config, out):
    "Weights in half precision, in two files below the limit of what travels back."
    from safetensors.torch import save_file
    def small(name, v): return v.detach().to('cpu', torch.float32 if name in ('mean','std') else torch.float16)
    names = sorted(state, key=lambda name: -state[name].numel())
    for i in range(2):
        half = {name:small(name, state[name]).contiguous() for name in names[i::2]}
        save_file(half, out/f'model_{i}.safetensors', metadata=dict(config=json.dumps(config)))

def seconds_a_step(stepper, device, n_steps):
    "How long a step takes, from the first ones, at the lowest learning rate."
    stepper.n_steps = 10**9
    start = clock(device)
    while stepper.step<n_steps: stepper()
    return (clock(device)-start)/n_steps

def train_until(stepper, model, out, last_second):
    "Take the steps that are left, saving every minute; stop where the loss diverges or time is up."
    saved = time.perf_counter()
    while stepper.progress()<1 and saved<last_second:
        try: stepper()
        except FloatingPointError as e:
            print(e, flush=True)
            break
        if time.perf_counter()-saved<60: continue
        saved = clock(stepper.rate.device)
        print(stepper.step, *stepper.log[-1:], flush=True)
        save_halves(stepper.averaged_state(), model.config, out)

def train(a):
    "The scorer, then the denoiser with exemplars for the time that is given."
    begin = time.perf_counter()
    there = Loaded(a)
    data,device = there.data, there.device
    if a.scorer and a.scorer.is_file(): scorer,how = load_scorer(a.scorer).to(device), None
    else: scorer,how = train_scorer(there, a.scorer_steps, a.scorer_batch)
    scorer.save(a.out/'scorer.safetensors')
    config,make = arms(a.tiny, batch_size=a.batch_size, seed=a.seed, lr=a.lr, token_noise=.1, ema_decay=.9995)[a.arm]
    model = new_model(config, data, make)
    model.projection.reader.load_state_dict(scorer.reader.state_dict())
    exemplars = DeviceExemplars(scorer, data, there.library, there.library_group, config.num_exemplars)
    stepper = Stepper(model, denoiser_steps(model, data, config, there.bone_lengths, exemplars), config)
    start = time.perf_counter()
    pace = seconds_a_step(stepper, device, 5 if a.tiny else 150)
    left = a.seconds-(time.perf_counter()-begin)
    stepper.n_steps = 2*FOLLOW_EVERY if a.tiny else int(stepper.step+left/pace)
    print(f'{1000*pace:.2f} ms a step, graph {bool(stepper.graphs)}, {stepper.n_steps} steps in all', flush=True)
    train_until(stepper, model, a.out, begin+a.seconds+15)
    seconds = clock(device)-start
    stepper.finish()
    save_halves(model.state_dict(), model.config, a.out)
    config.n_steps = stepper.step
    val = held_out_losses(model, there.val, there.bone_lengths)
    note(a.out, 'gpu.json', dict(
        **there.machine(), scorer=how, config=asdict(config), steps=stepper.step,
        samples=stepper.step*config.batch_size, pace_ms=round(1000*pace, 3), seconds=round(seconds, 1),
        log=stepper.short_log(60), data=there.meta['summary'], val=val))
    print(f'{stepper.step} steps, {time.perf_counter()-begin:.0f} s in all', val, flush=True)

# ---- Here: what came back -------------------------------------------------------------------------------------------

def read_halves(folder):
    "Weights that `save_halves` wrote, in full precision, and their configuration."
    from safetensors import safe_open
    state = {}
    for i in range(2):
        with safe_open(folder/f'model_{i}.safetensors', 'pt') as f:
            config = json.loads(f.metadata()['config'])
            state |= {k:f.get_tensor(k).float() for k in f.keys()}
    return state, config

def assemble(a):
    "Weights as `from_pretrained` reads them, of what came back from the GPU's machine."
    state,config = read_halves(a.folder)
    model = Text2PoseModel(config)
    model.load_state_dict(state)
    save_model(model.eval(), a.out)
    shutil.copyfile(a.folder/'scorer.safetensors', a.out/'scorer.safetensors')
    gpu = read_json_file(a.folder/'gpu.json')
    scorer = gpu['scorer'] and {**gpu['scorer'], 'commit':_commit()}
    note(a.out, 'training.json', dict(
        about='denoiser of bone directions with exemplars, preset open, by benchmarks/bench_gpu.py',
        config={**gpu['config'], 'n_steps':gpu['steps'], 'mixed_precision':'bf16'}, follow_every=FOLLOW_EVERY,
        **{k:gpu[k] for k in ('steps','samples','seconds','device','data')},
        scorer=scorer, start=None, commit=_commit(), versions=dict(torch=gpu['torch']),
        losses=[*gpu['log'][:-1], {**gpu['log'][-1], 'val':gpu['val']}]))

def share_nearest(poses, own, library):
    "How often no pose of a library but its own and its twin is nearer to a pose."
    def distances(x): return (x-library).norm(dim=-1).mean(-1)
    nearest = []
    for pose,i in zip(poses, own.tolist()):
        distance = distances(pose).minimum(distances(mirror(pose)))
        nearest.append((distance<distance[i]-1e-6).sum().item()<2)  # the twin is as near
    return float(np.mean(nearest))

def judge(a):
    "What the arms' poses are worth, beside what was noted while they were trained."
    torch.set_num_threads(1)
    meta,res = read_json_file(a.folder/'meta.json'), read_json_file(a.out/'bakeoff.json')
    poses,phrase_pose = np.load(a.out/'bakeoff_poses.npz'), np.load(a.folder/'data.npz')['phrase_pose']
    statements = {p['prompt']:p['statements'] for p in read_prompts('dev')}
    library = torch.from_numpy(atlas_library().joints)
    for arm,found in res['arms'].items():
        dev,said = (poses[f'{arm}|{k}'].astype(np.float32) for k in ('dev','phrases'))
        followed = [satisfies(statements[text], x).mean() for text,x in zip(meta['dev'], dev)]
        natural = {k:v for k,v in naturalness(dev).items() if k!='poses'}
        nearest = share_nearest(torch.from_numpy(said)[:,0], phrase_pose, library)
        found |= dict(followed=float(np.mean(followed)), nearest=nearest, **natural,
                      pass_ms=pass_milliseconds(network(arm)))
    note(a.results.parent, a.results.name, json.loads(json.dumps(res), parse_float=lambda f: round(float(f), 4)))

COMMANDS = dict(prepare=prepare, bakeoff=bakeoff, judge=judge, train=train, assemble=assemble)

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('what', choices=COMMANDS)
    p.add_argument('folder', type=Path, help='that prepare writes; for assemble the one that train wrote')
    p.add_argument('--table', type=Path, help='written by text2pose data build')
    p.add_argument('--out', type=Path, default=Path('runs/gpu'))
    p.add_argument('--arms', nargs='*', choices=arms(), default=['small','small, directions'], metavar='ARM',
                   help=f'of the bake-off: {"; ".join(arms())}')
    p.add_argument('--arm', choices=arms(), default='base, directions', metavar='ARM', help='to train')
    p.add_argument('--cpu-seconds', type=float, default=3600, help='what an arm gets, on one CPU core')
    p.add_argument('--seconds', type=float, default=480, help='of the training, with all that goes before it')
    p.add_argument('--batch-size', type=int, default=2048)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--lr', type=float, default=1e-3, help='of the training')
    p.add_argument('--scorer', type=Path, help='file that the bake-off leaves for the training')
    p.add_argument('--max-seconds', type=float, default=1e9, help='no further arm after this')
    p.add_argument('--scorer-steps', type=int, default=2000)
    p.add_argument('--scorer-batch', type=int, default=2048)
    p.add_argument('--rows', type=int, help='only so many rows of the table')
    p.add_argument('--results', type=Path, default=Path(__file__).with_name('bakeoff.json'), help='that judge writes')
    p.add_argument('--cpu', action='store_true', help='stay on the CPU')
    p.add_argument('--tiny', action='store_true', help='a try: small network, few rows, few steps')
    a = p.parse_args()
    if a.tiny: a.batch_size,a.scorer_steps,a.scorer_batch = 64,5,64
    if a.what!='prepare': a.out.mkdir(parents=True, exist_ok=True)
    COMMANDS[a.what](a)

if __name__=='__main__': main()
