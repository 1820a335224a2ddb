"Attention maps, the sign-flip test, exchanged conditions and tracked runs: invariants, planted effects, faults."
import numpy as np
import pytest
import torch
from text2pose.core import available
from text2pose.data import JOINT_NAMES, MIRROR_IDX, N_JOINTS, joint_idx, own_poses
from text2pose.captions import mirror_words
from text2pose.posecodes import satisfies
from text2pose.text import TextStates
from text2pose.cfg import AttentionMaps, StoreAttention, Text2PoseModel, Text2PosePipeline
from text2pose.attention import (
    LIMB_JOINTS, SIDE_PARTS, SIDE_PROMPTS, attention_effect, attention_layers, attention_maps, draw_attention,
    mirrored_pairs, named_limbs, plot_attention, plot_attention_on_bodies, settled, side_effects, side_followed,
    sides_exchanged, sign_flip_test, track_run)

STANDING = own_poses()[0]['joints']

class WordVectors:
    "Words as fixed random vectors."
    name,dim = 'made up',24
    def to(self, device): return self
    def _vector(self, word):
        seed = sum(ord(c)*31**i for i,c in enumerate(word))%2**31
        return torch.randn(self.dim, generator=torch.Generator().manual_seed(seed))
    def __call__(self, prompts):
        words = [p.split() for p in prompts]
        tokens = torch.zeros(len(words), max(map(len, words)), self.dim)
        mask = torch.zeros(tokens.shape[:2], dtype=torch.bool)
        for i,prompt in enumerate(words):
            mask[i,:len(prompt)] = True
            tokens[i,:len(prompt)] = torch.stack([self._vector(w) for w in prompt])
        return TextStates(tokens, mask, tokens.mean(1), words)

def _pipe(representation='positions', posecodes=()):
    "A tiny network with random weights in all layers."
    torch.manual_seed(0)
    sizes = dict(block_channels=(16,32), layers_per_block=1, body_channels=32, body_steps=1, n_heads=2,
                 cross_attention_dim=16)
    model = Text2PoseModel(dict(
        unet=sizes, text_encoder='made up', text_dim=24, schedule='squaredcos', prediction_type='v_prediction',
        num_train_timesteps=100, text_layers=1 if posecodes else 0, posecodes=list(posecodes),
        representation=representation, num_inference_steps=4))
    with torch.no_grad():
        for p in model.parameters(): p.add_(torch.randn_like(p)*.1)
    return Text2PosePipeline(model.requires_grad_(False), WordVectors())

@pytest.fixture(scope='module')
def pipe(): return _pipe()

def _maps(weights, tokens, layers=('a',)):
    n,steps,_,heads = weights.shape[:4]
    return AttentionMaps(weights, [*range(steps)][::-1], [*range(steps)], [*layers], [*range(heads)], tokens)

# Maps

def test_maps_are_those_of_the_pipeline(pipe):
    "Also where half of the poses are returned as mirror images, and where there is no guidance."
    for kwargs in (dict(), dict(guidance_scale=1.), dict(guidance_interval=(0,1)), dict(negative_prompt='left leg')):
        out,maps = attention_maps(pipe, ['arms up','left hand on the hip'], 8, **kwargs)
        plain = pipe(['arms up','left hand on the hip'], 8, enforce_skeleton=False, output_attentions=StoreAttention(),
                     **kwargs)
        assert np.abs(out.joints-plain.joints).max()<1e-5
        own = [maps.layers.index(name) for name in plain.attention_maps.layers]
        assert np.abs(maps.weights[:,:,own].astype(float)-plain.attention_maps.weights).max()<2e-3
        assert maps.tokens==plain.attention_maps.tokens and maps.timesteps==plain.attention_maps.timesteps

def test_limbs_are_repeated_for_their_joints(pipe):
    _,maps = attention_maps(pipe, 'left arm up', 2)
    assert maps.layers==attention_layers(pipe.model.unet)==['joints_down.0','limbs_down.0','limbs_up.0','joints_up.0']
    for layer in ('limbs_down.0','limbs_up.0'):
        w = maps.weights[:,:,maps.layers.index(layer)]
        arm = [joint_idx(f'left_{n}') for n in ('shoulder','elbow','wrist')]
        assert (w[...,arm,:]==w[...,arm[:1],:]).all() and not (w[...,arm[0],:]==w[...,joint_idx('left_knee'),:]).all()
    assert np.abs(maps.weights.astype(float).sum(-1)-1).max()<5e-3  # no exemplars here: all weight is on words

def test_nothing_is_left_behind(pipe):
    "Hooks and wrappers are gone, after an error too."
    before = pipe('left hand up', 2, enforce_skeleton=False).joints
    attention_maps(pipe, 'left hand up', 2)
    track_run(pipe, 'left hand up', 2)
    def fail(*args): raise RuntimeError('stopped')
    with pytest.raises(ValueError): track_run(pipe, 'left hand up', sampler=3)
    with pytest.raises(ValueError): attention_maps(pipe, ['left hand up',''])
    with pytest.raises(RuntimeError, match='stopped'):
        with sides_exchanged(pipe, SIDE_PARTS, 1): fail()
    unet = pipe.model.unet
    assert pipe.denoiser is unet and '_hold' not in vars(pipe)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in pipe.model.modules())
    assert (pipe('left hand up', 2, enforce_skeleton=False).joints==before).all()

def test_too_many_poses_are_refused_before_anything_is_made(pipe):
    for f in (attention_maps, track_run):
        with pytest.raises(ValueError, match='more than 256 poses at once'): f(pipe, ['left hand up','arms up'], 129)
        with pytest.raises(ValueError, match='best_of has no place'): f(pipe, 'left hand up', best_of=2)
    with pytest.raises(ValueError, match='callback has no place'): track_run(pipe, 'left hand up', callback=print)

def test_attention_of_another_shape_is_refused():
    with pytest.raises(ValueError, match='attention must have shape'): plot_attention(np.ones((21,2)), ['a','b'])
    with pytest.raises(ValueError, match='weights of draw_attention'): draw_attention(STANDING, np.ones(21))
    with pytest.raises(ValueError, match='nor 0 for all joints'): draw_attention(STANDING, np.zeros(22))
    with pytest.raises(ValueError, match='NaN'): draw_attention(STANDING*np.nan, np.ones(22))
    maps = _maps(np.ones((1,2,1,1,22,2)), [['left','hand']])
    with pytest.raises(ValueError, match="layer 'b'"):
        plot_attention_on_bodies(maps, STANDING[None], ['left'], layers=['b'])
    with pytest.raises(ValueError, match='none of the tokens'):
        plot_attention_on_bodies(maps, STANDING[None], ['right'])

@pytest.mark.parametrize('side,column', [('left',slice(40,80)), ('right',slice(0,40))])
def test_the_part_that_looks_is_red(side, column):
    weights = np.ones(N_JOINTS)
    weights[joint_idx(f'{side}_wrist')] = 6
    picture = draw_attention(STANDING, weights, size=(80,100)).astype(int)
    assert picture.shape==(100,80,3)
    red = (picture[...,0]-picture[...,1]>40).sum(0)
    assert red[column].sum()>10>red.sum()-red[column].sum()

# Effects

def test_every_limb_has_joints_and_a_twin():
    for word,names in LIMB_JOINTS.items():
        (k,left,right), = named_limbs(['the','left',word])
        assert k==1 and [JOINT_NAMES[j] for j in left]==[f'left_{n}' for n in names]
        (_,named,twins), = named_limbs(['right',word])
        assert (named,twins)==(right,left)
    assert named_limbs(['left','right','arms','hand','left'])==[] and named_limbs([])==[]

def test_own_sentences_are_whole():
    pairs = mirrored_pairs(SIDE_PROMPTS)
    assert len(pairs)==len(SIDE_PROMPTS)==48
    for prompt,twin in pairs:
        assert mirror_words(twin)==prompt and len(prompt.split())==len(twin.split())
        assert [(k,twins,named) for k,named,twins in named_limbs(prompt.split())]==named_limbs(twin.split())
    assert mirrored_pairs([p for pair in pairs for p in pair])==pairs  # a prompt and its mirror image are one pair

def test_effect_of_a_network_that_knows_no_side():
    "Whatever weights joints have, if words are the same for it, exchanging sides cancels."
    rng = np.random.default_rng(0)
    weights = rng.uniform(.1, 1, (1,3,2,4,22,3)).repeat(2, 0)  # the same for a prompt and its mirror image
    effects = side_effects(_maps(weights, [['left','arm','up'],['right','arm','up']], 'ab'), 1)
    assert effects.shape==(1,3,2,4) and np.abs(effects).max()<1e-5

def test_effect_changes_its_sign_with_the_sides():
    rng = np.random.default_rng(1)
    weights = rng.uniform(.1, 1, (4,1,1,2,22,3))
    tokens = [['left','leg','up']]*2+[['right','leg','up']]*2
    effects = side_effects(_maps(weights, tokens), 2)
    mirrored = side_effects(_maps(weights[...,MIRROR_IDX,:], tokens), 2)
    assert np.allclose(effects, -mirrored, atol=1e-5) and np.abs(effects).max()>.01
    swapped = side_effects(_maps(weights[[2,3,0,1]], tokens), 2)  # the labels exchanged: what the test permutes
    assert np.allclose(effects, -swapped, atol=1e-5)

def test_weights_of_zero_are_no_infinity():
    weights = np.zeros((2,1,1,1,22,2), np.float16)
    assert np.isfinite(side_effects(_maps(weights, [['left','knee'],['right','knee']]), 1)).all()

def test_prompts_without_a_side_are_refused(pipe):
    with pytest.raises(ValueError, match='no limb with a side'):
        side_effects(_maps(np.ones((2,1,1,1,22,2)), [['arms','up'],['arms','up']]), 1)
    with pytest.raises(ValueError, match='two prompts or more'): attention_effect(pipe, ['arms up','left hand up'])

# The test

def test_sign_flips_by_enumeration():
    "Against all 2^8 flips."
    rng = np.random.default_rng(0)
    x = rng.normal(.4, 1, (8,3))
    flips = np.array(np.meshgrid(*[[-1,1]]*8)).reshape(8, -1).T
    def t(v): return v.mean(0)/(v.std(0, ddof=1)/8**.5)
    every = np.abs([t(s[:,None]*x) for s in flips])
    own = np.abs(t(x))
    found = sign_flip_test(x, 20_000)
    assert np.allclose(found.t, t(x))
    assert np.allclose(found.p, (every>=own-1e-9).mean(0), atol=.015)
    assert np.allclose(found.p_corrected, (every.max(1)[:,None]>=own-1e-9).mean(0), atol=.015)

def test_interval_is_students():
    from scipy.stats import ttest_1samp
    x = np.random.default_rng(3).normal(.2, 1, 15)
    interval = ttest_1samp(x, 0).confidence_interval(.95)
    found = sign_flip_test(x, 100)
    assert (found.low,found.high)==pytest.approx((interval.low,interval.high))

@pytest.mark.parametrize('effects,message', [
    (np.ones((1,4)), 'two pairs or more'), (np.float64(3), 'two pairs or more'), (np.full((4,2), np.nan), 'finite'),
    (np.array([1.,np.inf]), 'finite')])
def test_effects_that_cannot_be_tested(effects, message):
    with pytest.raises(ValueError, match=message): sign_flip_test(effects)

def test_effects_of_exactly_nothing():
    found = sign_flip_test(np.zeros((5,2)), 50)
    assert (found.p_corrected==1).all() and (found.mean==0).all()

def test_family_is_kept():
    "Where there is nothing, something is found in about 5 % of sets, whatever the cells have in common."
    rng = np.random.default_rng(7)
    def found_any(seed):
        effects = rng.normal(size=(10,1))+.3*rng.normal(size=(10,60))
        return sign_flip_test(effects, 199, seed).significant().any()
    assert np.mean([found_any(seed) for seed in range(200)])<.1

# Exchanged conditions

TWINS = [
    dict(prompt='left hand up', twin='right hand up', statements=['left_hand_above_shoulder']),
    dict(prompt='right hand up', twin='left hand up', statements=['right_hand_above_shoulder']),
    dict(prompt='lift the left knee high', twin='lift the right knee high', statements=['left_knee_bent']),
    dict(prompt='lift the right knee high', twin='lift the left knee high', statements=['right_knee_bent'])]

def _exchanged(pipe, parts, prompts, n):
    with sides_exchanged(pipe, parts, n): out = pipe(prompts, n, enforce_skeleton=False)
    return out.joints.reshape(len(prompts), n, 22, 3)

@pytest.mark.parametrize('n', [1,3])
def test_with_everything_exchanged_prompts_change_places(pipe, n):
    prompts = [row['prompt'] for row in TWINS]
    plain = pipe(prompts, n, enforce_skeleton=False).joints.reshape(-1, n, 22, 3)
    every = _exchanged(pipe, ('keys','values','summary','exemplars'), prompts, n)
    assert np.abs(every-plain[[1,0,3,2]]).max()<1e-4
    assert np.abs(_exchanged(pipe, (), prompts, n)-plain).max()<1e-4
    assert np.abs(_exchanged(pipe, ('exemplars',), prompts, n)-plain).max()<1e-4  # there are none
    for part in ('keys','values','summary'):
        some = _exchanged(pipe, (part,), prompts, n)
        assert np.abs(some-plain).max()>1e-4 and np.abs(some-plain[[1,0,3,2]]).max()>1e-4

def test_shares_by_hand(pipe):
    own,mirrored = side_followed(pipe, TWINS, (), 2)
    x = pipe([row['prompt'] for row in TWINS], 2, enforce_skeleton=False).joints.reshape(4, 2, 22, 3)
    assert own==np.mean([satisfies(r['statements'], p) for r,p in zip(TWINS, x)])
    assert mirrored==np.mean([satisfies(TWINS[i^1]['statements'], p) for i,p in enumerate(x)])
    assert side_followed(pipe, TWINS, ('keys','values','summary'), 2)==(mirrored,own)

def test_no_twins_and_unknown_parts(pipe):
    with pytest.raises(ValueError, match='has a twin'): side_followed(pipe, TWINS[:1])
    with pytest.raises(ValueError, match="unknown part 'eyes'"): side_followed(pipe, TWINS, ['eyes'])
    with pytest.raises(ValueError, match='no pairs of prompts'):
        with sides_exchanged(pipe, ('keys',), 1): pipe(['left hand up','right hand up','arms up'], 1)

# Runs

def test_settled_by_hand():
    holds = np.array([[1,0,1],[1,1,0],[1,1,0]], bool)
    assert settled(holds).tolist()==[0,1,-1]
    assert settled(np.ones((4,2,3))).shape==(2,3)

@pytest.mark.parametrize('representation', ['positions','directions'])
def test_track_is_the_run(representation):
    pipe = _pipe(representation)
    prompts = ['arms up','left hand on the hip']
    track = track_run(pipe, prompts, 3, num_inference_steps=5)
    seen = []
    out = pipe(prompts, 3, num_inference_steps=5, callback=lambda i,t,x: seen.append((t,x.copy())))
    assert (track.out.joints==out.joints).all() and track.timesteps==[t for t,_ in seen]
    assert (track.frames==np.stack([x for _,x in seen])).all()
    assert (track.distance[-1]==0).all() and track.bone_error_after.max()<1e-5
    assert (np.diff(track.noise)<0).all() and 0<=track.noise.min()<track.noise.max()<=1
    assert (np.isnan(track.pull)==(track.guidance==1)).all() and np.nanmin(track.pull)>0
    assert (track.holds(['left_hand_at_hip'])[-1,:,0]==satisfies(['left_hand_at_hip'], track.frames[-1])).all()
    assert track.holds(['standing','lying'], [1]).shape==(5,1,2)
    bare = track_run(pipe, prompts, 3, num_inference_steps=5, enforced=False)
    assert np.isnan(bare.moved).all() and (bare.bone_error==track.bone_error).all()

def test_a_run_that_begins_with_a_pose(pipe):
    track = track_run(pipe, 'arms up', 2, num_inference_steps=8, init_joints=STANDING, strength=.5)
    assert track.frames.shape==(4,2,22,3) and track.guidance.shape==(4,2)

@pytest.mark.skipif(not available('minilm'), reason='minilm is not installed')
def test_shipped_weights_look_by_side_but_read_it_in_the_summary():
    "What the chapter says: one head looks by side, and the side follows the summary, not what is looked at."
    pipe = Text2PosePipeline.from_pretrained()
    cells,_,maps = attention_effect(pipe, SIDE_PROMPTS[::5], 1, n_permutations=500)
    assert cells.mean[:,maps.layers.index('joints_down.1'),0].min()>1
    def row(own, other):
        return dict(prompt=f'raise your {own} hand', twin=f'raise your {other} hand',
                    statements=[f'{own}_hand_above_shoulder', f'!{other}_hand_above_shoulder'])
    rows = [row('left', 'right'), row('right', 'left')]
    own,mirrored = side_followed(pipe, rows, ('keys','values'), 2)
    assert own>mirrored
    own,mirrored = side_followed(pipe, rows, ('summary',), 2)
    assert own<mirrored
    assert np.isfinite(track_run(pipe, 'raise your left hand', 1, num_exemplars=0).bone_error).all()
