"Steps taken by ONNX Runtime: as PyTorch takes them, and what is said where it is not installed."
import importlib.util
import pytest
import torch
from torch import nn
from text2pose import fast
from text2pose.data import N_JOINTS
from text2pose.fast import OnnxDenoiser, OnnxTextEncoder
from text2pose.text import Bert, TextEncoder
from text2pose.unet import SIZES, ConditionedUNet

REASON = 'ONNX Runtime is not installed: pip install "text2pose[fast]" brings it'
installed = all(importlib.util.find_spec(name) for name in ('onnxruntime','onnx'))
needs_onnx = pytest.mark.skipif(not installed, reason=REASON)

def shaken(**config):
    "A small network whose weights are not the zeros of a fresh one."
    torch.manual_seed(0)
    net = ConditionedUNet(**{**SIZES['tiny'], 'cross_attention_dim':16, **config}).eval().requires_grad_(False)
    for p in net.parameters(): p.add_(torch.randn_like(p)*.05)
    return net

@pytest.fixture(scope='module')
def pair():
    net = shaken(layers_per_block=2)
    return net, OnnxDenoiser(net)

def inputs(n, n_words=5, n_exemplars=4, r=1):
    "Poses, and what `prepare` wants to know about them; as many texts as n/r."
    g = torch.Generator().manual_seed(n)
    text = torch.randn(n//r,n_words,16,generator=g)
    mask = torch.arange(n_words)[None]<torch.randint(1, n_words+1, (n//r,1), generator=g)
    exemplars = None
    if n_exemplars:
        shown = torch.rand(n,n_exemplars,generator=g)>.5
        exemplars = torch.randn(n,n_exemplars,N_JOINTS,3,generator=g), torch.rand(n,n_exemplars,generator=g), shown
    return torch.randn(n,N_JOINTS,3,generator=g), (text, mask, exemplars)

@needs_onnx
@pytest.mark.parametrize('n', [1,2,7])
@pytest.mark.parametrize('n_exemplars', [0,1,4])
@pytest.mark.parametrize('n_words', [1,6])
def test_as_pytorch(pair, n, n_exemplars, n_words):
    net,denoiser = pair
    x,condition = inputs(n, n_words, n_exemplars)
    prepared = denoiser.prepare([999,500,0], *condition)
    for i in range(3):
        wanted = net.denoise(x, net.prepare([999,500,0], *condition), i)
        assert wanted.abs().max()>.01
        torch.testing.assert_close(denoiser.denoise(x, prepared, i), wanted, atol=1e-4, rtol=0)

@needs_onnx
@pytest.mark.parametrize('n_exemplars', [0,4])
def test_one_text_for_several_poses(pair, n_exemplars):
    net,denoiser = pair
    x,condition = inputs(6, n_exemplars=n_exemplars, r=3)
    torch.testing.assert_close(denoiser(x, 300, *condition), net(x, 300, *condition), atol=1e-4, rtol=0)

@needs_onnx
@pytest.mark.parametrize('config', [
    dict(norm='group_norm'), dict(n_heads=1), dict(block_channels=(16,48), body_steps=3)])
def test_other_networks(config):
    net = shaken(**config)
    x,condition = inputs(3)
    timestep = torch.tensor([3,500,900])
    wanted = net(x, timestep, *condition)
    torch.testing.assert_close(OnnxDenoiser(net)(x, timestep, *condition), wanted, atol=1e-4, rtol=0)

@needs_onnx
def test_attention_maps_come_from_the_network(pair):
    net,denoiser = pair
    x,condition = inputs(2)
    for ours,wanted in zip(denoiser(x, 5, *condition, True), net(x, 5, *condition, True)):
        torch.testing.assert_close(ours, wanted, atol=1e-5, rtol=0)

@needs_onnx
def test_later_steps_leave_a_prediction_alone(pair):
    net,denoiser = pair
    x,condition = inputs(2)
    prepared = denoiser.prepare([900,10], *condition)
    first = denoiser.denoise(x, prepared, 0)
    kept = first.clone()
    denoiser.denoise(x, prepared, 1)
    assert torch.equal(first, kept)

def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(fast, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'onnxruntime and onnx not found: pip install "text2pose\[fast\]"'):
        OnnxDenoiser(shaken())

def test_what_it_cannot_run_is_refused():
    with pytest.raises(ValueError, match='float32 only'): OnnxDenoiser(nn.Module.to(shaken(), torch.bfloat16))
    with pytest.raises(ValueError, match='evaluation mode'): OnnxDenoiser(shaken().train())

@needs_onnx
def test_text_encoder_as_pytorch():
    torch.manual_seed(0)
    bert = Bert(vocab_size=200, dim=24, n_layers=3, n_heads=2, ff_dim=48, n_positions=20)
    encoder = TextEncoder('tiny', None, bert, 128, 'mean', early=1)
    ours = OnnxTextEncoder(encoder)
    for n,length in ((1,1), (2,9), (7,4)):
        ids,mask = torch.randint(0, 200, (n,length)), torch.arange(length)[None]<torch.arange(1, n+1)[:,None]
        for a,b in zip(ours._run(ids, mask), encoder._run(ids, mask)):
            assert a.std()>.1
            torch.testing.assert_close(a[mask], b[mask], atol=1e-4, rtol=0)
    assert not encoder.model.training and ours.to('cpu') is ours
    with pytest.raises(ValueError, match='CPU only'): ours.to('cuda')

def test_text_encoders_without_early_states_are_refused():
    bert = Bert(vocab_size=20, dim=8, n_layers=1, n_heads=1, ff_dim=16, n_positions=20)
    with pytest.raises(ValueError, match='tiny has none'): OnnxTextEncoder(TextEncoder('tiny', None, bert, 128, 'mean'))
