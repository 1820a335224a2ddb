"The view's Python, and its JavaScript held against Python: inverse kinematics, limits, the drawn body, the bundle."
import base64, filecmp, json, shutil, subprocess

import numpy as np, pytest

from browser import WEB, missing, program
from make_web_data import OUT, text
from text2pose.data import _body_capsules, bone_lengths, mirror
from text2pose.editing import reach
from text2pose.library import atlas_library
from text2pose.skeleton import joint_angles, limit_violations
from text2pose.view import PoseView, read_dropped
from tree import ROOT

LIBRARY = atlas_library()
STANDING = LIBRARY.joints[LIBRARY.names.index('standing')]
DRAGGED = [20,21,7,8,15,4,5,18,19,10,11]
RAISED = [(4,.02), (5,.1), (4,.3), (18,.05), (19,.1)]  # joint of the standing body, metres
ANGLES = [(0,'left_arm','left_elbow flexion',80), (0,'right_arm','right_shoulder flexion',60),
          (1,'right_leg','right_knee flexion',40), (2,'left_leg','left_hip flexion',30), (3,'trunk','trunk twist',20),
          (4,'trunk','trunk flexion',25), (5,'neck','neck flexion',10)]

def _drags(n, seed):
    "Numbers of poses, targets (n, 22, 3): a joint on its way to where another pose has it; each fifth holds a second."
    rng = np.random.default_rng(seed)
    first,other = rng.integers(0, len(LIBRARY.joints), (2,n))
    joint = rng.choice(DRAGGED, n)
    targets = np.full((n,22,3), np.nan)
    a,b = LIBRARY.joints[first,joint],LIBRARY.joints[other,joint]
    targets[range(n),joint] = a+rng.uniform(.05, 1, (n,1))*(b-a)
    for i in range(0, n, 5):
        held = rng.choice([j for j in (20,21,7,8) if j!=joint[i]])
        targets[i,held] = LIBRARY.joints[first[i],held]
    return first, targets

def _hard_drags(poses, n, seed):
    "Drags of a joint by 10 to 50 cm in any direction; every second one with another joint pinned."
    rng = np.random.default_rng(seed)
    for i in range(n):
        pose = int(rng.integers(len(poses)))
        joint,pinned = (int(j) for j in rng.choice(DRAGGED, 2, replace=False))
        way = rng.normal(size=3)
        to = poses[pose,joint]+rng.uniform(.1, .5)*way/np.linalg.norm(way)
        yield dict(pose=pose, joint=joint, to=to.tolist(), pinned=[pinned] if i%2 else [])

@pytest.fixture(scope='module')
def script(tmp_path_factory):
    "What Node makes of a thousand drags of poses of the atlas, and of sixty of its poses."
    first,targets = _drags(1000, 0)
    used,number = np.unique(first, return_inverse=True)
    poses = LIBRARY.joints[used]
    drags = [dict(pose=int(i), targets=[[int(j), t[j].tolist()] for j in np.flatnonzero(~np.isnan(t).any(-1))])
             for i,t in zip(number, targets)]
    standing = int(np.flatnonzero(used==LIBRARY.names.index('standing'))[0])
    raised = [dict(pose=standing, joint=j, to=(STANDING[j]+[0,0,up]).tolist(), pinned=[]) for j,up in RAISED]
    hard = [*_hard_drags(poses, 400, 1), *raised]
    asked = dict(poses=poses.reshape(len(poses),-1).tolist(), drags=drags, hard=hard, angles=ANGLES)
    path = tmp_path_factory.mktemp('script')/'asked.json'
    path.write_text(json.dumps(asked))
    r = subprocess.run([program('node'), WEB/'skeleton.mjs', path], capture_output=True, text=True, timeout=600)
    assert r.returncode==0, r.stderr
    return poses, poses[number], targets, dict(json.loads(r.stdout), asked=hard)

def _joints(flat): return np.array(flat, np.float32).reshape(-1,22,3)

def test_drags_are_those_of_python(script):
    "A thousand random drags, within a centimetre everywhere; nearly all within a tenth of a millimetre."
    _,x,targets,found = script
    y = _joints(found['reached'])
    off = np.linalg.norm(y-reach(x, targets), axis=-1).max(-1)
    assert off.max()<.01
    assert np.quantile(off, .99)<1e-4
    np.testing.assert_allclose(bone_lengths(y), bone_lengths(x), atol=1e-5)
    met = np.nanmax(np.linalg.norm(y-targets, axis=-1), -1)<.01
    assert met.mean()>.7  # others are out of reach

def test_drags_stay_inside_limits(script):
    "Limits and pins come first, the drag stops short; and yet most drags come most of the way."
    poses,*_,found = script
    hard,y = found['asked'][:400], _joints(found['hard'])[:400]
    x = poses[[d['pose'] for d in hard]]
    before,after = (np.stack(list(limit_violations(v.astype(np.float64)).values())) for v in (x,y))
    assert (after[before<=0]<2).all()
    np.testing.assert_allclose(bone_lengths(y), bone_lengths(x), atol=1e-5)
    for d,a,b in zip(hard, x, y):
        for j in d['pinned']: assert np.linalg.norm(a[j]-b[j])<.006
    def off(v): return np.array([np.linalg.norm(p[d['joint']]-d['to']) for d,p in zip(hard, v)])
    assert np.median(1-off(y)/off(x))>.5

def test_knees_and_elbows_are_raised(script):
    "Straight along the bone that ends there."
    y = _joints(script[-1]['hard'])[400:]
    for (joint,up),pose in zip(RAISED, y): assert abs(pose[joint,2]-STANDING[joint,2]-up)<.03

def test_a_drag_to_nowhere_moves_nothing(script):
    for pose in _joints(script[-1]['nowhere']): np.testing.assert_array_equal(pose, script[0][0])

def test_dragged_pelvis_leaves_the_feet(script):
    poses,*_,found = script
    y = _joints(found['crouched'])[0]
    by = np.array([.02,0,-.15])
    kept = [7,8,10,11,20]
    assert np.linalg.norm(y[kept]-(poses[0][kept]-by), axis=-1).max()<.02

def test_limits_are_those_of_python(script):
    poses,*_,found = script
    theirs = {k:np.array([v[k] for v in found['violations']]) for k in found['violations'][0]}
    ours = limit_violations(poses.astype(np.float64))
    assert list(theirs)==list(ours)
    for k in ours: np.testing.assert_allclose(theirs[k], ours[k], atol=1e-3)
    inside = limit_violations(_joints(found['inside']))
    assert max(v.max() for v in inside.values())<.1

def test_angles_are_those_of_python(script):
    poses,*_,found = script
    ours = joint_angles(poses.astype(np.float64))
    for i,rows in enumerate(found['angles']):
        for name,value in rows:
            if not name.endswith('knee flexion') and not name.endswith('elbow flexion'):
                assert abs(value-ours[name.replace(' ','_')][i])<.01, name
            else: assert abs(value-abs(ours[name.replace(' ','_')][i]))<.01, name

def test_angles_are_set(script):
    poses,*_,found = script
    for (i,_,name,value),y in zip(ANGLES, _joints(found['set'])):
        assert abs(joint_angles(y)[name.replace(' ','_')]-value)<1.5, name
        np.testing.assert_allclose(bone_lengths(y), bone_lengths(poses[i]), atol=1e-5)

def test_mirror_is_that_of_python(script):
    poses,*_,found = script
    np.testing.assert_allclose(_joints(found['mirrored']), mirror(poses), atol=1e-6)

def test_body_is_that_of_the_pictures(script):
    "The first capsules are those of `plot_bodies`; thumbs, brows and a mouth come after them."
    poses,*_,found = script
    for x,capsules in zip(poses, found['capsules']):
        ends,radii,_ = _body_capsules(x.astype(np.float64))
        ours = np.concatenate([ends, radii[...,None]], -1).reshape(len(ends),8)
        np.testing.assert_allclose(np.array(capsules).reshape(-1,8)[:len(ours)], ours, atol=1e-4)

def test_tables_are_those_of_python():
    assert OUT.read_text(encoding='utf-8')==text(), 'run python tools/make_web_data.py'

def test_bundle_is_that_of_the_sources(tmp_path):
    "npm run build, with exactly the packages of the lock file, gives the committed files."
    web = tmp_path/'web'
    shutil.copytree(ROOT/'web', web, ignore=shutil.ignore_patterns('node_modules'))
    shutil.copy(ROOT/'NOTICE', tmp_path)
    command = [program('npm'), 'ci', '--no-audit', '--no-fund']
    r = subprocess.run(command, cwd=web, capture_output=True, text=True, timeout=300)
    if r.returncode: missing(f'npm ci failed: {r.stderr.strip()[-300:]}')
    out = tmp_path/'out'
    out.mkdir()
    r = subprocess.run([program('node'), 'build.mjs', out], cwd=web, capture_output=True, text=True, timeout=120)
    assert r.returncode==0, r.stderr
    built = sorted(p.name for p in out.iterdir())
    assert 'widget.js' in built
    committed = ROOT/'text2pose/assets/web'
    assert filecmp.cmpfiles(out, committed, built, shallow=False)[0]==built, 'run npm run build in web/'

def test_nothing_is_loaded_from_elsewhere():
    bundle = (ROOT/'text2pose/assets/web/widget.js').read_text(encoding='utf-8')
    assert 'innerHTML' not in (ROOT/'web/src/editor.js').read_text(encoding='utf-8')
    for word in ('unpkg.com','jsdelivr','cdnjs','googleapis'): assert word not in bundle

def test_no_widget_is_stored():
    "The chapter stores pictures, not the state of widgets, which shows nothing without its kernel."
    nb = json.loads((ROOT/'nbs/02g_view.ipynb').read_text(encoding='utf-8'))
    assert 'widgets' not in nb['metadata']
    kinds = [set(o.get('data', {})) for c in nb['cells'] for o in c.get('outputs', ())]
    assert not any('widget' in k for kind in kinds for k in kind)
    assert sum('image/png' in kind for kind in kinds)>=3

def test_picture_stands_in_for_the_widget():
    found = PoseView(STANDING)._repr_mimebundle_()
    data = found[0] if isinstance(found, tuple) else found
    assert 'application/vnd.jupyter.widget-view+json' in data
    assert base64.b64decode(data['image/png']).startswith(b'\x89PNG')

def test_nbconvert_shows_the_picture():
    import nbformat
    from nbconvert import HTMLExporter
    data = PoseView(STANDING)._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    output = nbformat.v4.new_output('display_data', data=data)
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('view', outputs=[output])])
    html,_ = HTMLExporter(template_name='basic').from_notebook_node(nb)
    assert 'data:image/png;base64' in html

BAD = [np.zeros((3,21,3)), np.full((22,3), np.nan), np.full((22,3), np.inf), 1e4*STANDING, 'words', [[1,2],[3]],
       np.zeros((300,22,3)), None]

@pytest.mark.parametrize('bad', BAD)
@pytest.mark.parametrize('trait', ['joints','ghosts'])
def test_bad_poses_are_refused(trait, bad):
    view = PoseView(STANDING, ['a'], ghosts=STANDING)
    before = view.joints,view.ghosts,view.names
    with pytest.raises(ValueError, match=trait): setattr(view, trait, bad)
    with pytest.raises(ValueError): view.show(bad)
    for a,b in zip((view.joints,view.ghosts), before): assert a is b
    assert view.names==before[2]

def test_state_travels_as_bytes():
    view = PoseView(np.stack([STANDING]*3))
    state = view.get_state()
    assert bytes(state['joints'])==view.joints.tobytes()
    view.set_state(dict(joints=memoryview(LIBRARY.joints[5].tobytes())))
    np.testing.assert_array_equal(view.joints, LIBRARY.joints[5][None])

def test_torch_and_lists_are_taken():
    import torch
    view = PoseView(torch.from_numpy(STANDING).requires_grad_())
    np.testing.assert_array_equal(view.joints[0], STANDING)
    view.joints = STANDING.tolist()
    np.testing.assert_allclose(view.joints[0], STANDING, atol=1e-7)
    assert PoseView().figure() is None

def test_frames_follow_the_poses():
    view = PoseView(np.stack([STANDING]*2))
    view.show(STANDING, frames=np.stack([STANDING]*4))
    assert view.frames.shape==(4,1,22,3)
    with pytest.raises(ValueError, match='2 poses a step'): view.show(STANDING, frames=np.zeros((4,2,22,3)))
    assert view.frames.shape==(4,1,22,3)
    view.show(np.stack([STANDING]*3))
    assert len(view.frames)==0

def test_numbers_of_poses_and_steps():
    view = PoseView(np.stack([STANDING]*2), frames=np.zeros((4,2,22,3)))
    for name,bad in (('selected',99), ('selected',2), ('frame',999), ('frame',4), ('frame',-2)):
        before = getattr(view, name)
        with pytest.raises(ValueError, match=f'{name} must be'): setattr(view, name, bad)
        assert getattr(view, name)==before
    view.selected,view.frame = 1,3
    view.show(STANDING)
    assert (view.selected,view.frame)==(0,-1)

@pytest.mark.parametrize('name', ['../../x.json','C:\\x\\y.json','','a'*300+'.json','x.json\0','x.exe','.json'])
def test_odd_file_names(name, tmp_path):
    with pytest.raises(ValueError): read_dropped(name, b'{"poses": []}')

@pytest.mark.parametrize('content', [dict(), dict(type='request'), dict(type='request', kind='regenerate', pose='x'),
                                     dict(type='file'), dict(type='other', kind=3)])
def test_odd_messages_are_sentences(content):
    view = PoseView(STANDING)
    before = view.joints
    view._heard(view, content, [])
    assert view.joints is before
    assert view.message or content.get('type') not in ('request','file')

def test_answers_of_callbacks_are_checked():
    view = PoseView(STANDING)
    before = view.joints
    for answer in (np.full((22,3), np.nan), 'pose', np.zeros((2,3))):
        view.on_request('regenerate', lambda request: answer)
        view._heard(view, dict(type='request', kind='regenerate', pose=0), [])
        assert 'joints' in view.message
        assert view.joints is before
