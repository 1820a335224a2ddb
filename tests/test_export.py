"""Exported files hold the pose they were given and are read back, for random valid poses and for broken ones, the
same bytes each time; a failed export leaves no file."""
import errno, json, multiprocessing, os, re, signal, sys, tracemalloc, warnings, zipfile
from pathlib import Path

import numpy as np, pytest

import text2pose.core, text2pose.export
from text2pose.data import (
    JOINT_NAMES, MIRROR_IDX, PARENTS, bone_lengths, canonical, heading, mirror, own_poses, project, rotate_z,
    y_up_from_z_up, z_up_from_y_up)
from text2pose.export import (
    BODIES, BODY25, BVH_UNITS, COCO18, FORMATS, MIXAMO_NAMES, OPENPOSE_LIMBS, SKELETON_NAMES, body_maps, body_mesh,
    body_points, camera_angles, draw_openpose, export, file_name, fit_rig, format_of, load_faces, load_poses, on_floor,
    openpose_people, posed_mesh, rigid_poses, to_bvh, to_glb, to_vrma)
from text2pose.mocap import read_mocap
from text2pose.skeleton import (
    pose_from_angles, reference_bone_lengths, rest_offsets)

def shaken(seed, n=20, degrees=20, size=.25, one_body=False):
    "Own poses with every angle shaken, on bodies of other sizes, or all on one such body."
    rng = np.random.default_rng(seed)
    own = own_poses()
    other_side = [MIRROR_IDX[j]-1 for j in range(1,22)]
    poses = []
    lengths = None
    for i in rng.choice(len(own), n):
        angles = own[i]['angles']
        shaken = {j:{k:v+rng.normal(0, degrees) for k,v in values.items()} for j,values in angles.items()}
        r = rng.normal(size=21)
        symmetric = np.exp(size*(r+r[other_side])/4)
        if lengths is None or not one_body:
            lengths = reference_bone_lengths()*symmetric*np.exp(size*rng.normal()/2)
        poses.append(pose_from_angles(shaken, lengths))
    return np.stack(poses)

def one_body(seed): return shaken(seed, one_body=True)

def noisy(seed, sigma=.02):
    "The same with every joint moved, as in capture: no body is rigid any more."
    x = shaken(seed)
    x = x+np.random.default_rng(seed).normal(0, sigma, x.shape).astype(np.float32)
    return x-x[:,:1]

def quiet(f, *args, **kwargs):
    "What a function returns, and its warnings as text."
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        out = f(*args, **kwargs)
    return out, [str(w.message) for w in said]

def bvh_channels(text):
    "What a plain reader makes of a BVH file: name → (parent, offset, channels), in the file's order, and its frames."
    head,motion = text.split('MOTION')
    joints,stack,name = {},[],None
    for line in head.splitlines():
        words = line.split()
        if words[0] in ('ROOT','JOINT'): name = words[1]
        elif words[0]=='End': name = f'{stack[-1]} end'
        elif words[0]=='{':
            joints[name] = dict(parent=stack[-1] if stack else None, channels=[])
            stack.append(name)
        elif words[0]=='}': stack.pop()
        elif words[0]=='OFFSET': joints[name]['offset'] = np.array(words[1:], float)
        elif words[0]=='CHANNELS':
            joints[name]['channels'] = words[2:]
            assert int(words[1])==len(words[2:])
    n,_,*rows = motion.strip().splitlines()
    frames = np.array([row.split() for row in rows], float)
    assert n==f'Frames: {len(frames)}' and frames.shape[1]==sum(len(j['channels']) for j in joints.values())
    return joints, frames

def axis_turn(axis, degrees):
    "Right-handed rotation (3, 3) about a coordinate axis."
    c,s = np.cos(np.radians(degrees)),np.sin(np.radians(degrees))
    i,j = {'X':(1,2), 'Y':(2,0), 'Z':(0,1)}[axis]
    R = np.eye(3)
    R[i,i],R[j,j],R[i,j],R[j,i] = c,c,-s,s
    return R

def bvh_world(text):
    "Name → positions (n, 3) and rotations (n, 3, 3) of a BVH file, in our axes."
    joints,frames = bvh_channels(text)
    place,turn = {name:[] for name in joints},{name:[] for name in joints}
    for values in frames:
        at = 0
        for name,j in joints.items():
            position,R = j['offset'].copy(),np.eye(3)
            for channel in j['channels']:
                if channel.endswith('rotation'): R = R@axis_turn(channel[0], values[at])
                else: position['XYZ'.index(channel[0])] = values[at]
                at += 1
            if j['parent']:
                position = place[j['parent']][-1]+turn[j['parent']][-1]@position
                R = turn[j['parent']][-1]@R
            place[name].append(position)
            turn[name].append(R)
    to_ours = z_up_from_y_up(np.eye(3)).T
    return {name:(z_up_from_y_up(np.array(place[name])), to_ours@np.array(turn[name])@to_ours.T) for name in joints}

def bvh_joints(path):
    "Joints of a BVH file, pelvis at the origin: nothing but the format."
    world = bvh_world(Path(path).read_text())
    x = np.stack([world[name][0] for name in JOINT_NAMES], 1)
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

def glb_joints(data, names=MIXAMO_NAMES):
    "Node positions in every pose of the animation, multiplied down the file's own hierarchy: nothing but glTF."
    import pygltflib as g
    doc = g.GLTF2.load_from_bytes(data)
    nodes = doc.skins[0].joints if doc.skins else list(range(22))
    up = {c:p for p in nodes for c in doc.nodes[p].children or []}
    channels = [(c.target.node,c.target.path,a.samplers[c.sampler]) for a in doc.animations for c in a.channels]
    keyed = {(node,path):accessor(doc, sampler.output) for node,path,sampler in channels}
    if channels[0][2].interpolation=='STEP': keyed = {k:v[:-1] for k,v in keyed.items()}  # the last only ends a pose
    n = max([1]+[len(v) for v in keyed.values()])
    world = {}
    for i in nodes:
        rotation = keyed.get((i,'rotation'), np.tile(doc.nodes[i].rotation, (n,1)))
        translation = keyed.get((i,'translation'), np.tile(doc.nodes[i].translation, (n,1)))
        M = node_matrices(rotation, translation)
        world[i] = world[up[i]]@M if i in up else M
    assert [doc.nodes[i].name for i in nodes]==names
    assert [PARENTS[k] for k in range(1,22)]==[nodes.index(up[i]) for i in nodes[1:]]
    x = z_up_from_y_up(np.stack([world[i][:,:3,3] for i in nodes], 1))
    return x-x[:,:1]

def check_bvh_is_plain(text):
    "Six channels at the root, three rotations everywhere else, a T-pose at rest."
    joints,_ = bvh_channels(text)
    ours = {name:j for name,j in joints.items() if not name.endswith(' end')}
    assert list(ours)[0]=='pelvis' and set(ours)==set(JOINT_NAMES)
    rotations = ['Zrotation','Xrotation','Yrotation']
    for name,j in ours.items():
        assert j['channels']==(['Xposition','Yposition','Zposition']*(name=='pelvis')+rotations)
        parent = PARENTS[JOINT_NAMES.index(name)]
        assert j['parent']==(JOINT_NAMES[parent] if parent>=0 else None)
    for side,sign in (('left',1),('right',-1)):
        for name in (f'{side}_elbow',f'{side}_wrist'):
            x,y,z = ours[name]['offset']
            assert sign*x>0 and abs(y)<1e-6 and abs(z)<1e-6  # arms straight out
        for name in (f'{side}_knee',f'{side}_ankle'):
            x,y,z = ours[name]['offset']
            assert y<0 and abs(x)<1e-6 and abs(z)<1e-6

@pytest.mark.parametrize('seed', range(5))
def test_3d_files_give_the_pose_back(tmp_path, seed):
    "One pose or many of one body, whatever its proportions, within 0.1 mm."
    x = one_body(seed)
    _,said = quiet(export, x, tmp_path/'a.bvh')
    assert said==[]
    check_bvh_is_plain((tmp_path/'a.bvh').read_text())
    assert np.abs(bvh_joints(tmp_path/'a.bvh')-x).max()<1e-4
    export(x[0], tmp_path/'one.bvh')
    check_bvh_is_plain((tmp_path/'one.bvh').read_text())
    assert np.abs(bvh_joints(tmp_path/'one.bvh')-x[:1]).max()<1e-4
    for some in (x,x[3:4]):
        assert np.abs(glb_joints(to_glb(some))-some).max()<1e-4
        assert np.abs(glb_joints(to_glb(some, interpolation='LINEAR'))-some).max()<1e-4
        assert np.abs(glb_joints(to_vrma(some), SKELETON_NAMES['vrm'])-some).max()<1e-4

@pytest.mark.parametrize('seed', range(3))
def test_loose_bodies_become_rigid(tmp_path, seed):
    "The nearest rigid body of the same lengths is written, and one warning names the pose and the distance."
    x = shaken(seed, 4)
    assert np.abs(rigid_poses(x)-(x-x[:,:1])).max()==0
    loose = x.copy()
    loose[2,3:] += [0,.06,0]
    for format in ('bvh','glb','json','npz'):
        _,said = quiet(export, loose, tmp_path/f'a.{format}', separate=True)
        assert len(said)==1 and 'no rigid skeleton' in said[0] and 'pose 2, counted' in said[0], said
    y,_ = quiet(rigid_poses, loose)
    others = np.arange(len(x))!=2
    assert np.abs(y-(loose-loose[:,:1]))[others].max()==0
    assert np.abs(bone_lengths(y)-bone_lengths(loose)).max()<1e-5
    moved = np.linalg.norm(y[2]-loose[2], axis=-1).max()
    assert .01<moved<.06 and float(re.search(r'moved by ([0-9.]+) cm', said[0])[1])==pytest.approx(100*moved, abs=.06)
    assert np.abs(bvh_joints(tmp_path/'a.bvh'/'002.bvh')-y[2]).max()<1e-4
    assert np.abs(load_poses(tmp_path/'a.glb'/'002.glb')[0]-y[2]).max()<1e-4
    assert np.abs(load_poses(tmp_path/'a.npz'/'002.npz')[0]-loose[2]).max()==0  # the numbers stay what they were
    slightly = x[:3].copy()
    slightly[1,5] += [.004,0,0]
    assert quiet(rigid_poses, slightly)[1]==[]

@pytest.mark.parametrize('seed', range(3))
def test_bodies_that_share_a_file(tmp_path, seed):
    "All are put on the first one's lengths, their rotations kept; a warning says so. A row of GLB keeps each body."
    x = shaken(seed)
    text,said = quiet(to_bvh, x)
    (tmp_path/'a.bvh').write_text(text)
    y = bvh_joints(tmp_path/'a.bvh')
    assert len(said)==1 and 'different bodies' in said[0] and 'cm' in said[0]
    assert np.abs(y[0]-x[0]).max()<1e-4
    assert np.abs(bone_lengths(y)-bone_lengths(x[:1])).max()<1e-5
    bones,wanted = (z[:,1:]-z[:,PARENTS[1:]] for z in (y,x))
    along = (bones*wanted).sum(-1)/np.linalg.norm(bones, axis=-1)/np.linalg.norm(wanted, axis=-1)
    assert along.min()>1-1e-6
    animated,said = quiet(to_glb, x)
    assert len(said)==1 and np.abs(glb_joints(animated)-y).max()<1e-4
    _,said = quiet(export, x, tmp_path/'row.glb', options=dict(arrange='row'))
    assert said==[] and np.abs(load_poses(tmp_path/'row.glb')[0]-x).max()<1e-4

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

def posed(bone_lengths, orient, body):
    "A T-pose of these bones turned by SMPL's parameters, by plain matrices: joints (n, 22, 3)."
    v = np.concatenate([orient[:,None], body], 1).astype(float)
    v = np.stack([v[...,0], -v[...,2], v[...,1]], -1)
    offsets = rest_offsets(np.float64(bone_lengths), 't_pose').numpy()
    out = np.zeros((len(v),22,3))
    for i,pose in enumerate(v):
        world = [None]*22
        for j,turn in enumerate(pose):
            angle = np.linalg.norm(turn)
            K = np.cross(np.eye(3), turn/max(angle, 1e-12))
            R = np.eye(3)+np.sin(angle)*K+(1-np.cos(angle))*K@K
            world[j] = R if j==0 else world[PARENTS[j]]@R
            if j: out[i,j] = out[i,PARENTS[j]]+world[PARENTS[j]]@offsets[i,j]
    return out

@pytest.mark.parametrize('seed', range(3))
def test_smpl_turns_give_the_pose_back(tmp_path, seed):
    "The T-pose of `bone_lengths`, turned by the rotations of the file, is the pose, within 0.1 mm; of any body."
    x = shaken(seed)
    faces = np.random.default_rng(seed).normal(size=(len(x),3))
    for given in (None,faces):
        export(x, tmp_path/'a.npz', seed=seed, faces=given)
        with np.load(tmp_path/'a.npz') as z:
            npz = {k:z[k] for k in ('bone_lengths','global_orient','body_pose')}
            assert json.loads(str(z['about']))['seed']==seed
        assert np.abs(posed(*npz.values())-x).max()<1e-4
        export(x, tmp_path/'a.json', faces=given)
        rows = json.loads((tmp_path/'a.json').read_text())['poses']
        assert np.abs(posed(*(np.array([row[k] for row in rows]) for k in npz))-x).max()<1e-4
        for k in npz: assert np.abs(np.array([row[k] for row in rows])-npz[k]).max()<2e-5
    body = npz['body_pose'].copy()
    body[:,14] = 0  # the head's joint moves no other
    assert np.abs(posed(npz['bone_lengths'], npz['global_orient'], body)-x).max()<1e-4
    loose,said = quiet(export, noisy(seed), tmp_path/'b.npz')
    with np.load(tmp_path/'b.npz') as z:
        again = posed(z['bone_lengths'], z['global_orient'], z['body_pose'])
    assert len(said)==1 and np.abs(again-quiet(rigid_poses, noisy(seed))[0]).max()<1e-4

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
    faces = [[0,-1,0],None,[1,0,0],[.6,0,-.8]]
    for d in 'ab':
        (tmp_path/d).mkdir()
        quiet(export, x, tmp_path/d/f'poses.{format}', prompts=['é']*4, scores=np.linspace(0, 1, 4), faces=faces,
              seed=3, guidance_scale=(2.,7.), negative_prompt=None, options=small(format))
    assert files(tmp_path/'a')==files(tmp_path/'b')!={}
    quiet(export, x, tmp_path/'c', format, separate=True, prompts=['é']*4, options=small(format))
    assert len(files(tmp_path/'c'))==(8 if format=='openpose' else 4)
    assert all(re.fullmatch(r'00\d\.[a-z]+', name) for name in files(tmp_path/'c'))
    for f in ('000','003'): assert any(n.startswith(f) for n in files(tmp_path/'c'))

POSE = pose_from_angles({})
LINE = np.linspace(0, 1, 22)[:,None]

def with_joint_at(joints, places):
    "The standing pose with some joints moved to where others are."
    x = POSE.copy()
    x[joints] = POSE[places]
    return x

def small(format):
    "Options that make pictures quickly."
    return dict(width=64, height=96) if format in ('depth','normal') else {}

STRANGE = {
    'a vertical line': LINE*[0,0,1.],
    'a horizontal line': LINE*[1.,0,0],
    'a flat body': POSE*[1,1,0],
    'no forearms': with_joint_at([20,21], [18,19]),
    'no neck': with_joint_at([15], [12]),
    'very small': 1e-3*POSE,
    'very large': 40*POSE}

@pytest.mark.parametrize('format', FORMATS)
def test_point(tmp_path, format):
    "All joints in one place make no body: one sentence says of which pose, and nothing is written."
    with pytest.raises(ValueError, match='^all joints of pose 1, counted from 0, are in one point$'):
        export([POSE, np.ones((22,3))], tmp_path/f'a.{format}', format)
    assert list(tmp_path.iterdir())==[]

def test_out_of_proportion(tmp_path):
    "Numbers that are finite and yet no metres are refused by name, without a warning."
    np.save(tmp_path/'joints.npy', POSE[None]*1e30)
    np.save(tmp_path/'features.npy', np.full((5,263), 1e30)*np.sin(np.arange(263)))
    for name in ('joints.npy','features.npy'):
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            with pytest.raises(ValueError, match=f'{name}.*beyond'):
                load_poses(tmp_path/name)

@pytest.mark.parametrize('format', FORMATS)
@pytest.mark.parametrize('name', STRANGE)
def test_strange_bodies(tmp_path, format, name):
    "Zero-length bones, coincident joints and collinear limbs: a file, with the nearest body that is rigid."
    x = STRANGE[name]
    quiet(export, x, tmp_path/f'a.{format}', options=small(format))
    assert files(tmp_path)
    for text in [v for n,v in files(tmp_path).items() if n.endswith(('.json','.bvh'))]:
        assert b'nan' not in text.lower().replace(b'"nan',b'')
    size = max(1, np.abs(x).max())
    rigid,said = quiet(rigid_poses, x)
    assert bool(said)==(name in ('a vertical line','a horizontal line','a flat body'))
    assert np.abs(bone_lengths(rigid)-bone_lengths(x)).max()<1e-5*size
    if format in ('json','npz'): assert np.abs(load_poses(tmp_path/f'a.{format}')[0]-x).max()<2e-5*size
    if format=='bvh': assert np.abs(bvh_joints(tmp_path/'a.bvh')-rigid).max()<1e-4*size
    if format=='glb':
        data = (tmp_path/'a.glb').read_bytes()
        assert np.abs(glb_joints(data)-rigid).max()<1e-4*size
        assert np.abs(load_poses(tmp_path/'a.glb')[0]-rigid).max()<1e-4*size

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
    for format in ('bvh','glb','vrma','openpose','depth','normal','humanml3d'):
        with pytest.raises(ValueError, match='another unit'): export(1e6*POSE, tmp_path/f'a.{format}')
    assert list(tmp_path.iterdir())==[]
    export(1e6*POSE, tmp_path/'a.json')
    assert np.abs(load_poses(tmp_path/'a.json')[0]/1e6-POSE).max()<1e-6

@pytest.mark.parametrize('format,options,says', [
    ('bvh', dict(fps=0), 'fps must be'),
    ('bvh', dict(fps=np.nan), 'fps must be'),
    ('bvh', dict(width=3), "bvh has no option 'width'"),
    ('bvh', dict(rigid=True), "bvh has no option 'rigid'"),
    ('bvh', dict(names='maya'), 'names must be one of text2pose, mixamo, vrm'),
    ('bvh', dict(unit='inch'), 'unit must be one of m, cm, mm'),
    ('glb', dict(body='ghost'), 'body must be one of skinned, parts'),
    ('glb', dict(names=None), 'names must be one of'),
    ('vrma', dict(interpolation='STEP'), "vrma has no option 'interpolation'"),
    ('vrma', dict(seconds=0), 'seconds must be'),
    ('depth', dict(elev=np.inf), 'azim and elev'),
    ('normal', dict(body='ghost'), 'body must be'),
    ('normal', dict(width=9000), 'width must be'),
    ('png', dict(views=['left']), 'camera must be'),
    ('png', dict(views=[(0,91)]), 'camera must be'),
    ('npy', dict(names='mixamo'), "npy has no option 'names'"),
    ('glb', dict(faces=None), "glb has no option 'faces'"),
    ('json', dict(fps=20), "json has no option 'fps'"),
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

# ---- folders: whole or not at all

def test_folders_of_others(tmp_path):
    "A folder with anything but numbered files stays as it is: a foreign file, a subfolder, a link; and so does a link."
    export(POSE, tmp_path/'a.openpose')
    one = tmp_path/'a.openpose'
    whole = files(one)
    foreign = {'thesis.tex':lambda p: p.write_text('x'), 'notes':Path.mkdir, '007.png':Path.mkdir,
               '008.png':lambda p: p.symlink_to('000.png'), 'zz':lambda p: p.symlink_to('nowhere')}
    for name,make in foreign.items():
        make(one/name)
        before = sorted(one.iterdir())
        with pytest.raises(ValueError, match=f'a.openpose is a folder that holds {name}; choose another one') as e:
            export(np.stack([POSE]*2), one)
        assert '\n' not in str(e.value) and sorted(one.iterdir())==before and whole.items()<=files(one).items()
        (one/name).rmdir() if (one/name).is_dir() else (one/name).unlink()
    (tmp_path/'link').symlink_to('a.openpose')
    with pytest.raises(ValueError, match='link is a link'): export(POSE, tmp_path/'link', 'openpose')
    assert files(one)==whole and (tmp_path/'link').is_symlink()

def leftovers(folder): return [p.name for p in folder.iterdir() if p.name.startswith('.')]

def test_a_folder_that_comes_in_between(tmp_path, monkeypatch):
    "What is put there while the new files are written is refused too, and nothing of it is lost."
    path = tmp_path/'a.openpose'
    write = text2pose.export._WRITERS['openpose']
    def slow(*args, **options):
        path.mkdir(exist_ok=True)
        (path/'thesis.tex').write_text('x')
        return write(*args, **options)
    monkeypatch.setitem(text2pose.export._WRITERS, 'openpose', slow)
    with pytest.raises(ValueError, match='a.openpose is a folder that holds thesis.tex'): export(POSE, path)
    assert files(tmp_path)=={'a.openpose/thesis.tex':b'x'} and leftovers(tmp_path)==[]

def test_the_new_folder_cannot_be_renamed(tmp_path, monkeypatch):
    "The old one comes back."
    path = tmp_path/'a.openpose'
    export(POSE, path)
    before = files(tmp_path)
    rename = os.rename
    def fails(old, new):
        if Path(old).parent.name=='new': raise OSError(errno.ENOSPC, 'No space left on device')
        rename(old, new)
    monkeypatch.setattr(os, 'rename', fails)
    with pytest.raises(OSError, match='No space'): export(np.stack([POSE]*3), path)
    assert files(tmp_path)==before and leftovers(tmp_path)==[]

def die_at_line(countdown):
    "Kill this process when so many lines of the code of folders have run."
    of_folders = (text2pose.export._swap_in, text2pose.export._rename, text2pose.export.check_numbered_folder,
                  text2pose.export._numbered_folder.__wrapped__)
    code = {f.__code__ for f in of_folders}
    def count(frame, event, arg):
        nonlocal countdown
        if event=='line':
            countdown -= 1
            if countdown==0: os.kill(os.getpid(), signal.SIGKILL)
        return count
    sys.settrace(lambda frame, event, arg: count if frame.f_code in code else None)

def test_killed_at_every_line(tmp_path):
    """An export into a folder, killed at each line in turn: there is the old folder, the new one, or, between two
    renames, none, and then the old one lies whole beside it. The next export goes through."""
    old,new = POSE[None],np.stack([POSE]*2)
    def write(x, path): export(x, path, 'npy', separate=True)
    write(old, tmp_path/'old')
    write(new, tmp_path/'new')
    of_old,of_new = files(tmp_path/'old'),files(tmp_path/'new')
    seen = set()
    for line in range(1, 200):
        path = tmp_path/f'{line}'/'a'
        write(old, path)
        child = os.fork()
        if not child:
            try:
                die_at_line(line)
                write(new, path)
            finally: os._exit(0)
        status = os.waitpid(child, 0)[1]
        if path.exists():
            assert files(path) in (of_old,of_new), line
            seen.add('old' if files(path)==of_old else 'new')
        else:
            aside, = path.parent.glob('.*/old/a')
            assert files(aside)==of_old, line
            seen.add('none')
        if status==0: break
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status)==signal.SIGKILL
        write(new, path)
        assert files(path)==of_new
    assert status==0 and files(path)==of_new and leftovers(path.parent)==[] and seen=={'old','new','none'}

def export_again_and_again(path, n, times):
    for _ in range(times): export(np.stack([POSE]*n), path, 'npy', separate=True)

def test_many_exports_into_one_folder(tmp_path):
    "Four processes write folders of different lengths under one name; whoever looks sees all files of one of them."
    path = tmp_path/'a'
    export_again_and_again(path, 1, 1)
    context = multiprocessing.get_context('fork')
    workers = [context.Process(target=export_again_and_again, args=(path,n,40)) for n in (1,2,3,4)]
    for w in workers: w.start()
    counts = []
    while any(w.is_alive() for w in workers):
        try: counts.append(len(os.listdir(path)))
        except FileNotFoundError: counts.append(0)  # between two renames
    for w in workers: w.join()
    assert [w.exitcode for w in workers]==[0]*4 and set(counts)<={0,1,2,3,4} and len(set(counts))>1
    found = files(path)
    assert sorted(found)==[f'{i:03}.npy' for i in range(len(found))] and len(found) in (1,2,3,4)
    assert leftovers(tmp_path)==[] and os.listdir(tmp_path)==['a']

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

@pytest.mark.parametrize('format', ['json','npz','npy','bvh','glb','vrma','humanml3d.npy'])
@pytest.mark.parametrize('seed', range(3))
def test_read_back(tmp_path, format, seed):
    "Every format that holds 3D gives back what was exported within 0.1 mm, one pose or many, and its prompts."
    x = one_body(seed)
    prompts = [f'pose {i} é' for i in range(len(x))]
    options = {} if format!='bvh' else dict(fps=30)
    for some in (slice(None), slice(0,1), slice(3,5)):
        export(x[some], tmp_path/f'a.{format}', prompts=prompts[some], options=options)
        back,names = load_poses(tmp_path/f'a.{format}')
        want = canonical(x[some]) if format.startswith('humanml3d') else x[some]
        assert back.shape==want.shape and back.dtype==np.float32
        assert np.abs(back-want).max()<1e-4
        assert names==(prompts[some] if format in ('json','npz','glb','vrma') else ['']*len(back))
        assert np.isnan(load_faces(tmp_path/f'a.{format}')).all()

@pytest.mark.parametrize('names', SKELETON_NAMES)
@pytest.mark.parametrize('unit', BVH_UNITS)
@pytest.mark.parametrize('size', [.45,1,1.2])
def test_names_and_units_of_bvh(tmp_path, names, unit, size):
    "A plain T-pose hierarchy whatever joints are called; children and tall people come back in metres."
    x = size*one_body(2)[:5]
    faces = np.tile([.6,-.8,0], (5,1))
    export(x, tmp_path/'a.bvh', faces=faces, options=dict(names=names, unit=unit))
    joints,_ = bvh_channels((tmp_path/'a.bvh').read_text())
    called = [n.split(':')[-1] for n in SKELETON_NAMES[names]]
    assert [n for n in joints if not n.endswith(' end')]==sorted(called, key=list(joints).index)
    length = np.linalg.norm(joints[called[4]]['offset'])/BVH_UNITS[unit]
    assert abs(length-bone_lengths(x[0])[3])<1e-5
    assert np.abs(load_poses(tmp_path/'a.bvh')[0]-x).max()<1e-4
    assert np.abs(load_faces(tmp_path/'a.bvh')-faces).max()<2e-3

def test_other_peoples_mixamo_is_a_capture(tmp_path):
    "A file with Mixamo's names and fingers is not ours: its poses become canonical."
    x = rotate_z(one_body(0)[:3].astype(float), np.full(3, 1.))
    export(x, tmp_path/'a.bvh', options=dict(names='mixamo', unit='cm'))
    text = (tmp_path/'a.bvh').read_text()
    assert np.abs(load_poses(tmp_path/'a.bvh')[0]-x).max()<1e-4
    head,motion = text.split('MOTION')
    site = re.search(r'JOINT LeftHand\n.*?(End Site.*?})', head, re.S)
    finger = f'JOINT LeftHandIndex1\n{{\nOFFSET 5 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n{site[1]}\n}}'
    head = head[:site.start(1)]+finger+head[site.end(1):]
    called = [n for n in bvh_channels(text)[0] if not n.endswith(' end')]
    column = 6+3*called.index('LeftHand')
    *first,a,b,c = motion.splitlines()
    rows = [row.split() for row in (a,b,c)]
    motion = '\n'.join([*first, *(' '.join(row[:column]+['0']*3+row[column:]) for row in rows)])
    (tmp_path/'b.bvh').write_text(head+'MOTION'+motion+'\n')
    assert np.abs(load_poses(tmp_path/'b.bvh')[0]-canonical(x)).max()<1e-3

def test_read_other_glb(tmp_path):
    x = one_body(0)[:5]
    for options in (dict(arrange='row'), dict(interpolation='LINEAR', seconds=.2)):
        export(x, tmp_path/'a.GLB', options=options, prompts=list('abcde'))
        back,prompts = load_poses(tmp_path/'a.GLB')
        assert np.abs(back-x).max()<1e-4 and prompts==list('abcde')
    (tmp_path/'bare.glb').write_bytes(to_glb(x))
    assert load_poses(tmp_path/'bare.glb')[1]==['']*5

@pytest.mark.parametrize('damage', [
    lambda data: b'', lambda data: b'glTF', lambda data: data[:len(data)//2], lambda data: b'x'*1000,
    lambda data: data.replace(b':LeftArm"', b':LeftLeg"'), lambda data: data.replace(b'text2pose 0', b'some-tool 0'),
    lambda data: data.replace(b'"children"', b'"nephews_"')])
def test_glb_of_others_is_refused(tmp_path, damage):
    "One sentence that names the file and says what was expected."
    data = to_glb(one_body(0)[:2])
    (tmp_path/'a.glb').write_bytes(damage(data))
    says = 'a.glb cannot be read: expected a file as `to_glb` or `to_vrma` writes it'
    with pytest.raises(ValueError, match=says) as e:
        load_poses(tmp_path/'a.glb')
    assert '\n' not in str(e.value)

def test_damaged_glb(tmp_path):
    "Bytes changed at random: poses, or a ValueError."
    g = np.random.default_rng(0)
    data = np.frombuffer(to_glb(one_body(0)[:2]), np.uint8)
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
    x = one_body(1)[:6]
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

@pytest.mark.parametrize('name', ['a.json','a.npz','a.npy','a.bvh','a.glb','a.vrma'])
def test_huge_files(tmp_path, name):
    "200 MB of nothing: refused by its size, before it is read."
    with open(tmp_path/name, 'wb') as f: f.truncate(200_000_000)
    with pytest.raises(ValueError, match=f'{name} has 200 MB; at most 134 MB are read') as e:
        load_poses(tmp_path/name)
    assert '\n' not in str(e.value)

def test_hostile_archives(tmp_path):
    "A small .npz that unpacks to a gigabyte, an array that claims more than there is, another kind of archive."
    with zipfile.ZipFile(tmp_path/'bomb.npz', 'w', zipfile.ZIP_DEFLATED) as z, z.open('joints.npy', 'w') as f:
        for _ in range(64): f.write(bytes(2**22))
    assert (tmp_path/'bomb.npz').stat().st_size<1e6
    with pytest.raises(ValueError, match='bomb.npz has 268 MB when unpacked'): load_poses(tmp_path/'bomb.npz')
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 22, 3), }"
    claims = b'\x93NUMPY\x01\x00'+(len(header)+1).to_bytes(2, 'little')+header+b'\n'
    (tmp_path/'claims.npy').write_bytes(claims)
    with zipfile.ZipFile(tmp_path/'claims.npz', 'w') as z: z.writestr('joints.npy', claims)
    with zipfile.ZipFile(tmp_path/'other.npz', 'w') as z: z.writestr('mimetype', 'a book')
    np.savez(tmp_path/'empty.npz', joints=np.zeros((0,22,3)))
    np.save(tmp_path/'features.npy', np.full((3,263), np.nan))
    for name,says in {'claims.npy':'claims.npy', 'claims.npz':'claims.npz', 'other.npz':'an array called joints',
                      'empty.npz':'empty.npz holds no poses', 'features.npy':'NaN'}.items():
        with pytest.raises(ValueError, match=says) as e: load_poses(tmp_path/name)
        assert '\n' not in str(e.value) and name in str(e.value)

@pytest.mark.parametrize('format', ['json','npz','npy','bvh','glb','vrma'])
def test_nan_in_files(tmp_path, format):
    "NaN that somebody wrote into a file: one sentence that names it."
    export(POSE, tmp_path/f'a.{format}', options=dict(fps=20) if format=='bvh' else {})
    path = tmp_path/f'a.{format}'
    if format=='npz': np.savez(path, joints=POSE[None]*np.nan)
    elif format=='npy': np.save(path, POSE[None]*np.nan)
    elif format=='json': path.write_text(re.sub(r'"joints":\[\[[^,]*', '"joints":[[NaN', path.read_text()))
    elif format=='bvh': path.write_text(re.sub(r'(Frame Time:.*\n\S+ )\S+', r'\1nan', path.read_text()))
    else:
        data = path.read_bytes()
        pelvis = np.frombuffer(data[-12:], np.float32)  # the last key of the last channel, and the one before it
        assert pelvis[1]>.5
        path.write_bytes(data[:-24]+np.full(6, np.nan, np.float32).tobytes())
    with pytest.raises(ValueError, match=f'a.{format}') as e: load_poses(path)
    assert '\n' not in str(e.value)

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
    os.mkfifo(tmp_path/'pipe.json')
    (tmp_path/'folder.bvh').mkdir()
    for name,says in {'pipe.json':'is no regular file', 'folder.bvh':'is a folder'}.items():
        with pytest.raises(FileNotFoundError, match=f'{says}: expected a '): load_poses(tmp_path/name)
    with pytest.raises(ValueError, match='unknown ending'): load_poses(tmp_path/'a.fbx')

# ---- faces

def turned_heads(seed, degrees=70):
    "Poses of one body, and where their faces look if the head of each is turned about its neck by a random angle."
    x = one_body(seed)
    rig = fit_rig(x)
    angles = np.radians(np.random.default_rng(seed).uniform(10, degrees, len(x)))*np.where(np.arange(len(x))%2, 1, -1)
    axis = np.array([0,-.2,.98])/np.hypot(.2, .98)
    K = np.cross(np.eye(3), axis)
    local = np.stack([np.eye(3)+np.sin(a)*K+(1-np.cos(a))*K@K for a in angles])
    R = rig.rotations
    neck = R[:,0]@R[:,3]@R[:,6]@R[:,9]@R[:,12]
    return x, (neck@local)@[0,-1,0], angles

@pytest.mark.parametrize('seed', range(3))
def test_faces_of_3d_files(tmp_path, seed):
    "The head's own joint in BVH and GLB turns by the angle, left positive; joints stay; all formats give it back."
    x,faces,angles = turned_heads(seed)
    faces[3] = np.nan
    known = np.arange(len(x))!=3
    rig = fit_rig(x, faces)
    trace = np.trace(rig.rotations[:,15], axis1=1, axis2=2)
    turn = np.arccos(np.clip((trace-1)/2, -1, 1))
    assert np.abs(turn-np.abs(angles))[known].max()<1e-3 and turn[3]<1e-6
    for format in ('bvh','glb','json','npz'):
        export(x, tmp_path/f'a.{format}', faces=faces)
        assert np.abs(load_poses(tmp_path/f'a.{format}')[0]-x).max()<1e-4
        back = load_faces(tmp_path/f'a.{format}')
        assert back.dtype==np.float32 and np.isnan(back[3]).all()
        assert np.abs(back-faces)[known].max()<2e-3
    _,R = bvh_world((tmp_path/'a.bvh').read_text())['head']
    assert np.abs((R@[0,-1,0])-faces)[known].max()<1e-4
    one = dict(faces=faces[5])
    for format in ('bvh','glb','json','npz'):
        export(x[5], tmp_path/f'b.{format}', **one)
        assert np.abs(load_faces(tmp_path/f'b.{format}')-faces[5]).max()<2e-3

@pytest.mark.parametrize('seed', range(3))
def test_faces_come_back(tmp_path, seed):
    "Any face, up and down too, to less than 1°, from BVH also as a capture."
    x = canonical(one_body(seed))
    g = np.random.default_rng(seed)
    yaw,pitch = np.radians(g.uniform(-80, 80, len(x))),np.radians(g.uniform(-50, 50, len(x)))
    faces = np.stack([np.cos(pitch)*np.sin(yaw), -np.cos(pitch)*np.cos(yaw), np.sin(pitch)], 1)
    for format in ('bvh','glb'): export(x, tmp_path/f'a.{format}', faces=faces)
    assert np.abs(fit_rig(x, faces).joints-x).max()<1e-4
    clip = read_mocap(tmp_path/'a.bvh', up='y', unit='m')
    for back in (load_faces(tmp_path/'a.bvh'), load_faces(tmp_path/'a.glb'), clip.faces):
        assert np.degrees(np.arccos(np.clip((back*faces).sum(1), -1, 1))).max()<1

def test_left_is_left(tmp_path):
    "Who stands and looks over the left shoulder looks to +X, and the nose of the picture goes where it should."
    face = [1.,0,0]
    export(POSE, tmp_path/'a.glb', faces=[face])
    assert load_faces(tmp_path/'a.glb')[0]@face>.95
    nose = body_points(POSE, face)['nose']-POSE[15]
    assert nose[0]>.1 and abs(nose[1])<.01
    left,right = (dict(zip(COCO18, openpose_people(POSE[None], faces=[f])[0])) for f in (face,[-1.,0,0]))
    assert left['nose'][0]>left['neck'][0]+20 and right['nose'][0]<right['neck'][0]-20  # he faces us
    assert left['right_ear'][2]==1 and left['left_ear'][2]==0
    back = dict(zip(COCO18, openpose_people(POSE[None], azim=180, faces=[[0,1.,0]])[0]))
    assert back['nose'][2]==1

def test_faces_of_the_atlas(tmp_path):
    "What an author says of a neck is about its axis, so BVH and GLB give the very direction."
    from text2pose.atlas import atlas_face, atlas_joints
    names = ['warrior_two','archery_full_draw','archery_full_draw_mirrored','frisbee_backhand_windup']
    x,faces = np.concatenate([atlas_joints(n) for n in names]),np.stack([atlas_face(n) for n in names])
    for format in ('bvh','glb','json','npz'):
        export(x, tmp_path/f'a.{format}', faces=faces)
        assert np.abs(load_faces(tmp_path/f'a.{format}')-faces).max()<1e-3

@pytest.mark.parametrize('format', ['png','openpose'])
def test_faces_in_pictures(tmp_path, format):
    for name,faces in (('a',None), ('b',[None]), ('c',[[0,-1.,0]]), ('d',[[1.,0,0]])):
        (tmp_path/name).mkdir()
        export(POSE, tmp_path/name/f'x.{format}', faces=faces)
    assert files(tmp_path/'a')==files(tmp_path/'b')!=files(tmp_path/'d')

@pytest.mark.parametrize('format', FORMATS)
@pytest.mark.parametrize('faces,says', [
    ([[0,0,0]], 'face 0 must be a direction'), ([[0,np.nan,1]], 'face 0 must be a direction'),
    ([[0,np.inf,1]], 'face 0 must be a direction'), ([[0,-1,0]]*2, 'faces must be one per pose: 1 poses, got 2'),
    ([0,1], 'one per pose'), ('left', 'one per pose'), (['l'], 'face 0 must be'), (3, 'one per pose'),
    ([[0,1]], 'face 0 must be')])
def test_bad_faces(tmp_path, format, faces, says):
    with pytest.raises(ValueError, match=says): export(POSE, tmp_path/f'a.{format}', faces=faces)
    assert list(tmp_path.iterdir())==[]

def test_bad_faces_in_a_file(tmp_path):
    export(POSE, tmp_path/'a.json', faces=[[0,-1,0]])
    text = (tmp_path/'a.json').read_text()
    for bad in ('[0,0,0]','"left"','[1,2]','3'):
        (tmp_path/'b.json').write_text(re.sub(r'"face":\[[^]]*\]', f'"face":{bad}', text))
        assert np.abs(load_poses(tmp_path/'b.json')[0]-POSE).max()<1e-5
        with pytest.raises(ValueError, match='b.json: face'): load_faces(tmp_path/'b.json')

# ---- points

def test_openpose_json_has_every_list(tmp_path):
    "Version 1.3 of OpenPose: nine entries a person, in this order, empty where nothing is known."
    for keypoints,n in (('coco18',18), ('body25',25)):
        export(np.stack([POSE,POSE]), tmp_path/'a', 'openpose', separate=False, options=dict(keypoints=keypoints))
        found = json.loads((tmp_path/'a'/'000.json').read_text())
        assert found['version']==1.3 and len(found['people'])==2
        for person in found['people']:
            assert list(person)==['person_id', 'pose_keypoints_2d', 'face_keypoints_2d', 'hand_left_keypoints_2d',
                                  'hand_right_keypoints_2d', 'pose_keypoints_3d', 'face_keypoints_3d',
                                  'hand_left_keypoints_3d', 'hand_right_keypoints_3d']
            points,in_space = (np.reshape(person[f'pose_keypoints_{d}d'], (n,d+1)) for d in (2,3))
            assert person['person_id']==[-1] and (points[:,2]==1).all() and (in_space[:,3]==1).all()
            assert not any(v for k,v in person.items() if k!='person_id' and not k.startswith('pose_'))
            down,pixels = in_space[:,:2]-in_space[1,:2],points[:,:2]-points[1,:2]  # from the front pixels are metres
            scale = (down*pixels).sum()/(down**2).sum()
            assert scale>100 and np.abs(pixels-scale*down).max()<.2

def test_points_follow_the_mirror():
    for pose in shaken(3, 10):
        a,b = body_points(pose),body_points(mirror(pose.copy()))
        for n in BODY25:
            other = n.replace('left_','#').replace('right_','left_').replace('#','right_')
            assert np.abs(a[n]-b[other]*[-1,1,1]).max()<1e-5

def test_floor(): assert np.abs(on_floor(shaken(0))[...,2].min(1)).max()<1e-6

# ---- cameras and maps

def test_cameras():
    assert camera_angles('front')==(0,10) and camera_angles('30,-10')==(30,-10) and camera_angles((400,90))==(400,90)
    assert camera_angles(' 30 , 10 ')==(30,10)
    for bad in ('left','30','30,10,5','a,b','nan,0','0,91','',None,3,(1,),'0,inf'):
        with pytest.raises(ValueError, match='camera must be front, side,'): camera_angles(bad)

def test_names_of_files():
    for format in FORMATS: assert format_of(file_name('my.poses', format).upper())==format

@pytest.mark.parametrize('azim,elev,distance', [(0,0,None), (35,12,None), (140,-20,3.), (250,60,2.5)])
def test_maps_lie_on_the_skeleton(azim, elev, distance):
    "From any side the points of OpenPose lie on the body of the depth map, and nearer limbs are brighter."
    view = dict(azim=azim, elev=elev, distance=distance, width=256, height=256)
    hits = []
    for pose in shaken(azim, 5, size=.1):
        depth,normal = body_maps(pose[None], **view)
        people = openpose_people(pose[None], **view)[0]
        points = [p for name,p in zip(COCO18, people) if not name.endswith('_ear')]
        hits += [depth[int(y),int(x)]>0 for x,y,seen in points if seen]
        body = depth>0
        assert depth.max()==255 and depth[body].min()==64 and .03<body.mean()<.5
        n = normal.astype(float)/127.5-1
        assert np.abs(np.linalg.norm(n[body], axis=-1)-1).max()<.02 and (normal[~body]==[128,128,255]).all()
    assert np.mean(hits)>.97

def test_left_is_red_and_up_is_green():
    "On the left rim of a person red is strong, on the crown green, on the belly blue."
    depth,normal = body_maps(POSE[None], width=300, height=400)
    body = depth>0
    top = np.flatnonzero(body.any(1))[0]
    rows = slice(top+120, top+200)
    left = [np.flatnonzero(r)[0] for r in body[rows]]
    right = [np.flatnonzero(r)[-1] for r in body[rows]]
    at = np.arange(rows.start, rows.stop)
    assert normal[at,left,0].mean()>210 and normal[at,right,0].mean()<45
    assert normal[top+1][body[top+1]][:,1].mean()>180
    x,y,_ = openpose_people(POSE[None], width=300, height=400)[0,1]
    assert normal[int(y)+60,int(x),2]>200

@pytest.mark.parametrize('azim', [0,180])
def test_who_stands_in_front_is_seen(azim):
    "Two people on one line, from both ends: where they overlap it is the nearer, brighter one."
    raised = pose_from_angles({'left_shoulder':{'flexion':170}, 'right_shoulder':{'flexion':170}})
    two,places = np.stack([POSE,raised]),[[0,0],[0,-1.]]
    view = dict(azim=azim, width=128, height=192, places=places)
    depth,_ = body_maps(two, **view)
    standing,reaching = openpose_people(two, **view)
    x,y,_ = standing[1]
    assert depth[int(y),int(x)]>160
    wrists = [int(depth[int(y),int(x)]) for person,name in ((standing,'left_wrist'), (reaching,'left_wrist'))
              for x,y,_ in [person[COCO18.index(name)]]]
    assert (wrists[1]>wrists[0]+60)==(azim==0) and (wrists[0]>wrists[1]+60)==(azim==180)

@pytest.mark.parametrize('body', BODIES)
def test_skin_keeps_its_shape(body):
    "In any pose the points of hands, head and feet keep their distances; no edge of the mesh is torn."
    for pose in one_body(4)[:6]:
        rig = fit_rig(pose)
        for mesh in body_mesh(rig.offsets, body).values():
            moved = posed_mesh(mesh, rig)
            assert np.isfinite(moved.points).all() and np.abs(np.linalg.norm(moved.normals, axis=-1)-1).max()<1e-6
            alone = (mesh.weights[:,0]==255)&np.isin(mesh.joints[:,0], [15,20,21])
            for joint in (15,20,21):
                at,to = (m.points[alone&(mesh.joints[:,0]==joint)] for m in (mesh,moved))
                if len(at)==0: continue
                before,after = (np.linalg.norm(points-points[0], axis=-1) for points in (at,to))
                assert np.abs(before-after).max()<1e-6
            edges = mesh.triangles[:,[0,1]]
            before,after = (np.linalg.norm(np.diff(m.points[edges], axis=1), axis=-1) for m in (mesh,moved))
            assert np.percentile(after/np.maximum(before, 1e-3), 99)<2.5

# ---- archives of arrays that say more than they hold

def npy(shape, dtype='<f4', content=b''):
    header = repr(dict(descr=dtype, fortran_order=False, shape=shape)).encode()+b'\n'
    return b'\x93NUMPY\x01\x00'+len(header).to_bytes(2, 'little')+header+content

def test_prompts_of_an_archive(tmp_path):
    "As many prompts as poses, or none."
    three = np.stack([POSE]*3)
    for prompts in (['one'],['a','b'],[['a','b']],list('abcd')):
        np.savez(tmp_path/'a.npz', joints=three, prompts=np.array(prompts))
        with pytest.raises(ValueError, match=f'a.npz holds {np.size(prompts)} prompts? for 3 poses'):
            load_poses(tmp_path/'a.npz')
    np.savez(tmp_path/'a.npz', joints=three, prompts=np.array(['a','b','c']))
    assert load_poses(tmp_path/'a.npz')[1]==['a','b','c']

@pytest.mark.parametrize('name,members,says', [
    ('claims', {'joints.npy':npy((10**9,22,3))}, 'joints claims 264,000,000,000 bytes and has 0'),
    ('letters', {'joints.npy':npy((1,22,3), content=bytes(264)), 'prompts.npy':npy((), '<U500000000')},
     'prompts claims 2,000,000,000 bytes and has 0'),
    ('less', {'joints.npy':npy((1,22,3), content=bytes(9999))}, 'joints claims 264 bytes and has 9,999'),
    ('pickled', {'joints.npy':npy((1,), '|O', b'cos\nsystem\n')}, 'pickled objects are refused'),
    ('header', {'joints.npy':b'\x93NUMPY\x01\x00\xff\xff'+b'('*65535}, 'header.npz is not a readable .npz'),
    ('many', {f'{i}.npy':b'' for i in range(300)}, '300 files, more than the limit of 100')])
def test_arrays_that_lie(tmp_path, name, members, says):
    with zipfile.ZipFile(tmp_path/f'{name}.npz', 'w') as z:
        for member,content in members.items(): z.writestr(member, content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=says) as e: load_poses(tmp_path/f'{name}.npz')
    assert '\n' not in str(e.value) and f'{name}.npz' in str(e.value)
    assert tracemalloc.get_traced_memory()[1]<20e6
    tracemalloc.stop()

def test_one_animation_for_many_bodies(tmp_path):
    "A small GLB whose skeletons share an animation of many keys."
    export(np.stack([POSE]*3), tmp_path/'a.glb')
    data = (tmp_path/'a.glb').read_bytes()
    n = int.from_bytes(data[12:16], 'little')
    doc = json.loads(data[20:20+n])
    doc['skins'] *= 40_000
    text = json.dumps(doc).encode()
    text += b' '*(-len(text)%4)
    rest = data[20+n:]
    whole = b'glTF'+data[4:8]+(20+len(text)+len(rest)).to_bytes(4, 'little')
    (tmp_path/'a.glb').write_bytes(whole+len(text).to_bytes(4, 'little')+data[16:20]+text+rest)
    with pytest.raises(ValueError, match='a.glb cannot be read: it holds 120,000 poses; at most 100,000'):
        load_poses(tmp_path/'a.glb')

def test_json_that_fills_the_memory(tmp_path):
    (tmp_path/'a.json').write_text('{"poses":['+'{},'*10**7+'{}]}')
    with pytest.raises(ValueError, match='a.json has .* MB in memory; at most 700 MB are read'):
        load_poses(tmp_path/'a.json')
