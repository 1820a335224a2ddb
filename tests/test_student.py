"The student: what it answers to, what it refuses, and that nothing else changes beside it."
import json
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from text2pose.core import asset, available
from text2pose.data import N_JOINTS
from text2pose.student import JumpNet, jump, jump_target, load_student, save_student, teacher_name, word_features
from text2pose.diffusion import alphas_cumprod

SMALL = dict(word_dim=10, body_dim=16, n_steps=1, emb_dim=8)

def shaken(**config):
    "A small network whose weights are not the zeros of a fresh one."
    torch.manual_seed(0)
    net = JumpNet(**{**SMALL, **config}).eval().requires_grad_(False)
    for p in net.parameters(): p.add_(torch.randn_like(p)*.2)
    return net

def inputs(n, k=4):
    g = torch.Generator().manual_seed(n)
    def randn(*shape): return torch.randn(*shape, generator=g)
    return randn(n,N_JOINTS,3), randn(n,10), randn(n,k,N_JOINTS,3), randn(n,k)

@pytest.mark.parametrize('levels', [(999,499), (999,None), (499,0), (0,None)])
def test_jump_is_undone(levels):
    alphas = alphas_cumprod('squaredcos', 1000)
    g = torch.Generator().manual_seed(0)
    x,x_next = (torch.randn(3,N_JOINTS,3, generator=g, dtype=torch.float64) for _ in range(2))
    torch.testing.assert_close(jump(jump_target(x_next, x, *levels, alphas), x, *levels, alphas), x_next)

@pytest.mark.parametrize('timesteps', [(999,), (999,499), (999,749,499,249)])
def test_last_answer_is_the_pose(timesteps):
    net,given = shaken(timesteps=timesteps),inputs(3)
    path = list(net.estimates(*given))
    assert [t for t,_,_ in path]==list(timesteps)
    torch.testing.assert_close(path[-1][1], path[-1][2])
    torch.testing.assert_close(net(*given), path[-1][2])

def test_everything_is_read():
    net,given = shaken(),inputs(2)
    x = net(*given)
    for i in range(4):
        other = [v if j!=i else v+1 for j,v in enumerate(given)]
        assert (net(*other)-x).abs().amax((1,2)).min()>1e-3

def test_alone_as_in_company():
    net,given = shaken(),inputs(7)
    torch.testing.assert_close(net(*(v[2:3] for v in given)), net(*given)[2:3], atol=1e-5, rtol=0)

def test_padding_is_not_read():
    g = torch.Generator().manual_seed(0)
    states,logits = torch.randn(1,3,8, generator=g), torch.randn(1,5, generator=g)
    vector = torch.nn.functional.normalize(torch.randn(1,4, generator=g))
    short = word_features(states, torch.ones(1,3).bool(), logits, vector)
    padded = torch.cat([states, torch.full((1,2,8), 9.)], 1)
    torch.testing.assert_close(word_features(padded, torch.tensor([[1,1,1,0,0]]).bool(), logits, vector), short)

def test_file(tmp_path):
    net,file = shaken(),tmp_path/'student.safetensors'
    save_student(net, file, 'one', torch.float32)
    again = load_student(file, 'one')
    assert again.config==net.config and not again.training
    assert all(torch.equal(a, b) for a,b in zip(net.state_dict().values(), again.state_dict().values()))
    with pytest.raises(ValueError, match='the student of other weights'): load_student(file, 'other')
    with pytest.raises(FileNotFoundError, match='is missing'): load_student(tmp_path/'no.safetensors', 'one')

def rewritten(file, change_state=None, change_config=None):
    "The file again with a change."
    with safe_open(file, 'pt') as f: notes,state = dict(f.metadata()), {k:f.get_tensor(k) for k in f.keys()}
    if change_config: notes['config'] = json.dumps({**json.loads(notes['config']), **change_config})
    save_file({**state, **(change_state or {})}, file, metadata=notes)

@pytest.mark.parametrize('state,config', [
    (dict(more=torch.zeros(1)), None),
    ({'out.weight':torch.zeros(1,1)}, None),
    ({'out.bias':torch.full((66,), torch.nan)}, None),
    (None, dict(body_dim=17)),
    (None, dict(n_steps=2)),
    (None, dict(schedule='none')),
    (None, dict(colour='red')),
    (None, dict(timesteps=[5000,1]))])
def test_damaged_file(tmp_path, state, config):
    file = tmp_path/'student.safetensors'
    save_student(shaken(), file, 'one')
    rewritten(file, state, config)
    with pytest.raises(ValueError, match='holds no usable student'): load_student(file, 'one')

needs_minilm = pytest.mark.skipif(not available('minilm'), reason='MiniLM is not installed')

@pytest.fixture(scope='module')
def pipe():
    from text2pose.cfg import Text2PosePipeline
    pipe = Text2PosePipeline.from_pretrained()
    if pipe.student is None:
        torch.manual_seed(0)
        states,codes = pipe.model.unet.config.cross_attention_dim, len(pipe.model.config['posecodes'])
        words = 2*states+codes+pipe.scorer.config['embed_dim']
        pipe.student = pipe.jumper = JumpNet(words, body_dim=32, n_steps=1, emb_dim=16).eval()
    return pipe

@needs_minilm
def test_two_steps_are_two_jumps(pipe):
    seen = []
    out = pipe('arms raised', 2, num_inference_steps=2, callback=lambda i, t, x: seen.append((i,t,x.shape)))
    assert [s[:2] for s in seen]==[(0,999),(1,499)] and seen[0][2]==(2,N_JOINTS,3)
    assert out.run==dict(sampler='student', num_inference_steps=2) and len(out.exemplars[0])==4
    assert pipe('arms raised', 1).run['num_inference_steps']==pipe.model.config['num_inference_steps']
    few = pipe('arms raised', 1, num_inference_steps=2, num_exemplars=2)
    assert len(few.exemplars[0])==2 and few.run['sampler']=='student'

LONG = [dict(guidance_scale=2.), dict(negative_prompt='sitting'), dict(num_inference_steps=3), dict(sampler='ddim'),
        dict(guidance_method='apg'), dict(guidance_interval=(0,1)), dict(num_exemplars=0), dict(output_attentions=True),
        dict(keep_joints={'left_wrist':(.3,-.3,.6)}), dict(init_joints=np.zeros((N_JOINTS,3)))]

@needs_minilm
@pytest.mark.parametrize('given', LONG, ids=lambda given: next(iter(given)))
def test_the_rest_is_for_the_denoiser(pipe, given):
    assert not pipe._request(prompt='arms raised', **{'num_inference_steps':2, **given}).by_student
    assert pipe._request(prompt='arms raised', num_inference_steps=2).by_student

@needs_minilm
def test_same_in_company(pipe):
    prompts = ['arms raised', 'a person is sitting on a low chair with both hands on the knees', 'kick']
    def ask(some, n): return pipe(some, n, num_inference_steps=2, seed=3).joints
    alone = np.concatenate([ask(p, 2) for p in prompts])
    np.testing.assert_allclose(ask(prompts, 2), alone, atol=1e-4)
    first_two = ask(prompts, 4).reshape(3,4,N_JOINTS,3)[:,:2]
    np.testing.assert_allclose(first_two.reshape(alone.shape), alone, atol=1e-4)

@needs_minilm
def test_stop_after_a_jump(pipe):
    estimates = []
    out = pipe('arms raised', 1, num_inference_steps=2, enforce_skeleton=False,
               callback=lambda i, t, x: estimates.append(x) or False)
    assert len(estimates)==1
    assert np.isfinite(out.joints).all()
    assert len(list(pipe.stream('arms raised', num_poses_per_prompt=1, num_inference_steps=2)))==3

@needs_minilm
def test_interpolation_and_a_swapped_scheduler(pipe):
    assert len(pipe.interpolate('arms raised', 'kick', 2))==2
    before = pipe._scheduler
    try:
        pipe.scheduler = pipe.scheduler
        assert not pipe._request(prompt='arms raised', num_inference_steps=2).by_student
    finally: pipe._scheduler = before

@needs_minilm
def test_saved_and_read(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    again = type(pipe).from_pretrained(tmp_path, text_encoder=pipe.text_encoder)
    def ask(some): return some('arms raised', 1, num_inference_steps=2).joints
    np.testing.assert_allclose(ask(again), ask(pipe), atol=1e-6)
    changed = load_student(tmp_path/'student.safetensors', teacher_name(pipe.model, pipe.scorer))
    save_student(changed, tmp_path/'student.safetensors', 'another')
    with pytest.raises(ValueError, match='the student of other weights'): type(pipe).from_pretrained(tmp_path)

@needs_minilm
def test_students_that_do_not_fit(pipe):
    parts = pipe.components
    with pytest.raises(ValueError, match='needs a scorer'): type(pipe)(**{**parts, 'scorer':None, 'library':None})
    wrong = dict(word_dim=10), dict(schedule='linear'), dict(num_train_timesteps=2000)
    for change in wrong:
        other = JumpNet(**{**pipe.student.config, **change})
        with pytest.raises(ValueError, match='is of other weights'): type(pipe)(**{**parts, 'student':other})

@needs_minilm
@pytest.mark.parametrize('steps', [0, '2', 2.5, True, -1])
def test_steps_are_counts(pipe, steps):
    with pytest.raises(ValueError, match='num_inference_steps'): pipe('arms raised', 1, num_inference_steps=steps)

@needs_minilm
def test_name_of_a_teacher_in_any_file(pipe, tmp_path):
    from text2pose.cfg import load_model, save_model
    for dtype in (torch.float16,torch.float32):
        save_model(pipe.model, tmp_path, dtype)
        pipe.scorer.save(tmp_path/'scorer.safetensors', dtype)
        half = type(pipe).from_pretrained(tmp_path, text_encoder=pipe.text_encoder)
        save_student(pipe.student, tmp_path/'student.safetensors', teacher_name(half.model, half.scorer))
        assert type(pipe).from_pretrained(tmp_path, text_encoder=pipe.text_encoder).student is not None
        assert teacher_name(load_model(tmp_path), half.scorer)==teacher_name(half.model, half.scorer)
        (tmp_path/'student.safetensors').unlink()

WRONG = [None, torch.zeros(66,1), torch.full((66,1), torch.nan), torch.ones(1,1), torch.ones(66)]

@pytest.mark.parametrize('scale', WRONG)
def test_8_bits_need_their_scales(tmp_path, scale):
    file = tmp_path/'student.safetensors'
    save_student(shaken(), file, 'one', torch.int8)
    again = load_student(file, 'one')
    torch.testing.assert_close(again.out.weight, shaken().out.weight, atol=.01, rtol=0)
    with safe_open(file, 'pt') as f: notes,state = f.metadata(), {k:f.get_tensor(k) for k in f.keys()}
    del state['out.weight.scale']
    if scale is not None: state['out.weight.scale'] = scale
    save_file(state, file, metadata=notes)
    with pytest.raises(ValueError, match='out.weight'): load_student(file, 'one')
