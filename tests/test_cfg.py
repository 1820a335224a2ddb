"The pipeline's promises where rounding, batches or odd arguments could break them."
import copy
import json
import numpy as np
import pytest
import torch
from text2pose import cfg
from text2pose.core import available, read_tensors, write_tensors
from text2pose.data import bone_lengths, joint_idx, mirror, own_poses
from text2pose.skeleton import bone_lengths_for, enforce_skeleton, plausibility, reference_bone_lengths
from text2pose.library import atlas_library
from text2pose.editing import targets_of
from text2pose.posecodes import POSECODES
from text2pose.diffusion import SAMPLERS
from text2pose.text import TextStates
from text2pose.eval import read_prompts
from text2pose.cfg import FORMAT, StoreAttention, Text2PoseModel, Text2PosePipeline, load_model, save_model

CODES = list(POSECODES)
STANDING = torch.from_numpy(next(p['joints'] for p in own_poses() if p['name']=='standing'))[None]
TINY = dict(
    unet=dict(block_channels=[32,64], layers_per_block=1, n_heads=2, cross_attention_dim=32), text_encoder='hash',
    text_dim=16, schedule='squaredcos', prediction_type='v_prediction', num_train_timesteps=1000, text_layers=1,
    posecodes=CODES)
WRIST = joint_idx('left_wrist')

class HashEncoder:
    "Words as fixed random vectors."
    name,dim = 'hash',16
    def to(self, device): return self
    def __call__(self, prompts):
        words = [p.split() for p in prompts]
        tokens = torch.zeros(len(words), max(map(len, words)), self.dim, dtype=torch.float32)
        mask = torch.zeros(tokens.shape[:2], dtype=torch.bool)
        for i,prompt in enumerate(words):
            mask[i,:len(prompt)] = True
            for j,word in enumerate(prompt):
                g = torch.Generator().manual_seed(sum(map(ord, word)))
                tokens[i,j] = torch.randn(self.dim, generator=g, dtype=torch.float32)
        return TextStates(tokens, mask, tokens.mean(1), words)

class Shaky(torch.nn.Module):
    "A network with an error of up to `size` in every number that it predicts."
    def __init__(self, net, size):
        super().__init__()
        self.net,self.size = net,size
        self.generator = torch.Generator().manual_seed(0)
    def prepare(self, *args): return self.net.prepare(*args)
    def denoise(self, *args):
        out = self.net.denoise(*args)
        return out+self.size*(2*torch.rand(out.shape, generator=self.generator)-1)

def random_pipe(representation='positions'):
    "Random weights around a standing pose."
    torch.manual_seed(3)
    model = Text2PoseModel({**TINY, 'representation':representation}).eval()
    with torch.no_grad():
        for p in model.parameters(): p.add_(torch.randn_like(p)*.05)
        model.mean.copy_(model.features(STANDING)[0])
        model.std.fill_(.03 if representation=='positions' else .1)
    return Text2PosePipeline(model, HashEncoder())

@pytest.fixture(scope='module')
def pipe(): return random_pipe()

@pytest.fixture(scope='module')
def directions(): return random_pipe('directions')

@pytest.fixture(scope='module')
def shipped():
    if not available('minilm'): pytest.skip('MiniLM is not installed')
    return Text2PosePipeline.from_pretrained()

def raw(pipe, prompts, n=4, **kwargs):
    return pipe(prompts, n, **{'num_inference_steps':6, 'enforce_skeleton':False, **kwargs}).joints

# rounding

def test_errors_of_the_network_stay_small(pipe):
    prompts = ['arms raised','a golf swing','crouching']
    exact,shaky = raw(pipe, prompts), Text2PosePipeline(copy.deepcopy(pipe.model), HashEncoder())
    shaky.denoiser = Shaky(shaky.denoiser, 1e-6)
    assert np.abs(raw(shaky, prompts)-exact).max()<1e-4

def test_alone_and_among_320(pipe):
    prompts = [f'{w} raised' for w in 'abcdefgh']
    many = raw(pipe, prompts, 40)
    assert np.abs(many[120:160]-raw(pipe, 'd raised', 40)).max()<1e-4

@pytest.mark.parametrize('size', [1,3,5])
def test_batches_may_be_cut_anywhere(pipe, monkeypatch, size):
    prompts = ['arms raised','a golf swing with feeling']
    whole = pipe(prompts, 3, num_inference_steps=3, output_attentions=True)
    monkeypatch.setattr(cfg, 'MAX_BATCH', size)
    parts = pipe(prompts, 3, num_inference_steps=3, output_attentions=True)
    assert np.abs(parts.joints-whole.joints).max()<1e-4
    for a,b in zip(parts.attentions, whole.attentions): np.testing.assert_allclose(a, b, atol=1e-4)

@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('method', ['cfg','apg','rescale','renorm'])
def test_eight_begin_with_four(pipe, sampler, method):
    kwargs = dict(sampler=sampler, guidance_method=method, guidance_scale=3.)
    four,eight = (raw(pipe, 'arms raised', n, **kwargs) for n in (4,8))
    np.testing.assert_allclose(eight[:4], four, atol=1e-4)

@pytest.mark.parametrize('n_threads', [1,2])
def test_shipped_weights_alone_and_in_company(shipped, n_threads):
    "Some of the public prompts; benchmarks/bench_company.py asks all of them."
    prompts = [r['prompt'] for r in read_prompts()][::40]
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        together = shipped(prompts, 2).joints.reshape(-1, 2, 22, 3)
        for prompt,joints in zip(prompts, together):
            np.testing.assert_allclose(shipped(prompt, 2).joints, joints, atol=1e-4)
    finally: torch.set_num_threads(before)

@pytest.mark.parametrize('dtype', [torch.bfloat16,torch.float16])
def test_halves_alone_and_in_company(dtype):
    "The same call gives the same bits, in any order; batches of other sizes round in the third digit."
    exact,halves = random_pipe('directions'), random_pipe('directions').to(dtype=dtype)
    prompts = [f'{w} raised' for w in 'abcdefgh']
    whole = raw(halves, prompts, 2)
    np.testing.assert_array_equal(raw(halves, prompts, 2), whole)
    turned = raw(halves, prompts[::-1], 2).reshape(8,2,22,3)[::-1].reshape(16,22,3)
    np.testing.assert_array_equal(turned, whole)
    alone = np.concatenate([raw(halves, p, 2) for p in prompts])
    moved = np.abs(alone-whole).max((1,2))
    assert np.median(moved)<.01 and moved.max()<.1
    assert 1e-5<np.median(np.abs(whole-raw(exact, prompts, 2)).max((1,2)))<.02

# many prompts

class Counting(HashEncoder):
    "Notes how many prompts it is given at once."
    def __init__(self): self.counts = []
    def __call__(self, prompts):
        self.counts.append(len(prompts))
        return super().__call__(prompts)

def test_prompts_are_read_few_at_a_time(pipe, monkeypatch):
    "And each of them once, however many poses it has; the poses are those of one batch."
    monkeypatch.setattr(cfg, 'MAX_BATCH', 8)
    monkeypatch.setattr(cfg, 'ENCODE_CHUNK', 3)
    counting = Text2PosePipeline(pipe.model, Counting())
    prompts = [f'{w} raised {"high "*i}' for i,w in enumerate('abcdefghijklm')]
    negatives = [None,'crouching']*6+[None]
    many = raw(counting, prompts, 1, negative_prompt=negatives)
    assert max(counting.text_encoder.counts)==3 and sum(counting.text_encoder.counts)==13+6
    counting.text_encoder.counts.clear()
    raw(counting, 'arms raised', 20)
    assert counting.text_encoder.counts==[1]
    monkeypatch.undo()
    np.testing.assert_allclose(many, raw(pipe, prompts, 1, negative_prompt=negatives), atol=1e-5)

def test_a_seed_for_each_prompt(pipe):
    prompts,seeds = ['left arm','golf','golf'], [3,0,7]
    each = raw(pipe, prompts, 2, seed=seeds, sampler='ddpm').reshape(3,2,22,3)
    for prompt,seed,joints in zip(prompts, seeds, each):
        np.testing.assert_allclose(raw(pipe, prompt, 2, seed=seed, sampler='ddpm'), joints, atol=1e-5)
    with pytest.raises(ValueError, match='seed is a list of 2 for 3 prompts'): raw(pipe, prompts, seed=[1,2])
    with pytest.raises(ValueError, match='seed'): raw(pipe, prompts, seed=[1,2,-1])

def test_the_same_whatever_the_default_dtype(shipped):
    def made(): return shipped(['arms raised','a kick with the left leg'], 2, 4, best_of=2).joints
    before = made()
    torch.set_default_dtype(torch.float64)
    try: assert np.abs(made()-before).max()<1e-5
    finally: torch.set_default_dtype(torch.float32)

def test_inside_inference_mode_and_autocast(shipped):
    before = shipped('arms raised', 2, 4).joints
    with torch.inference_mode(): np.testing.assert_allclose(shipped('arms raised', 2, 4).joints, before, atol=1e-5)
    with torch.autocast('cpu', torch.bfloat16): assert np.abs(shipped('arms raised', 2, 4).joints-before).max()<.2
    np.testing.assert_array_equal(shipped('arms raised', 2, 4).joints, before)

def test_no_gradient_is_kept(pipe):
    out = pipe('arms raised', 1, 2, output_type='pt')
    assert not out.joints.requires_grad

# attention

def test_attentions_beside_a_longer_negative_prompt(pipe):
    negative = 'one two three four five'
    out = pipe('arms raised', 2, num_inference_steps=2, negative_prompt=negative, output_attentions=True)
    assert [a.shape for a in out.attentions]==[(22,2)]*2
    np.testing.assert_allclose(out.attentions[0].sum(1), 1, atol=1e-4)

def test_stored_attention_has_what_was_asked_for(pipe):
    out = pipe(['arms raised','a golf swing'], 2, 5, output_attentions=StoreAttention(steps=[4,0], heads=[1]))
    maps = out.attention_maps
    assert maps.weights.shape==(4,2,2,1,22,3) and maps.layers==['joints_down.0','joints_up.0'] and maps.heads==[1]
    assert maps.tokens[2]==['a','golf','swing'] and maps.weights[0,...,2].max()==0
    one = maps.between('left_wrist', 'golf', 2)
    np.testing.assert_allclose(one, maps.weights[2,:,:,:,WRIST,1], atol=1e-6)
    assert out[[3]].attention_maps.weights.shape[0]==1

def test_stored_attention_is_mirrored_with_its_pose(pipe):
    "Joint by joint it is the mirror image of what the network saw."
    plain = pipe('left arm', 8, 2, output_attentions=StoreAttention()).attention_maps.weights
    assert plain.shape[0]==8
    coins = [cfg._is_mirrored(0, j) for j in range(8)]
    free = pipe('arms raised', 8, 2, output_attentions=StoreAttention()).attention_maps.weights
    mean = pipe('arms raised', 8, 2, output_attentions=True).attentions
    for j in range(8): np.testing.assert_allclose(free[j].astype(np.float32).mean((0,1,2)), mean[j], atol=.01)
    assert any(coins) and not all(coins)

# callbacks and streams

def test_callback_gets_metres_in_float32(pipe):
    seen = []
    def note(step, timestep, joints): seen.append((step,timestep,joints.dtype,joints.shape))
    raw(pipe, 'arms raised', 2, num_inference_steps=3, callback=note)
    assert seen==[(0,999,np.float32,(2,22,3)), (1,666,np.float32,(2,22,3)), (2,332,np.float32,(2,22,3))]

def test_a_callback_that_raises_leaves_the_pipeline_whole(pipe):
    before = raw(pipe, 'arms raised')
    def fail(*args): raise RuntimeError('enough')
    with pytest.raises(RuntimeError, match='enough'): raw(pipe, 'arms raised', callback=fail)
    np.testing.assert_array_equal(raw(pipe, 'arms raised'), before)

def test_a_stopped_run_returns_the_estimate_of_its_last_step(pipe):
    seen = []
    def stop(step, timestep, joints):
        seen.append(joints)
        return step<2
    out = pipe('left arm', 3, 6, callback=stop, enforce_skeleton=False)
    assert len(seen)==3 and len(out)==3
    np.testing.assert_allclose(out.raw_joints, cfg.canonical(seen[-1]), atol=1e-5)

def test_what_was_not_begun_is_left_out(pipe, monkeypatch):
    monkeypatch.setattr(cfg, 'MAX_BATCH', 4)
    out = pipe(['left arm','right arm'], 4, 3, callback=lambda *args: False, output_attentions=True)
    assert len(out)==4 and out.prompts==['left arm']*4 and len(out.attentions)==4 and len(out.exemplars)==4

def test_a_stream_may_be_left(pipe):
    before = raw(pipe, 'arms raised')
    for estimate in pipe.stream('arms raised', num_poses_per_prompt=2, num_inference_steps=5): break
    assert len(estimate)==2
    np.testing.assert_array_equal(raw(pipe, 'arms raised'), before)
    with pytest.raises(ValueError, match='at most 256'): next(pipe.stream(['a']*100, num_poses_per_prompt=4))
    with pytest.raises(TypeError, match='callback'): next(pipe.stream('a', callback=print))

# negative prompts

def test_negative_prompts_one_per_prompt(pipe):
    prompts,negatives = ['arms raised','golf'], ['crouching','lying down']
    both = raw(pipe, prompts, negative_prompt=negatives)
    for i in (0,1):
        one = raw(pipe, prompts[i], negative_prompt=negatives[i])
        np.testing.assert_allclose(both[4*i:4*i+4], one, atol=1e-4)

def test_a_scale_of_0_gives_the_poses_of_the_negative_prompt(shipped):
    negative = raw(shipped, 'a kick with the left leg', guidance_scale=0., negative_prompt='sitting on a chair')
    with_side = raw(shipped, 'sitting on a chair', guidance_scale=1.)
    # where the prompt names a side no coin is tossed: the poses are those of the negative prompt or their mirror images
    apart = np.minimum(*(np.abs(negative-x).max((1,2)) for x in (with_side, mirror(with_side))))
    assert apart.max()<1e-3

@pytest.mark.parametrize('blank', ['','  ',None,[''],[None]])
def test_blank_negative_prompts_are_none(pipe, blank):
    np.testing.assert_array_equal(raw(pipe, 'golf', negative_prompt=blank), raw(pipe, 'golf'))

# weights

def test_weights_with_other_posecodes_are_refused(tmp_path, pipe):
    with pytest.raises(ValueError, match='other posecodes'): Text2PoseModel({**TINY, 'posecodes':CODES[::-1]})
    with pytest.raises(ValueError, match='other posecodes'): Text2PoseModel({**TINY, 'posecodes':CODES[:7]})
    save_model(pipe.model, tmp_path, torch.float32)
    state = load_model(tmp_path).state_dict()
    for k,v in pipe.model.state_dict().items(): assert (state[k]==v).all()

@pytest.mark.parametrize('value', [0., -1.])
def test_a_normalization_without_spread_is_refused(tmp_path, pipe, value):
    save_model(pipe.model, tmp_path, torch.float32)
    state,notes = read_tensors(tmp_path/'model.safetensors')
    state['std'].view(-1)[5] = value
    write_tensors(state, tmp_path/'model.safetensors', notes, torch.float32)
    with pytest.raises(ValueError, match='normalization std that is not above 0 everywhere'): load_model(tmp_path)

@pytest.mark.parametrize('unet', [dict(layers_per_block=10**9), dict(layers_per_block=200), dict(body_steps=10**5)])
def test_layers_beyond_the_weights_are_refused(tmp_path, pipe, unet):
    "Also where both files agree, and before memory is taken."
    save_model(pipe.model, tmp_path, torch.float32)
    state,notes = read_tensors(tmp_path/'model.safetensors')
    config = json.loads(notes['config'])
    config['unet'].update(unet)
    write_tensors(state, tmp_path/'model.safetensors', dict(notes, config=json.dumps(config)), torch.float32)
    (tmp_path/'config.json').write_text(json.dumps(dict(config, format=FORMAT)))
    with pytest.raises(ValueError, match='model.safetensors does not fit .*config.json') as e: load_model(tmp_path)
    assert 'must not be beyond' in str(e.value) or 'more weights than there are' in str(e.value)

def test_defaults(pipe):
    "A scale of 2 in the first half of the recommended number of steps; everything else is an argument."
    recommended = pipe.model.config['num_inference_steps']
    spelled_out = dict(
        guidance_scale=(2.,2.), guidance_interval=(0.,.5), num_inference_steps=recommended, sampler='ddim',
        guidance_method='cfg')
    default = pipe('golf', 2, enforce_skeleton=False).joints
    np.testing.assert_array_equal(default, raw(pipe, 'golf', 2, **spelled_out))
    for other in (dict(guidance_scale=(2.,7.)), dict(num_inference_steps=20), dict(sampler='dpm++'),
            dict(guidance_interval=(0.,1.))):
        assert np.abs(default-raw(pipe, 'golf', 2, **{**spelled_out, **other})).max()>1e-3, other

def test_raw_poses_are_those_without_enforcement(pipe):
    on,off = (pipe(['golf','wave'], 3, num_inference_steps=3, enforce_skeleton=e) for e in (True,False))
    np.testing.assert_array_equal(on.raw_joints, off.joints)
    np.testing.assert_array_equal(on.raw_scores, plausibility(off.joints))
    np.testing.assert_array_equal(off.raw_joints, off.joints)
    np.testing.assert_array_equal(off.raw_scores, off.scores)
    assert np.abs(on.joints-on.raw_joints).max()>.01 and (on.scores>on.raw_scores).all()

def test_a_reader_is_optional():
    pipe = Text2PosePipeline(Text2PoseModel({**TINY, 'posecodes':[]}).eval(), HashEncoder())
    assert raw(pipe, 'arms raised', 2).shape==(2,22,3)
    with pytest.raises(ValueError, match='not taught to read'): pipe.read('arms raised')
    with pytest.raises(ValueError, match='neither a scorer nor a reader'): raw(pipe, 'arms raised', best_of=2)

# devices and precisions

@pytest.mark.parametrize('where', [('cuda:99',),('foo',),('cuda:99',torch.bfloat16)])
def test_a_missing_device_leaves_the_pipeline_as_it_was(pipe, where):
    expected = pipe('wave', 1, num_inference_steps=2).joints
    with pytest.raises(ValueError, match=f'cannot be moved to {where[0]}: [^\\n]*$'): pipe.to(*where)
    assert pipe.device==torch.device('cpu') and pipe.dtype==torch.float32
    np.testing.assert_array_equal(pipe('wave', 1, num_inference_steps=2).joints, expected)

@pytest.mark.parametrize('dtype', [torch.float16,torch.bfloat16,torch.float64])
def test_precisions(directions, dtype):
    expected = raw(directions, 'wave', 2)
    for move in (lambda p: p.to(dtype), lambda p: p.to('cpu', dtype), lambda p: p.to(dtype=dtype)):
        moved = move(copy.deepcopy(directions))
        assert moved.dtype==dtype
        assert np.abs(raw(moved, 'wave', 2)-expected).max()<.05
    np.testing.assert_allclose(raw(moved.to(torch.float32), 'wave', 2), expected, atol=.05)

def test_precision_of_loaded_weights(directions, tmp_path):
    directions.save_pretrained(tmp_path)
    again = Text2PosePipeline.from_pretrained(tmp_path, HashEncoder(), torch_dtype=torch.bfloat16)
    assert again.dtype==torch.bfloat16 and again.model.mean.dtype==torch.float32

# control

def test_kept_joints_stay_where_they_are(directions):
    atlas = atlas_library().joints[::97]
    for pose in np.asarray(atlas[:6]):
        for names in ('arms','legs','left_arm right_leg'):
            target = targets_of((pose, names))
            kept = ~np.isnan(target[:,0])
            for enforce in (True,False):
                out = raw(directions, 'wave', 2, keep_joints=(pose,names), enforce_skeleton=enforce)
                assert np.linalg.norm(out[:,kept]-target[kept], axis=-1).max()<1e-3
                lengths = np.broadcast_to(reference_bone_lengths(), (2,21))
                np.testing.assert_allclose(bone_lengths(out), lengths, atol=1e-4)

def test_pinned_joints_reach_their_places(directions):
    places = {'left_wrist':(.35,-.3,.35), 'right_ankle':(-.15,-.2,-.7)}
    out = directions(['wave','golf'], 3, 6, keep_joints=[places,None])
    for name,place in places.items():
        assert np.linalg.norm(out.joints[:3,joint_idx(name)]-place, axis=-1).max()<.02
    np.testing.assert_allclose(out.joints[3:], directions('golf', 3, 6, keep_joints=[None]).joints, atol=1e-4)

def test_kept_joints_alone_and_in_company(directions):
    places = {'head':(.1,-.25,.5)}
    both = raw(directions, ['wave','golf'], 3, keep_joints=places)
    np.testing.assert_allclose(both[3:], raw(directions, 'golf', 3, keep_joints=places), atol=1e-4)

@pytest.mark.parametrize('strength', [0,.2,.5,1])
def test_strength(directions, strength):
    poses = enforce_skeleton(atlas_library().joints[::211][:4])
    out = directions(['a','b','c','d'], 1, init_joints=poses, strength=strength)
    moved = np.linalg.norm(out.raw_joints-poses, axis=-1).mean()
    if strength==0: np.testing.assert_allclose(out.joints, poses, atol=1e-6)
    else: assert moved>0

def test_more_strength_moves_further(directions):
    pose = enforce_skeleton(atlas_library().joints[300])
    far = [np.abs(raw(directions, 'wave', 4, init_joints=pose, strength=s)-pose).mean() for s in (.05,.4,1.)]
    assert far[0]<far[1]<far[2]

def test_what_is_left_of_an_edit_is_guided(directions):
    pose = enforce_skeleton(atlas_library().joints[300])
    def edit(**kwargs):
        return raw(directions, 'wave', 2, init_joints=pose, strength=.4, num_inference_steps=10, **kwargs)
    np.testing.assert_array_equal(edit(), edit(guidance_scale=2.))
    assert np.abs(edit()-edit(guidance_scale=1.)).max()>1e-4

def test_full_strength_forgets_the_pose(directions):
    a,b = (raw(directions, 'left arm', 2, init_joints=x, strength=1.) for x in atlas_library().joints[[5,500]])
    assert np.abs(a-b).max()<1e-3

def test_bone_lengths_are_exact(pipe, directions):
    for p in (pipe,directions):
        for body in (bone_lengths_for(1.1), bone_lengths_for(2.0), {'left_knee':.45,'right_knee':.45}):
            wanted = cfg.check_bone_lengths(body)
            for enforce in (True,False):
                out = p('wave', 3, 3, bone_lengths=body, enforce_skeleton=enforce)
                np.testing.assert_allclose(bone_lengths(out.joints), np.broadcast_to(wanted, (3,21)), atol=1e-5)

def test_the_best_of_several(pipe):
    "Each is the best of its own candidates, the first of eight are those of four."
    four,eight = (pipe('left arm', n, 4, best_of=3) for n in (4,8))
    np.testing.assert_allclose(eight.joints[:4], four.joints, atol=1e-4)
    candidates = pipe('left arm', 12, 4)
    alignment = pipe.alignment('left arm', candidates.joints).reshape(4,3)
    np.testing.assert_allclose(four.alignment, alignment.max(1), atol=1e-4)
    chosen = candidates.joints.reshape(4,3,22,3)[range(4),alignment.argmax(1)]
    np.testing.assert_allclose(four.joints, chosen, atol=1e-4)

def test_from_prompt_to_prompt(pipe):
    way = pipe.interpolate('left arm', 'right leg', 5, num_inference_steps=4, enforce_skeleton=False)
    ends = raw(pipe, ['left arm','right leg'], 1, num_inference_steps=4)
    np.testing.assert_allclose(way.joints[[0,4]], ends, atol=1e-4)
    assert len(way)==5 and way.prompts[1]=='left arm → right leg, 25 %'
    steps = np.abs(np.diff(way.joints, axis=0)).max((1,2))
    assert (steps>0).all() and steps.max()<np.abs(way.joints[4]-way.joints[0]).max()

def test_variations_differ_and_are_seeded(directions):
    pose = enforce_skeleton(atlas_library().joints[300])
    some = directions.variations(pose, 3, .3)
    assert np.abs(some.joints[0]-some.joints[1]).max()>1e-3
    np.testing.assert_array_equal(some.joints, directions.variations(pose, 3, .3).joints)
    with pytest.raises(ValueError, match='strength'): directions.variations(pose, 3, 2.)

@pytest.mark.parametrize('bad,message', [
    (dict(num_poses_per_prompt=True), 'num_poses_per_prompt'), (dict(seed=1.5), 'seed'), (dict(seed=-3), 'seed'),
    (dict(num_inference_steps=0), 'num_inference_steps'), (dict(num_inference_steps=1001), 'at most 1000'),
    (dict(guidance_scale=float('nan')), 'guidance_scale'), (dict(guidance_scale=True), 'guidance_scale'),
    (dict(guidance_scale='strong'), 'guidance_scale'), (dict(guidance_interval=(.9,.1)), 'guidance_interval'),
    (dict(best_of=0), 'best_of'), (dict(best_of=65), 'at most 64'), (dict(strength=-.1), 'strength'),
    (dict(strength='much'), 'strength'), (dict(init_joints=[[0,0,0]]), 'init_joints'),
    (dict(init_joints='pose.json'), 'init_joints'), (dict(keep_joints={'left_wrist':None}), 'left_wrist'),
    (dict(keep_joints={}), 'keep_joints'), (dict(keep_joints={'left_wrist':(3,0,0)}), 'left_wrist'),
    (dict(keep_joints={'left_wrist':(.5,0,.4), 'right_wrist':(-4.5,0,.4)}), 'wrist'),
    (dict(keep_joints=np.zeros((5,3))), 'keep_joints'), (dict(bone_lengths=3), 'bone lengths'),
    (dict(bone_lengths=[1,2,3]), 'bone lengths'), (dict(callback='print'), 'callback'),
    (dict(output_attentions=StoreAttention(steps=[99])), 'no attention of step 99'), (dict(negative_prompt=[1]), 'str'),
    (dict(generator=5), 'torch.Generator'), (dict(output_type='latent'), 'output_type')])
def test_bad_arguments(pipe, bad, message):
    with pytest.raises(ValueError, match=message) as e: pipe('wave', **bad)
    assert '\n' not in str(e.value)

@pytest.mark.parametrize('bad', [None,3,[],[None],['a',None],'','   ','🙂','\x00','مرحبا'])
def test_bad_prompts(pipe, bad):
    with pytest.raises(ValueError) as e: pipe(bad)
    assert '\n' not in str(e.value)

def test_huge_seeds(pipe):
    a,b = (raw(pipe, 'wave', 1, seed=s) for s in (2**63,2**63+1))
    assert np.isfinite(a).all() and np.abs(a-b).max()>1e-3
