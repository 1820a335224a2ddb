"The ablation of chapter 05 in small: what explodes and what does not, runs that go on, and the figure from JSON."
import importlib.util, json
from pathlib import Path

import pytest, torch

from text2pose.core import read_json
from text2pose.data import N_JOINTS, own_rows, pose_table
from text2pose.dataset import TrainingSet, encode_captions
from text2pose.skeleton import naive_anatomy_loss, reference_bone_lengths
from text2pose.text import TextStates
from text2pose.unet import SIZES, ConditionedUNet

BENCHMARKS = Path(__file__).parent.parent/'benchmarks'

@pytest.fixture(scope='module')
def bench():
    "The script as a module, with fewer steps of sampling and fewer timesteps to look at."
    spec = importlib.util.spec_from_file_location('bench_ablation', BENCHMARKS/'bench_ablation.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.NUM_STEPS,module.TIMESTEPS = 5, [0,500,999]
    return module

class Letters:
    "A made-up text encoder: a random vector for every letter."
    name,dim = 'letters',32
    table = torch.randn(128, dim, generator=torch.Generator().manual_seed(0))

    def __call__(self, captions):
        ids = [torch.tensor([ord(c)%128 for c in caption]) for caption in captions]
        tokens = torch.nn.utils.rnn.pad_sequence([self.table[i] for i in ids], batch_first=True)
        mask = torch.arange(tokens.shape[1])<torch.tensor([len(i) for i in ids])[:,None]
        return TextStates(tokens, mask, tokens.sum(1), captions)

    def to(self, device): return self
    def empty(self, n): return self(['']*n)

STEPS = 30
TINY = dict(unet=dict(SIZES['tiny'], cross_attention_dim=32), text_layers=1, num_exemplars=0)
PLAN = [('baseline',0), ('anatomical',0), ('text',0)]

def small_ablation(bench, folder, plan=PLAN, **changes):
    "Three phases of seconds on our own poses."
    ts = TrainingSet(pose_table(own_rows()[:60]))
    data = ts, encode_captions(ts.captions, Letters())
    settings = dict(steps=STEPS, **changes)
    prompts = [dict(prompt='arms raised', statements=['left_hand_above_shoulder'])]
    return bench.ablation(plan, folder/'a.json', settings, data, data, Letters(), None, STEPS, 100, prompts, **TINY)

@pytest.fixture(scope='module')
def result(bench, tmp_path_factory):
    folder = tmp_path_factory.mktemp('ablation')
    return folder, small_ablation(bench, folder)

def test_phases(result):
    "The baseline explodes and stays exploded; the repaired phases are stable and learn."
    by_arm = {r['arm']:r for r in result[1]['runs']}
    assert list(by_arm)==[arm for arm,_ in PLAN]
    baseline,anatomical,text = by_arm.values()
    assert baseline['before']['naive']>1e16 and baseline['val']['naive']>1e8
    assert anatomical['before']['naive']<1e8
    assert anatomical['val']['anatomy']<.7*anatomical['before']['anatomy']
    assert text['val']['anatomy']<1e-3
    for r in (anatomical,text): assert r['val']['diffusion']<r['before']['diffusion'] and r['stopped'] is None
    farthest = [r['sampled'][way]['farthest'] for r,way in ((baseline,'without words'), (text,'guided'))]
    assert farthest[0]>100 and farthest[1]<3

def test_runs_go_on(bench, result, monkeypatch):
    "A run that is in the file is not done again; other settings are refused."
    folder,res = result
    monkeypatch.setattr(bench, 'run', None)
    again = small_ablation(bench, folder)
    assert again==json.loads(json.dumps(res))==read_json(folder/'a.json')
    with pytest.raises(ValueError, match='a.json has another steps: 30, now 31'): bench.going_on(
        folder/'a.json', dict(steps=31))

def test_strip(bench, result):
    "The strip needs nothing but the JSON."
    fig = bench.plot_strip(read_json(result[0]/'a.json'), dpi=40)
    titles = [ax.get_title() for ax in fig.axes]
    assert titles[0].startswith('baseline,\nwithout words\nfarthest joint') and titles[0].count('drawn 1 :')==1
    assert titles[3]=='text,\nguided' and len(titles)==4*len(bench.STRIP_PROMPTS)

def test_zero_prediction(bench):
    "The loss of predicting no noise is the formula's: 4,000 normal poses, each bone by hand."
    std = torch.full((N_JOINTS,3), .1)
    std[0] = 0  # the pelvis
    x = std*torch.randn(4000, N_JOINTS, 3, generator=torch.Generator().manual_seed(0))*1e4
    measured = naive_anatomy_loss(x.double(), torch.from_numpy(reference_bone_lengths()).double()).mean()
    assert abs(measured/(1e16*bench.zero_prediction_constant(std))-1)<.05

def test_without_norms(bench):
    "No layer is left that normalizes, and nothing else changes."
    net = torch.nn.Sequential(torch.nn.LayerNorm(4), torch.nn.Linear(4, 4), torch.nn.Sequential(torch.nn.LayerNorm(4)))
    linear = net[1]
    bench.without_norms(net)
    assert net[1] is linear and isinstance(net[0], torch.nn.Identity) and isinstance(net[2][0], torch.nn.Identity)

def test_clamped_scales(bench):
    "Scales are kept within the limit, shifts are left alone."
    net = ConditionedUNet(**TINY['unet'])
    layers = bench.modulations(net)
    assert len(layers)==9  # a convolution and a transformer block on joints and limbs, each way, and a step of the body
    for layer,_ in layers: torch.nn.init.constant_(layer.bias, 5.)
    bench.clamp_scales(net, 1.)
    for layer,dim in layers:
        shift,scale = layer(torch.zeros(2, layer.in_features)).unflatten(-1, (-1,2,dim)).unbind(-2)
        assert (shift==5).all() and (scale==1).all()

def test_arms(bench):
    "Every arm has a configuration that a trainer of the denoiser accepts, and runs once or once for each seed."
    for arm in bench.ARMS:
        config,_ = bench.arm_config(arm, 5, 1)
        assert (config.seed,config.batch_size)==(1,64) and config.phase in bench.ArmTrainer.phases
    assert bench.arm_config('baseline', 5, 0)[1]==dict(normalized=False)
    assert len(bench.planned(3))==len(set(bench.planned(3)))==len(bench.ARMS)+1+6
