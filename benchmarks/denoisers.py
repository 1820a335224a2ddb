"""Denoisers to compare with ours: four networks of about the same size that read the words in different ways

Each is called as `model(sample, timestep, encoder_hidden_states, encoder_attention_mask=None, exemplars=None)`:
(B, 22, 3) z-scored poses and (B/r, tokens, 256) text states, each row of text for r poses in a row.
Run as a script it prints what each costs on this machine.
"""
import argparse
import copy
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

from text2pose.data import N_JOINTS
from text2pose.unet import _FLAT as FLAT, _SLOT as SLOT  # the places of joints, limb after limb
from text2pose.unet import LIMB_IDX, Attention, LimbPool, LimbUnpool, timestep_embedding

TEXT_DIM = 256  # width of the text states


# ---- Pieces that several networks use -------------------------------------------------------------------------------

def expand_timestep(timestep, sample):
    "One noise level for each pose, (B,)."
    return torch.as_tensor(timestep, device=sample.device).expand(len(sample))


def pool_text(
    text, # (B/r, tokens, dim) text states
    mask, # (B/r, tokens) bool, True where there is a word; None if all are
):        # (B/r, 2·dim): mean and maximum over the words
    "Mean and maximum of the text states of the words."
    if mask is None:
        mask = torch.ones(text.shape[:2], dtype=torch.bool, device=text.device)
    padding = ~mask[..., None]  # (B/r, tokens, 1)
    n_words = mask.sum(1, keepdim=True).clamp(min=1)
    mean = text.masked_fill(padding, 0).sum(1, dtype=torch.float32)/n_words
    maximum = text.masked_fill(padding, torch.finfo(text.dtype).min).amax(1)
    return torch.cat([mean, maximum], -1).to(text.dtype)


def zero_init(*layers):
    "Start these linear layers at zero."
    for layer in layers:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)


def film(h, shift, scale):
    "Scale and shift (Perez et al. 2018)."
    return h*(1+scale) + shift


class Condition(nn.Module):
    "Noise level and pooled text as one vector per pose."
    def __init__(self,
        emb_dim: int,            # width of the vector
        text_dim: int=TEXT_DIM,  # width of the text states
        wave_dim: int=64,        # waves that code the noise level
    ):
        super().__init__()
        self.wave_dim = wave_dim
        self.time_mlp = nn.Sequential(nn.Linear(wave_dim, emb_dim), nn.SiLU(), nn.Linear(emb_dim, emb_dim))
        self.text_mlp = nn.Sequential(nn.LayerNorm(2*text_dim), nn.Linear(2*text_dim, emb_dim))

    def forward(self, sample, timestep, text, mask):  # (B, emb_dim)
        "Sum of both."
        waves = timestep_embedding(expand_timestep(timestep, sample), self.wave_dim).to(sample.dtype)
        summary = self.text_mlp(pool_text(text, mask))
        return self.time_mlp(waves) + summary.repeat_interleave(len(sample)//len(text), 0)


# ---- 1. The network of the present release --------------------------------------------------------------------------

class Block(nn.Module):
    "Self-attention, cross-attention to the text, and a feed-forward step, modulated by the noise level."
    def __init__(self, dim, context_dim, emb_dim, n_heads=4):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.self_attn = Attention(dim, n_heads=n_heads)
        self.cross_attn = Attention(dim, context_dim, n_heads)
        # Identity in place of the dropout keeps the names of the released weights
        self.ff = nn.Sequential(nn.Linear(dim, 4*dim), nn.GELU(), nn.Identity(), nn.Linear(4*dim, dim))
        self.modulation = nn.Linear(emb_dim, 4*dim)
        zero_init(self.self_attn.to_out, self.cross_attn.to_out, self.ff[-1], self.modulation)

    def forward(self, x, emb, context, mask=None):  # (B, n, dim)
        "Three residual steps."
        shift1, scale1, shift3, scale3 = self.modulation(emb)[:, None].chunk(4, -1)  # (B, 1, dim) each
        x = x + self.self_attn(film(self.norm1(x), shift1, scale1))[0]
        x = x + self.cross_attn(self.norm2(x), context, mask)[0]
        return x + self.ff(film(self.norm3(x), shift3, scale3))


class BodyBlock(nn.Module):
    "All limbs at once: a wide feed-forward step on one vector for the whole body, modulated like a `Block`."
    def __init__(self, n_limbs, dim, body_dim, emb_dim):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(body_dim)
        self.gather = nn.Linear(n_limbs*dim, body_dim)
        self.spread = nn.Linear(body_dim, n_limbs*dim)
        self.ff = nn.Sequential(nn.Linear(body_dim, 2*body_dim), nn.GELU(), nn.Linear(2*body_dim, body_dim))
        self.modulation = nn.Linear(emb_dim, 2*body_dim)
        zero_init(self.spread, self.modulation)

    def forward(self, x, emb):  # (B, n_limbs, dim)
        "Gather the limbs, one feed-forward step, spread the result over the limbs."
        shift, scale = self.modulation(emb).chunk(2, -1)  # (B, body_dim) each
        body = self.gather(self.norm1(x).flatten(1))      # (B, n_limbs·dim) → (B, body_dim)
        body = body + self.ff(film(self.norm2(body), shift, scale))
        return x + self.spread(body).view(x.shape)        # (B, n_limbs·dim) → (B, n_limbs, dim)


class TodayUNet(nn.Module):
    "`ConditionedUNet` of the present release: joints, limbs, body, limbs, joints."
    def __init__(self,
        block_channels: tuple=(64, 192),   # width on joints, width on limbs
        layers_per_block: int=2,           # blocks at each stage: down, middle, up
        body_channels: int=512,            # width of the step on the whole body between the limb blocks
        n_heads: int=4,                    # attention heads
        cross_attention_dim: int=TEXT_DIM, # width of the text states
    ):
        super().__init__()
        joint_dim, limb_dim = block_channels
        emb_dim = limb_dim

        def stage(dim):
            return nn.ModuleList([Block(dim, cross_attention_dim, emb_dim, n_heads) for _ in range(layers_per_block)])
        self.time_mlp = nn.Sequential(nn.Linear(joint_dim, emb_dim), nn.SiLU(), nn.Linear(emb_dim, emb_dim))
        self.text_mlp = nn.Sequential(nn.LayerNorm(cross_attention_dim), nn.Linear(cross_attention_dim, emb_dim))
        self.joint_in = nn.Linear(3, joint_dim)
        self.joint_emb = nn.Parameter(torch.randn(N_JOINTS, joint_dim)*.5)
        self.down, self.mid, self.up = stage(joint_dim), stage(limb_dim), stage(joint_dim)
        self.limb_emb = nn.Parameter(torch.randn(len(LIMB_IDX), limb_dim)*.5)
        self.body = BodyBlock(len(LIMB_IDX), limb_dim, body_channels, emb_dim)
        self.pool, self.unpool = LimbPool(joint_dim, limb_dim), LimbUnpool(limb_dim, joint_dim)
        self.merge = nn.Linear(2*joint_dim, joint_dim)
        self.norm_out, self.out = nn.LayerNorm(joint_dim), nn.Linear(joint_dim, 3)
        zero_init(self.out)

    def _embed(self, sample, timestep, text, mask):
        "Noise level and mean of the text states as one vector per pose, (B, emb_dim)."
        timestep = expand_timestep(timestep, sample)
        waves = timestep_embedding(timestep, self.time_mlp[0].in_features).to(sample.dtype)
        m = torch.ones(text.shape[:2], device=text.device) if mask is None else mask.float()
        mean = ((text*m[..., None]).sum(1)/m.sum(1, keepdim=True)).to(text.dtype)  # (B/r, cross_attention_dim)
        summary = self.text_mlp(mean).repeat_interleave(len(sample)//len(text), 0)
        return F.silu(self.time_mlp(waves)+summary)

    def forward(
        self, sample, timestep, encoder_hidden_states, encoder_attention_mask=None, exemplars=None,
        output_attentions=False,
    ):
        "Joints, limbs, body, limbs, joints: (B, 22, 3)."
        text, mask = encoder_hidden_states, encoder_attention_mask
        emb = self._embed(sample, timestep, text, mask)

        def run(blocks, x):
            for block in blocks:
                x = block(x, emb, text, mask)
            return x
        x = bridge = run(self.down, self.joint_in(sample)+self.joint_emb)  # (B, 22, joint_dim)
        x = run(self.mid, self.pool(x)+self.limb_emb)                      # (B, 6, limb_dim)
        x = self.body(x, emb)
        x = self.merge(torch.cat([self.unpool(x), bridge], -1))            # (B, 22, joint_dim)
        x = run(self.up, x)
        return self.out(self.norm_out(x))


# ---- 2. A plain transformer -----------------------------------------------------------------------------------------

class TransformerBlock(nn.Module):
    "Pre-norm self-attention, cross-attention to the text, and a feed-forward step."
    def __init__(self, dim, context_dim, n_heads=4):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.self_attn = Attention(dim, n_heads=n_heads)
        self.cross_attn = Attention(dim, context_dim, n_heads)
        self.ff = nn.Sequential(nn.Linear(dim, 4*dim), nn.GELU(), nn.Linear(4*dim, dim))

    def forward(self, x, context, mask=None):  # (B, n, dim)
        "Three residual steps."
        x = x + self.self_attn(self.norm1(x))[0]
        x = x + self.cross_attn(self.norm2(x), context, mask)[0]
        return x + self.ff(self.norm3(x))


class PlainTransformer(nn.Module):
    "22 joint tokens behind one of noise level and pooled text (MDM, Tevet et al. 2022); all read the words too."
    def __init__(self,
        dim: int=256,                      # width of a token
        n_layers: int=5,                   # blocks
        n_heads: int=4,                    # attention heads
        cross_attention_dim: int=TEXT_DIM, # width of the text states
    ):
        super().__init__()
        self.condition = Condition(dim, cross_attention_dim)
        self.joint_in = nn.Linear(3, dim)
        self.joint_emb = nn.Parameter(torch.randn(N_JOINTS, dim)*.5)
        self.blocks = nn.ModuleList([TransformerBlock(dim, cross_attention_dim, n_heads) for _ in range(n_layers)])
        self.norm_out, self.out = nn.LayerNorm(dim), nn.Linear(dim, 3)
        zero_init(self.out)

    def forward(
        self, sample, timestep, encoder_hidden_states, encoder_attention_mask=None, exemplars=None,
        output_attentions=False,
    ):
        "Condition token and joint tokens through all blocks: (B, 22, 3)."
        text, mask = encoder_hidden_states, encoder_attention_mask
        condition = self.condition(sample, timestep, text, mask)[:, None]  # (B, 1, dim)
        joints = self.joint_in(sample) + self.joint_emb                    # (B, 22, dim)
        x = torch.cat([condition.to(joints.dtype), joints], 1)             # (B, 23, dim)
        for block in self.blocks:
            x = block(x, text, mask)
        return self.out(self.norm_out(x[:, 1:]))


# ---- 3. A residual MLP on the whole body ----------------------------------------------------------------------------

class ResidualBlock(nn.Module):
    "Norm, scale and shift, and a feed-forward step."
    def __init__(self, dim, hidden_dim, emb_dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.modulation = nn.Linear(emb_dim, 2*dim)
        self.ff = nn.Sequential(nn.Linear(dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, dim))
        zero_init(self.modulation, self.ff[-1])

    def forward(self, x, emb):  # (B, dim)
        "One residual step."
        shift, scale = self.modulation(emb).chunk(2, -1)
        return x + self.ff(film(self.norm(x), shift, scale))


class ResidualMLP(nn.Module):
    "The body as one vector of 66 numbers; the words only as their mean and maximum, through scale and shift."
    def __init__(self,
        dim: int=512,                      # width of the body vector
        hidden_dim: int=1024,              # width inside a block
        n_layers: int=5,                   # residual blocks
        emb_dim: int=192,                  # width of the embedding of noise level and pooled text, as in `TodayUNet`
        cross_attention_dim: int=TEXT_DIM, # width of the text states
    ):
        super().__init__()
        self.condition = Condition(emb_dim, cross_attention_dim)
        self.body_in = nn.Linear(3*N_JOINTS, dim)
        self.blocks = nn.ModuleList([ResidualBlock(dim, hidden_dim, emb_dim) for _ in range(n_layers)])
        self.norm_out, self.out = nn.LayerNorm(dim), nn.Linear(dim, 3*N_JOINTS)
        zero_init(self.out)

    def forward(
        self, sample, timestep, encoder_hidden_states, encoder_attention_mask=None, exemplars=None,
        output_attentions=False,
    ):
        "66 numbers in, 66 numbers out: (B, 22, 3)."
        emb = F.silu(self.condition(sample, timestep, encoder_hidden_states, encoder_attention_mask))
        x = self.body_in(sample.flatten(1))  # (B, 22, 3) → (B, dim)
        for block in self.blocks:
            x = block(x, emb)
        return self.out(self.norm_out(x)).view(sample.shape)


# ---- 4. The one-dimensional U-Net of diffusers ----------------------------------------------------------------------

class DiffusersUNet1D(nn.Module):
    """`diffusers.UNet1DModel` on 24 places, limb after limb (two stay empty), so that neighbours are joined by bones.

    The model reads no text. Mean and maximum of the text states are mapped to `text_channels` numbers, which are
    given to every place as further input channels. The noise level enters every residual block. The blocks are those
    of the Diffuser (Janner et al. 2022), with a third block upwards so that every skip connection is used.
    """
    def __init__(self,
        block_out_channels: tuple=(96, 192, 256), # channels on 24, 12 and 6 places
        text_channels: int=96,                    # input channels for the text
        cross_attention_dim: int=TEXT_DIM,        # width of the text states
    ):
        super().__init__()
        n_stages = len(block_out_channels)
        self.text_mlp = nn.Sequential(nn.LayerNorm(2*cross_attention_dim),
                                      nn.Linear(2*cross_attention_dim, text_channels))
        from diffusers import UNet1DModel  # here, so that the other arms do without diffusers
        self.unet = UNet1DModel(
            sample_size=len(FLAT), in_channels=3, out_channels=3, extra_in_channels=text_channels,
            time_embedding_type='positional', use_timestep_embedding=True, flip_sin_to_cos=False, freq_shift=1,
            block_out_channels=block_out_channels, layers_per_block=1, act_fn='mish',
            down_block_types=('DownResnetBlock1D',)*n_stages, up_block_types=('UpResnetBlock1D',)*n_stages,
            mid_block_type='MidResTemporalBlock1D', out_block_type='OutConv1DBlock')
        zero_init(self.unet.out_block.final_conv1d_2)
        self.register_buffer('places', torch.tensor(FLAT), persistent=False)
        self.register_buffer('slot', torch.tensor(SLOT), persistent=False)

    def forward(
        self, sample, timestep, encoder_hidden_states, encoder_attention_mask=None, exemplars=None,
        output_attentions=False,
    ):
        "Joints to places, the U-Net, and back: (B, 22, 3)."
        x = F.pad(sample, (0, 0, 0, 1))[:, self.places]  # (B, 22, 3) → (B, 24, 3)
        text = self.text_mlp(pool_text(encoder_hidden_states, encoder_attention_mask))
        text = text.repeat_interleave(len(sample)//len(encoder_hidden_states), 0)
        text = text[:, None].expand(-1, x.shape[1], -1)  # (B, 24, text_channels)
        x = torch.cat([x, text.to(x.dtype)], -1).transpose(1, 2)  # (B, 3+text_channels, 24)
        out = self.unet(x, expand_timestep(timestep, sample), return_dict=False)[0]  # (B, 3, 24)
        return out.transpose(1, 2)[:, self.slot]


ARMS = dict(today=TodayUNet, transformer=PlainTransformer, mlp=ResidualMLP, unet1d=DiffusersUNet1D)


# ---- What they cost -------------------------------------------------------------------------------------------------

def n_parameters(model):
    "Trained numbers of the model."
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _random_batch(n_poses, n_texts, tokens, dim, device):
    "Poses, noise levels, text states and a mask with some padding."
    sample = torch.randn(n_poses, N_JOINTS, 3, device=device)
    timestep = torch.randint(1000, (n_poses,), device=device)
    text = torch.randn(n_texts, tokens, dim, device=device)
    n_words = torch.randint(tokens//2, tokens+1, (n_texts, 1), device=device)
    mask = torch.arange(tokens, device=device) < n_words  # (n_texts, tokens)
    return sample, timestep, text, mask


def clock(device):
    "Seconds, when the device has done what was asked so far."
    if device.type=='cuda':
        torch.cuda.synchronize(device)
    return time.perf_counter()


def pass_milliseconds(
    model,           # a denoiser
    dim: int=256,    # width of the text states
    tokens: int=32,  # tokens of a text
    n_runs: int=20,  # runs of which the median is taken
)->float:            # milliseconds
    "One forward pass of two poses, each with its own text, as guidance needs it."
    device = next(model.parameters()).device
    batch = _random_batch(2, 2, tokens, dim, device)
    was_training = model.training
    model.eval()
    seconds = []
    with torch.no_grad():
        for _ in range(3):  # warm-up
            model(*batch)
        for _ in range(n_runs):
            start = clock(device)
            model(*batch)
            seconds.append(clock(device)-start)
    model.train(was_training)
    return 1000*statistics.median(seconds)


def training_rate(
    model,               # a denoiser; a copy of it is trained
    dim: int=256,        # width of the text states
    batch_size: int=512, # noisy poses in a step
    texts: int=64,       # texts in a step, a divisor of batch_size
    tokens: int=32,      # tokens of a text
    n_steps: int=5,      # steps timed, after one that is not
)->float:                # noisy poses a second
    "Rate of forward, backward and fused AdamW."
    model = copy.deepcopy(model).train()
    device = next(model.parameters()).device
    batch = _random_batch(batch_size, texts, tokens, dim, device)
    target = torch.randn_like(batch[0])
    opt = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step():
        F.mse_loss(model(*batch), target).backward()
        opt.step()
        opt.zero_grad()
    step()  # warm-up
    start = clock(device)
    for _ in range(n_steps):
        step()
    return n_steps*batch_size/(clock(device)-start)


def main():
    "Print parameters, forward time and training rate of every network."
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument('--threads', type=int, default=1, help='CPU threads')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    print(f'{"arm":<12} {"parameters":>11} {"forward, ms":>12} {"training, poses/s":>18}   ({args.threads} threads)')
    for name, make in ARMS.items():
        model = make()
        milliseconds, rate = pass_milliseconds(model), training_rate(model)
        print(f'{name:<12} {n_parameters(model):>11,} {milliseconds:>12.2f} {rate:>18.0f}', flush=True)


if __name__=='__main__':
    main()
