"Anatomy: whatever comes in, a body goes out; scores and losses stay finite; left is treated like right."
import numpy as np, pytest, torch
from hypothesis import given, settings, strategies as st

from text2pose.data import N_JOINTS, PARENTS, bone_lengths, mirror, own_poses
from text2pose.skeleton import (
    LIMIT_NAMES, enforce_skeleton, joint_angles, joint_limits, limit_violations, nearest_with_lengths,
    normal_range_poses, plausibility, plausibility_report, reference_bone_lengths, skeleton_loss)

OWN = np.stack([p['joints'] for p in own_poses()])
LENGTHS = reference_bone_lengths()
SOME = settings(max_examples=40, deadline=None, derandomize=True, database=None)

def worst(x, axis=None): return np.max(list(limit_violations(x).values()), axis=axis)

@st.composite
def poses(draw):
    "A few poses of any degree of damage: noise, scale, joints that coincide, bones on a line."
    g = np.random.default_rng(draw(st.integers(0, 2**32-1)))
    n = draw(st.integers(1, 5))
    x = OWN[g.integers(0, len(OWN), n)].astype(np.float64)*10**draw(st.floats(-4, 6)) + g.normal(0, 10**draw(st.floats(-4, 6)), (n,N_JOINTS,3))*draw(st.sampled_from([0,1]))
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
def test_scores_losses_and_gradients_stay_finite(x):
    s = plausibility(x)
    assert s.shape==x.shape[:-2] and ((0<=s)&(s<=1)).all()
    z = torch.from_numpy(x).requires_grad_()
    l = skeleton_loss(z)
    l.sum().backward()
    assert ((0<=l)&(l<=3)).all() and z.grad.isfinite().all()
    z = torch.from_numpy(x).requires_grad_()
    sum(v.sum() for v in limit_violations(z).values()).backward()
    assert z.grad.isfinite().all()
    z = torch.from_numpy(x).requires_grad_()
    plausibility(z).sum().backward()
    assert z.grad.isfinite().all()
    for v in joint_angles(x).values(): assert np.isfinite(v).all() and np.abs(v).max()<=360

@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_loss_is_bounded_at_the_ends_of_float(dtype):
    big = torch.finfo(dtype).max
    for x in (torch.full((22,3), big, dtype=dtype), torch.randn(22,3,dtype=dtype).sign()*big, torch.zeros(22,3,dtype=dtype), torch.full((22,3), torch.finfo(dtype).tiny, dtype=dtype)):
        x.requires_grad_()
        l = skeleton_loss(x)
        l.backward()
        assert 0<=l<=3 and x.grad.isfinite().all()

def test_gradient_is_the_slope():
    x = torch.tensor(OWN[:6]+np.random.default_rng(0).normal(0,.05,OWN[:6].shape)).double()
    d = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).double()
    z = x.clone().requires_grad_()
    skeleton_loss(z).sum().backward()
    slope = (skeleton_loss(x+1e-6*d)-skeleton_loss(x-1e-6*d)).sum()/2e-6
    assert abs(slope-(z.grad*d).sum())<1e-3*abs(slope)+1e-4

def test_hand_written_and_textbook_poses_are_inside():
    assert worst(OWN)==0 and worst(normal_range_poses())==0 and plausibility(OWN).min()>=.8
    assert all(plausibility_report(x)==[] for x in OWN)

def test_left_is_treated_like_right():
    x = OWN+np.random.default_rng(0).normal(0,.04,OWN.shape)
    a,b = limit_violations(x),limit_violations(mirror(x))
    for n in LIMIT_NAMES:
        assert np.allclose(a[n], b[n.replace('left','#').replace('right','left').replace('#','right')], atol=.05)
    assert np.allclose(plausibility(x), plausibility(mirror(x)), atol=1e-2)
    same = np.abs(mirror(enforce_skeleton(x))-enforce_skeleton(mirror(x))).max((1,2))<.01
    assert same.mean()>.95  # rarely, rounding sends a pose another way round a corner

def test_kinds_shapes_and_company():
    x = (OWN[:6]+np.random.default_rng(0).normal(0,.03,OWN[:6].shape)).astype(np.float32)
    y = enforce_skeleton(x)
    assert np.array_equal(enforce_skeleton(x.reshape(2,3,22,3)).reshape(6,22,3), y)
    assert np.abs(np.stack([enforce_skeleton(p) for p in x])-y).max()<1e-3  # alone or in company
    assert np.abs(enforce_skeleton(x.astype(np.float64))-y).max()<.02
    for f in (plausibility, skeleton_loss):
        t = torch.from_numpy(x)
        assert torch.allclose(f(t.reshape(2,3,22,3)).flatten(), f(t), atol=1e-5) and f(t[:0]).shape==(0,)
    assert enforce_skeleton(x[:0]).shape==(0,22,3) and plausibility(x[:0]).shape==(0,) and worst(x[:0], 0).shape==(0,)
    t = torch.from_numpy(x).bfloat16()
    assert enforce_skeleton(t).dtype==torch.bfloat16 and torch.isfinite(skeleton_loss(t)).all()
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
    b = b/b.norm(dim=-1,keepdim=True)*l[:,None]
    for j in range(1,N_JOINTS): naive.append(naive[PARENTS[j]]+b[:,j-1])
    assert ((y-x)**2).sum((1,2)).mean()<.5*((torch.stack(naive,1)-x)**2).sum((1,2)).mean()

@pytest.mark.parametrize('f', [enforce_skeleton, plausibility, limit_violations, joint_angles, plausibility_report])
@pytest.mark.parametrize('bad, says', [(np.full((22,3),np.nan),'66 NaN'), (np.full((22,3),np.inf),'66 NaN or infinite'), (np.zeros((66,)),r'\(\.\.\., 22, 3\)'), (np.zeros((22,2)),r'\(\.\.\., 22, 3\)'), (np.float32(1),r'\(\.\.\., 22, 3\)')])
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
