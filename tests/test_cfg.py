"Guidance by posecodes, and the pipeline's promises where rounding could break them."
import copy
import numpy as np
import pytest
import torch
from text2pose import cfg
from text2pose.core import asset, available
from text2pose.data import own_poses
from text2pose.skeleton import plausibility
from text2pose.posecodes import POSECODES, holds, posecode_margins
from text2pose.text import TextStates
from text2pose.cfg import (
    PREDICTION_TYPES, Text2PoseModel, Text2PosePipeline, alphas_cumprod, ddim_step, ddim_timesteps, eps_from_x_0,
    guide_by_posecodes, load_model, save_model, to_x_0_eps, training_target)

CODES = list(POSECODES)
STANDING = torch.from_numpy(next(p['joints'] for p in own_poses() if p['name']=='standing'))[None]
TINY = dict(
    unet=dict(block_channels=[32,64], layers_per_block=1, n_heads=2, cross_attention_dim=32), text_encoder='hash',
    text_dim=16, schedule='squaredcos', prediction_type='v_prediction', num_train_timesteps=1000, text_layers=1,
    posecodes=CODES)

class HashEncoder:
    "Words as fixed random vectors."
    name,dim = 'hash',16
    def to(self, device): return self
    def __call__(self, prompts):
        words = [p.split() for p in prompts]
        tokens = torch.zeros(len(words), max(map(len, words)), self.dim)
        mask = torch.zeros(tokens.shape[:2], dtype=torch.bool)
        for i,prompt in enumerate(words):
            mask[i,:len(prompt)] = True
            for j,word in enumerate(prompt):
                tokens[i,j] = torch.randn(self.dim, generator=torch.Generator().manual_seed(sum(map(ord, word))))
        return TextStates(tokens, mask, tokens.mean(1), words)

class Shaky(torch.nn.Module):
    "A network with an error of up to `size` in every number that it predicts."
    def __init__(self, net, size):
        super().__init__()
        self.net,self.size = net,size
        self.generator = torch.Generator().manual_seed(0)
    def forward(self, *args):
        out = self.net(*args)
        return out+self.size*(2*torch.rand(out.shape, generator=self.generator)-1)

@pytest.fixture(scope='module')
def pipe():
    "Random weights around a standing pose, whose reader is sure of a third of the codes, contradictions included."
    torch.manual_seed(3)
    model = Text2PoseModel(TINY).eval()
    with torch.no_grad():
        for p in model.parameters(): p.add_(torch.randn_like(p)*.05)
        surely = torch.randn(len(CODES))*6
        model.projection.reader.code_head.bias.copy_(torch.where(torch.rand(len(CODES))<.33, surely, 0))
        model.mean.copy_(STANDING[0])
        model.std.fill_(.03)
    return Text2PosePipeline(model, HashEncoder())

def logits_for(**wanted):
    logits = torch.zeros(1, len(CODES))
    for code,value in wanted.items(): logits[0,CODES.index(code)] = 9. if value else -9.
    return logits

def raw(pipe, prompts, n=4, **kwargs):
    return pipe(prompts, n, **{'num_inference_steps':10, 'enforce_skeleton':False, 'code_guidance':3, **kwargs}).joints

# guidance by posecodes

def margin_of(code, joints): return posecode_margins(joints)[0,CODES.index(code)].item()

def test_a_code_alone_reaches_its_margin():
    moved = guide_by_posecodes(STANDING, logits_for(feet_together=True), 10)
    assert margin_of('feet_together', STANDING)<0
    assert margin_of('feet_together', moved)==pytest.approx(.5, abs=.01)

@pytest.mark.parametrize('n_steps', [1,3,10])
def test_a_code_out_of_reach_does_not_count(n_steps):
    alone = guide_by_posecodes(STANDING, logits_for(feet_together=True), n_steps)
    beside = guide_by_posecodes(STANDING, logits_for(feet_together=True, left_arm_raised=True, lying=True), n_steps)
    assert margin_of('left_arm_raised', STANDING)<-3
    torch.testing.assert_close(beside, alone, atol=1e-4, rtol=0)

def test_no_joint_moves_further_than_allowed():
    logits = logits_for(trunk_leaning_forward=True, left_elbow_slightly_bent=True, feet_together=True)
    for max_step in (.001,.01,.05):
        moved = (guide_by_posecodes(STANDING, logits, 1, max_step=max_step)-STANDING).norm(dim=-1).max()
        assert moved<=max_step+1e-6
    assert (guide_by_posecodes(STANDING, logits, 0)==STANDING).all()

def test_denied_codes_stop_holding():
    assert holds('left_elbow_straight', STANDING.numpy())[0]
    moved = guide_by_posecodes(STANDING, logits_for(left_elbow_straight=False), 10, max_miss=10.)
    assert not holds('left_elbow_straight', moved.numpy())[0]

def test_doubtful_codes_move_less():
    moves = []
    for logit in (.1,1.,9.):
        moved = guide_by_posecodes(STANDING, logits_for(feet_together=True)*logit/9, 1)
        moves.append((moved-STANDING).norm().item())
    assert moves[0]<.1*moves[2] and moves[0]<moves[1]<moves[2]

def test_a_code_enters_without_a_jump():
    "Past the point where a code comes into reach or is satisfied, the step changes little by little."
    logits = logits_for(feet_together=True, trunk_leaning_forward=True, right_elbow_slightly_bent=True)
    toward = guide_by_posecodes(STANDING.double(), logits.double(), 15)-STANDING.double()
    places = torch.cat([STANDING+(1.2*u)*toward for u in torch.linspace(0, 1, 501).double()])
    steps = guide_by_posecodes(places, logits.double().expand(len(places), -1), 1)-places
    apart = (places[1:]-places[:-1]).norm(dim=(1,2))
    assert ((steps[1:]-steps[:-1]).norm(dim=(1,2))<20*apart).all()

# rounding

def test_errors_of_the_network_stay_small(pipe):
    prompts = ['arms raised','a golf swing','crouching']
    exact = raw(pipe, prompts)
    assert np.abs(exact-raw(pipe, prompts, code_guidance=0)).max()>.01, 'guidance by posecodes has nothing to do'
    shaky = Text2PosePipeline(copy.deepcopy(pipe.model), HashEncoder())
    shaky.model.unet = Shaky(shaky.model.unet, 1e-6)
    assert np.abs(raw(shaky, prompts)-exact).max()<1e-4

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not installed')
def test_errors_of_the_shipped_network_stay_small():
    pipe = Text2PosePipeline.from_pretrained()
    prompts = ['left hand on the hip and right hand at the ear', 'sitting on a chair', 'golf swing']
    exact = raw(pipe, prompts, 2, num_inference_steps=None)
    assert np.abs(exact-raw(pipe, prompts, 2, num_inference_steps=None, code_guidance=0)).max()>.01
    pipe.model.unet = Shaky(pipe.model.unet, 1e-6)
    assert np.abs(raw(pipe, prompts, 2, num_inference_steps=None)-exact).max()<1e-4

def test_alone_and_among_320(pipe):
    prompts = [f'{w} raised' for w in 'abcdefgh']
    many = raw(pipe, prompts, 40)
    assert np.abs(many[120:160]-raw(pipe, 'd raised', 40)).max()<1e-4

@pytest.mark.parametrize('size', [1,3,5])
def test_batches_may_be_cut_anywhere(pipe, monkeypatch, size):
    prompts = ['arms raised','a golf swing with feeling']
    whole = pipe(prompts, 3, num_inference_steps=3, code_guidance=3, output_attentions=True)
    monkeypatch.setattr(cfg, 'MAX_BATCH', size)
    parts = pipe(prompts, 3, num_inference_steps=3, code_guidance=3, output_attentions=True)
    assert np.abs(parts.joints-whole.joints).max()<1e-4
    for a,b in zip(parts.attentions, whole.attentions): np.testing.assert_allclose(a, b, atol=1e-4)

def test_attentions_beside_a_longer_negative_prompt(pipe):
    negative = 'one two three four five'
    out = pipe('arms raised', 2, num_inference_steps=2, negative_prompt=negative, output_attentions=True)
    assert [a.shape for a in out.attentions]==[(22,2)]*2
    np.testing.assert_allclose(out.attentions[0].sum(1), 1, atol=1e-4)

def test_callback_gets_metres_in_float32(pipe):
    seen = []
    def note(step, timestep, joints): seen.append((step,timestep,joints.dtype,joints.shape))
    raw(pipe, 'arms raised', 2, num_inference_steps=3, callback=note)
    assert seen==[(0,999,np.float32,(2,22,3)), (1,666,np.float32,(2,22,3)), (2,332,np.float32,(2,22,3))]

def test_without_guidance_the_codes_say_nothing(pipe):
    same = raw(pipe, 'golf', guidance_scale=0.), raw(pipe, 'golf', guidance_scale=0., code_guidance=0)
    np.testing.assert_allclose(*same, atol=1e-6)

def test_negative_prompts_one_per_prompt(pipe):
    prompts,negatives = ['arms raised','golf'], ['crouching','lying down']
    both = raw(pipe, prompts, negative_prompt=negatives)
    for i in (0,1):
        one = raw(pipe, prompts[i], negative_prompt=negatives[i])
        np.testing.assert_allclose(both[4*i:4*i+4], one, atol=1e-4)

# sampler

@pytest.mark.parametrize('kind', PREDICTION_TYPES)
@pytest.mark.parametrize('schedule', ['squaredcos','squaredcos_clipped'])
@pytest.mark.parametrize('n_steps', [1,2,7,20,333,1000])
def test_a_perfect_network_arrives(kind, schedule, n_steps):
    alphas = alphas_cumprod(schedule)
    g = torch.Generator().manual_seed(0)
    x,target = (torch.randn(2,22,3,generator=g,dtype=torch.float64) for _ in range(2))
    timesteps = ddim_timesteps(n_steps)
    for t,next_t in zip(timesteps, [*timesteps[1:], None]):
        perfect = training_target(target, eps_from_x_0(target, x, t, alphas), t, alphas, kind)
        x = ddim_step(*to_x_0_eps(perfect, x, t, alphas, kind), next_t, alphas)
    torch.testing.assert_close(x, target, atol=1e-6, rtol=0)

# weights

def test_weights_with_other_posecodes_are_refused(tmp_path, pipe):
    with pytest.raises(ValueError, match='other posecodes'): Text2PoseModel({**TINY, 'posecodes':CODES[::-1]})
    with pytest.raises(ValueError, match='other posecodes'): Text2PoseModel({**TINY, 'posecodes':CODES[:7]})
    save_model(pipe.model, tmp_path, torch.float32)
    state = load_model(tmp_path).state_dict()
    for k,v in pipe.model.state_dict().items(): assert (state[k]==v).all()

def test_defaults(pipe):
    "A constant scale of 2, without guidance by posecodes, in the recommended number of steps; a ramp is an argument."
    recommended = pipe.model.config['num_inference_steps']
    assert recommended==10
    spelled_out = dict(guidance_scale=(2.,2.), code_guidance=0, num_inference_steps=recommended)
    default = pipe('golf', 2, enforce_skeleton=False).joints
    np.testing.assert_array_equal(default, raw(pipe, 'golf', 2, **spelled_out))
    for other in (dict(guidance_scale=(2.,7.)), dict(code_guidance=3), dict(num_inference_steps=20)):
        assert np.abs(default-raw(pipe, 'golf', 2, **{**spelled_out, **other})).max()>1e-3, other
    assert load_model(asset('weights')).config['num_inference_steps']==recommended

def test_raw_poses_are_those_without_enforcement(pipe):
    on,off = (pipe(['golf','wave'], 3, num_inference_steps=3, enforce_skeleton=e) for e in (True,False))
    np.testing.assert_array_equal(on.raw_joints, off.joints)
    np.testing.assert_array_equal(on.raw_scores, plausibility(off.joints))
    np.testing.assert_array_equal(off.raw_joints, off.joints)
    np.testing.assert_array_equal(off.raw_scores, off.scores)
    assert np.abs(on.joints-on.raw_joints).max()>.01 and (on.scores>on.raw_scores).all()

def test_a_reader_is_optional():
    model = Text2PoseModel({**TINY, 'posecodes':[]}).eval()
    pipe = Text2PosePipeline(model, HashEncoder())
    assert raw(pipe, 'arms raised', 2).shape==(2,22,3)
    with pytest.raises(ValueError, match='not taught to read'): pipe.read('arms raised')

@pytest.mark.parametrize('device', ['cuda:99', 'foo'])
def test_a_missing_device_leaves_the_pipeline_as_it_was(pipe, device):
    expected = pipe('wave', 1, num_inference_steps=2).joints
    with pytest.raises(ValueError, match=f'cannot be moved to {device}: [^\\n]*$'): pipe.to(device)
    assert pipe.device==torch.device('cpu')
    np.testing.assert_array_equal(pipe('wave', 1, num_inference_steps=2).joints, expected)
