"Exported files hold the pose they were given, for random valid poses and for broken ones, the same bytes each time; a failed export leaves no file."
import json, os
from pathlib import Path

import numpy as np, pytest

import text2pose.data, text2pose.export
from text2pose.data import JOINT_NAMES, MIRROR_IDX, PARENTS, own_poses, project, rotate_z, z_up_from_y_up
from text2pose.export import (
    BODY25, COCO18, FORMATS, OPENPOSE_LIMBS, body_points, draw_openpose, export, fit_rig, load_poses, on_floor,
    openpose_people, to_bvh, to_glb)
from text2pose.mocap import read_bvh, read_mocap
from text2pose.skeleton import (
    axis_angle_to_matrix, forward_kinematics, pose_from_angles, reference_bone_lengths, rest_offsets, smpl_pose)

def shaken(seed, n=20, degrees=20, size=.25):
    "Own poses with every angle shaken, on bodies of other sizes."
    rng = np.random.default_rng(seed)
    own = own_poses()
    lengths = reference_bone_lengths()
    shake = lambda angles: {j:{k:v+rng.normal(0, degrees) for k,v in values.items()} for j,values in angles.items()}
    other = [MIRROR_IDX[j]-1 for j in range(1,22)]
    some = lambda r: lengths*np.exp(size*(r+r[other])/4)*np.exp(size*rng.normal()/2)
    return np.stack([pose_from_angles(shake(own[i]['angles']), some(rng.normal(size=21))) for i in rng.choice(len(own), n)])

def noisy(seed, sigma=.02):
    "The same with every joint moved, as in capture: no body is rigid any more."
    x = shaken(seed)
    x = x+np.random.default_rng(seed).normal(0, sigma, x.shape).astype(np.float32)
    return x-x[:,:1]

def bvh_joints(path):
    m = read_bvh(path)
    x = z_up_from_y_up(m.positions[:,[m.names.index(n) for n in JOINT_NAMES]])
    return x-x[:,:1]

def glb_joints(data):
    "Node positions in every key of the animation, multiplied down the hierarchy."
    import pygltflib as g
    doc = g.GLTF2.load_from_bytes(data)
    blob = doc.binary_blob()
    nodes = doc.skins[0].joints
    up = {c:p for p in nodes for c in doc.nodes[p].children or []}
    def values(i):
        a = doc.accessors[i]
        v = doc.bufferViews[a.bufferView]
        return np.frombuffer(blob[v.byteOffset:v.byteOffset+v.byteLength], np.float32).reshape(a.count,-1)
    keyed = {(c.target.node,c.target.path):values(a.samplers[c.sampler].output) for a in doc.animations for c in a.channels}
    n = max([1]+[len(v) for v in keyed.values()])
    world = {}
    for i in nodes:
        q,t = (keyed.get((i,p), np.tile(v, (n,1))) for p,v in (('rotation',doc.nodes[i].rotation), ('translation',doc.nodes[i].translation)))
        M = np.tile(np.eye(4), (n,1,1))
        M[:,:3,3] = t
        v,w = q[:,:3],q[:,3:,None]
        cross = np.cross(v[:,None], np.eye(3)).swapaxes(1,2)
        M[:,:3,:3] = np.eye(3)+2*w*cross+2*cross@cross
        world[i] = world[up[i]]@M if i in up else M
    assert [doc.nodes[i].name for i in nodes]==JOINT_NAMES and [PARENTS[k] for k in range(1,22)]==[nodes.index(up[i]) for i in nodes[1:]]
    x = z_up_from_y_up(np.stack([world[i][:,:3,3] for i in nodes], 1))
    return x-x[:,:1]

@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('make', [shaken, noisy])
def test_3d_files_give_the_pose_back(tmp_path, make, seed):
    x = make(seed)
    export(x, tmp_path/'a.bvh')
    assert np.abs(bvh_joints(tmp_path/'a.bvh')-x).max()<1e-3
    export(x[0], tmp_path/'one.bvh')
    assert np.abs(bvh_joints(tmp_path/'one.bvh')-x[:1]).max()<1e-3
    assert np.abs(glb_joints(to_glb(x))[:-1]-x).max()<1e-3 and np.abs(glb_joints(to_glb(x, interpolation='LINEAR'))-x).max()<1e-3
    assert np.abs(glb_joints(to_glb(x[3]))-x[3]).max()<1e-3

@pytest.mark.parametrize('seed', range(3))
def test_one_rigid_body(tmp_path, seed):
    "Frames of one body keep to rotations; those of others are off by no more than the residual says."
    own = own_poses()
    one = np.stack([p['joints'] for p in own[seed::9]])
    text = to_bvh(one)
    assert text.count('Xposition')==1 and fit_rig(one).residual.max()<1e-3
    x = noisy(seed)
    (tmp_path/'a.bvh').write_text(to_bvh(x, rigid=True))
    residual = fit_rig(x).residual
    test = np.linalg.norm(bvh_joints(tmp_path/'a.bvh')-x, axis=-1)
    assert np.abs(test-residual).max()<1e-3 and residual.max()>.01

def test_read_as_mocap(tmp_path):
    "Chapter 00c finds frame, unit and joints by itself; the body stands and faces the viewer."
    x = np.stack([pose_from_angles(p['angles']) for p in own_poses() if p['name'] in ('standing','left_arm_raised','walking_left_forward')])
    export(x, tmp_path/'a.bvh')
    clip = read_mocap(tmp_path/'a.bvh')
    assert clip.rig=='text2pose' and clip.fps==20 and len(clip.joints)==3
    got = clip.joints-clip.joints[:,:1]
    want = rotate_z(x, np.full(3, -text2pose.data.heading(x[0])))
    assert np.abs(got-want).max()<1e-3

@pytest.mark.parametrize('seed', range(3))
def test_smpl_turns_give_the_pose_back(tmp_path, seed):
    import torch
    x = shaken(seed)
    export(x, tmp_path/'a.npz', seed=seed)
    with np.load(tmp_path/'a.npz') as z:
        v = np.concatenate([z['global_orient'][:,None], z['body_pose']], 1)
        assert json.loads(str(z['about']))['seed']==seed
    R = axis_angle_to_matrix(torch.from_numpy(np.stack([v[...,0], -v[...,2], v[...,1]], -1).astype(float)))
    lengths = torch.from_numpy(text2pose.data.bone_lengths(x))
    back = forward_kinematics(R, rest_offsets(lengths.double(), 't_pose')).numpy()
    assert np.abs(back-x).max()<2e-3
    export(x, tmp_path/'a.json')
    p = json.loads((tmp_path/'a.json').read_text())['poses']
    assert np.abs(np.array([q['body_pose'] for q in p])-v[:,1:]).max()<2e-5

@pytest.mark.parametrize('distance', [None, 4.])
@pytest.mark.parametrize('azim', range(0,360,30))
def test_openpose_sides(azim, distance):
    "From any side the picture has left and right where the camera sees them, and nobody's head below the feet."
    x = shaken(azim, 6)
    for pose in x:
        for names in (COCO18,BODY25):
            p = openpose_people(pose[None], azim, 10, distance, keypoints='coco18' if names is COCO18 else 'body25')[0]
            seen = p[:,2]>0
            at = lambda n: p[names.index(n),:2]
            assert (p[seen,0]>=0).all() and (p[seen,0]<=512).all() and (p[seen,1]>=0).all() and (p[seen,1]<=768).all() and (p[~seen]==0).all() and set(p[:,2])<={0,1}
            flat,depth = project(pose, azim, 10)
            for part in ('shoulder','hip','wrist','ankle'):
                l,r = (JOINT_NAMES.index(f'{s}_{part}') for s in ('left','right'))
                far = 0 if distance is None else .6*abs(flat[[l,r]]).max()*np.ptp(depth[[l,r]])
                if abs(flat[l,0]-flat[r,0])>.02+far:
                    assert (at(f'left_{part}')[0]>at(f'right_{part}')[0])==(flat[l,0]>flat[r,0])
                elif distance is None and abs(flat[l,1]-flat[r,1])>.02:
                    assert (at(f'left_{part}')[1]<at(f'right_{part}')[1])==(flat[l,1]>flat[r,1])
    stand = pose_from_angles({})
    p = openpose_people(stand[None], azim, 10, distance)[0]
    x = lambda n: p[COCO18.index(n),0]
    if abs(np.cos(np.radians(azim)))>.3: assert (x('left_shoulder')>x('right_shoulder'))==(np.cos(np.radians(azim))>0)
    assert p[COCO18.index('left_ankle'),1]>p[COCO18.index('left_hip'),1]>p[1,1]
    assert (p[COCO18.index('nose'),2]>0)==(np.cos(np.radians(azim))>-.2)

def test_openpose_picture_shows_the_points():
    for pose in shaken(0, 10):
        p = openpose_people(pose[None], 20)[0]
        picture = draw_openpose(p[None])
        blank = draw_openpose(p[None]*[1,1,0])
        assert not blank.any() and all(picture[int(y),int(x)].any() for x,y,seen in p if seen)
        for i,j in OPENPOSE_LIMBS:
            if p[i,2] and p[j,2]:
                x,y = ((p[i]+p[j])/2)[:2]
                assert picture[int(y),int(x)].any()

def test_two_people_keep_apart():
    x = shaken(1, 3)
    for azim in (0,70,200):
        p = openpose_people(x, azim, width=1200, height=400)
        assert all(p[i][p[i,:,2]>0,0].max() < p[i+1][p[i+1,:,2]>0,0].min()+10 for i in range(2))
    assert np.abs(openpose_people(x, places=[[0,0],[0,0],[0,0]])[...,0]).max()<=512

def files(folder):
    return {p.relative_to(folder).as_posix():p.read_bytes() for p in Path(folder).rglob('*') if p.is_file()}

@pytest.mark.parametrize('format', FORMATS)
def test_same_bytes(tmp_path, format):
    x = noisy(0)[:4]
    for d in 'ab':
        (tmp_path/d).mkdir()
        export(x, tmp_path/d/f'poses.{format}', prompts=['é']*4, scores=np.linspace(0, 1, 4), seed=3, guidance_scale=(2.,7.), negative_prompt=None)
    assert files(tmp_path/'a')==files(tmp_path/'b')!={}
    export(x, tmp_path/'c', format, separate=True, prompts=['é']*4)
    assert len(files(tmp_path/'c'))==(8 if format=='openpose' else 4)
    for f in ('000','003'): assert any(n.startswith(f) for n in files(tmp_path/'c'))

LINE = np.linspace(0, 1, 22)[:,None]
@pytest.mark.parametrize('format', FORMATS)
@pytest.mark.parametrize('name,x', [('a point', np.zeros((22,3))), ('a vertical line', LINE*[0,0,1.]), ('a horizontal line', LINE*[1.,0,0]), ('a flat body', pose_from_angles({})*[1,1,0]),
    ('no forearms', np.where(np.arange(22)[:,None]>=20, pose_from_angles({})[[*range(20),18,19]], pose_from_angles({}))), ('no neck', np.where(np.arange(22)[:,None]==15, pose_from_angles({})[12], pose_from_angles({}))),
    ('very small', 1e-3*pose_from_angles({})), ('very large', 40*pose_from_angles({}))], ids=lambda v: v if isinstance(v, str) else '')
def test_strange_bodies(tmp_path, format, name, x):
    "Zero-length bones, coincident joints and collinear limbs: a file that holds what was given."
    export(x, tmp_path/f'a.{format}')
    assert files(tmp_path)
    for text in [v for n,v in files(tmp_path).items() if n.endswith(('.json','.bvh'))]:
        assert b'nan' not in text.lower().replace(b'"nan',b'')
    if format in ('json','npz'):
        assert np.abs(load_poses(tmp_path/f'a.{format}')[0]-x).max()<2e-5*max(1, np.abs(x).max())
    if format=='bvh': assert np.abs(bvh_joints(tmp_path/'a.bvh')-x+x[:1]).max()<1e-3*max(1, np.abs(x).max())
    if format=='glb':
        assert np.abs(glb_joints((tmp_path/'a.glb').read_bytes())-x+x[:1]).max()<1e-3*max(1, np.abs(x).max())

POSE = pose_from_angles({})
@pytest.mark.parametrize('format', FORMATS)
@pytest.mark.parametrize('x,says', [(POSE*np.nan, 'NaN or infinite'), (np.full((22,3), np.inf), 'NaN or infinite'), (POSE[:21], r'must have shape \(n, 22, 3\)'), (POSE[...,:2], 'must have shape'), (POSE[None,None], 'must have shape'),
    (np.zeros((0,22,3)), 'no pose'), (np.zeros(66), 'must have shape'), (np.full((22,3), 'a'), 'array of numbers'), (POSE.astype(float)*1e300, 'NaN or infinite')])
def test_bad_poses(tmp_path, format, x, says):
    with pytest.raises(ValueError, match=says): export(x, tmp_path/f'a.{format}')
    assert files(tmp_path)=={} and list(tmp_path.iterdir())==[]

def test_too_large(tmp_path):
    for format in ('bvh','glb','openpose'):
        with pytest.raises(ValueError, match='another unit'): export(1e6*POSE, tmp_path/f'a.{format}')
    assert list(tmp_path.iterdir())==[]
    export(1e6*POSE, tmp_path/'a.json')
    assert np.abs(load_poses(tmp_path/'a.json')[0]/1e6-POSE).max()<1e-6

@pytest.mark.parametrize('format,options,says', [
    ('bvh', dict(fps=0), 'fps must be'), ('bvh', dict(fps=np.nan), 'fps must be'), ('bvh', dict(width=3), "bvh has no option 'width'"), ('json', dict(rigid=True), "json has no option 'rigid'"), ('glb', dict(arrange='heap'), 'arrange must be'),
    ('glb', dict(interpolation='CUBIC'), 'interpolation must be'), ('glb', dict(seconds=-1), 'seconds must be'), ('openpose', dict(width=0), 'width must be'), ('openpose', dict(height=10**6), 'height must be'), ('openpose', dict(margin=.5), 'margin must be'),
    ('openpose', dict(azim=np.nan), 'azim and elev'), ('openpose', dict(distance=0.), 'outside of the people'), ('openpose', dict(distance=np.nan), 'outside of the people'), ('openpose', dict(stick=0), 'stick must be'), ('openpose', dict(keypoints='hand'), 'unknown keypoints'),
    ('openpose', dict(places=[[0,np.nan]]), 'places holds'), ('openpose', dict(people=1), "no option 'people'"), ('glb', dict(extras={}), "no option 'extras'")])
def test_bad_options(tmp_path, format, options, says):
    with pytest.raises(ValueError, match=says): export(POSE, tmp_path/f'a.{format}', options=options)
    assert list(tmp_path.iterdir())==[]

@pytest.mark.parametrize('format', FORMATS)
def test_arguments(tmp_path, format):
    for kw,says in ((dict(prompts=['a','b']), '2 prompts for 1 poses'), (dict(scores=[1.,2.]), 'scores must have shape'), (dict(scores=[np.nan]), 'scores holds')):
        with pytest.raises(ValueError, match=says): export(POSE, tmp_path/f'a.{format}', **kw)
    if format in ('json','npz','glb'):
        for bad in (object(), float('nan'), {1,2}):
            with pytest.raises(ValueError): export(POSE, tmp_path/f'a.{format}', setting=bad)
    assert list(tmp_path.iterdir())==[]

@pytest.mark.parametrize('format', FORMATS)
def test_read_only_folder(tmp_path, monkeypatch, format):
    def refuse(*a, **k): raise PermissionError(13, 'Permission denied')
    monkeypatch.setattr(text2pose.data.tempfile, 'mkstemp', refuse)
    monkeypatch.setattr(text2pose.data.tempfile, 'mkdtemp', refuse)
    with pytest.raises(OSError, match='cannot write .*Permission denied'): export(POSE, tmp_path/f'a.{format}')
    assert list(tmp_path.iterdir())==[]
    monkeypatch.undo()
    (tmp_path/'file').write_text('x')
    with pytest.raises(OSError, match='cannot write'): export(POSE, tmp_path/'file'/f'a.{format}')
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(OSError, match='cannot write'): export(POSE, tmp_path/f'a.{format}')
        tmp_path.chmod(0o700)
    assert files(tmp_path)=={'file':b'x'}

@pytest.mark.parametrize('format', FORMATS)
def test_half_written(tmp_path, monkeypatch, format):
    "A writer that breaks off leaves what was there before."
    export(POSE, tmp_path/f'a.{format}')
    before = files(tmp_path)
    def breaks(path, *a, **k):
        path.write_bytes(b'half')
        raise OSError('the disk is full')
    monkeypatch.setitem(text2pose.export._WRITERS, format, breaks)
    for separate in (None,True):
        with pytest.raises((OSError,ValueError)):
            export(np.stack([POSE,POSE]), tmp_path/f'a.{format}', separate=separate)
    assert files(tmp_path)==before

def test_folders(tmp_path):
    (tmp_path/'mine').mkdir()
    (tmp_path/'mine'/'thesis.tex').write_text('x')
    with pytest.raises(ValueError, match='holds thesis.tex'): export(POSE, tmp_path/'mine', 'openpose')
    (tmp_path/'a.openpose').write_text('a file')
    with pytest.raises(ValueError, match='is a file'): export(POSE, tmp_path/'a.openpose')
    assert files(tmp_path)=={'mine/thesis.tex':b'x', 'a.openpose':b'a file'}

def test_points_follow_the_mirror():
    from text2pose.data import mirror
    for pose in shaken(3, 10):
        a,b = body_points(pose),body_points(mirror(pose.copy()))
        for n in BODY25:
            assert np.abs(a[n]-b[n.replace('left_','#').replace('right_','left_').replace('#','right_')]*[-1,1,1]).max()<1e-5

def test_floor(): assert np.abs(on_floor(shaken(0))[...,2].min(1)).max()<1e-6
