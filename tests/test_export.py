"""Exported files hold the pose they were given and are read back, for random valid poses and for broken ones, the
same bytes each time; a failed export leaves no file."""
import json, os
from pathlib import Path

import numpy as np, pytest

import text2pose.core, text2pose.export
from text2pose.data import (
    JOINT_NAMES, MIRROR_IDX, PARENTS, bone_lengths, canonical, heading, mirror, own_poses, project, rotate_z,
    y_up_from_z_up, z_up_from_y_up)
from text2pose.export import (
    BODY25, COCO18, FORMATS, OPENPOSE_LIMBS, body_points, draw_openpose, export, fit_rig, load_poses, on_floor,
    openpose_people, to_bvh, to_glb)
from text2pose.mocap import read_bvh, read_mocap
from text2pose.skeleton import (
    axis_angle_to_matrix, forward_kinematics, pose_from_angles, reference_bone_lengths, rest_offsets)

def shaken(seed, n=20, degrees=20, size=.25):
    "Own poses with every angle shaken, on bodies of other sizes."
    rng = np.random.default_rng(seed)
    own = own_poses()
    other_side = [MIRROR_IDX[j]-1 for j in range(1,22)]
    poses = []
    for i in rng.choice(len(own), n):
        angles = own[i]['angles']
        shaken = {j:{k:v+rng.normal(0, degrees) for k,v in values.items()} for j,values in angles.items()}
        r = rng.normal(size=21)
        symmetric = np.exp(size*(r+r[other_side])/4)
        lengths = reference_bone_lengths()*symmetric*np.exp(size*rng.normal()/2)
        poses.append(pose_from_angles(shaken, lengths))
    return np.stack(poses)

def noisy(seed, sigma=.02):
    "The same with every joint moved, as in capture: no body is rigid any more."
    x = shaken(seed)
    x = x+np.random.default_rng(seed).normal(0, sigma, x.shape).astype(np.float32)
    return x-x[:,:1]

def bvh_joints(path):
    m = read_bvh(path)
    x = z_up_from_y_up(m.positions[:,[m.names.index(n) for n in JOINT_NAMES]])
    return x-x[:,:1]

def accessor(doc, i):
    "Numbers of an accessor."
    a = doc.accessors[i]
    v = doc.bufferViews[a.bufferView]
    return np.frombuffer(doc.binary_blob()[v.byteOffset:v.byteOffset+v.byteLength], np.float32).reshape(a.count,-1)

def node_matrices(rotation, translation):
    "Matrices (n, 4, 4) of quaternions (n, 4) x, y, z, w and translations (n, 3)."
    M = np.tile(np.eye(4), (len(rotation),1,1))
    M[:,:3,3] = translation
    v,w = rotation[:,:3],rotation[:,3:,None]
    cross = np.cross(v[:,None], np.eye(3)).swapaxes(1,2)
    M[:,:3,:3] = np.eye(3)+2*w*cross+2*cross@cross
    return M

def glb_joints(data):
    "Node positions in every key of the animation, multiplied down the file's own hierarchy: nothing but glTF."
    import pygltflib as g
    doc = g.GLTF2.load_from_bytes(data)
    nodes = doc.skins[0].joints
    up = {c:p for p in nodes for c in doc.nodes[p].children or []}
    channels = [(c.target.node,c.target.path,a.samplers[c.sampler]) for a in doc.animations for c in a.channels]
    keyed = {(node,path):accessor(doc, sampler.output) for node,path,sampler in channels}
    n = max([1]+[len(v) for v in keyed.values()])
    world = {}
    for i in nodes:
        rotation = keyed.get((i,'rotation'), np.tile(doc.nodes[i].rotation, (n,1)))
        translation = keyed.get((i,'translation'), np.tile(doc.nodes[i].translation, (n,1)))
        M = node_matrices(rotation, translation)
        world[i] = world[up[i]]@M if i in up else M
    assert [doc.nodes[i].name for i in nodes]==JOINT_NAMES
    assert [PARENTS[k] for k in range(1,22)]==[nodes.index(up[i]) for i in nodes[1:]]
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
    assert np.abs(glb_joints(to_glb(x))[:-1]-x).max()<1e-3
    assert np.abs(glb_joints(to_glb(x, interpolation='LINEAR'))-x).max()<1e-3
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
    names = ('standing','left_arm_raised','walking_left_forward')
    x = np.stack([pose_from_angles(p['angles']) for p in own_poses() if p['name'] in names])
    export(x, tmp_path/'a.bvh')
    clip = read_mocap(tmp_path/'a.bvh')
    assert clip.rig=='text2pose' and clip.fps==20 and len(clip.joints)==3
    got = clip.joints-clip.joints[:,:1]
    want = rotate_z(x, np.full(3, -heading(x[0])))
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
    lengths = torch.from_numpy(bone_lengths(x))
    back = forward_kinematics(R, rest_offsets(lengths.double(), 't_pose')).numpy()
    assert np.abs(back-x).max()<2e-3
    export(x, tmp_path/'a.json')
    p = json.loads((tmp_path/'a.json').read_text())['poses']
    assert np.abs(np.array([q['body_pose'] for q in p])-v[:,1:]).max()<2e-5

def check_points(people, names):
    "Visible points lie on the canvas, hidden ones are zero."
    p = people[0]
    seen = p[:,2]>0
    assert (p[seen,:2]>=0).all() and (p[seen,:2]<=[512,768]).all()
    assert (p[~seen]==0).all() and set(p[:,2])<={0,1}
    return {name:v[:2] for name,v in zip(names, p)}

def check_sides(points, flat, depth, distance):
    "Left and right of the picture as the camera sees them; straight from the side, near and far as above and below."
    for part in ('shoulder','hip','wrist','ankle'):
        pair = [JOINT_NAMES.index(f'{side}_{part}') for side in ('left','right')]
        left,right = points[f'left_{part}'],points[f'right_{part}']
        (left_x,left_y),(right_x,right_y) = flat[pair]
        perspective = 0 if distance is None else .6*abs(flat[pair]).max()*np.ptp(depth[pair])
        if abs(left_x-right_x)>.02+perspective: assert (left[0]>right[0])==(left_x>right_x)
        elif distance is None and abs(left_y-right_y)>.02: assert (left[1]<right[1])==(left_y>right_y)

@pytest.mark.parametrize('distance', [None, 4.])
@pytest.mark.parametrize('azim', range(0,360,30))
def test_openpose_sides(azim, distance):
    "From any side the picture has left and right where the camera sees them, and nobody's head below the feet."
    for pose in shaken(azim, 6):
        flat,depth = project(pose, azim, 10)
        for keypoints,names in (('coco18',COCO18), ('body25',BODY25)):
            people = openpose_people(pose[None], azim, 10, distance, keypoints=keypoints)
            check_sides(check_points(people, names), flat, depth, distance)
    person = openpose_people(pose_from_angles({})[None], azim, 10, distance)[0]
    x,y,seen = (dict(zip(COCO18, v)) for v in person.T)
    to_front = np.cos(np.radians(azim))
    if abs(to_front)>.3: assert (x['left_shoulder']>x['right_shoulder'])==(to_front>0)
    assert y['left_ankle']>y['left_hip']>y['neck']
    assert (seen['nose']>0)==(to_front>-.2)

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
        across = [person[person[:,2]>0,0] for person in p]
        assert across[0].max()<across[1].min()+10 and across[1].max()<across[2].min()+10
    assert np.abs(openpose_people(x, places=[[0,0],[0,0],[0,0]])[...,0]).max()<=512

def files(folder):
    return {p.relative_to(folder).as_posix():p.read_bytes() for p in Path(folder).rglob('*') if p.is_file()}

@pytest.mark.parametrize('format', FORMATS)
def test_same_bytes(tmp_path, format):
    x = noisy(0)[:4]
    for d in 'ab':
        (tmp_path/d).mkdir()
        export(x, tmp_path/d/f'poses.{format}', prompts=['é']*4, scores=np.linspace(0, 1, 4), seed=3,
               guidance_scale=(2.,7.), negative_prompt=None)
    assert files(tmp_path/'a')==files(tmp_path/'b')!={}
    export(x, tmp_path/'c', format, separate=True, prompts=['é']*4)
    assert len(files(tmp_path/'c'))==(8 if format=='openpose' else 4)
    for f in ('000','003'): assert any(n.startswith(f) for n in files(tmp_path/'c'))

POSE = pose_from_angles({})
LINE = np.linspace(0, 1, 22)[:,None]

def with_joint_at(joints, places):
    "The standing pose with some joints moved to where others are."
    x = POSE.copy()
    x[joints] = POSE[places]
    return x

STRANGE = {
    'a point': np.zeros((22,3)),
    'a vertical line': LINE*[0,0,1.],
    'a horizontal line': LINE*[1.,0,0],
    'a flat body': POSE*[1,1,0],
    'no forearms': with_joint_at([20,21], [18,19]),
    'no neck': with_joint_at([15], [12]),
    'very small': 1e-3*POSE,
    'very large': 40*POSE}

@pytest.mark.parametrize('format', FORMATS)
@pytest.mark.parametrize('name', STRANGE)
def test_strange_bodies(tmp_path, format, name):
    "Zero-length bones, coincident joints and collinear limbs: a file that holds what was given."
    x = STRANGE[name]
    export(x, tmp_path/f'a.{format}')
    assert files(tmp_path)
    for text in [v for n,v in files(tmp_path).items() if n.endswith(('.json','.bvh'))]:
        assert b'nan' not in text.lower().replace(b'"nan',b'')
    size = max(1, np.abs(x).max())
    if format in ('json','npz'): assert np.abs(load_poses(tmp_path/f'a.{format}')[0]-x).max()<2e-5*size
    if format=='bvh': assert np.abs(bvh_joints(tmp_path/'a.bvh')-x+x[:1]).max()<1e-3*size
    if format=='glb':
        data = (tmp_path/'a.glb').read_bytes()
        assert np.abs(glb_joints(data)-x+x[:1]).max()<1e-3*size
        assert np.abs(load_poses(tmp_path/'a.glb')[0]-x+x[:1]).max()<1e-3*size

@pytest.mark.parametrize('format', FORMATS)
@pytest.mark.parametrize('x,says', [
    (POSE*np.nan, 'NaN or infinite'),
    (np.full((22,3), np.inf), 'NaN or infinite'),
    (POSE.astype(float)*1e300, 'NaN or infinite'),
    (POSE[:21], r'must have shape \(n, 22, 3\)'),
    (POSE[...,:2], 'must have shape'),
    (POSE[None,None], 'must have shape'),
    (np.zeros(66), 'must have shape'),
    (np.zeros((0,22,3)), 'no pose'),
    (np.full((22,3), 'a'), 'array of numbers')])
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
    ('bvh', dict(fps=0), 'fps must be'),
    ('bvh', dict(fps=np.nan), 'fps must be'),
    ('bvh', dict(width=3), "bvh has no option 'width'"),
    ('json', dict(rigid=True), "json has no option 'rigid'"),
    ('glb', dict(arrange='heap'), 'arrange must be'),
    ('glb', dict(interpolation='CUBIC'), 'interpolation must be'),
    ('glb', dict(seconds=-1), 'seconds must be'),
    ('glb', dict(extras={}), "no option 'extras'"),
    ('openpose', dict(width=0), 'width must be'),
    ('openpose', dict(height=10**6), 'height must be'),
    ('openpose', dict(margin=.5), 'margin must be'),
    ('openpose', dict(azim=np.nan), 'azim and elev'),
    ('openpose', dict(distance=0.), 'outside of the people'),
    ('openpose', dict(distance=np.nan), 'outside of the people'),
    ('openpose', dict(stick=0), 'stick must be'),
    ('openpose', dict(keypoints='hand'), 'unknown keypoints'),
    ('openpose', dict(places=[[0,np.nan]]), 'places holds'),
    ('openpose', dict(people=1), "no option 'people'")])
def test_bad_options(tmp_path, format, options, says):
    with pytest.raises(ValueError, match=says): export(POSE, tmp_path/f'a.{format}', options=options)
    assert list(tmp_path.iterdir())==[]

@pytest.mark.parametrize('format', FORMATS)
def test_arguments(tmp_path, format):
    for kw,says in ((dict(prompts=['a','b']), '2 prompts for 1 poses'),
                    (dict(scores=[1.,2.]), 'scores must have shape'),
                    (dict(scores=[np.nan]), 'scores holds')):
        with pytest.raises(ValueError, match=says): export(POSE, tmp_path/f'a.{format}', **kw)
    if format in ('json','npz','glb'):
        for bad in (object(), float('nan'), {1,2}):
            with pytest.raises(ValueError): export(POSE, tmp_path/f'a.{format}', setting=bad)
    assert list(tmp_path.iterdir())==[]

@pytest.mark.parametrize('format', FORMATS)
def test_read_only_folder(tmp_path, monkeypatch, format):
    def refuse(*a, **k): raise PermissionError(13, 'Permission denied')
    monkeypatch.setattr(text2pose.core.tempfile, 'mkstemp', refuse)
    monkeypatch.setattr(text2pose.core.tempfile, 'mkdtemp', refuse)
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

@pytest.mark.parametrize('format', FORMATS)
def test_something_in_the_way(tmp_path, format):
    "A folder where a file belongs, a file where a folder belongs: one sentence, and all is as it was."
    as_folder,as_file = tmp_path/f'folder.{format}',tmp_path/f'file.{format}'
    as_folder.mkdir()
    (as_folder/'mine.txt').write_text('x')
    as_file.write_text('x')
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(ValueError, match='is a folder'): export(POSE, as_folder)
    with pytest.raises(ValueError, match='is a file; expected a folder'): export(POSE, as_file, separate=True)
    with pytest.raises(OSError, match=f'cannot write .*{as_file.name} is a file, not a folder'):
        export(POSE, as_file/'deep'/f'a.{format}')
    assert sorted(tmp_path.rglob('*'))==before and as_file.read_text()=='x'

@pytest.mark.parametrize('format', FORMATS)
def test_formats_in_any_case(tmp_path, format):
    upper = format.upper()
    written = []
    for folder,name,named in (('a',f'x.{format}',None), ('b',f'x.{upper}',None), ('c','x',upper)):
        export(POSE, tmp_path/folder/name, named)
        written.append([data for _,data in sorted(files(tmp_path/folder).items())])
    assert all(w==written[0] for w in written)

# ---- reading

@pytest.mark.parametrize('format', ['json','npz','bvh','glb'])
@pytest.mark.parametrize('make', [shaken, noisy])
@pytest.mark.parametrize('seed', range(3))
def test_read_back(tmp_path, format, make, seed):
    "Every format that holds 3D gives back what was exported within 1 mm, one pose or many, and its prompts."
    x = make(seed)
    prompts = [f'pose {i} é' for i in range(len(x))]
    options = {} if format!='bvh' else dict(fps=30)
    for some in (slice(None), slice(0,1), slice(3,5)):
        export(x[some], tmp_path/f'a.{format}', prompts=prompts[some], options=options)
        back,names = load_poses(tmp_path/f'a.{format}')
        assert back.shape==x[some].shape and back.dtype==np.float32
        assert np.abs(back-x[some]).max()<1e-3
        assert names==(prompts[some] if format!='bvh' else ['']*len(back))

def test_read_other_glb(tmp_path):
    x = noisy(0)[:5]
    for options in (dict(arrange='row'), dict(interpolation='LINEAR', seconds=.2)):
        export(x, tmp_path/'a.GLB', options=options, prompts=list('abcde'))
        back,prompts = load_poses(tmp_path/'a.GLB')
        assert np.abs(back-x).max()<1e-3 and prompts==list('abcde')
    (tmp_path/'bare.glb').write_bytes(to_glb(x))
    assert load_poses(tmp_path/'bare.glb')[1]==['']*5

@pytest.mark.parametrize('damage', [
    lambda data: b'', lambda data: b'glTF', lambda data: data[:len(data)//2], lambda data: b'x'*1000,
    lambda data: data.replace(b'"left_hip"', b'"left_leg"'), lambda data: data.replace(b'text2pose 0', b'some-tool 0'),
    lambda data: data.replace(b'"children"', b'"nephews_"')])
def test_glb_of_others_is_refused(tmp_path, damage):
    "One sentence that names the file and says what was expected."
    data = to_glb(shaken(0)[:2])
    (tmp_path/'a.glb').write_bytes(damage(data))
    with pytest.raises(ValueError, match='a.glb cannot be read: expected a GLB file as `to_glb` writes it') as e:
        load_poses(tmp_path/'a.glb')
    assert '\n' not in str(e.value)

def test_damaged_glb(tmp_path):
    "Bytes changed at random: poses, or a ValueError."
    g = np.random.default_rng(0)
    data = np.frombuffer(to_glb(shaken(0)[:2]), np.uint8)
    text = int.from_bytes(data[12:16].tobytes(), 'little')  # length of the JSON
    for i in range(300):
        bad = data.copy()
        at = g.integers(0, text if i%2 else len(bad), g.integers(1, 6))
        bad[at] = g.integers(32, 127, len(at))
        (tmp_path/'a.glb').write_bytes(bad.tobytes())
        try: joints,_ = load_poses(tmp_path/'a.glb')
        except ValueError as e: assert 'a.glb' in str(e) and '\n' not in str(e)
        else: assert joints.shape[1:]==(22,3) and np.isfinite(joints).all()

def test_read_captures(tmp_path):
    "Somebody's BVH: every frame, whatever unit, up axis, heading and place; canonical poses come back."
    x = shaken(1)[:6]
    text = to_bvh(x)
    for name,part in (('hip','thigh'), ('collar','clavicle')): text = text.replace(f'_{name}', f'_{part}')
    (tmp_path/'a.bvh').write_text(text.replace('Frame Time: 0.05', 'Frame Time: 0.01'))
    assert np.abs(load_poses(tmp_path/'a.bvh')[0]-canonical(x)).max()<1e-3
    walking = rotate_z(x.astype(float), np.linspace(0, 2, 6))+np.linspace(0, 1, 6)[:,None,None]
    (tmp_path/'b.bvh').write_text(bvh_of_positions(walking))
    assert np.abs(load_poses(tmp_path/'b.bvh')[0]-canonical(x)).max()<1e-3
    (tmp_path/'arm.bvh').write_text('HIERARCHY\nROOT arm\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n}\n'
                                    'MOTION\nFrames: 1\nFrame Time: .1\n0\n')
    with pytest.raises(ValueError, match='arm.bvh: no joint found for pelvis'): load_poses(tmp_path/'arm.bvh')

def bvh_of_positions(x):
    "Poses (n, 22, 3) as a BVH file in centimetres, Y up, whose joints do not turn: each is moved in every frame."
    x = 100*y_up_from_z_up(x)
    lines,order = ['HIERARCHY'],[]
    def write(j):
        order.append(j)
        lines.extend([f'{"JOINT" if j else "ROOT"} {JOINT_NAMES[j]}', '{', 'OFFSET 0 0 0',
                      'CHANNELS 3 Xposition Yposition Zposition'])
        for child,parent in enumerate(PARENTS):
            if parent==j: write(child)
        lines.append('}')
    write(0)
    lines += ['MOTION', f'Frames: {len(x)}', 'Frame Time: 0.01']
    for pose in x:
        moved = pose-np.where(np.array(PARENTS)[:,None]<0, 0, pose[PARENTS])
        lines.append(' '.join(f'{v:.6f}' for v in moved[order].ravel()))
    return '\n'.join(lines)+'\n'

def test_small_child(tmp_path):
    "A file of ours is in metres, even where no unit makes the body an adult."
    child = .45*POSE[None]
    export(child, tmp_path/'a.bvh')
    assert np.abs(load_poses(tmp_path/'a.bvh')[0]-child).max()<1e-3

def test_unreadable(tmp_path):
    (tmp_path/'a.json').write_text('{"poses":[{"joints":[[1e400]]}]}')
    (tmp_path/'b.json').write_text('{"poses":3}')
    (tmp_path/'c.json').write_text(json.dumps(dict(poses=[dict(joints=[[10**400]*3]*22)])))
    (tmp_path/'d.bvh').write_text('HIERARCHY')
    for name in ('a.json','b.json','c.json','d.bvh'):
        with pytest.raises(ValueError, match=name) as e: load_poses(tmp_path/name)
        assert '\n' not in str(e.value)
    for name in ('none.json','none.npz','none.npy','none.bvh','none.glb'):
        with pytest.raises(FileNotFoundError, match='is missing'): load_poses(tmp_path/name)
    with pytest.raises(ValueError, match='unknown ending'): load_poses(tmp_path/'a.fbx')

# ---- points

def test_points_follow_the_mirror():
    for pose in shaken(3, 10):
        a,b = body_points(pose),body_points(mirror(pose.copy()))
        for n in BODY25:
            other = n.replace('left_','#').replace('right_','left_').replace('#','right_')
            assert np.abs(a[n]-b[other]*[-1,1,1]).max()<1e-5

def test_floor(): assert np.abs(on_floor(shaken(0))[...,2].min(1)).max()<1e-6
