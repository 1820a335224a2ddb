"""What others make of our GLB files: Khronos' validator has nothing to say, and three.js in a browser shows an upright
body where the joints are."""
import numpy as np, pytest

from browser import chromium, validate
from text2pose.data import JOINT_NAMES, own_poses, y_up_from_z_up
from text2pose.export import export, on_floor, to_glb

POSES = {p['name']:p['joints'] for p in own_poses()}
OWN = np.stack(list(POSES.values()))

@pytest.fixture(scope='module')
def show():
    with chromium() as s: yield s

@pytest.mark.parametrize('n,options', [(1,{}), (12,{}), (12,dict(interpolation='LINEAR')), (5,dict(arrange='row'))])
@pytest.mark.parametrize('noise', [0,.01])
def test_validator(tmp_path, n, options, noise):
    x = OWN[:n]+np.random.default_rng(0).normal(0, 1, OWN[:n].shape)*noise
    export(x, tmp_path/'a.glb', prompts=['a pose']*n, scores=np.ones(n), seed=0, options=options)
    assert validate(tmp_path/'a.glb')==[]

def test_validator_on_a_point(tmp_path):
    "All joints in one point: nothing to see, and still a valid file."
    export(np.zeros((22,3)), tmp_path/'a.glb')
    assert [m for m in validate(tmp_path/'a.glb') if m['severity']<2]==[]

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

@pytest.mark.parametrize('noise', [0,.01])
def test_nodes_are_the_joints(show, noise):
    "three.js puts every node within 1 mm of its joint, in every pose of the animation and in a row."
    x = (OWN[:20]+np.random.default_rng(0).normal(0, 1, OWN[:20].shape)*noise).astype(np.float32)
    want = y_up_from_z_up(on_floor(x))
    glb = to_glb(x)
    for i in (0,7,19):
        _,found = show(glb, time=i+.5)
        assert np.abs(np.array([found['nodes'][n] for n in JOINT_NAMES])-want[i]).max()<1e-3
    assert found['animations']==[20]
    _,found = show(to_glb(x[:3], 'row'))
    for i in range(3):
        at = np.array([found['nodes'][n+(f'_{i+1}' if i else '')] for n in JOINT_NAMES])
        shift = at[0]-want[i,0]
        assert abs(shift[1])<1e-3 and np.abs(at-shift-want[i]).max()<1e-3
