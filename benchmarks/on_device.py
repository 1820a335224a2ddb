"""Training with everything on the device: poses, margins of posecodes, states of captions. Used by bench_gpu.py.

A step, from drawing to the optimiser, is recorded as a CUDA graph. So within a step nothing is asked of the host:
numbers come from the device's own generator, no size depends on a value, and no list or boolean mask is an index.
It runs where neither text2pose nor diffusers is installed, only PyTorch.
"""
import json, math, sys
from pathlib import Path
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from text2pose.data import N_JOINTS, mirror
from text2pose.skeleton import bone_directions
from text2pose.posecodes import POSECODES, posecode_margins
from text2pose.text import Bert, PoseTextScorer, TextStates, contrastive_loss
from text2pose.cfg import Text2PoseModel, Text2PosePipeline
from text2pose.dataset import CaptionStates
from text2pose.train import (
    Batch, draw_exemplars, draw_timesteps, losses, posecode_bce_loss, posecode_margin_loss, same_pairs, training_loss,
    with_exemplars)

FEATURES = dict(positions=None, directions=bone_directions)  # whose mean and spread are packed
UNIT = 5e-5  # metres: positions are packed as multiples of it in 16 bits

def autocast(device):
    "bfloat16 on a GPU; weights that a graph has cast must not be kept for the next one."
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type=='cuda', cache_enabled=False)

# ---- Captions and poses ---------------------------------------------------------------------------------------------

def _batches_by_length(lengths, batch_tokens):
    "Indices of texts of like length, with about so many tokens in a batch."
    order = lengths.argsort()
    while len(order):
        width = int(lengths[order[min(len(order)-1, batch_tokens//64)]])
        n = max(1, batch_tokens//width)
        yield order[:n]
        order = order[n:]

class FrozenEncoder:
    "MiniLM as `prepare` packs it, in half precision on a GPU."
    def __init__(self, folder, device):
        from safetensors import safe_open
        with safe_open(folder/'encoder.safetensors', 'pt') as f:
            meta = f.metadata()
            state = {k:f.get_tensor(k) for k in f.keys()}
        model = Bert(**json.loads(meta['config']))
        model.load_state_dict(state)
        self.on_gpu = device.type=='cuda'
        self.model = model.to(device, torch.float16 if self.on_gpu else torch.float32).eval()
        self.device,self.early = device, int(meta['early'])

    def _states(self, ids, mask):
        "The last layer and an early one side by side."
        layers = self.model(ids*mask, mask)
        return torch.cat([layers[-1], layers[self.early]], -1)

    @torch.no_grad()
    def __call__(self, ids, lengths):
        "States of texts from their token ids, which follow each other."
        lengths = torch.from_numpy(lengths.astype('int64'))
        starts = lengths.cumsum(0)-lengths
        ids = torch.from_numpy(ids.astype('int64')).to(self.device)
        tokens = torch.empty(len(ids), 2*self.model.dim, dtype=torch.float16, device=self.device)
        for some in _batches_by_length(lengths, 400_000 if self.on_gpu else 50_000):
            position = torch.arange(int(lengths[some].max()))
            mask = (position<lengths[some][:,None]).to(self.device)
            where = (starts[some][:,None]+position).clamp(max=len(ids)-1).to(self.device)
            tokens[where[mask]] = self._states(ids[where], mask)[mask].half()
        return CaptionStates(tokens, starts.to(self.device), lengths.to(self.device))

class CachedEncoder:
    "Stands where the pipeline expects a text encoder: knows the states of some texts."
    name = 'minilm'
    def __init__(self, states):
        self.states = states  # text → (tokens, dim)
        self.dim = next(iter(states.values())).shape[1]

    def to(self, device): return self

    def __call__(self, prompts):
        some = [self.states[p].float() for p in prompts]
        tokens = nn.utils.rnn.pad_sequence(some, batch_first=True)
        lengths = torch.tensor([len(s) for s in some], device=tokens.device)
        mask = torch.arange(tokens.shape[1], device=tokens.device)<lengths[:,None]
        return TextStates(tokens, mask, tokens.mean(1), [['']*len(s) for s in some])

class DeviceSet:
    "A split of a training set on the device; captions are cut at `width` tokens."
    def __init__(self, encoder, packed, split, width):
        def get(name): return torch.from_numpy(packed[f'{split}_{name}']).to(encoder.device)
        self.device = encoder.device
        poses = get('poses').float().view(-1, N_JOINTS, 3)*UNIT
        self.n_poses = len(poses)
        self.poses = torch.cat([poses, mirror(poses)])
        with torch.no_grad():
            self.margins = torch.cat([posecode_margins(x).half() for x in self.poses.split(16384)])
        self.row_pose,self.fixed,self.group = get('row_pose').long(), get('fixed'), get('group').long()
        self.row_caption,self.row_mirrored = get('row_caption').long(), get('row_mirrored').long()
        cumulative = get('weights').double().cumsum(0)
        self.cumulative = cumulative/cumulative[-1]
        self.captions = encoder(packed[f'{split}_ids'], packed[f'{split}_lengths'])
        self.stated = self._stated(*get('stated_at').long(), get('stated_sign'))
        self.position = torch.arange(width, device=self.device)
        self.stats = {name:get(f'stats_{name}') for name in FEATURES}
        self.stats['bones'] = self.stats['positions']

    def _stated(self, caption, code, sign):
        "What captions state of every posecode, (captions, n_codes) int8."
        stated = torch.zeros(len(self.captions.lengths), len(POSECODES), dtype=torch.int8, device=self.device)
        stated[caption,code] = sign
        return stated

    def _uniform(self, n, generator):
        "n numbers from 0 to 1 on the device; a generator may be on the CPU."
        where = self.device if generator is None else generator.device
        return torch.rand(n, generator=generator, dtype=torch.float64, device=where).to(self.device)

    def rows(self, n, generator=None):
        "Draw n rows: indices into poses, captions and groups, (n,) each; half of what has a mirror image is mirrored."
        i = torch.searchsorted(self.cumulative, self._uniform(n, generator)).clamp(max=len(self.row_pose)-1)
        flip = (self._uniform(n, generator)<.5)&~self.fixed[i]
        caption = torch.where(flip, self.row_mirrored[i], self.row_caption[i])
        return self.row_pose[i]+flip*self.n_poses, caption, self.group[i]

    def draw(self, n, generator=None):
        "As `TrainingSet.draw`: joints, captions and which pose of the atlas, twins counted as one."
        pose,caption,group = self.rows(n, generator)
        return self.poses[pose], caption, group

    def states(self, caption):
        "(n, width, dim) float32 states of captions and their mask."
        tokens,starts,lengths = self.captions.tokens, self.captions.starts, self.captions.lengths
        mask = self.position<lengths[caption][:,None]
        where = (starts[caption][:,None]+self.position).clamp(max=len(tokens)-1)
        return tokens[where].float(), mask

# ---- Steps ----------------------------------------------------------------------------------------------------------

AVERAGE_EVERY = 4  # steps after which the averaged weights move
LOG_EVERY = 100    # steps between entries of the log

class Stepper:
    "Takes steps of one or two kinds in turn, as CUDA graphs where that works."
    def __init__(self, module, kinds, config):
        self.module,self.kinds,self.config,self.n_steps = module,kinds,config,config.n_steps
        self.params = [p for p in module.parameters() if p.requires_grad]
        device = self.params[0].device
        self.on_gpu = device.type=='cuda'
        self.rate = torch.zeros((), device=device)  # the learning rate, where graphs find it
        self.opt = torch.optim.AdamW(
            self.params, lr=self.rate if self.on_gpu else config.lr, weight_decay=config.weight_decay, fused=True,
            capturable=self.on_gpu)
        self.averages = [p.detach().clone() for p in self.params]
        self.sound = self.averages  # as they were when the loss was last seen to be finite
        self.step,self.log = 0,[]
        self.names,self.values = {},{}  # of the parts of the loss, by kind
        self.graphs = self._record() if self.on_gpu else {}

    def _train(self, kind):
        "One step without its bookkeeping; the parts of the loss as one tensor."
        parts = kind()
        parts['loss'].backward()
        nn.utils.clip_grad_norm_(self.params, self.config.grad_clip)
        self.opt.step()
        self.opt.zero_grad(set_to_none=True)
        self.names[kind] = list(parts)
        return torch.stack([v.detach().float() for v in parts.values()])

    def _warm_up(self, kinds):
        "A few steps on a stream of their own, as recording wants them; the learning rate is 0."
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for kind in kinds*3: self._train(kind)
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()

    def _record(self):
        "A CUDA graph of each kind of step; none where recording fails."
        kinds,graphs = [*dict.fromkeys(self.kinds)], {}
        try:
            self._warm_up(kinds)
            for kind in kinds:
                graphs[kind] = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graphs[kind]): self.values[kind] = self._train(kind)
            return graphs
        except Exception as e:
            print(f'no CUDA graphs: {type(e).__name__} {e}', flush=True)
            torch.cuda.synchronize()
            return {}

    def progress(self):
        "How much is done, 0 to 1."
        return self.step/max(1, self.n_steps)

    def learning_rate(self):
        "Rises for the first twentieth, then falls along a cosine to a thousandth."
        part = min(1., self.progress())
        if part<.05: return self.config.lr*max(part/.05, 1/40)
        return self.config.lr*max(.001, .5*(1+math.cos(math.pi*(part-.05)/.95)))

    def __call__(self):
        "One step."
        if self.on_gpu: self.rate.fill_(self.learning_rate())
        else: self.opt.param_groups[0]['lr'] = self.learning_rate()
        kind = self.kinds[self.step%len(self.kinds)]
        if self.graphs: self.graphs[kind].replay()
        else: self.values[kind] = self._train(kind)
        self.step += 1
        if self.step%AVERAGE_EVERY==0: self._average()
        if self.step%LOG_EVERY==0 or self.progress()>=1: self._note()

    def _average(self):
        "Move the averaged weights towards the present ones, quickly at first."
        decay = min(self.config.ema_decay, (1+self.step)/(10+self.step))**AVERAGE_EVERY
        torch._foreach_lerp_(self.averages, [p.detach() for p in self.params], 1-decay)

    def _note(self):
        "Log the parts of the last loss; when it is not finite, go back to the last sound averages and say so."
        values = {}
        for kind in reversed(self.values): values |= dict(zip(self.names[kind], self.values[kind].tolist()))
        if not math.isfinite(values['loss']):
            self.averages = self.sound
            raise FloatingPointError(f'step {self.step}: {values}')
        self.sound = [a.clone() for a in self.averages]
        self.log.append(dict(step=self.step, **{k:round(v, 5) for k,v in values.items()}))

    def short_log(self, n):
        "About n entries of the log, the last one among them."
        every = max(1, len(self.log)//n)
        return self.log[(len(self.log)-1)%every::every] if self.log else []

    def averaged_state(self):
        "State of the module with averaged weights."
        names = [k for k,p in self.module.named_parameters() if p.requires_grad]
        return {**self.module.state_dict(), **dict(zip(names, self.averages))}

    def finish(self):
        "Put the averaged weights into the module, which is then in evaluation mode."
        with torch.no_grad():
            for p,a in zip(self.params, self.averages): p.copy_(a)
        self.module.eval()

# ---- Scorer ---------------------------------------------------------------------------------------------------------

def new_scorer(data):
    "An untrained scorer on the device."
    torch.manual_seed(0)
    return PoseTextScorer(data.captions.tokens.shape[1]).to(data.device)

def scorer_step(scorer, data, config):
    "A step on pairs of captions and poses: who belongs to whom, and which codes the caption states."
    def step():
        pose,caption,group = data.rows(config.batch_size)
        margins = data.margins[pose].float()
        with autocast(data.device):
            text,logits = scorer.embed_text(*data.states(caption))
            vectors = scorer.embed_poses(data.poses[pose], margins)
        scale = scorer.log_scale.exp().clamp(max=100.)  # CLIP's limit
        match = contrastive_loss(text.float(), vectors.float(), scale, same_pairs(caption, group)).mean()
        code = posecode_bce_loss(logits.float(), margins>0, data.stated[caption]).mean()
        return dict(loss=match+config.code_loss_weight*code, match=match, code=code)
    return step

class DeviceExemplars:
    "Exemplars as in chapter 05, with the text vectors of all captions at hand."
    def __init__(self, scorer, data, joints, group, k):
        self.joints,self.group,self.k = joints,group,k
        with torch.no_grad(): self.vectors = scorer.embed_poses(joints)
        self.texts = self._embed(scorer, data)

    @torch.no_grad()
    def _embed(self, scorer, data):
        "Text vectors of all captions, (captions, embed_dim) in half precision."
        chunks = torch.arange(len(data.captions.lengths), device=data.device).split(4096)
        with autocast(data.device): return torch.cat([scorer.embed_text(*data.states(k))[0].half() for k in chunks])

    def draw(self, caption, group, drop):
        "Poses (n, k, 22, 3), similarity (n, k), and (n, k) bool: which to see."
        similarity = self.texts[caption].float()@self.vectors.T
        rows,shown = draw_exemplars(similarity, self.group==group[:,None], drop, self.k)
        return self.joints[rows], similarity.gather(1, rows), shown

# ---- Denoiser -------------------------------------------------------------------------------------------------------

def new_model(config, data, make=None):
    "An untrained model with the training set's statistics; `make` makes another denoiser than ours."
    torch.manual_seed(config.seed)
    model = Text2PoseModel(dict(
        unet=config.unet, text_encoder=config.text_encoder, text_dim=data.captions.tokens.shape[1],
        schedule=config.schedule, prediction_type=config.prediction_type,
        num_train_timesteps=config.num_train_timesteps, text_layers=config.text_layers, posecodes=list(POSECODES),
        representation=config.representation))
    if make is not None: model.unet = make()
    model.mean,model.std = data.stats[config.representation].cpu()
    return model.to(data.device)

def noisy_batch(model, data, config, exemplars=None):
    "A batch of noisy poses, several for each caption, all drawn on the device."
    r = config.noise_samples_per_caption
    pose,caption,group = data.rows(config.batch_size//r)
    tokens,mask = data.states(caption)
    if config.token_noise:
        tokens = tokens+config.token_noise*tokens.std(-1, keepdim=True)*torch.randn_like(tokens)
    drop = torch.rand(len(pose), device=data.device)<config.cond_drop_prob
    with data.device: timestep = draw_timesteps(len(pose), config, None).flatten()
    x_0 = model.normalize(data.poses[pose]).repeat_interleave(r, 0)
    batch = Batch(tokens, mask, x_0, torch.randn_like(x_0), timestep, drop, data.margins[pose].float(),
                  data.stated[caption])
    return batch if exemplars is None else with_exemplars(batch, model, exemplars.draw(caption, group, drop))

def denoiser_step(model, data, config, bone_lengths, exemplars=None, follow_loss=None):
    "A step of the phase text of chapter 05."
    def predict(*args):
        with autocast(data.device): return model(*args)
    def step():
        batch = noisy_batch(model, data, config, exemplars)
        parts = losses(model, batch, bone_lengths, predict, follow_loss)
        parts = dict(loss=training_loss(parts, batch.timestep, config), **parts)
        return {k:v.mean() for k,v in parts.items() if k!='naive'}
    return step

def denoiser_steps(model, data, config, bone_lengths, exemplars=None):
    "Steps to take in turn: the last one has the follow loss, which takes as long as all else."
    args = model, data, config, bone_lengths, exemplars
    return [denoiser_step(*args)]*(config.follow_every-1)+[denoiser_step(*args, posecode_margin_loss)]

@torch.no_grad()
def held_out_losses(model, data, bone_lengths, n_batches=16, size=256):
    "Means of some losses without exemplars, at as many timesteps as a batch has poses."
    g = torch.Generator().manual_seed(2)
    timestep = ((torch.arange(size)+.5)/size*model.config['num_train_timesteps']).long().to(data.device)
    drop = torch.zeros(size, dtype=torch.bool, device=data.device)
    names = ('prediction','position','diffusion','code','follow')
    found = []
    for _ in range(n_batches):
        pose,caption,_ = data.rows(size, g)
        x_0 = model.normalize(data.poses[pose])
        eps = torch.randn(x_0.shape, generator=g).to(data.device)
        batch = Batch(*data.states(caption), x_0, eps, timestep, drop, data.margins[pose].float(), data.stated[caption])
        parts = losses(model, batch, bone_lengths)
        found.append(torch.stack([parts[name].mean() for name in names]))
    return dict(zip(names, torch.stack(found).mean(0).tolist()))

def generate(model, encoder, texts, n):
    "Joints as sampled, (texts, n, 22, 3) float16."
    pipe = Text2PosePipeline(model, encoder).to(next(model.parameters()).device)
    joints = pipe(texts, n, enforce_skeleton=False).joints
    return joints.reshape(len(texts), n, N_JOINTS, 3).astype('float16')
