"Poses moved to targets, ways between poses, and scenes, over poses of the atlas and over hopeless input."
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from text2pose.data import JOINT_NAMES, N_JOINTS, bone_lengths, mirror, rotate_z
from text2pose.editing import (
    GROUPS, arrange, check_targets, draw_scene, export_scene, interpolate_poses, load_scene, place_in_scene, reach,
    scene_overlap, targets_of)
from text2pose.export import from_glb
from text2pose.library import atlas_library
from text2pose.skeleton import (
    _loose_girdles, _poses_last, _spine_off, _trunk_axes, bone_lengths_for, enforce_bone_lengths, enforce_skeleton,
    limit_violations,
    reference_bone_lengths)

POSES = atlas_library().joints
UP = POSES[:,3]/np.linalg.norm(POSES[:,3], axis=-1, keepdims=True)
LEG = .999*reference_bone_lengths()[[3,6]].sum()  # metres from hip to ankle, at most
seeds = st.integers(0, 2**32-1)
quick = settings(max_examples=8, deadline=None)

def of_trunk(measure, joints):
    "What chapter 02 measures of trunks, whose arrays have the poses last."
    x = _poses_last(joints)
    return measure(x, _trunk_axes(x))

def like(rows, rng, degrees=15):
    "For each pose another one, whose pelvis is up in nearly the same direction."
    return np.array([rng.choice(np.flatnonzero(UP@UP[i]>np.cos(np.radians(degrees)))) for i in rows])

def drags(n, seed, joints=(20,21,7,8)):
    "Poses and targets of one joint each, on the way to where another pose has it; ankles within reach of the hip."
    rng = np.random.default_rng(seed)
    first = rng.integers(0, len(POSES), n)
    other,joint = like(first, rng),rng.choice(joints, n)
    start,end = POSES[first,joint].astype(float),POSES[other,joint].astype(float)
    place = start+rng.uniform(.2, 1, (n,1))*(end-start)
    legs = np.isin(joint, (7,8))
    hip = POSES[first,joint-6].astype(float)
    too_far = np.maximum(np.linalg.norm(place-hip, axis=-1, keepdims=True)/LEG, 1)
    place = np.where(legs[:,None], hip+(place-hip)/too_far, place)
    targets = np.full((n,N_JOINTS,3), np.nan)
    targets[range(n),joint] = place
    return POSES[first].astype(float), targets

def off(joints, targets):
    "Metres that the worst target is missed by, (n,)."
    return np.nanmax(np.linalg.norm(joints-targets, axis=-1), -1)

def worse(after, before):
    "Degrees further beyond a limit, the worst of each pose."
    after,before = (np.stack(list(limit_violations(x).values())) for x in (after,before))
    return (after-before).max(0)

def assert_rigid(joints, lengths):
    np.testing.assert_allclose(bone_lengths(joints), np.broadcast_to(lengths, bone_lengths(joints).shape), atol=1e-5)
    assert of_trunk(_loose_girdles, joints).max()<1e-5

def test_a_thousand_drags():
    x,targets = drags(1000, 0)
    y = reach(x, targets)
    missed,beyond = off(y, targets), worse(y, x)
    assert (missed<1e-3).mean()>=.995
    assert missed.max()<.05
    assert (beyond>1).mean()<=.03 and (beyond>5).mean()<=.015
    assert_rigid(y, bone_lengths(x))
    lower = [j for j in GROUPS['lower_body'] if j not in (7,8)]
    of_arms = ~np.isnan(targets[:,[20,21]]).all((1,2))
    np.testing.assert_allclose(y[of_arms][:,lower], x[of_arms][:,lower], atol=1e-3)

def test_a_head_is_moved_where_it_can_be():
    x,targets = drags(200, 1, joints=(15,))
    y = reach(x, targets)
    assert (off(y, targets)<1e-3).mean()>=.85
    assert np.quantile(off(y, targets), .98)<.03
    assert_rigid(y, bone_lengths(x))

def test_few_steps_without_limits():
    x,targets = drags(1000, 2)
    y = reach(x, targets, n_steps=8, limits=False)
    assert (off(y, targets)<1e-3).mean()>=.98
    assert_rigid(y, bone_lengths(x))

PARTS = ['left_arm','arms','legs','upper_body','lower_body','arms legs','trunk','left_leg head']

@pytest.mark.parametrize('group', PARTS)
def test_kept_parts(group):
    rng = np.random.default_rng(3)
    first = rng.integers(0, len(POSES), 200)
    x,kept = POSES[first].astype(float),POSES[like(first, rng)].astype(float)
    targets = targets_of((kept,group))
    check_targets(targets)
    for options in ({}, dict(n_steps=8, limits=False)):
        y = reach(x, targets, **options)
        assert (off(y, targets)<1e-3).mean()>=.99
        assert_rigid(y, bone_lengths(x))

def test_estimates_of_a_denoiser():
    "Poses that are no bodies yet, with arms of a real one."
    rng = np.random.default_rng(12)
    first = rng.integers(0, len(POSES), 200)
    kept = POSES[like(first, rng)]
    x = torch.from_numpy(POSES[first]+rng.normal(0, .04, (200,N_JOINTS,3)).astype(np.float32))
    for n_steps,share in ((4,.9),(8,.98)):
        y = reach(x-x[:,:1], (kept,'arms'), reference_bone_lengths(), n_steps=n_steps, limits=False).numpy()
        assert (off(y, targets_of((kept,'arms')))<1e-3).mean()>=share
        assert_rigid(y, reference_bone_lengths())

def test_everything_given_is_the_other_pose():
    rng = np.random.default_rng(4)
    x,other = POSES[rng.integers(0, len(POSES), (2,100))].astype(float)
    y = reach(x, targets_of((other,'upper_body lower_body')), n_steps=8, limits=False)
    assert (np.abs(y-other).max((1,2))<1e-3).mean()>=.97

def test_the_spine_stays_as_it_was():
    x,targets = drags(300, 5, joints=(15,20,21))
    y = reach(x, targets, limits=False)
    np.testing.assert_allclose(of_trunk(_spine_off, y), of_trunk(_spine_off, x), atol=.01)

@quick
@given(seeds, st.booleans())
def test_alone_as_in_a_batch_and_in_the_mirror(seed, limits):
    x,targets = drags(5, seed, joints=range(1,N_JOINTS))
    y = reach(x, targets, limits=limits)
    for i in range(5): np.testing.assert_allclose(reach(x[i], targets[i], limits=limits), y[i], atol=1e-6)
    np.testing.assert_allclose(mirror(reach(mirror(x), mirror(targets), limits=limits)), y, atol=1e-5)

@quick
@given(seeds)
def test_another_body(seed):
    rng = np.random.default_rng(seed)
    lengths = bone_lengths_for(size=rng.uniform(1, 99))
    x = enforce_skeleton(POSES[rng.integers(0, len(POSES), 4)].astype(float), lengths)
    targets = np.full((4,N_JOINTS,3), np.nan)
    targets[:,20] = x[:,20]+rng.normal(0, .05, (4,3))
    y = reach(x, targets)
    assert_rigid(y, lengths)
    assert_rigid(reach(x, targets, reference_bone_lengths()), reference_bone_lengths())
    assert (off(y, targets)<1e-3).sum()>=2

@pytest.mark.parametrize('metres', [2, 50, 1e6])
def test_out_of_reach(metres):
    x,targets = drags(200, 6)
    targets *= metres/np.linalg.norm(np.nan_to_num(targets), axis=-1).max(-1)[:,None,None]
    y = reach(x, targets)
    assert np.isfinite(y).all()
    assert_rigid(y, bone_lengths(x))
    assert worse(y, x).max()<5
    # further that way than before
    way = np.nan_to_num(targets).sum(1)/metres
    joint = np.nan_to_num(np.abs(targets)).sum(-1).argmax(-1)
    before,after = (((z[range(200),joint])*way).sum(-1) for z in (x,y))
    assert (after>before-.02).mean()>.97

def test_small_changes_change_little():
    x,targets = drags(300, 7)
    y = reach(x, targets, n_steps=8, limits=False)
    step = np.random.default_rng(7).normal(size=targets.shape)
    step *= .01/np.linalg.norm(step, axis=-1, keepdims=True)
    moved = np.linalg.norm(reach(x, targets+step, n_steps=8, limits=False)-y, axis=-1).max(-1)
    assert np.median(moved)<.02 and np.quantile(moved, .9)<.05

def test_a_target_where_the_joint_is_changes_nothing():
    x = POSES[::40].astype(float)
    for group in ('left_arm','legs','head','upper_body lower_body'):
        np.testing.assert_allclose(reach(x, (x,group)), x, atol=2e-3)
    np.testing.assert_allclose(reach(x, np.full((N_JOINTS,3), np.nan)), x, atol=1e-5)

def test_kinds_and_shapes():
    x,targets = drags(6, 8)
    for dtype in (torch.float32,torch.float64):
        y = reach(torch.from_numpy(x).to(dtype).requires_grad_(), torch.from_numpy(targets))
        assert y.dtype==dtype and not y.requires_grad
    assert reach(x.astype(np.float32), targets).dtype==np.float32
    assert reach(x.reshape(2,3,22,3), targets.reshape(2,3,22,3)).shape==(2,3,22,3)
    assert reach(x[0], targets).shape==(6,22,3)
    assert reach(x, targets[0]).shape==(6,22,3)
    assert reach(x[:0], targets[:0]).shape==(0,22,3)
    away = np.array([3.,1,2])
    np.testing.assert_allclose(reach(x+away, targets+away), reach(x, targets)+away, atol=1e-6)

def test_straight_limbs_bend():
    standing = dict(zip(atlas_library().names, POSES))['standing']
    shifts = dict(left_wrist=(0,0,.1), right_wrist=(0,-.02,.2), left_ankle=(0,0,.15), head=(0,0,-.03))
    for joint,shift in shifts.items():
        target = standing[JOINT_NAMES.index(joint)]+shift
        y = reach(standing, {joint:target})
        assert np.linalg.norm(y[JOINT_NAMES.index(joint)]-target)<1e-3
        assert worse(y, standing).max()<1

@pytest.mark.parametrize('spec,says', [
    ({'hand':(0,0,0)}, 'no joint is called'), ({'left_wrist':(0,1)}, '3 numbers'),
    ({'left_wrist':'here'}, '3 numbers'),
    ({'left_wrist':(0,np.nan,0)}, 'NaN'), ({'left_wrist':(np.inf,0,0)}, 'infinite'), (np.zeros((21,3)), 'shape'),
    ('left_arm', 'numbers'), ((POSES[0],'wing'), 'no joint or group'), ((POSES[0],''), 'at least one'),
    ((POSES[0]*np.nan,'arms'), 'NaN'), ({}, 'no joint has a target'),
    ({'left_wrist':(5,0,0)}, '5.00 m from the pelvis'),
    ({'left_wrist':(.9,0,.2), 'right_wrist':(-.9,0,.2)}, 'bones between them'),
    ({'pelvis':(0,0,1)}, 'origin'),
    ({'left_wrist':(.3,0,.3), 'left_elbow':(.3,0,.2)}, 'enforce_bone_lengths'), (np.full((22,3), np.inf), 'infinite'),
    (np.where(np.arange(3)==0, np.nan, np.zeros((22,3))), 'partly NaN'),
    ((enforce_bone_lengths(POSES[0], bone_lengths_for(1.3)),'legs'), 'enforce_bone_lengths')])
def test_bad_targets(spec, says):
    with pytest.raises(ValueError, match=says): check_targets(spec)

def test_bad_calls():
    x,targets = drags(2, 9)
    with pytest.raises(ValueError, match='do not fit'): reach(np.stack([x[0]]*3), targets)
    with pytest.raises(ValueError, match='NaN or infinite'): reach(x*np.nan, targets)
    with pytest.raises(ValueError, match='finite'): reach(x, targets+np.inf)
    with pytest.raises(ValueError, match='n_steps'): reach(x, targets, n_steps=0)
    with pytest.raises(ValueError, match='lengths'): reach(x, targets, np.ones(5))
    with pytest.raises(ValueError, match='same shape'): interpolate_poses(x, x[0])
    with pytest.raises(ValueError, match='n must'): interpolate_poses(x, x, 1)

def test_ways_between_poses():
    rng = np.random.default_rng(10)
    a,b = POSES[rng.integers(0, len(POSES), (2,100))]
    way = interpolate_poses(a, b, 5)
    assert way.shape==(5,100,22,3) and way.dtype==np.float32
    np.testing.assert_array_equal(way[0], a)
    np.testing.assert_array_equal(way[-1], b)
    assert_rigid(way.astype(float), reference_bone_lengths())
    np.testing.assert_allclose(interpolate_poses(b, a, 5)[::-1], way, atol=1e-4)
    assert isinstance(interpolate_poses(torch.from_numpy(a), torch.from_numpy(b)), torch.Tensor)

def test_half_way_to_the_mirror_image_is_symmetric():
    half = interpolate_poses(POSES, mirror(POSES), 3)[1]
    uneven = np.abs(half-mirror(half)).max((1,2))
    assert (uneven<1e-3).mean()>.99  # but for parts half a turn apart

def test_layouts():
    for n in (1,2,3,7):
        for layout in ('row','circle'):
            offsets,headings = arrange(n, layout, 1.5)
            assert offsets.shape==(n,2) and headings.shape==(n,)
            if n>1: np.testing.assert_allclose(np.linalg.norm(offsets[1]-offsets[0]), 1.5)
        forward = rotate_z(np.tile([0.,-1,0], (n,1,1)), np.radians(headings))[:,0,:2]
        if n>1: assert ((forward*offsets).sum(-1)<0).all()  # inward
    for bad in (dict(layout='heap'), dict(distance=0), dict(distance=np.nan), dict(layout='face_to_face')):
        with pytest.raises(ValueError): arrange(3, **bad)

def test_scenes(tmp_path):
    people = POSES[[0,300,600,900]]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        scene = place_in_scene(people, *arrange(4, 'circle', 3.))
    assert scene.dtype==np.float32 and np.abs(scene[:,:,2].min(1)).max()<.15
    assert not scene_overlap(scene).any()
    with pytest.warns(UserWarning, match='people 0 and 1'): place_in_scene(people[:2], [(0,0),(.05,0)])
    picture = draw_scene(scene, size=(160,120))
    assert picture.shape==(120,160,3) and picture.std()>5
    place = arrange(4, 'circle', 3.)
    export_scene(people, tmp_path/'s.json', *place)
    np.testing.assert_allclose(load_scene(tmp_path/'s.json'), scene, atol=1e-4)
    export_scene(people, tmp_path/'s.glb', *place)
    np.testing.assert_allclose(from_glb((tmp_path/'s.glb').read_bytes())[0][...,:2], scene[...,:2], atol=1e-4)
    export_scene(people, tmp_path/'s', *place, format='openpose', options=dict(azim=20.))
    assert (tmp_path/'s'/'000.png').is_file() and not (tmp_path/'s'/'001.png').exists()
    for bad in (dict(offsets=np.zeros((3,2))), dict(headings=np.full(4, np.nan)), dict(offsets='here')):
        with pytest.raises(ValueError): place_in_scene(people, **bad)
    with pytest.raises(ValueError): place_in_scene(people[:0])

def test_one_person_is_drawn_as_ever():
    scene = place_in_scene(POSES[:1])
    picture = draw_scene(scene, size=(240,300))
    assert picture.shape==(300,240,3)
