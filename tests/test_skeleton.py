"Whatever comes in, a body goes out; small changes stay small; scores stay finite; left is treated like right."
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from text2pose.data import JOINT_NAMES, N_JOINTS, bone_lengths, joint_idx, mirror, own_poses
from text2pose.skeleton import (
    GIVES, LIMIT_NAMES, RULE_UNITS, SPINE_PLAY, axis_rotation, bone_lengths_for, enforce_bone_lengths,
    enforce_skeleton, forward_kinematics, inverse_kinematics, joint_angles, joint_limits, limit_violations,
    normal_range_poses, plausibility, plausibility_report, pose_from_angles, reference_bone_lengths, rest_offsets,
    self_intersection)

NAMES = [p['name'] for p in own_poses()]
OWN = np.stack([p['joints'] for p in own_poses()])
LENGTHS = reference_bone_lengths()
SOME = settings(max_examples=20, deadline=None, derandomize=True, database=None)
SIDES = ('left','right')

def worst(x, axis=None):
    "Largest violation of any limit, degrees."
    return np.max(list(limit_violations(x).values()), axis=axis)

def with_noise(sigma, n=len(OWN), seed=0):
    "Hand-written poses with noise on every joint (metres), float64, pelvis at the origin."
    g = np.random.default_rng(seed)
    x = OWN[np.arange(n)%len(OWN)]+g.normal(0, sigma, (n,N_JOINTS,3))
    return x-x[:,:1]

@st.composite
def poses(draw):
    "A few poses of any degree of damage: noise, scale, joints that coincide, bones on a line."
    g = np.random.default_rng(draw(st.integers(0, 2**32-1)))
    n = draw(st.integers(1, 5))
    size,sigma = 10**draw(st.floats(-4, 6)), 10**draw(st.floats(-4, 6))
    noise = g.normal(0, sigma, (n,N_JOINTS,3))*draw(st.sampled_from([0,1]))
    x = OWN[g.integers(0, len(OWN), n)].astype(np.float64)*size + noise
    for _ in range(draw(st.integers(0, 3))):
        j,k = g.integers(0, N_JOINTS, 2)
        how = draw(st.sampled_from(['coincide','line','far','flat']))
        if how=='coincide': x[:,j] = x[:,k]
        if how=='line': x[:] = np.linspace(0,1,N_JOINTS)[:,None]*x[:,[k]]
        if how=='far': x[:,j] *= 1e3
        if how=='flat': x[...,int(j)%3] = 0
    return x.astype(draw(st.sampled_from([np.float32,np.float64])))

def own(name):
    "One hand-written pose, float64."
    return OWN[NAMES.index(name)].astype(np.float64)

def other_bodies():
    "Name → bone lengths of bodies that differ in more than size."
    arms,legs,child = LENGTHS.copy(),LENGTHS.copy(),bone_lengths_for(height=1.1)
    arms[[17,18,19,20]] *= 1.3
    legs[[3,4,6,7]] *= .8
    child[[11,14]] *= 1.2
    child[[3,4,6,7]] *= .9
    return dict(reference=LENGTHS, child=child, long_arms=arms, short_legs=legs,
                tall=bone_lengths_for(height=2.1), baby=bone_lengths_for(height=.6))

BODIES = other_bodies()

def again(y, lengths):
    "Forward kinematics of inverse kinematics on the rest pose of a body."
    offsets = rest_offsets(torch.as_tensor(lengths).double())
    return forward_kinematics(inverse_kinematics(torch.from_numpy(y).double(), offsets), offsets).numpy()

def assert_body(y, lengths=LENGTHS):
    "Finite, these bones exactly, rigid pelvis and chest, inside all limits, rotations give it back."
    assert np.isfinite(y).all() and not y[...,0,:].any()
    eps = 1e-5 if y.dtype==np.float32 else 1e-9
    assert np.abs(bone_lengths(y)-lengths).max()<eps
    unturned = torch.eye(3).double().expand(N_JOINTS,3,3)
    rest = forward_kinematics(unturned, rest_offsets(torch.tensor(lengths).double())).numpy()
    for a,b in ((1,2), (13,14), (12,13), (3,1), (9,12)):
        between = np.linalg.norm(y[...,a,:]-y[...,b,:], axis=-1)
        assert np.abs(between-np.linalg.norm(rest[a]-rest[b])).max()<1e-5, (JOINT_NAMES[a], JOINT_NAMES[b])
    assert worst(y)<.1
    assert np.abs(again(y, lengths)-y).max()<1e-5

@SOME
@given(poses())
def test_any_input_becomes_a_body(x):
    y = enforce_skeleton(x)
    assert y.dtype==x.dtype and y.shape==x.shape
    assert_body(y)

@pytest.mark.parametrize('body', BODIES)
def test_enforced_poses_are_rotations_of_one_rest_pose(body):
    x = np.concatenate([with_noise(sigma, 80, seed=3) for sigma in (0,.03,.2)])
    for y in (enforce_skeleton(x, BODIES[body]), enforce_skeleton(x, BODIES[body], limits=False)):
        hips = np.linalg.norm(y[:,1]-y[:,2], axis=-1)
        assert np.ptp(hips)<1e-4 and np.abs(again(y, BODIES[body])-y).max()<1e-5
    assert_body(enforce_skeleton(x, BODIES[body]), BODIES[body])

def test_garbage_of_every_size():
    parts = [with_noise(sigma, 150, seed=i) for i,sigma in enumerate((.01,.1,1.,30.,1e6))]
    x = np.concatenate([*parts, np.zeros((1,N_JOINTS,3)), np.full((1,N_JOINTS,3), 1e9), OWN[:2]*1e-9, OWN[:2]*1e9])
    assert_body(enforce_skeleton(x))
    assert_body(enforce_skeleton(x.astype(np.float32)))

def test_knees_and_ankles_of_wild_noise_end_inside_together():
    "Two walks outwards leave one such pose in thousands outside by up to 3°: these two, and their neighbours."
    x = OWN[np.arange(8000)%len(OWN)]+np.random.default_rng(7).normal(0, 10., (8000,N_JOINTS,3))
    rows = [2994,6323,*range(200)]
    assert worst(enforce_skeleton(x[rows]))<.1

NOISES = [(0,.001,.01), (.01,.003,.03), (.04,.012,.08), (.2,.01,.08), (1.,.01,.08)]

@pytest.mark.parametrize('sigma, middle, high', NOISES)
def test_twice_is_nearly_once(sigma, middle, high):
    y = enforce_skeleton(with_noise(sigma, 243))
    moved = np.linalg.norm(enforce_skeleton(y)-y, axis=-1)
    assert moved.mean()<.004
    assert np.median(moved.max(-1))<middle and np.quantile(moved.max(-1), .95)<high

@SOME
@given(poses())
def test_any_input_without_limits_is_a_rigid_body(x):
    y = enforce_skeleton(x.astype(np.float64), limits=False)
    assert np.abs(bone_lengths(y)-LENGTHS).max()<1e-9 and np.ptp(np.linalg.norm(y[:,1]-y[:,2], axis=-1))<1e-4

@SOME
@given(poses())
def test_scores_and_gradients_stay_finite(x):
    s = plausibility(x)
    assert s.shape==x.shape[:-2] and ((0<=s)&(s<=1)).all()
    z = torch.from_numpy(x).requires_grad_()
    sum(v.sum() for v in limit_violations(z).values()).backward()
    assert z.grad.isfinite().all()
    z = torch.from_numpy(x).requires_grad_()
    plausibility(z).sum().backward()
    assert z.grad.isfinite().all()
    for v in joint_angles(x).values(): assert np.isfinite(v).all() and np.abs(v).max()<=360

@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_score_is_finite_at_the_ends_of_float(dtype):
    info = torch.finfo(dtype)
    signs = torch.randn(22,3,dtype=dtype).sign()
    zero = torch.zeros(22,3,dtype=dtype)
    for x in (zero+info.max, signs*info.max, zero, zero+info.tiny):
        x = x.requires_grad_()
        score = plausibility(x)
        score.backward()
        assert 0<=score<=1 and x.grad.isfinite().all()

def test_gradient_is_the_slope():
    x = torch.from_numpy(with_noise(.05, 6))
    d = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).double()
    def total(x): return sum(v.sum() for v in limit_violations(x).values())
    z = x.clone().requires_grad_()
    total(z).backward()
    slope = (total(x+1e-6*d)-total(x-1e-6*d))/2e-6
    assert abs(slope-(z.grad*d).sum())<1e-3*abs(slope)+1e-4

def amplification(x, size, seed=1):
    "How many times further than any input joint an output joint moves, one number a pose."
    change = np.random.default_rng(seed).normal(size=x.shape)
    change[:,0] = 0
    change *= size/np.linalg.norm(change, axis=-1).max(-1)[:,None,None]
    return np.linalg.norm(enforce_skeleton(x+change)-enforce_skeleton(x), axis=-1).max(-1)/size

@pytest.mark.parametrize('sigma, high, most', [(.005, 5, 12), (.01, 6, 25), (.02, 9, None)])
def test_small_changes_stay_small(sigma, high, most):
    times = amplification(with_noise(sigma, 1000), 1e-5)
    assert np.median(times)<1.5 and np.quantile(times, .99)<high
    if most: assert times.max()<most

@pytest.mark.parametrize('sigma, high', [(.05, 30), (.2, 120)])
def test_small_changes_of_broken_poses_seldom_grow(sigma, high):
    times = amplification(with_noise(sigma, 600), 1e-5)
    assert np.median(times)<5 and np.quantile(times, .99)<high

@pytest.mark.parametrize('limits', [True, False])
@pytest.mark.parametrize('sigma', [.02, .2, 10.])
def test_a_pose_does_not_depend_on_its_neighbours(sigma, limits):
    x = with_noise(sigma, 120)
    whole = enforce_skeleton(x, limits=limits)
    for k in (1, 41): assert np.abs(enforce_skeleton(x[:k], limits=limits)-whole[:k]).max()<1e-9
    assert np.abs(enforce_skeleton(x[::-1], limits=limits)-whole[::-1]).max()<1e-9
    if sigma<1: assert np.abs(enforce_skeleton(x[:1].astype(np.float32), limits=limits)-whole[:1]).max()<=1e-5

def test_chunks_make_no_difference(monkeypatch):
    x = with_noise(.1, 50)
    whole = enforce_skeleton(x)
    monkeypatch.setattr('text2pose.skeleton._CHUNK', 7)
    assert np.abs(enforce_skeleton(x)-whole).max()<1e-9

def test_hand_written_and_textbook_poses_are_inside():
    assert worst(OWN)==0 and worst(normal_range_poses())==0
    scores = plausibility(OWN)
    assert scores.min()>=.8 and (scores>.999).mean()>.95
    for x,score in zip(OWN, scores): assert (plausibility_report(x)==[])==(score>.9999)

def test_left_is_treated_like_right():
    x = OWN+np.random.default_rng(0).normal(0,.04,OWN.shape)
    a,b = limit_violations(x),limit_violations(mirror(x))
    for n in LIMIT_NAMES:
        assert np.allclose(a[n], b[n.replace('left','#').replace('right','left').replace('#','right')], atol=.05)
    assert np.allclose(plausibility(x), plausibility(mirror(x)), atol=1e-2)
    for sigma in (.01,.05,.3):
        x = with_noise(sigma, 100)
        assert np.abs(mirror(enforce_skeleton(x))-enforce_skeleton(mirror(x))).max()<1e-4
    x = OWN+np.random.default_rng(0).normal(0,.04,OWN.shape)
    assert np.abs(self_intersection(x)-self_intersection(mirror(x))).max()<1e-5

def test_what_comes_out_lies_in_order():
    "Writers of files copy the memory of an array as it lies."
    from text2pose.skeleton import _our_rest, retarget
    x = with_noise(.03, 6)
    for y in (enforce_skeleton(x), enforce_skeleton(x.astype(np.float32)), retarget(OWN, _our_rest())):
        assert y.flags.c_contiguous
    z = torch.from_numpy(x)
    for y in (enforce_skeleton(z), enforce_skeleton(z.half()), plausibility(z)): assert y.is_contiguous()

def test_kinds_shapes_and_company():
    x = (OWN[:6]+np.random.default_rng(0).normal(0,.03,OWN[:6].shape)).astype(np.float32)
    y = enforce_skeleton(x)
    assert np.array_equal(enforce_skeleton(x.reshape(2,3,22,3)).reshape(6,22,3), y)
    assert np.abs(np.stack([enforce_skeleton(p) for p in x])-y).max()<1e-6  # alone or in company
    assert np.abs(enforce_skeleton(x.astype(np.float64))-y).max()<1e-5
    t = torch.from_numpy(x)
    assert torch.allclose(plausibility(t.reshape(2,3,22,3)).flatten(), plausibility(t), atol=1e-5)
    assert plausibility(t[:0]).shape==(0,)
    assert enforce_skeleton(x[:0]).shape==(0,22,3) and plausibility(x[:0]).shape==(0,) and worst(x[:0], 0).shape==(0,)
    t = torch.from_numpy(x).bfloat16()
    assert enforce_skeleton(t).dtype==torch.bfloat16 and torch.isfinite(plausibility(t)).all()
    before = x.copy()
    enforce_skeleton(x)
    plausibility(x)
    assert np.array_equal(before, x)  # nothing is changed in place
    each = np.stack([LENGTHS, LENGTHS*1.2]).astype(np.float32)
    assert np.allclose(bone_lengths(enforce_skeleton(x[:2], each)), each, rtol=1e-3)

@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_types_of_torch(dtype):
    x = torch.from_numpy(with_noise(.03, 6)).to(dtype)
    for limits in (True, False):
        y = enforce_skeleton(x, limits=limits)
        assert y.dtype==dtype and y.shape==x.shape
        exact = enforce_skeleton(x.double(), limits=limits)
        assert (y.double()-exact).abs().max()<=torch.finfo(dtype).eps*2
    assert enforce_skeleton(x, torch.tensor(LENGTHS).to(dtype)).dtype==dtype
    assert plausibility(x).isfinite().all() and self_intersection(x.float()).shape==(6,)

def test_integers_lists_and_leading_shapes():
    y = enforce_skeleton(np.ones((2,0,3,N_JOINTS,3), np.float32))
    assert y.shape==(2,0,3,22,3) and y.dtype==np.float32
    assert enforce_skeleton(np.arange(66).reshape(22,3)).dtype==np.float32
    x = with_noise(.05, 24).reshape(2,3,4,22,3)
    each = np.linspace(.8, 1.2, 24).reshape(2,3,4,1)*LENGTHS
    y = enforce_skeleton(x, each)
    assert np.abs(bone_lengths(y)-each).max()<1e-9
    assert np.abs(enforce_skeleton(x[1,2,3], each[1,2,3])-y[1,2,3]).max()<1e-9
    assert np.abs(enforce_skeleton(x[1], each[1,2,3])[2,3]-y[1,2,3]).max()<1e-9

def test_near_beats_naive():
    "Hands, feet and head stay closer to where they were than when every bone keeps its direction."
    x = with_noise(.03, 243)
    ends = [joint_idx(n) for n in ('head','left_wrist','right_wrist','left_foot','right_foot')]
    def moved(y): return np.linalg.norm(y-x, axis=-1)[:,ends].mean()
    assert moved(enforce_skeleton(x, limits=False))<moved(enforce_skeleton(x))<.8*moved(enforce_bone_lengths(x))

def spine_off(x):
    "Degrees that spine2 and spine3 are off an even bend, the larger."
    violations = limit_violations(np.asarray(x, np.float64))
    return np.maximum(violations['spine2'], violations['spine3'])+SPINE_PLAY

@pytest.mark.parametrize('axis', ['x', 'y'])
@pytest.mark.parametrize('degrees', [15, 30])
def test_a_zigzag_spine_is_straightened(axis, degrees):
    "Pelvis, chest and all bone lengths right; only the bones between fold like a ruler."
    x = torch.from_numpy(OWN).double()
    R = inverse_kinematics(x)
    for joint,times in ((3,1), (6,-2), (9,1)):
        R[:,joint] = R[:,joint]@axis_rotation(axis, torch.tensor(math.radians(times*degrees)).double())
    x = forward_kinematics(R, rest_offsets().double()).numpy()
    y = enforce_skeleton(x)
    assert plausibility(x).max()<.2 and spine_off(x).min()>degrees-1
    assert plausibility(y).min()>.9 and spine_off(y).max()<SPINE_PLAY+.2
    assert np.abs(bone_lengths(x)-LENGTHS).max()<1e-5  # it was not the lengths that told

@pytest.mark.parametrize('metres', [.03, .05, .08])
def test_a_buckled_spine_is_straightened(metres):
    x = OWN.astype(np.float64)
    x[:,[3,9]] += [0,-metres,0]
    x[:,6] += [0,metres,0]
    y = enforce_skeleton(x)
    before,after = plausibility(x),plausibility(y)
    assert before[spine_off(x)>20].max()<.2 and (spine_off(x)>20).mean()>.8
    assert np.quantile(after, .05)>.9 and after.min()>.4
    assert spine_off(y).max()<SPINE_PLAY+.2
    hands = np.linalg.norm(y-OWN, axis=-1)[:,[15,20,21]]
    assert np.median(hands)<.03

def sole(pose, side):
    "Heights of ball and heel of a foot above the floor, the lowest point of both feet."
    from text2pose.skeleton import _heights, _poses_last
    skin,heels,floor = _heights(_poses_last(np.asarray(pose)))
    return np.array([skin[joint_idx(f'{side}_foot')]-floor, heels[2,SIDES.index(side)]-floor])[:,0]

def lifted(pose, side, metres):
    "A foot is higher: the knee bends forward."
    x = pose.copy()
    hip,knee,ankle,foot = (joint_idx(f'{side}_{j}') for j in ('hip','knee','ankle','foot'))
    toes = x[foot]-x[ankle]
    target = x[ankle]+[0,0,metres]
    way = target-x[hip]
    ahead = way/np.linalg.norm(way)
    thigh,shin = LENGTHS[knee-1],LENGTHS[ankle-1]
    reach = np.linalg.norm(way)
    along = (thigh**2-shin**2+reach**2)/(2*reach)
    aside = (x[knee]+[0,-.05,0]-x[hip])@(np.eye(3)-np.outer(ahead, ahead))
    aside *= math.sqrt(thigh**2-along**2)/np.linalg.norm(aside)
    x[knee],x[ankle],x[foot] = x[hip]+along*ahead+aside, target, target+toes
    return x

@pytest.mark.parametrize('side', SIDES)
@pytest.mark.parametrize('name', ['standing', 'hands_on_hips', 'crouching'])
def test_a_foot_that_hovers_comes_down_on_its_whole_sole(name, side):
    for metres in (.01,.03):
        x = lifted(own(name), side, metres)
        assert sole(x, side).min()>metres-.002 and abs(bone_lengths(x)-LENGTHS).max()<1e-4
        assert sole(enforce_skeleton(x), side).max()<.005

@pytest.mark.parametrize('side', SIDES)
def test_a_raised_foot_stays(side):
    x = pose_from_angles({f'{side}_hip':{'flexion':45}, f'{side}_knee':{'flexion':90}})
    assert sole(x, side).min()>.15 and np.abs(enforce_skeleton(x)-x).max()<1e-5
    x = lifted(own('standing'), side, .12)
    assert np.abs(enforce_skeleton(x)-x).max()<.005

@pytest.mark.parametrize('degrees', [40, 50])
def test_a_tip_toe_stand_stays(degrees):
    x = pose_from_angles({f'{side}_ankle':{'flexion':-degrees} for side in SIDES})
    y = enforce_skeleton(x)
    assert np.abs(y-x).max()<.002
    for side in SIDES: assert sole(y, side)[1]>.09

def test_feet_that_stand_are_flat():
    x = np.tile(own('standing'), (40,1,1))
    rng = np.random.default_rng(0)
    x[:,[10,11],2] += rng.uniform(-.02, .02, (40,2))  # tipped soles
    def soles(poses): return np.array([[sole(pose, side).max() for side in SIDES] for pose in poses])
    before,after = soles(x), soles(enforce_skeleton(x))
    assert after.max()<.006 and before.mean()>.012

def test_a_body_turned_over_needs_a_hand_to_stand_on():
    "On the top of the head alone nobody stands; on hands, forearms or shoulders people do."
    over = (OWN@np.diag([1,-1,-1])).astype(np.float32)
    for name in ('standing', 'hands_on_hips', 't_pose', 'running'):
        score = plausibility(over[NAMES.index(name)])
        assert .2<score<.5
        assert [f['part'] for f in plausibility_report(over[NAMES.index(name)])]==['head']
        assert np.abs(plausibility(mirror(over[NAMES.index(name)]))-score)<1e-5
    assert plausibility(own('handstand'))>.99 and plausibility(over[NAMES.index('arms_raised')])>.99
    assert not [f for x in OWN for f in plausibility_report(x) if f['part']=='head' and f['rule']=='support']

def violations(x): return torch.stack(list(limit_violations(x).values()))

def angles(x): return torch.stack(list(joint_angles(x).values()))

def test_the_score_is_the_same_with_a_gradient():
    "numpy where none is wanted, torch where one is."
    for sigma in (0,.01,.05,1.):
        x = with_noise(sigma, 60)
        for f in (plausibility, violations, angles):
            without = f(torch.from_numpy(x))
            wanted = f(torch.from_numpy(x).requires_grad_())
            assert wanted.requires_grad and not without.requires_grad
            assert (wanted.detach()-without).abs().max()<1e-9

def test_no_operation_leaves_the_numbers():
    "No division by zero and nothing undefined on the way, whatever comes in."
    x = np.concatenate([with_noise(sigma, 30) for sigma in (0,.05,1.,1e6)]+[np.zeros((1,N_JOINTS,3)), OWN[:2]*1e-9])
    with np.errstate(divide='raise', invalid='raise', over='raise'):
        for poses in (x, OWN.astype(np.float64)): assert np.isfinite(enforce_skeleton(poses)).all()
        assert np.isfinite(plausibility(x)).all()

def hands_through_the_trunk():
    "The left hand at spine2, the elbow bent on its own side, all bones as they were."
    x = OWN.astype(np.float64)
    upper,fore = LENGTHS[17],LENGTHS[19]
    way = x[:,6]-x[:,16]
    size = np.linalg.norm(way, axis=-1, keepdims=True)
    reach = np.clip(size, abs(upper-fore)+1e-3, upper+fore-1e-3)
    aside = x[:,18]-x[:,16]
    aside -= way*(aside*way).sum(-1, keepdims=True)/size**2
    along = (upper**2-fore**2+reach**2)/(2*reach)
    aside *= np.sqrt(np.maximum(upper**2-along**2, 0))/np.linalg.norm(aside, axis=-1, keepdims=True)
    x[:,18] = x[:,16]+along*way/size+aside
    forearm = x[:,6]-x[:,18]
    x[:,20] = x[:,18]+fore*forearm/np.linalg.norm(forearm, axis=-1, keepdims=True)
    return x

def test_a_forearm_comes_out_of_the_trunk():
    x = hands_through_the_trunk()
    deep = self_intersection(x)>.06
    assert deep.mean()>.9
    for poses in (x[deep], mirror(x[deep])):
        y = enforce_skeleton(poses)
        after = self_intersection(y)
        assert np.quantile(after, .8)<GIVES+.005 and after.max()<.085
        assert np.median(np.linalg.norm(y-poses, axis=-1)[:,[20,21]].max(-1))<.12  # not flung away

def test_what_does_not_overlap_is_not_pushed():
    clear = self_intersection(OWN)==0
    assert clear.sum()>40
    y = enforce_skeleton(OWN[clear])
    assert self_intersection(y).max()<GIVES
    assert np.abs(y-OWN[clear])[:,[16,17,18,19]].max()<.05

@pytest.mark.parametrize('upside', [np.diag([1,1,-1]), np.diag([1,-1,-1]), np.diag([-1,-1,1])])
def test_a_body_upside_down_stays_so(upside):
    x = OWN.astype(np.float64)@upside
    y = enforce_skeleton(x)
    assert_body(y)
    if np.linalg.det(upside)<0: return  # a reflection is nobody
    assert np.median(np.linalg.norm(y-x, axis=-1))<.01
    heads = x[:,15,2]
    assert (np.sign(y[:,15,2])==np.sign(heads))[np.abs(heads)>.1].all()

def broken_by(rule):
    "A pose that breaks a rule of the score."
    x = own('standing')
    if rule=='limits': return pose_from_angles({'left_knee':{'flexion':-50}})
    if rule=='spine': x[6,1] += .06
    if rule=='girdles': x[[13,14],1] -= .06
    if rule=='symmetry': x[20] += .3*(x[20]-x[18])
    if rule=='proportions': x[12:,2] += .6
    if rule=='size': x *= 3
    if rule=='overlap': x = hands_through_the_trunk()[NAMES.index('standing')]
    if rule=='feet': x = pose_from_angles({f'{side}_ankle':{'flexion':85} for side in SIDES})
    if rule=='support': x = x@axis_rotation('x', torch.tensor(math.radians(75.)).double()).numpy().T*2
    if rule=='posture': x = np.random.default_rng(0).normal(size=(N_JOINTS,3))
    return x

@pytest.mark.parametrize('rule', RULE_UNITS)
def test_every_rule_finds_its_fault(rule):
    found = plausibility_report(broken_by(rule))
    assert sum(f['cost'] for f in found if f['rule']==rule)>2, found
    assert plausibility(broken_by(rule))<.65
    assert rule not in [f['rule'] for f in plausibility_report(own('standing'))]

BAD = [(np.full((22,3),np.nan), '66 NaN'), (np.full((22,3),np.inf), '66 NaN or infinite'),
       (np.zeros((66,)), r'\(\.\.\., 22, 3\)'), (np.zeros((22,2)), r'\(\.\.\., 22, 3\)'), (np.float32(1), r'\(\.\.\., 22, 3\)')]

@pytest.mark.parametrize('f', [enforce_skeleton, plausibility, limit_violations, joint_angles, plausibility_report])
@pytest.mark.parametrize('bad, says', BAD)
def test_bad_joints(f, bad, says):
    with pytest.raises(ValueError, match=says): f(bad)

@pytest.mark.parametrize('lengths', [np.zeros(21), -LENGTHS, LENGTHS[:20], LENGTHS*np.nan, LENGTHS*np.inf])
def test_bad_lengths(lengths):
    with pytest.raises(ValueError, match='21 positive numbers'): enforce_skeleton(OWN, lengths)

def test_lengths_of_another_batch():
    with pytest.raises(ValueError, match=r'\(3, 21\) do not fit joints of shape \(4, 22, 3\)'):
        enforce_skeleton(OWN[:4], np.stack([LENGTHS]*3))

def test_report_adds_up():
    x = OWN[0].copy()
    x[20] += [.3,.1,0]
    found = plausibility_report(x)
    assert found[0]['cost']>=found[-1]['cost'] and {'rule','part','cost','score'}==set(found[0])
    c = joint_limits()['calibration']
    total = sum(f['cost'] for f in found)
    assert abs(1/(1+(total/c['half'])**c['power'])-plausibility(x))<.01

@pytest.mark.parametrize('scale', [2e15, 1e20, 1e37])
@pytest.mark.parametrize('kind', [np.asarray, torch.as_tensor])
def test_joints_beyond_all_bounds_are_refused(scale, kind):
    "A sentence; squares would be infinite, and the pose NaN."
    x = kind(np.full((2,22,3), scale, np.float32))
    with pytest.raises(ValueError, match=r'joints hold 132 values beyond 1e\+15 metres'): enforce_bone_lengths(x)

def test_joints_as_far_as_allowed_stay_finite():
    x = np.stack([p['joints'] for p in own_poses()[:2]]).astype(np.float32)*np.float32(4e14)
    assert np.isfinite(enforce_bone_lengths(x)).all()
