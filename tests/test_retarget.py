"Rigs spoilt in code: what the actor did comes back on our body, whatever the rig."
import numpy as np
import pytest
import torch

from text2pose.data import Clip, N_JOINTS, bone_lengths, canonical, mirror, own_poses
from text2pose.skeleton import (
    RigRest, bone_lengths_for, enforce_skeleton, forward_kinematics, inverse_kinematics,
    joint_rotations, measure_rig, measure_rigs, plausibility, reference_bone_lengths, rest_offsets,
    retarget, rig_rests)

POSES = own_poses()
NAMES = [p['name'] for p in POSES]
OWN = np.stack([p['joints'] for p in POSES])
ACTED = torch.stack([joint_rotations(p['angles']) for p in POSES]).double()
LENGTHS = reference_bone_lengths()
LIMBS = ((16,18,20), (17,19,21), (1,4,7), (2,5,8))

def pointed(offsets, joint, direction):
    "A bone of the same length towards another direction."
    direction = torch.tensor(direction).double()
    offsets[joint] = offsets[joint].norm()*direction/direction.norm()

def kinked(o): pointed(o, 6, [0,-.75,.66])
def kinked_back(o):
    pointed(o, 3, [0,.5,.8])
    pointed(o, 9, [0,-.5,.8])
def wide(o): o[[1,2],0] *= 1.6
def narrow(o): o[[1,2],0] *= .5
def low_hips(o): o[[1,2],2] -= .06
def half_way_collars(o):
    for collar,shoulder in ((13,16),(14,17)): o[collar] = o[shoulder] = (o[collar]+o[shoulder])/2
def collars_at_the_neck(o): o[[13,14]] *= torch.tensor([.3,1,1.4]).double()
def tipped_feet(o):
    for foot,x in ((10,.1),(11,-.1)): pointed(o, foot, [x,-.9,-.82])
def flat_feet(o):
    for foot in (10,11): pointed(o, foot, [0,-1,-.1])
def child(o): o *= .6
def giant(o): o *= 1.3
def long_arms(o): o[18:22] *= 1.3
def long_legs(o): o[[4,5,7,8]] *= 1.25
def head_ahead(o): pointed(o, 15, [0,-.8,.6])
def everything(o):
    for spoil in (kinked, narrow, collars_at_the_neck, tipped_feet): spoil(o)
    o *= .85

SPOILT = (kinked, kinked_back, wide, narrow, low_hips, half_way_collars, collars_at_the_neck, tipped_feet, flat_feet,
          child, giant, long_arms, long_legs, head_ahead, everything)

def standing_still(n=40, seed=0):
    "Rotations of somebody who stands, hardly moving, the soles on the floor."
    knees = np.random.default_rng(seed).uniform(0, 8, (n,2))
    return torch.stack([joint_rotations({f'{side}_{joint}':{'flexion':angle} for side,knee in zip(('left','right'), row)
                                         for joint,angle in (('hip',knee/2), ('knee',knee), ('ankle',knee/2))})
                        for row in knees]).double()

def played(spoil, rotations):
    "The poses of a spoilt rig, moved by rotations."
    offsets = rest_offsets().double()
    spoil(offsets)
    return canonical(forward_kinematics(rotations, offsets.expand(len(rotations),-1,-1)).numpy())

@pytest.fixture(scope='module')
def mended():
    "Name of the spoiling → the rig's poses, and the same retargeted."
    still = standing_still()
    acted = {spoil.__name__:played(spoil, ACTED) for spoil in SPOILT}
    return {spoil.__name__:(acted[spoil.__name__], retarget(acted[spoil.__name__], measure_rig(played(spoil, still))))
            for spoil in SPOILT}

def flexion(x, joints):
    "Degrees by which a limb is bent."
    a,b,c = (x[:,j].astype(np.float64) for j in joints)
    u,v = b-a, c-b
    cosine = (u*v).sum(-1)/np.linalg.norm(u, axis=-1)/np.linalg.norm(v, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))

def apart(x, a, b): return np.linalg.norm(x[:,a]-x[:,b], axis=-1)

@pytest.mark.parametrize('rig', [spoil.__name__ for spoil in SPOILT])
def test_poses_of_a_spoilt_rig_come_back(mended, rig):
    raw,y = mended[rig]
    off = np.linalg.norm(y-OWN, axis=-1)
    assert off.mean()<.01 and off.mean(1).max()<.03
    assert np.abs(bone_lengths(y)-LENGTHS).max()<1e-5 and y.dtype==np.float32
    offsets = rest_offsets().double()
    again = forward_kinematics(inverse_kinematics(torch.from_numpy(y).double(), offsets), offsets).numpy()
    assert np.abs(again-y).max()<1e-4
    for limb in LIMBS:
        straight = flexion(OWN, limb)<.5
        assert straight.sum()>3 and flexion(y, limb)[straight].max()<4
    touching = np.array([NAMES.index(n) for n in ('praying','golf_swing_backswing','golf_follow_through')])
    assert apart(OWN[touching], 20, 21).max()<.07 and apart(y[touching], 20, 21).max()<.1
    level = np.abs(OWN[:,10,2]-OWN[:,11,2])<1e-3
    assert level.sum()>10 and np.abs(y[level,10,2]-y[level,11,2]).max()<.02
    assert (plausibility(y)>.9).mean()>.9

@pytest.mark.parametrize('rig', ['wide','everything'])
def test_taken_bone_by_bone_they_do_not_come_back(mended, rig):
    raw,y = mended[rig]
    naive = enforce_skeleton(raw, limits=False)
    assert np.linalg.norm(naive-OWN, axis=-1).mean()>3*np.linalg.norm(y-OWN, axis=-1).mean()

def test_soles_on_one_plane_stay_so():
    "Feet of standing people at different places of the floor, on a rig with tipped feet and other legs."
    def spoil(o):
        tipped_feet(o)
        long_legs(o)
    rng = np.random.default_rng(1)
    bent = rng.uniform(0, 60, 60)
    rows = [{f'{side}_{joint}':{'flexion':share*knee, **({'abduction':10} if joint=='hip' else {})}
             for side in ('left','right') for joint,share in (('hip',.5),('knee',1),('ankle',.5))} for knee in bent]
    raw = played(spoil, torch.stack([joint_rotations(row) for row in rows]).double())
    y = retarget(raw, measure_rig(played(spoil, standing_still())))
    for joints in ((7,8), (10,11)):
        a,b = joints
        assert np.abs(raw[:,a,2]-raw[:,b,2]).max()<1e-4 and np.abs(y[:,a,2]-y[:,b,2]).max()<2e-3
    pitch = np.degrees(np.arcsin((y[:,10,2]-y[:,7,2])/LENGTHS[9]))
    assert np.abs(pitch+25).max()<6

def test_hands_that_touch_still_touch():
    "Wrists brought to one point in front of rigs of other shoulders and arms."
    target = np.array([0,-.3,.35])
    for spoil in (half_way_collars, long_arms, child, collars_at_the_neck, giant):
        raw = played(spoil, ACTED[:40])
        raw[:,[20,21]] = raw[:,[9]]+target*.6
        y = retarget(raw, measure_rig(played(spoil, standing_still())))
        assert apart(y, 20, 21).max()<.03, spoil.__name__

@pytest.mark.parametrize('lengths', [bone_lengths_for(height=1.1), bone_lengths_for(height=2.)])
def test_onto_another_body(lengths):
    y = retarget(played(everything, ACTED), measure_rig(played(everything, standing_still())), lengths)
    assert np.abs(bone_lengths(y)-lengths).max()<1e-5
    assert np.linalg.norm(y/lengths.sum()*LENGTHS.sum()-OWN, axis=-1).mean()<.01

def test_place_heading_and_company_do_not_matter():
    rig = measure_rig(played(wide, standing_still()))
    raw = played(wide, ACTED).astype(np.float64)
    y = retarget(raw, rig)
    turn = np.array([[0,1,0],[-1,0,0],[0,0,1.]])
    assert np.abs(retarget(raw@turn+[3,-2,1], rig)-y).max()<1e-5
    assert np.abs(retarget(raw[:1], rig)-y[:1]).max()<1e-6 and np.abs(retarget(raw[::-1], rig)[::-1]-y).max()<1e-6
    assert np.abs(retarget(raw.astype(np.float32), rig)-y).max()<1e-4
    assert np.abs(retarget(mirror(raw), rig)-mirror(y)).max()<1e-4
    before = raw.copy()
    retarget(raw, rig)
    assert np.array_equal(raw, before) and retarget(raw[:0], rig).shape==(0,22,3)

def test_a_rig_is_told_by_its_quiet_frames_only():
    still,acted = played(kinked, standing_still(200)), played(kinked, ACTED)
    alone,mixed = measure_rig(still), measure_rig(np.concatenate([acted, still, acted]))
    assert np.abs(alone.bones-mixed.bones).max()<.02 and abs(alone.foot_pitch-mixed.foot_pitch)<3
    assert 0<mixed.n_frames<=30
    assert np.abs(alone.bones-mirror(alone.bones)).max()<1e-9  # symmetric

def clip(joints, rig):
    joints = np.asarray(joints, np.float32)
    return Clip('one', 'mine', 'own', 'train', joints, [], rig)

def test_a_rig_nobody_stands_still_on():
    sitting = np.stack([OWN[NAMES.index(n)] for n in ('sitting','crouching','lying_on_back')])
    assert measure_rig(sitting) is None and measure_rig(sitting[:0]) is None
    assert measure_rig(np.zeros((5,N_JOINTS,3))) is None
    assert measure_rig(OWN[[NAMES.index('standing')]]@np.diag([1,-1,-1])) is None  # on his head
    rests = measure_rigs([clip(np.repeat(sitting, 4, 0), 'chair')])
    (name,rest), = rests.items()
    assert rest.n_frames==0
    assert np.abs(retarget(OWN, rest)-OWN).max()<.02  # as if it were ours
    assert measure_rigs([])=={}

def test_the_rigs_that_ship_stand_upright():
    assert len(rig_rests())>=5
    for name,rig in rig_rests().items():
        rest = np.zeros((N_JOINTS,3))
        assert rig.bones.shape==(N_JOINTS,3) and np.abs(rig.bones-mirror(rig.bones)).max()<1e-3, name
        assert -60<rig.foot_pitch<0 and rig.n_frames>0 and len(rig.up_from)==2
        assert rig.bones[3:13:3,2].sum()>.3 and rest.shape==(22,3)

BAD = [(np.full((4,22,3), np.nan), '264 NaN'), (np.full((4,22,3), np.inf), '264 NaN or infinite'),
       (np.zeros((4,21,3)), r'\(\.\.\., 22, 3\)'), (np.zeros((4,66)), r'\(\.\.\., 22, 3\)'), (OWN[0], r'\(n, 22, 3\)'),
       (OWN[None,:3], r'\(n, 22, 3\)'), ('walk', 'numbers'), (np.zeros((4,22,3), object), 'numbers')]

@pytest.mark.parametrize('bad, says', BAD)
def test_bad_poses(bad, says):
    rig = measure_rig(played(wide, standing_still(3)))
    for f in (measure_rig, lambda x: retarget(x, rig)):
        with pytest.raises(ValueError, match=says) as error: f(bad)
        assert '\n' not in str(error.value)

@pytest.mark.parametrize('lengths', [np.zeros(21), -LENGTHS, LENGTHS[:20], LENGTHS*np.nan, np.stack([LENGTHS]*3)])
def test_bad_lengths(lengths):
    rig = measure_rig(played(wide, standing_still(3)))
    with pytest.raises(ValueError, match='lengths'): retarget(OWN[:4], rig, lengths)

def test_poses_that_are_hardly_poses():
    "Missing bones take their direction at rest; the result is finite and exactly our body."
    rig = measure_rig(played(wide, standing_still()))
    hips,collars,arm,foot = (OWN[:4].copy() for _ in range(4))
    hips[:,[1,2]] = hips[:,[0]]
    collars[:,[12,13,14]] = collars[:,[9]]
    arm[:,[18,20]] = arm[:,[16]]
    foot[:,10] = foot[:,7]
    line = np.linspace(0, 1, N_JOINTS)[None,:,None]*np.array([1.,0,0])
    odd = [np.zeros((2,N_JOINTS,3)), np.full((2,N_JOINTS,3), 7.), OWN[:4]*1e6, OWN[:4]*1e-6, OWN[:4]@np.diag([1,1,-1]),
           hips, collars, arm, foot, line, np.random.default_rng(0).normal(size=(50,N_JOINTS,3))]
    for x in odd:
        y = retarget(x, rig)
        assert np.isfinite(y).all() and np.abs(bone_lengths(y)/LENGTHS-1).max()<3e-4
    nothing = RigRest(np.zeros((N_JOINTS,3)), -25., (3,9), 1)
    y = retarget(OWN[:4], nothing)
    assert np.isfinite(y).all() and np.abs(bone_lengths(y)/LENGTHS-1).max()<3e-4
