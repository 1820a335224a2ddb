"Posecodes: left is treated like right, size does not matter, whatever comes in is answered or refused, and simple arithmetic agrees."
import re, warnings
import numpy as np, pytest
from hypothesis import given, settings, strategies as st

from text2pose import words
from text2pose.core import data_dir
from text2pose.data import N_JOINTS, canonical, joint_idx, mirror, own_poses
from text2pose.humanml3d import OPEN_SOURCES
from text2pose.skeleton import capture_poses, pose_from_angles
from text2pose.posecodes import (
    POSECODES, check_statements, code_rates, holds, measure, mirror_code, posecodes, satisfies, score, scores)

OWN = {p['name']:p['joints'] for p in own_poses()}
POSES = np.stack(list(OWN.values()))
IDS = list(POSECODES)
TWINS = [IDS.index(mirror_code(i)) for i in IDS]
SOME = settings(max_examples=25, deadline=None, derandomize=True, database=None)

@st.composite
def damaged(draw):
    "A few poses of any degree of damage: noise, scale, joints that coincide, everything in one plane or one point."
    g = np.random.default_rng(draw(st.integers(0, 2**32-1)))
    n = draw(st.integers(1, 5))
    x = POSES[g.integers(0, len(POSES), n)].astype(np.float64)*10**draw(st.floats(-4, 4)) + g.normal(0, 10**draw(st.floats(-4, 4)), (n,N_JOINTS,3))*draw(st.sampled_from([0,1]))
    for _ in range(draw(st.integers(0, 3))):
        j,k = g.integers(0, N_JOINTS, 2)
        how = draw(st.sampled_from(['coincide','flat','point']))
        if how=='coincide': x[:,j] = x[:,k]
        if how=='flat': x[...,int(j)%3] = 0
        if how=='point': x[:] = 0
    return x.astype(draw(st.sampled_from([np.float32,np.float64])))

@SOME
@given(damaged())
def test_every_pose_is_answered(x):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        b,s = posecodes(x),scores(x)
    assert b.shape==s.shape==(len(x),len(IDS)) and b.dtype==bool and s.dtype==np.float32
    assert np.isfinite(s).all() and (s>=0).all() and (s<=1).all()
    assert (b==(s>.5))[np.abs(s-.5)>1e-6].all()

@SOME
@given(damaged())
def test_the_mirror_exchanges_the_twins_exactly(x):
    assert (posecodes(mirror(x))==posecodes(x)[:,TWINS]).all()
    assert (scores(mirror(x))==scores(x)[:,TWINS]).all()

def test_every_rule_is_its_own_mirror_image():
    swap = lambda n: re.sub('left|right', lambda m: dict(left='right',right='left')[m[0]], n)
    rule = lambda c, f=lambda n: n: {frozenset((f(t[0]),*t[1:]) for t in a) for a in c.rule}
    for c in words._ALL.values(): assert rule(c, swap)==rule(words._ALL[c.twin]), c.id

def test_the_list_of_codes():
    assert len(POSECODES)>=120
    for id,c in POSECODES.items():
        assert c.id==id and re.fullmatch('[a-z]+(_[a-z]+)*', id) and c.meaning and c.text and c.family
        assert POSECODES[c.twin].twin==id and (c.side=='')==(c.twin==id)
    assert set(code_rates())==set(POSECODES) and all(0<=r<=1 for r in code_rates().values())

def test_neither_size_nor_company_matters():
    x = canonical(POSES+.02*np.random.default_rng(0).normal(size=POSES.shape))
    b = posecodes(x)
    for k in (.3,.7,1.9): assert (posecodes(x*k)!=b).mean()<1e-3
    assert (posecodes(x+np.array([.5,-2,1], np.float32))!=b).mean()<1e-3
    assert all((posecodes(y)[0]==c).all() for y,c in zip(x[:20], b)) and (posecodes(np.concatenate([x]*60))==np.concatenate([b]*60)).all()
    assert (posecodes(x.astype(np.float64))==b).all()

def test_one_question_is_answered_like_all():
    b,s = posecodes(POSES),scores(POSES)
    for i in range(0, len(IDS), 7): assert (holds(IDS[i], POSES)==b[:,i]).all() and (score(IDS[i], POSES)==s[:,i]).all()

def test_statements():
    rng = np.random.default_rng(1)
    b = dict(zip(IDS, posecodes(POSES).T))
    for _ in range(50):
        a,c,d = rng.choice(IDS, 3, replace=False)
        assert (satisfies([a,f'!{c}',f'{d} | !{a}'], POSES)==b[a]&~b[c]&(b[d]|~b[a])).all()
    assert satisfies([], POSES).all() and satisfies(('standing',), POSES[0]).tolist()==[True]

@pytest.mark.parametrize('statements,says', [(['left_hand_over_head'], "did you mean 'left_hand_overhead'"), (['standing','!sittin'], "did you mean 'sitting'"), (['standing|'], "called ''"), (['zzz'], 'POSECODES lists them'),
    ([3], 'must be a string'), ('standing', 'a list of strings'), (['_on_feet'], 'no posecode')])
def test_bad_statements(statements, says):
    for f in (check_statements, lambda s: satisfies(s, POSES)):
        with pytest.raises(ValueError, match=re.escape(says)): f(statements)

@pytest.mark.parametrize('joints', [np.zeros((3,21,3)), np.zeros(66), np.zeros((2,2,22,3)), np.full((1,22,3), np.nan), np.full((1,22,3), np.inf), np.array([['a']*3]*22), np.array(None)])
def test_bad_joints(joints):
    for f in (posecodes, scores, measure, lambda x: holds('standing', x), lambda x: satisfies(['standing'], x)):
        with pytest.raises(ValueError, match='joints'): f(joints)
    for f in (holds, score):
        with pytest.raises(ValueError, match='no posecode'): f('nothing', POSES)
    with pytest.raises(ValueError, match='no posecode'): mirror_code('nothing')

def test_nothing_in_nothing_out():
    assert posecodes(POSES[:0]).shape==(0,len(IDS)) and satisfies(['standing'], POSES[:0]).shape==(0,) and all(v.shape==(0,) for v in measure(POSES[:0]).values())

PROMISED = dict(standing=['standing_straight','arms_symmetric','left_arm_hanging','!left_hand_in_front','weight_even'], arms_raised=['left_hand_overhead','right_hand_overhead','left_arm_straight_up'],
    t_pose=['left_arm_straight_sideways','right_arm_straight_sideways','hands_wide_apart'], deep_squat=['deep_squat','squatting','!half_squat','!sitting','!standing'], half_squat=['half_squat','!deep_squat'],
    crouching=['crouching','trunk_bent_forward'], sitting=['sitting_on_chair','!squatting','!standing','!sitting_on_floor'], sitting_on_floor=['sitting_on_floor','left_leg_straight_forward'], sitting_cross_legged=['sitting_on_floor','legs_crossed','knees_apart'],
    sitting_on_heels=['kneeling_on_both_knees','!squatting'], kneeling=['kneeling_on_both_knees','!standing'], kneeling_on_one_knee_left=['kneeling_on_left_knee','!kneeling_on_both_knees'], lunge_left=['lunging_left','!lunging_right','!standing','left_foot_in_front_of_right'],
    lying_on_back=['lying_on_back','!lying_on_front','!sitting'], lying_face_down=['lying_on_front'], cobra=['lying_on_front','back_arched','head_up'], plank=['hands_and_feet','!lying','!hands_and_knees'], downward_dog=['hands_and_feet','trunk_bent_deeply'],
    hands_and_knees=['hands_and_knees','!kneeling','!hands_and_feet'], handstand=['upside_down','left_hand_on_floor','!standing'], standing_on_left_leg=['standing_on_left_leg','weight_on_left_foot','right_foot_raised'],
    tree_pose=['standing_on_left_leg','right_foot_at_other_knee','right_knee_out'], left_kick=['left_leg_straight_forward','standing_on_right_leg','!mid_stride'], side_kick_right=['right_leg_straight_sideways','trunk_leaning_left'], bow=['bowing','!squatting'],
    touching_toes=['left_hand_at_foot','trunk_bent_deeply','back_rounded','left_knee_straight'], arms_crossed=['arms_crossed','!hands_together'], baseball_bat=['hands_together','!arms_crossed'], hands_on_hips=['left_hand_at_hip','right_hand_at_hip','!left_hand_at_belly'],
    hands_on_head=['left_hand_on_top_of_head','!left_hand_behind_head'], hands_behind_head=['left_hand_behind_head','!left_hand_on_top_of_head'], saluting=['right_hand_at_head','!left_hand_at_head'], drinking=['right_hand_at_face'], arms_behind_back=['left_hand_behind_back','hands_together'],
    praying=['hands_together','left_hand_at_chest'], flexing_biceps=['left_upper_arm_level','!left_hand_at_head'], side_bend_left=['trunk_side_bent_left','trunk_leaning_left','!trunk_side_bent_right'], twist_right=['trunk_twisted_right','!trunk_twisted_left'],
    looking_up=['head_up','!head_down'], jumping=['airborne','!standing','!feet_on_floor'], running=['airborne','mid_stride','left_thigh_raised_forward'], walking_left_forward=['mid_stride','left_foot_in_front','!airborne','!lunging'])

@pytest.mark.parametrize('name', PROMISED)
def test_hand_written_poses_do_what_they_are_called(name):
    wrong = [s for s in PROMISED[name] if not satisfies([s], OWN[name])[0]]
    assert not wrong

def test_balance_tells_sitting_from_squatting():
    legs = {f'{s}_{j}':{'flexion':90} for s in ('left','right') for j in ('hip','knee')}
    chair = pose_from_angles(legs)
    squat = pose_from_angles(legs | {'pelvis':{'flexion':30}, 'left_hip':{'flexion':110}, 'right_hip':{'flexion':110}, 'left_knee':{'flexion':115}, 'right_knee':{'flexion':115}, 'left_shoulder':{'flexion':110}, 'right_shoulder':{'flexion':110}})
    assert satisfies(['sitting_on_chair','!squatting'], chair)[0] and satisfies(['squatting','!sitting'], squat)[0]

def outside(x):
    "Simple arithmetic on joints: id → (what must be true where the code holds, what is enough for it to hold); lengths in legs."
    J = lambda n: x[:,joint_idx(n)]
    far = lambda a,b: np.linalg.norm(J(a)-J(b), axis=-1)
    leg = (far('left_hip','left_knee')+far('left_knee','left_ankle')+far('right_hip','right_knee')+far('right_knee','right_ankle'))/2
    z = lambda n: J(n)[:,2]/leg
    low = x[...,2].min(1)/leg
    never = np.zeros(len(x), bool)
    def bend(a, b, c):
        d,e,f = far(a,b),far(b,c),far(a,c)
        return 180-np.degrees(np.arccos(np.clip((d*d+e*e-f*f)/(2*d*e), -1, 1)))  # law of cosines
    middle = (J('left_hip')+J('right_hip'))/2
    trunk = J('neck')-middle
    tilt = np.degrees(np.arccos(np.clip(trunk[:,2]/np.linalg.norm(trunk, axis=-1), -1, 1)))
    hips = middle[:,2]/leg
    elbow,knee = bend('left_shoulder','left_elbow','left_wrist'),bend('left_hip','left_knee','left_ankle')
    arm = J('left_wrist')-J('left_shoulder')
    arm = arm/np.linalg.norm(arm, axis=-1, keepdims=True)
    straight = elbow<34
    hands = far('left_wrist','right_wrist')/leg
    feet = np.linalg.norm((J('left_ankle')-J('right_ankle'))[:,:2], axis=-1)/leg
    ahead = (J('right_ankle')-J('left_ankle'))[:,1]/leg
    head = far('left_wrist','head')/leg
    to_knee = np.minimum(far('left_wrist','left_knee'), far('left_wrist','right_knee'))/leg
    foot = np.minimum(z('left_ankle'), z('left_foot'))-low
    higher = z('left_wrist')-z('right_wrist')
    return dict(left_elbow_straight=(elbow<25.5, elbow<24.5), left_elbow_right_angle=((elbow>69.5)&(elbow<110.5), (elbow>70.5)&(elbow<109.5)), left_knee_bent=(knee>39.5, knee>40.5), left_knee_fully_bent=(knee>114.5, knee>115.5),
        left_arm_straight_up=((arm[:,2]>.8)&(elbow<36), (arm[:,2]>.86)&straight), left_arm_straight_forward=((arm[:,1]<-.8)&(elbow<36), (arm[:,1]<-.84)&straight&(tilt<60)), left_arm_straight_sideways=((arm[:,0]>.8)&(elbow<36), (arm[:,0]>.84)&straight),
        left_hand_overhead=(z('left_wrist')>z('head'), z('left_wrist')>z('head')+.4), left_hand_near_floor=(z('left_wrist')-low<.45, never), left_hand_higher=(higher>0, higher>.35), left_hand_below_hip=(z('left_wrist')<hips+.05, z('left_wrist')<hips-.35),
        hands_together=(hands<.4, hands<.14), hands_wide_apart=(hands>.85, never), left_hand_at_head=(head<.5, never), left_hand_at_knee=(to_knee<.5, never), feet_together=(feet<.25, feet<.2), left_foot_in_front_of_right=(ahead>.05, ahead>.45),
        trunk_upright=(tilt<15.5, tilt<14.5), trunk_horizontal=((tilt>64.5)&(tilt<115.5), (tilt>65.5)&(tilt<114.5)), left_foot_raised=(foot>.05, foot>.3), standing=(hips-low>.45, never), lying=(z('neck')-low<.75, never), sitting_on_floor=(hips-low<.3, never),
        deep_squat=((knee>90)&(hips-low<.75), never))

def agrees(x):
    x = np.asarray(x, np.float64)
    says = dict(zip(IDS, posecodes(x).T))
    for id,(needs,enough) in outside(x).items():
        h = says[id]
        assert needs[h].all(), f'{id} holds where arithmetic says no, {(~needs[h]).sum()} times'
        assert h[enough].all(), f'{id} does not hold where arithmetic says yes, {(~h[enough]).sum()} times'

def test_simple_arithmetic_agrees_on_hand_written_poses():
    rng = np.random.default_rng(2)
    agrees(POSES)
    agrees(mirror(POSES))
    agrees(canonical(np.repeat(POSES, 10, 0)+.01*rng.normal(size=(10*len(POSES),22,3))))

@pytest.mark.skipif(data_dir() is None, reason='TEXT2POSE_DATA is not set')
@pytest.mark.parametrize('source', OPEN_SOURCES)
def test_simple_arithmetic_agrees_on_real_poses(source):
    x = capture_poses(data_dir()/'realmocap22', source)
    agrees(x)
    agrees(mirror(x))
    assert (posecodes(mirror(x))==posecodes(x)[:,TWINS]).all()
