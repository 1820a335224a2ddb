"""What others make of our files: Khronos' validator has nothing to say of a GLB, three.js' loaders have the joints of
BVH and GLB where they are, in a browser it shows an upright body, and an avatar of VRM moves as the pose says."""
import json

import numpy as np, pytest

from browser import chromium, three_nodes, validate
from text2pose.data import JOINT_NAMES, PARENTS, own_poses, y_up_from_z_up
from text2pose.export import MIXAMO_NAMES, SKELETON_NAMES, VRM_NAMES, export, on_floor, to_glb, to_vrma

POSES = {p['name']:p['joints'] for p in own_poses()}
OWN = np.stack(list(POSES.values()))

@pytest.fixture(scope='module')
def show():
    with chromium() as s: yield s

def in_three(names):
    "What three.js calls nodes: without the characters that its animations reserve."
    return [name.replace(':', '') for name in names]

@pytest.mark.parametrize('n,options', [
    (1,{}), (12,{}), (12,dict(interpolation='LINEAR')), (5,dict(arrange='row')), (1,dict(interpolation='LINEAR')),
    (5,dict(body='parts', names='text2pose')), (3,dict(arrange='row', body='parts', names='vrm'))])
@pytest.mark.parametrize('faces', [False,True])
def test_validator(tmp_path, n, options, faces):
    faces = np.random.default_rng(0).normal(size=(n,3)) if faces else None
    export(OWN[:n], tmp_path/'a.glb', prompts=['a pose']*n, scores=np.ones(n), seed=0, options=options, faces=faces)
    assert validate(tmp_path/'a.glb')==[]

@pytest.mark.parametrize('n', [1,12])
def test_validator_on_vrma(tmp_path, n):
    "A valid file; the validator only says that it does not know the extension, and that nodes carry nothing."
    export(OWN[:n], tmp_path/'a.vrma', prompts=['a pose']*n, seed=0)
    (tmp_path/'a.glb').write_bytes((tmp_path/'a.vrma').read_bytes())
    found = validate(tmp_path/'a.glb')
    assert all(m['severity']>=2 for m in found), found
    assert {m['code'] for m in found}=={'UNSUPPORTED_EXTENSION','NODE_EMPTY'}

CASES = [('bvh',names,unit) for names in SKELETON_NAMES for unit in ('m','cm')]+[('glb',names,'m') for names in SKELETON_NAMES]

@pytest.mark.parametrize('format,names,unit', CASES)
def test_loaders_of_three(tmp_path, format, names, unit):
    "three.js' loaders have every joint within 0.1 mm, in every pose, turned heads or not; and a lone pose."
    faces = np.random.default_rng(0).normal(size=(len(OWN),3))
    metre = dict(m=1, cm=100)[unit]
    want = metre*y_up_from_z_up(on_floor(OWN))
    options = dict(names=names, **(dict(unit=unit) if format=='bvh' else {}))
    called = [n.split(':')[-1] for n in SKELETON_NAMES[names]] if format=='bvh' else in_three(SKELETON_NAMES[names])
    seconds = 1/20 if format=='bvh' else 1.
    for given in (None,faces):
        export(OWN, tmp_path/f'a.{format}', faces=given, options=options)
        times = (np.arange(len(OWN))+.5*(format=='glb'))*seconds  # a BVH has a pose at a time, our GLB holds it
        found = three_nodes(tmp_path/f'a.{format}', times)
        assert np.abs(np.array([[nodes[n] for n in called] for nodes in found])-want).max()<1e-4*metre
    export(OWN[7], tmp_path/f'b.{format}', options=options)
    nodes, = three_nodes(tmp_path/f'b.{format}', [0])
    assert np.abs(np.array([nodes[n] for n in called])-want[7]).max()<1e-4*metre

def _is(picture, color):
    "Pixels whose hue is blue, red, or none but dark."
    r,g,b = (picture[...,i].astype(int) for i in range(3))
    return dict(blue=b>r+40, red=r>b+40, grey=(abs(r-b)<40)&(g<150))[color]

def _mean(mask): return np.argwhere(mask).mean(0)[::-1]

def test_body_is_there_and_upright(show):
    picture,found = show(to_glb(POSES['standing'][None], body='parts', names='text2pose'))
    blue,red,grey = (_is(picture, c) for c in ('blue','red','grey'))
    body = blue|red|grey
    h,w = body.shape
    assert .05<body.mean()<.5 and min(blue.sum(), red.sum(), grey.sum())>1000
    top,bottom = np.flatnonzero(body.any(1))[[0,-1]]
    assert top<.1*h and bottom>.9*h                                                      # it fills the picture
    assert grey[top:top+h//12].sum()>0 and (blue|red)[top:top+h//12].sum()==0  # head on top, no limb beside it
    assert grey[-h//4:].sum()<50 and blue[-h//4:].sum()>100 and red[-h//4:].sum()>100    # legs at the bottom
    assert _mean(blue)[0] > _mean(red)[0]+.1*w  # facing us, the subject's left is on our right
    assert _mean(grey)[1] < min(_mean(blue)[1], _mean(red)[1])
    pixels = found['pixels']
    assert pixels['head'][1]<pixels['pelvis'][1]<pixels['left_knee'][1]<pixels['left_foot'][1]
    for name,seen in (('left_knee',blue), ('right_knee',red), ('left_elbow',blue), ('right_elbow',red)):
        x,y = (round(v) for v in pixels[name])
        assert seen[y-6:y+7,x-6:x+7].any(), name

def test_from_behind(show):
    picture,_ = show(to_glb(POSES['standing'][None], body='parts'), azim=180)
    assert _mean(_is(picture, 'blue'))[0] < _mean(_is(picture, 'red'))[0]

def test_raised_arm(show):
    picture,found = show(to_glb(POSES['left_arm_raised'][None], body='parts', names='text2pose'))
    y = found['pixels']['left_wrist'][1]
    assert y<found['pixels']['head'][1]
    above = picture[:round(y)+10]
    assert _is(above, 'blue').any() and not _is(above, 'red').any()

def test_nodes_are_the_joints(show):
    "three.js puts every node within 0.1 mm of its joint, in every pose of the animation and in a row."
    x,names = OWN[:20],in_three(MIXAMO_NAMES)
    want = y_up_from_z_up(on_floor(x))
    glb = to_glb(x)
    for i in (0,7,19):
        _,found = show(glb, time=i+.5)
        assert np.abs(np.array([found['nodes'][n] for n in names])-want[i]).max()<1e-4
    assert found['animations']==[20]
    _,found = show(to_glb(x[:3], 'row'))
    for i in range(3):
        at = np.array([found['nodes'][n+(f'_{i+1}' if i else '')] for n in names])
        shift = at[0]-want[i,0]
        assert abs(shift[1])<1e-4 and np.abs(at-shift-want[i]).max()<1e-4

@pytest.mark.parametrize('name', ['standing','left_arm_raised','deep_squat','left_kick'])
def test_skin_lies_on_the_joints(show, name):
    "The skinned body covers the joints of its pose from the front, one piece from crown to toes, and little else."
    picture,found = show(to_glb(POSES[name][None]), elev=0)
    body = (picture<240).any(-1)
    for joint in MIXAMO_NAMES:
        x,y = (round(v) for v in found['pixels'][joint.replace(':', '')])
        assert body[y-3:y+4,x-3:x+4].any(), joint
    assert .04<body.mean()<.5 and body.any(1).sum()==np.ptp(np.flatnonzero(body.any(1)))+1

# ---- VRM

def glb_bytes(doc):
    "A GLB file without a buffer."
    text = json.dumps(doc).encode()
    text += b' '*(-len(text)%4)
    lengths = [len(text)+20, len(text)]
    total,chunk = (n.to_bytes(4, 'little') for n in lengths)
    return b'glTF'+(2).to_bytes(4, 'little')+total+chunk+b'JSON'+text

def random_rotations(g, n):
    q = np.linalg.qr(g.normal(size=(n,3,3)))[0]
    return q*np.linalg.det(q)[:,None,None]

def quaternion(R):
    "x, y, z, w of a rotation (3, 3)."
    from scipy.spatial.transform import Rotation
    return Rotation.from_matrix(R).as_quat().tolist()

def avatar(seed):
    """A humanoid of VRM without a mesh: other proportions than ours, other shoulders, a straight neck, and nodes that
    are turned at rest in any way, as those of real avatars are. The file, and the offset of each bone at rest, Y up."""
    g = np.random.default_rng(seed)
    offsets = np.zeros((22,3))
    towards = dict(spine1=(0,1,0), spine2=(0,1,0), spine3=(0,1,0), neck=(0,1,0), head=(0,1,0), collar=(1,2,0),
                   shoulder=(1,0,0), elbow=(1,0,0), wrist=(1,0,0), hip=(1,-1,0), knee=(0,-1,0), ankle=(0,-1,0),
                   foot=(.1,-.42,.9))
    length = dict(hip=.1, knee=.5, ankle=.35, foot=.15, collar=.12, shoulder=.1, elbow=.22, wrist=.31)
    for j,name in enumerate(JOINT_NAMES[1:], 1):
        part = name.split('_')[-1]
        direction = np.array(towards[part], float)/np.linalg.norm(towards[part])
        side = np.array([-1 if name.startswith('right') else 1,1,1])
        offsets[j] = direction*side*length.get(part, .11)*np.exp(.2*g.normal())
    offsets[0] = [0,1.3,0]
    world = random_rotations(g, 22)
    nodes = []
    for j,name in enumerate(VRM_NAMES):
        parent = world[PARENTS[j]] if j else np.eye(3)
        turn,moved = quaternion(parent.T@world[j]),(parent.T@offsets[j]).tolist()
        nodes.append(dict(name=f'bone {j}', rotation=turn, translation=moved))
        children = [c for c in range(22) if PARENTS[c]==j]
        if children: nodes[-1]['children'] = children
    meta = dict(name='test', authors=['text2pose'], licenseUrl='https://vrm.dev/licenses/1.0/')
    bones = {name:dict(node=j) for j,name in enumerate(VRM_NAMES)}
    vrm = dict(specVersion='1.0', meta=meta, humanoid=dict(humanBones=bones))
    doc = dict(asset=dict(version='2.0'), scene=0, scenes=[dict(nodes=[0])], nodes=nodes, extensionsUsed=['VRMC_vrm'],
               extensions=dict(VRMC_vrm=vrm))
    return glb_bytes(doc), offsets

def degrees_apart(a, b):
    cosine = (a*b).sum(-1)/np.linalg.norm(a, axis=-1)/np.linalg.norm(b, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))

@pytest.mark.parametrize('seed', range(2))
def test_avatar_moves_as_the_pose_says(show, seed):
    """@pixiv/three-vrm-animation gives the limbs and the spine of an avatar the directions of ours within 0.01°, in
    every pose; its other bones point elsewhere at rest. The hips move up and down with its size."""
    glb,offsets = avatar(seed)
    times = ','.join(map(str, range(len(OWN))))
    _,found = show(page_name='avatar.html', files={'avatar.vrm':glb, 'poses.vrma':to_vrma(OWN)}, times=times)
    assert found['duration']==len(OWN)-1
    got = np.array([[bones[name] for name in VRM_NAMES] for bones in found['bones']])
    ours = y_up_from_z_up(on_floor(OWN))
    bones,wanted = (x[:,1:]-x[:,PARENTS[1:]] for x in (got,ours))
    lengths = np.linalg.norm(offsets[1:], axis=-1)
    assert np.abs(np.linalg.norm(bones, axis=-1)-lengths).max()<1e-4
    same = [j-1 for j,name in enumerate(JOINT_NAMES) if name.split('_')[-1] in ('knee','ankle','elbow','wrist','foot')]
    same += [JOINT_NAMES.index(name)-1 for name in ('spine1','spine2','spine3','neck','left_shoulder','right_shoulder')]
    assert degrees_apart(bones, wanted)[:,same].max()<.01
    assert np.abs(got[:,0,1]/offsets[0,1]-ours[:,0,1]/height_of_t_pose(OWN)).max()<1e-3

def height_of_t_pose(x):
    "Height of the pelvis of our T-pose."
    from text2pose.export import fit_rig
    offsets = fit_rig(x[:1]).offsets
    down = sum(offsets[JOINT_NAMES.index(f'left_{part}')][2] for part in ('hip','knee','ankle','foot'))
    return -down
