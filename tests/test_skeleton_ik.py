"Rotations, inverse kinematics and bone lengths over random valid and over hopeless poses."
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.spatial.transform import Rotation

from text2pose.data import JOINT_NAMES, MIRROR_IDX, N_JOINTS, PARENTS, bone_lengths, mirror, own_poses
from text2pose.skeleton import (
    ANGLE_JOINTS, axis_angle_to_matrix, bone_lengths_for, check_bone_lengths, euler_to_matrix, forward_kinematics,
    inverse_kinematics, matrix_from_6d, matrix_to_6d, matrix_to_axis_angle, matrix_to_euler, matrix_to_quaternion,
    pose_from_angles, quaternion_to_matrix, reference_bone_lengths, rest_offsets, smpl_pose)

DTYPES = [torch.float32, torch.float64]
OWN = np.stack([p['joints'] for p in own_poses()])
LIMITS = dict(flexion=(-10,90), bend=(-30,30), twist=(-30,30), abduction=(-10,90), rotation=(-40,40), elevation=(-5,20))
ORDERS = ('xyz','xzy','yxz','yzx','zxy','zyx','xyx','xzx','yxy','yzy','zxz','zyz')
EPS = {torch.float32:1e-5, torch.float64:1e-12}
seeds = st.integers(0, 2**32-1)
quick = settings(max_examples=12, deadline=None)

def rotations(shape, seed, dtype=torch.float64):
    "Random rotations (*shape, 3, 3)."
    matrices = Rotation.random(int(np.prod(shape)), random_state=seed).as_matrix()
    return torch.from_numpy(matrices).to(dtype).view(*shape,3,3)

def angle(A, B):
    "Degrees between rotations."
    return torch.rad2deg(matrix_to_axis_angle(A.transpose(-1,-2)@B).norm(dim=-1))

def assert_rotations(R, atol):
    torch.testing.assert_close(R.transpose(-1,-2)@R, torch.eye(3, dtype=R.dtype).expand_as(R), atol=atol, rtol=0)
    assert (torch.linalg.det(R)>.99).all()

def anatomical(seed, n=8):
    "Random poses inside the limits of a body."
    g = np.random.default_rng(seed)
    parts = {part:names for part,(_,names) in ANGLE_JOINTS.items() if part!='pelvis'}
    angles = {part:{k:g.uniform(*LIMITS[k], n) for k in names} for part,names in parts.items()}
    return pose_from_angles(angles, bone_lengths_for(size=g.uniform(1,99)))

@quick
@given(seeds, st.sampled_from(DTYPES), st.sampled_from([(),(3,),(2,3)]))
def test_formats(seed, dtype, shape):
    R = rotations(shape, seed, dtype)
    their = Rotation.from_matrix(R.double().reshape(-1,3,3).numpy())
    eps = 2e-5 if dtype==torch.float32 else 1e-9
    again = [quaternion_to_matrix(matrix_to_quaternion(R)), axis_angle_to_matrix(matrix_to_axis_angle(R)),
             matrix_from_6d(matrix_to_6d(R))]
    again += [euler_to_matrix(matrix_to_euler(R, order), order) for order in ('ZXY','XYZ','zyx','YXY','zxz')]
    for x in again:
        assert x.dtype==dtype and x.shape==R.shape
        torch.testing.assert_close(x, R, atol=eps, rtol=0)
    q = matrix_to_quaternion(R)
    assert (q[...,0]>=0).all()
    torch.testing.assert_close(q.norm(dim=-1), torch.ones(shape, dtype=dtype), atol=eps, rtol=0)
    v = matrix_to_axis_angle(R).double().reshape(-1,3).numpy()
    np.testing.assert_allclose(Rotation.from_rotvec(v).as_matrix(), their.as_matrix(), atol=eps*10)

@pytest.mark.parametrize('order', [o for order in ORDERS for o in (order, order.upper())])
def test_euler_like_scipy(order):
    a = np.random.default_rng(0).uniform(-180, 180, (50,3))
    a[:,1] = a[:,1]/2 if len(set(order))==3 else abs(a[:,1])
    # gimbal locks
    locks = (90,-90,0) if len(set(order))==3 else (0,180,90)
    a[:9] = [[x,middle,z] for middle in locks for x,z in ((0,0),(90,0),(30,-70))]
    R = Rotation.from_euler(order, a, degrees=True).as_matrix()
    np.testing.assert_allclose(euler_to_matrix(torch.from_numpy(a), order), R, atol=1e-12)
    np.testing.assert_allclose(euler_to_matrix(matrix_to_euler(torch.from_numpy(R), order), order), R, atol=1e-7)
    np.testing.assert_allclose(matrix_to_euler(torch.from_numpy(R[9:]), order), a[9:], atol=1e-6)

@pytest.mark.parametrize('order', ['', 'XY', 'XYX ', 'Xyz', 'abc', 'XXY', 'xyy'])
def test_euler_order(order):
    with pytest.raises(ValueError, match='order must be'): matrix_to_euler(torch.eye(3), order)

@pytest.mark.parametrize('dtype', DTYPES)
def test_gradients_at_hard_rotations(dtype):
    half_turns = [*(np.pi*np.eye(3)), [np.pi/2**.5,np.pi/2**.5,0], [np.pi-1e-7,0,0]]
    vectors = [[0,0,0], [1e-9,0,0], [1e-4,0,0], [0,np.pi/2,0], [0,-np.pi/2,0], *half_turns]
    hard = torch.from_numpy(Rotation.from_rotvec(vectors).as_matrix()).to(dtype)
    weight = torch.arange(9., dtype=dtype).view(3,3)
    pairs = [(matrix_to_quaternion,quaternion_to_matrix), (matrix_to_axis_angle,axis_angle_to_matrix)]
    for o in ('XYZ','zxy','ZYZ'):
        pairs.append((lambda R,o=o: matrix_to_euler(R, o), lambda angles,o=o: euler_to_matrix(angles, o)))
    for there,back in pairs:
        x = hard.clone().requires_grad_()
        (back(there(x))*weight).sum().backward()
        assert x.grad.isfinite().all()
    for f,n in ((axis_angle_to_matrix,3),(quaternion_to_matrix,4),(matrix_from_6d,6)):
        z = torch.zeros(2,n, dtype=dtype, requires_grad=True)
        R = f(z)
        (R*weight).sum().backward()
        assert z.grad.isfinite().all()
        assert_rotations(R, EPS[dtype])
    v = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(axis_angle_to_matrix, v)
    w = torch.tensor([[.3,-.2,1.],[1e-3,0,0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: matrix_to_axis_angle(axis_angle_to_matrix(w)), w)

@quick
@given(seeds, st.sampled_from(DTYPES), st.sampled_from(['hanging','t_pose']), st.sampled_from([(),(3,),(2,3)]))
def test_round_trip(seed, dtype, pose, shape):
    o = rest_offsets(pose=pose).to(dtype)
    x = forward_kinematics(rotations((*shape,N_JOINTS), seed, dtype), o)  # any rotations at all
    R = inverse_kinematics(x, o)
    assert R.dtype==dtype and R.shape==(*shape,N_JOINTS,3,3)
    torch.testing.assert_close(forward_kinematics(R, o), x, atol=EPS[dtype], rtol=0)
    assert_rotations(R, EPS[dtype])
    for leaf in (10,11,15,20,21):
        eye = torch.eye(3, dtype=dtype).expand(*shape,3,3)
        torch.testing.assert_close(R[...,leaf,:,:], eye, atol=EPS[dtype], rtol=0)

@quick
@given(seeds)
def test_mirror(seed):
    x = torch.from_numpy(anatomical(seed)).double()
    S = torch.diag(torch.tensor([-1.,1,1])).double()
    mirrored = S@inverse_kinematics(x)[:,MIRROR_IDX]@S
    torch.testing.assert_close(inverse_kinematics(mirror(x)), mirrored, atol=1e-8, rtol=0)

@quick
@given(seeds, st.floats(0, 360))
def test_turning_the_body_turns_the_pelvis_only(seed, degrees):
    x = torch.from_numpy(anatomical(seed)).double()
    Q = rotations((1,), seed)[0]
    R,T = inverse_kinematics(x),inverse_kinematics(x@Q.T + 3)
    torch.testing.assert_close(T[:,1:], R[:,1:], atol=1e-6, rtol=0)
    torch.testing.assert_close(T[:,0], Q@R[:,0], atol=1e-6, rtol=0)

@quick
@given(seeds)
def test_no_flips(seed):
    "A millimetre of noise, as capture has it, moves no rotation far; straight limbs included."
    x = torch.from_numpy(anatomical(seed)).double()
    g = torch.Generator().manual_seed(seed%2**31)
    x[4:,18] = (x[4:,16]+x[4:,20])/2
    x[4:,5] = (x[4:,2]+x[4:,8])/2  # a straight arm and a straight leg
    noisy = x+.001*torch.randn(x.shape, generator=g)
    assert angle(inverse_kinematics(x), inverse_kinematics(noisy)).max()<20

def test_no_flips_round_the_arm():
    "The arm through all directions a shoulder reaches, straight and bent to all sides: steps of 1°, no turn above 10°."
    n = 361
    rest = forward_kinematics(torch.eye(3).double().expand(n,N_JOINTS,3,3), rest_offsets().double())
    t = torch.linspace(0, 2*np.pi, n).double()[:,None]
    axis = torch.tensor([1.,-1,0]).double()/2**.5
    across = torch.tensor([0.,0,1]).double()
    side = t.cos()*across+t.sin()*torch.linalg.cross(axis, across)
    for tilt in np.radians([20,60,100,130]):
        upper = np.cos(tilt)*axis+np.sin(tilt)*side
        e1 = -np.sin(tilt)*axis+np.cos(tilt)*side
        e2 = torch.linalg.cross(upper, e1)
        for flexion,spin in [(0.,0.), *product(np.radians([10,30,90]), np.radians(np.arange(0,360,90)))]:
            lower = np.cos(flexion)*upper+np.sin(flexion)*(np.cos(spin)*e1+np.sin(spin)*e2)
            x = rest.clone()
            x[:,18] = x[:,16]+.3*upper
            x[:,20] = x[:,18]+.25*lower
            R = inverse_kinematics(x)
            assert angle(R[:-1],R[1:]).max()<10

@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('kind', ['point', 'line', 'collinear limbs', 'zero bones', 'coincident hips', 'folded', 'huge',
                                  'tiny'])
def test_hopeless_poses(kind, dtype):
    x = torch.from_numpy(OWN[:3]).to(dtype)
    if kind=='point': x = x*0
    if kind=='line': x = x*0+torch.arange(22.)[:,None]*torch.tensor([0,0,1.])
    if kind=='collinear limbs':
        x[:,[18,19]] = (x[:,[16,17]]+x[:,[20,21]])/2
        x[:,[4,5]] = (x[:,[1,2]]+x[:,[7,8]])/2
    if kind=='zero bones': x[:,[4,16,12,6]] = x[:,[1,13,9,3]]
    if kind=='coincident hips':
        x[:,[1,2]] = x[:,[0]]
        x[:,[13,14]] = x[:,[9]]
    if kind=='folded':
        x[:,[20,21]] = x[:,[16,17]]
        x[:,[7,8]] = x[:,[1,2]]
    if kind=='huge': x = x*1e6
    if kind=='tiny': x = x*1e-6
    x = x.requires_grad_()
    R = inverse_kinematics(x)
    assert R.isfinite().all()
    assert_rotations(R, 1e-4)
    (R*torch.arange(9., dtype=dtype).view(3,3)).sum().backward()
    assert x.grad.isfinite().all()
    y = x.detach()
    back = forward_kinematics(inverse_kinematics(y), rest_offsets(bone_lengths(y)))
    size = float(y.abs().max())+1e-9
    assert back.isfinite().all() and (bone_lengths(back)-bone_lengths(y)).abs().max()<size*2e-5
    if kind=='point': torch.testing.assert_close(R, torch.eye(3, dtype=dtype).expand_as(R), atol=1e-5, rtol=0)

def test_gradient_is_right():
    "Against central differences, along random directions."
    x = torch.from_numpy(anatomical(1)).double().requires_grad_()
    g = torch.Generator().manual_seed(0)
    weight = torch.randn(N_JOINTS,3,3, generator=g).double()
    def f(x): return (inverse_kinematics(x)*weight).sum()
    grad, = torch.autograd.grad(f(x), x)
    for _ in range(20):
        d = torch.randn(x.shape, generator=g).double()
        num = (f(x.detach()+1e-6*d)-f(x.detach()-1e-6*d))/2e-6
        torch.testing.assert_close((grad*d).sum(), num, rtol=1e-4, atol=1e-4)

def test_bad_input():
    x = OWN[0]
    shapeless = [(bad,'22, 3') for bad in (x[:21], x[:,:2], np.zeros(66))]
    for bad,says in ((x*np.nan,'NaN'), (x+np.inf,'NaN'), (x.astype(float)*1e12,'absurdly'), *shapeless):
        for f in (inverse_kinematics, smpl_pose):
            with pytest.raises(ValueError, match=says): f(bad)
            with pytest.raises(ValueError, match=says): f(torch.as_tensor(bad))
    with pytest.raises(ValueError, match='t_pose'): rest_offsets(pose='lotus')

def test_kinds_and_empty_batches():
    for x in (OWN[:0], OWN[0], OWN[:6].reshape(2,3,22,3), OWN[:2].astype(np.float64)):
        R = inverse_kinematics(x)
        assert isinstance(R, np.ndarray) and R.shape==(*x.shape[:-2],22,3,3) and R.dtype==x.dtype
        orient,body = smpl_pose(x)
        assert orient.shape==(*x.shape[:-2],3) and body.shape==(*x.shape[:-2],21,3)
        assert isinstance(forward_kinematics(R, rest_offsets().to(torch.from_numpy(R))), np.ndarray)
    assert inverse_kinematics(OWN[0].tolist()).shape==(22,3,3)

@quick
@given(st.dictionaries(
    st.sampled_from(JOINT_NAMES[1:]), st.one_of(st.floats(), st.sampled_from(['','.4','long']), st.none())))
def test_own_lengths_are_checked(lengths):
    try: l = check_bone_lengths(lengths)
    except ValueError as e: assert str(e) and '\n' not in str(e)
    else:
        assert l.shape==(21,) and (l>0).all()
        for name,v in lengths.items(): assert abs(l[JOINT_NAMES.index(name)-1]-float(v))<1e-6

def test_reference_is_what_the_weights_know():
    half = [.1075,.1146,.4284,.1028,.4381,.1172,.1285,.133,.1024,.0883,.1024,.2823,.2368]
    sides = [JOINT_NAMES[j] for j in range(1,N_JOINTS) if not JOINT_NAMES[j].startswith('right_')]
    ours = [float(reference_bone_lengths()[JOINT_NAMES.index(n)-1].round(4)) for n in sides]
    assert ours==np.float32(half).round(4).tolist()
    with pytest.raises(ValueError, match='centimetres'): check_bone_lengths(reference_bone_lengths()*100)
    with pytest.raises(ValueError, match='shape'): check_bone_lengths([.1]*20)
    assert PARENTS[JOINT_NAMES.index('left_knee')]==JOINT_NAMES.index('left_hip')
