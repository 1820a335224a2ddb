"Whatever comes in, a body goes out; small changes stay small; scores stay finite; left is treated like right."
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from text2pose.data import N_JOINTS, PARENTS, bone_lengths, mirror, own_poses
from text2pose.skeleton import (
    LIMIT_NAMES, enforce_skeleton, joint_angles, joint_limits, limit_violations, nearest_with_lengths,
    normal_range_poses, plausibility, plausibility_report, reference_bone_lengths)

OWN = np.stack([p['joints'] for p in own_poses()])
LENGTHS = reference_bone_lengths()
SOME = settings(max_examples=40, deadline=None, derandomize=True, database=None)

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

@SOME
@given(poses())
def test_any_input_becomes_a_body(x):
    y = enforce_skeleton(x)
    assert y.dtype==x.dtype and y.shape==x.shape and np.isfinite(y).all()
    assert np.abs(y[:,0]).max()==0
    assert np.abs(bone_lengths(y)/LENGTHS-1).max()<1e-3
    assert worst(y)<.1

@SOME
@given(poses())
def test_enforcing_twice_is_enforcing_once(x):
    y = enforce_skeleton(x)
    assert np.abs(enforce_skeleton(y)-y).max()<2e-3

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

@pytest.mark.parametrize('size', [1e-6, 1e-5])
@pytest.mark.parametrize('sigma, most', [(.005, 10), (.01, 10), (.02, None)])
def test_small_changes_stay_small(sigma, most, size):
    times = amplification(with_noise(sigma, 2000), size)
    assert np.quantile(times, .99)<5 and np.quantile(times, .995)<10
    if most: assert times.max()<most and np.quantile(times, .999)<5

@pytest.mark.parametrize('sigma, high', [(.05, 30), (.2, 120)])
def test_small_changes_of_broken_poses_seldom_grow(sigma, high):
    times = amplification(with_noise(sigma, 1000), 1e-5)
    assert np.median(times)<5 and np.quantile(times, .99)<high

def test_a_pose_does_not_depend_on_its_neighbours():
    for sigma in (.02, .2):
        x = with_noise(sigma, 300)
        whole = enforce_skeleton(x)
        for k in (1, 2, 41): assert np.abs(enforce_skeleton(x[:k])-whole[:k]).max()<1e-6
        assert np.abs(enforce_skeleton(x[::-1])-whole[::-1]).max()<1e-6

def test_hand_written_and_textbook_poses_are_inside():
    assert worst(OWN)==0 and worst(normal_range_poses())==0 and plausibility(OWN).min()>=.8
    assert all(plausibility_report(x)==[] for x in OWN)

def test_left_is_treated_like_right():
    x = OWN+np.random.default_rng(0).normal(0,.04,OWN.shape)
    a,b = limit_violations(x),limit_violations(mirror(x))
    for n in LIMIT_NAMES:
        assert np.allclose(a[n], b[n.replace('left','#').replace('right','left').replace('#','right')], atol=.05)
    assert np.allclose(plausibility(x), plausibility(mirror(x)), atol=1e-2)
    assert np.abs(mirror(enforce_skeleton(x))-enforce_skeleton(mirror(x))).max()<1e-4

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

def test_nearest_beats_naive():
    x = torch.tensor(OWN+np.random.default_rng(0).normal(0,.02,OWN.shape))
    x = x-x[:,:1]
    l = torch.tensor(LENGTHS).double()
    y = nearest_with_lengths(x, l, torch.ones(N_JOINTS))
    naive = [x[:,0]]
    b = x[:,1:]-x[:,PARENTS[1:]]
    b = b/b.norm(dim=-1, keepdim=True)*l[:,None]
    for j in range(1, N_JOINTS): naive.append(naive[PARENTS[j]]+b[:,j-1])
    assert ((y-x)**2).sum((1,2)).mean()<.5*((torch.stack(naive,1)-x)**2).sum((1,2)).mean()

BAD = [(np.full((22,3),np.nan), '66 NaN'), (np.full((22,3),np.inf), '66 NaN or infinite'),
       (np.zeros((66,)), r'\(\.\.\., 22, 3\)'), (np.zeros((22,2)), r'\(\.\.\., 22, 3\)'), (np.float32(1), r'\(\.\.\., 22, 3\)')]

@pytest.mark.parametrize('f', [enforce_skeleton, plausibility, limit_violations, joint_angles, plausibility_report])
@pytest.mark.parametrize('bad, says', BAD)
def test_bad_joints(f, bad, says):
    with pytest.raises(ValueError, match=says): f(bad)

@pytest.mark.parametrize('lengths', [np.zeros(21), -LENGTHS, LENGTHS[:20], LENGTHS*np.nan, LENGTHS*np.inf])
def test_bad_lengths(lengths):
    with pytest.raises(ValueError, match='21 positive numbers'): enforce_skeleton(OWN, lengths)

def test_report_adds_up():
    x = OWN[0].copy()
    x[20] += [.3,.1,0]
    found = plausibility_report(x)
    assert found[0]['cost']>=found[-1]['cost'] and {'rule','part','cost','score'}==set(found[0])
    c = joint_limits()['calibration']
    total = sum(f['cost'] for f in found)
    assert abs(1/(1+(total/c['half'])**c['power'])-plausibility(x))<.01
