"""What others make of our files: Khronos' validator has nothing to say of a GLB, three.js' loaders have the joints of
BVH and GLB where they are, and in a browser it shows an upright body."""
import numpy as np, pytest

from browser import chromium, three_nodes, validate
from text2pose.data import JOINT_NAMES, own_poses, y_up_from_z_up
from text2pose.export import export, on_floor, to_glb

POSES = {p['name']:p['joints'] for p in own_poses()}
OWN = np.stack(list(POSES.values()))

@pytest.fixture(scope='module')
def show():
    with chromium() as s: yield s

@pytest.mark.parametrize('n,options', [(1,{}), (12,{}), (12,dict(interpolation='LINEAR')), (5,dict(arrange='row'))])
@pytest.mark.parametrize('faces', [False,True])
def test_validator(tmp_path, n, options, faces):
    faces = np.random.default_rng(0).normal(size=(n,3)) if faces else None
    export(OWN[:n], tmp_path/'a.glb', prompts=['a pose']*n, scores=np.ones(n), seed=0, options=options, faces=faces)
    assert validate(tmp_path/'a.glb')==[]

def test_validator_on_a_point(tmp_path):
    "All joints in one point: nothing to see, and still a valid file."
    export(np.zeros((22,3)), tmp_path/'a.glb')
    assert [m for m in validate(tmp_path/'a.glb') if m['severity']<2]==[]

@pytest.mark.parametrize('format,seconds', [('bvh',1/20), ('glb',1.)])
def test_loaders_of_three(tmp_path, format, seconds):
    "three.js' loaders have every joint within 0.1 mm, in every pose, turned heads or not; and a lone pose."
    faces = np.random.default_rng(0).normal(size=(len(OWN),3))
    want = y_up_from_z_up(on_floor(OWN))
    for given in (None,faces):
        export(OWN, tmp_path/f'a.{format}', faces=given)
        times = (np.arange(len(OWN))+.5*(format=='glb'))*seconds  # a BVH has a pose at a time, our GLB holds it
        found = three_nodes(tmp_path/f'a.{format}', times)
        assert np.abs(np.array([[nodes[n] for n in JOINT_NAMES] for nodes in found])-want).max()<1e-4
    export(OWN[7], tmp_path/f'b.{format}')
    nodes, = three_nodes(tmp_path/f'b.{format}', [0])
    assert np.abs(np.array([nodes[n] for n in JOINT_NAMES])-want[7]).max()<1e-4

def _is(picture, color):
    "Pixels whose hue is blue, red, or none but dark."
    r,g,b = (picture[...,i].astype(int) for i in range(3))
    return dict(blue=b>r+40, red=r>b+40, grey=(abs(r-b)<40)&(g<150))[color]

def _mean(mask): return np.argwhere(mask).mean(0)[::-1]

def test_body_is_there_and_upright(show):
    picture,found = show(to_glb(POSES['standing'][None]))
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
    picture,_ = show(to_glb(POSES['standing'][None]), azim=180)
    assert _mean(_is(picture, 'blue'))[0] < _mean(_is(picture, 'red'))[0]

def test_raised_arm(show):
    picture,found = show(to_glb(POSES['left_arm_raised'][None]))
    y = found['pixels']['left_wrist'][1]
    assert y<found['pixels']['head'][1]
    above = picture[:round(y)+10]
    assert _is(above, 'blue').any() and not _is(above, 'red').any()

def test_nodes_are_the_joints(show):
    "three.js puts every node within 0.1 mm of its joint, in every pose of the animation and in a row."
    x = OWN[:20]
    want = y_up_from_z_up(on_floor(x))
    glb = to_glb(x)
    for i in (0,7,19):
        _,found = show(glb, time=i+.5)
        assert np.abs(np.array([found['nodes'][n] for n in JOINT_NAMES])-want[i]).max()<1e-4
    assert found['animations']==[20]
    _,found = show(to_glb(x[:3], 'row'))
    for i in range(3):
        at = np.array([found['nodes'][n+(f'_{i+1}' if i else '')] for n in JOINT_NAMES])
        shift = at[0]-want[i,0]
        assert abs(shift[1])<1e-4 and np.abs(at-shift-want[i]).max()<1e-4
