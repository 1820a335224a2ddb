"Posecodes: left is treated like right, size does not matter, any input is answered or refused, and arithmetic agrees."
import re, subprocess, sys, warnings
import numpy as np, pytest
from hypothesis import given, settings, strategies as st

from text2pose.core import data_dir
from text2pose.data import N_JOINTS, canonical, joint_idx, mirror, own_poses
from text2pose.humanml3d import OPEN_SOURCES
from text2pose.skeleton import capture_poses, pose_from_angles
from text2pose.posecodes import (
    _ALL, POSECODES, check_statements, code_rates, holds, measure, mirror_code, mirror_statement, posecodes, satisfies,
    score, scores)

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
    scale,noise = 10**draw(st.floats(-4, 4)), 10**draw(st.floats(-4, 4))
    x = POSES[g.integers(0, len(POSES), n)].astype(np.float64)*scale
    x += g.normal(0, noise, (n,N_JOINTS,3))*draw(st.sampled_from([0,1]))
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

@pytest.mark.parametrize('n', [1,2,3,7,31,32,33,100])
def test_the_mirror_is_exact_for_batches_of_any_size(n):
    x = canonical(np.resize(POSES, (n,N_JOINTS,3))+.03*np.random.default_rng(n).normal(size=(n,N_JOINTS,3)))
    assert (scores(mirror(x))==scores(x)[:,TWINS]).all()

def test_every_rule_is_its_own_mirror_image():
    def swap(name): return re.sub('left|right', lambda m: dict(left='right',right='left')[m[0]], name)
    def conditions(c, rename=str): return {frozenset((rename(name),*rest) for name,*rest in a) for a in c.rule}
    for c in _ALL.values(): assert conditions(c, swap)==conditions(_ALL[c.twin]), c.id

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
    assert all((posecodes(y)[0]==c).all() for y,c in zip(x[:20], b))
    assert (posecodes(np.concatenate([x]*60))==np.concatenate([b]*60)).all()
    assert (posecodes(x.astype(np.float64))==b).all()

def test_one_question_is_answered_like_all():
    b,s = posecodes(POSES),scores(POSES)
    for i in range(0, len(IDS), 7):
        assert (holds(IDS[i], POSES)==b[:,i]).all()
        assert (score(IDS[i], POSES)==s[:,i]).all()

def test_statements():
    rng = np.random.default_rng(1)
    b = dict(zip(IDS, posecodes(POSES).T))
    for _ in range(50):
        a,c,d = rng.choice(IDS, 3, replace=False)
        statements = [a, f'!{c}', f'{d} | !{a}']
        every = satisfies(statements, POSES)
        assert (every==b[a]&~b[c]&(b[d]|~b[a])).all()
        assert (satisfies([mirror_statement(s) for s in statements], mirror(POSES))==every).all()
    assert satisfies([], POSES).all() and satisfies(('standing',), POSES[0]).tolist()==[True]

def test_mirror_statement():
    assert mirror_statement('sitting')=='sitting'
    assert mirror_statement('!left_hand_overhead | left_arm_raised')=='!right_hand_overhead|right_arm_raised'
    for i in IDS: assert mirror_statement(mirror_statement(f'!{i}'))==f'!{i}'
    with pytest.raises(ValueError, match="did you mean 'sitting'"): mirror_statement('!sittin')

BAD_STATEMENTS = [
    (['left_hand_over_head'], "did you mean 'left_hand_overhead'"),
    (['standing','!sittin'], "did you mean 'sitting'"),
    (['standing|'], "called ''"),
    (['zzz'], 'POSECODES lists them'),
    ([3], 'must be a string'),
    ('standing', 'a list of strings'),
    (['_on_feet'], 'no posecode')]

@pytest.mark.parametrize('statements,says', BAD_STATEMENTS)
def test_bad_statements(statements, says):
    for f in (check_statements, lambda s: satisfies(s, POSES)):
        with pytest.raises(ValueError, match=re.escape(says)): f(statements)

BAD_JOINTS = [
    np.zeros((3,21,3)), np.zeros(66), np.zeros((2,2,22,3)), np.full((1,22,3), np.nan), np.full((1,22,3), np.inf),
    np.array([['a']*3]*22), np.array(None)]

@pytest.mark.parametrize('joints', BAD_JOINTS)
def test_bad_joints(joints):
    for f in (posecodes, scores, measure, lambda x: holds('standing', x), lambda x: satisfies(['standing'], x)):
        with pytest.raises(ValueError, match='joints'): f(joints)
    for f in (holds, score):
        with pytest.raises(ValueError, match='no posecode'): f('nothing', POSES)
    with pytest.raises(ValueError, match='no posecode'): mirror_code('nothing')

def test_nothing_in_nothing_out():
    none = POSES[:0]
    assert posecodes(none).shape==scores(none).shape==(0,len(IDS))
    assert satisfies(['standing'], none).shape==satisfies([], none).shape==(0,)
    assert all(v.shape==(0,) for v in measure(none).values())

def test_importing_is_light():
    code = 'import sys, text2pose.posecodes; print(*{"torch","scipy","matplotlib"}&sys.modules.keys())'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.split()==[]

PROMISED = dict(
    standing=['standing_straight','arms_symmetric','left_arm_hanging','!left_hand_in_front','weight_even'],
    arms_raised=['left_hand_overhead','right_hand_overhead','left_arm_straight_up'],
    t_pose=['left_arm_straight_sideways','right_arm_straight_sideways','hands_wide_apart'],
    deep_squat=['deep_squat','squatting','!half_squat','!sitting','!standing'],
    half_squat=['half_squat','!deep_squat'],
    crouching=['crouching','trunk_bent_forward'],
    sitting=['sitting_on_chair','!squatting','!standing','!sitting_on_floor'],
    sitting_on_floor=['sitting_on_floor','left_leg_straight_forward'],
    sitting_cross_legged=['sitting_on_floor','legs_crossed','knees_apart'],
    sitting_on_heels=['kneeling_on_both_knees','!squatting'],
    kneeling=['kneeling_on_both_knees','!standing'],
    kneeling_on_one_knee_left=['kneeling_on_left_knee','!kneeling_on_both_knees'],
    lunge_left=['lunging_left','!lunging_right','!standing','left_foot_in_front_of_right'],
    lying_on_back=['lying_on_back','!lying_on_front','!sitting'],
    lying_face_down=['lying_on_front'],
    cobra=['lying_on_front','back_arched','head_up'],
    plank=['hands_and_feet','!lying','!hands_and_knees'],
    downward_dog=['hands_and_feet','trunk_bent_deeply'],
    hands_and_knees=['hands_and_knees','!kneeling','!hands_and_feet'],
    handstand=['upside_down','left_hand_on_floor','!standing'],
    standing_on_left_leg=['standing_on_left_leg','weight_on_left_foot','right_foot_raised'],
    tree_pose=['standing_on_left_leg','right_foot_at_other_knee','right_knee_out'],
    left_kick=['left_leg_straight_forward','standing_on_right_leg','!mid_stride'],
    side_kick_right=['right_leg_straight_sideways','trunk_leaning_left'],
    bow=['bowing','!squatting'],
    touching_toes=['left_hand_at_foot','trunk_bent_deeply','back_rounded','left_knee_straight'],
    arms_crossed=['arms_crossed','!hands_together'],
    baseball_bat=['hands_together','!arms_crossed'],
    hands_on_hips=['left_hand_at_hip','right_hand_at_hip','!left_hand_at_belly'],
    hands_on_head=['left_hand_on_top_of_head','!left_hand_behind_head'],
    hands_behind_head=['left_hand_behind_head','!left_hand_on_top_of_head'],
    saluting=['right_hand_at_head','!left_hand_at_head'],
    drinking=['right_hand_at_face'],
    arms_behind_back=['left_hand_behind_back','hands_together'],
    praying=['hands_together','left_hand_at_chest'],
    flexing_biceps=['left_upper_arm_level','!left_hand_at_head'],
    side_bend_left=['trunk_side_bent_left','trunk_leaning_left','!trunk_side_bent_right'],
    twist_right=['trunk_twisted_right','!trunk_twisted_left'],
    looking_up=['head_up','!head_down'],
    jumping=['airborne','!standing','!feet_on_floor'],
    running=['airborne','mid_stride','left_thigh_raised_forward'],
    walking_left_forward=['mid_stride','left_foot_in_front','!airborne','!lunging'])

@pytest.mark.parametrize('name', PROMISED)
def test_hand_written_poses_do_what_they_are_called(name):
    wrong = [s for s in PROMISED[name] if not satisfies([s], OWN[name])[0]]
    assert not wrong

def test_balance_tells_sitting_from_squatting():
    sides = ('left','right')
    def legs(hip, knee): return {f'{s}_{j}':{'flexion':a} for s in sides for j,a in (('hip',hip),('knee',knee))}
    arms_forward = {f'{s}_shoulder':{'flexion':110} for s in sides}
    chair = pose_from_angles(legs(90, 90))
    squat = pose_from_angles({'pelvis':{'flexion':30}, **legs(110, 115), **arms_forward})
    assert satisfies(['sitting_on_chair','!squatting'], chair)[0] and satisfies(['squatting','!sitting'], squat)[0]

class Lengths:
    "Simple arithmetic on joints, lengths in legs."
    def __init__(self, joints):
        self.x = joints
        leg = ('left_hip','left_knee','left_ankle'),('right_hip','right_knee','right_ankle')
        self.leg = sum(self._metres(a, b)+self._metres(b, c) for a,b,c in leg)/2
        hips = (self.joint('left_hip')+self.joint('right_hip'))/2
        self.hips = hips[:,2]/self.leg
        self.lowest = joints[...,2].min(1)/self.leg
        trunk = self.joint('neck')-hips
        self.tilt = np.degrees(np.arccos(np.clip(trunk[:,2]/np.linalg.norm(trunk, axis=-1), -1, 1)))
    def joint(self, name): return self.x[:,joint_idx(name)]
    def _metres(self, a, b): return np.linalg.norm(self.joint(a)-self.joint(b), axis=-1)
    def apart(self, a, b): return self._metres(a, b)/self.leg
    def height(self, name): return self.joint(name)[:,2]/self.leg
    def bend(self, a, b, c):
        "Degrees, by the law of cosines; 0 is straight."
        d,e,f = self._metres(a, b), self._metres(b, c), self._metres(a, c)
        return 180-np.degrees(np.arccos(np.clip((d*d+e*e-f*f)/(2*d*e), -1, 1)))
    def direction(self, a, b):
        d = self.joint(b)-self.joint(a)
        return (d/np.linalg.norm(d, axis=-1, keepdims=True)).T

def bends(b):
    elbow,knee = b.bend('left_shoulder', 'left_elbow', 'left_wrist'), b.bend('left_hip', 'left_knee', 'left_ankle')
    return dict(
        left_elbow_straight=(elbow<25.5, elbow<24.5),
        left_elbow_right_angle=((elbow>69.5)&(elbow<110.5), (elbow>70.5)&(elbow<109.5)),
        left_knee_bent=(knee>39.5, knee>40.5),
        left_knee_fully_bent=(knee>114.5, knee>115.5),
        deep_squat=((knee>90)&(b.hips-b.lowest<.75), None))

def arms(b):
    elbow = b.bend('left_shoulder', 'left_elbow', 'left_wrist')
    almost_straight,straight = elbow<36, elbow<34
    out,back,up = b.direction('left_shoulder', 'left_wrist')
    return dict(
        left_arm_straight_up=((up>.8)&almost_straight, (up>.86)&straight),
        left_arm_straight_forward=((back<-.8)&almost_straight, (back<-.84)&straight&(b.tilt<60)),
        left_arm_straight_sideways=((out>.8)&almost_straight, (out>.84)&straight))

def hands(b):
    wrist,head = b.height('left_wrist'), b.height('head')
    higher = wrist-b.height('right_wrist')
    apart = b.apart('left_wrist', 'right_wrist')
    to_knee = np.minimum(b.apart('left_wrist', 'left_knee'), b.apart('left_wrist', 'right_knee'))
    return dict(
        left_hand_overhead=(wrist>head, wrist>head+.4),
        left_hand_near_floor=(wrist-b.lowest<.45, None),
        left_hand_higher=(higher>0, higher>.35),
        left_hand_below_hip=(wrist<b.hips+.05, wrist<b.hips-.35),
        left_hand_at_head=(b.apart('left_wrist', 'head')<.5, None),
        left_hand_at_knee=(to_knee<.5, None),
        hands_together=(apart<.4, apart<.14),
        hands_wide_apart=(apart>.85, None))

def feet(b):
    between = (b.joint('left_ankle')-b.joint('right_ankle'))/b.leg[:,None]
    apart = np.linalg.norm(between[:,:2], axis=-1)
    clear = np.minimum(b.height('left_ankle'), b.height('left_foot'))-b.lowest
    return dict(
        feet_together=(apart<.25, apart<.2),
        left_foot_in_front_of_right=(-between[:,1]>.05, -between[:,1]>.45),
        left_foot_raised=(clear>.05, clear>.3))

def whole_body(b):
    height = b.hips-b.lowest
    return dict(
        trunk_upright=(b.tilt<15.5, b.tilt<14.5),
        trunk_horizontal=((b.tilt>64.5)&(b.tilt<115.5), (b.tilt>65.5)&(b.tilt<114.5)),
        standing=(height>.45, None),
        lying=(b.height('neck')-b.lowest<.75, None),
        sitting_on_floor=(height<.3, None))

def agrees(x):
    "Arithmetic and codes must not disagree: id → (what must be true where the code holds, what is enough for it)."
    x = np.asarray(x, np.float64)
    says = dict(zip(IDS, posecodes(x).T))
    b = Lengths(x)
    for id,(needs,enough) in (bends(b) | arms(b) | hands(b) | feet(b) | whole_body(b)).items():
        wrong = says[id]&~needs
        assert not wrong.any(), f'{id} holds where arithmetic says no, {wrong.sum()} times'
        if enough is None: continue
        missed = enough&~says[id]
        assert not missed.any(), f'{id} does not hold where arithmetic says yes, {missed.sum()} times'

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
