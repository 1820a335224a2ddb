"""`text2pose convert`: every format that holds 3D becomes every other one, options reach the writers, and what cannot
be read or written leaves nothing behind but one sentence."""
import json, os, warnings
from pathlib import Path

import numpy as np, pytest
from PIL import Image
from typer.testing import CliRunner

from text2pose.cli import app, main
from text2pose.data import canonical, own_poses
from text2pose.export import FORMATS, PICTURES, export, file_name, load_faces, load_poses
from text2pose.humanml3d import humanml3d_vec_from_joints, place_on_floor

X = np.stack([p['joints'] for p in own_poses()[:3]])
READABLE = ('json','npz','npy','humanml3d','bvh','glb','vrma')
FACES = np.float32([[1,0,0],[.6,-.8,0],[-1,0,0]])

@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch): monkeypatch.chdir(tmp_path)

def convert(*args, code=0):
    "What the command says on stdout and stderr."
    result = CliRunner().invoke(app, ['convert', *map(str, args)])
    assert result.exit_code==code, result.output
    assert code==0 or (result.output.count('\n')==1 and result.output.startswith('text2pose: ')), result.output
    assert '----' not in result.output
    return result.output

def below(): return sorted(p.as_posix() for p in Path('.').rglob('*'))

@pytest.mark.parametrize('source', READABLE)
def test_every_pair(source):
    "Joints within 0.2 mm whichever way; prompts and faces go along where both formats hold them."
    given = file_name('in', source)
    export(X, given, prompts=['a','b','c'], faces=FACES)
    others = [f for f in FORMATS if f not in PICTURES]
    out = [file_name('out/x', f) for f in others]
    assert convert(given, *out)==f'3 poses of {given}: {", ".join(out)}\n'
    for f,path in zip(others, out):
        if f=='png': continue
        joints,prompts = load_poses(path)
        assert np.abs(joints-canonical(X)).max()<2e-4, f
        has_prompts,has_faces = (set((source,f))<=set(known) for known in
                                 (('json','npz','glb','vrma'), ('json','npz','bvh','glb','vrma')))
        assert prompts==(['a','b','c'] if has_prompts else ['']*3)
        if has_faces: assert np.abs(load_faces(path)-FACES).max()<5e-3
    assert Image.open('out/x.png').size[0]>100

@pytest.mark.parametrize('source', ['json','bvh'])
def test_pictures(source):
    "Three kinds of pictures through one camera, of one size; a pose each."
    export(X, f'in.{source}')
    convert(f'in.{source}', 'a.openpose', 'a.depth', 'a.normal', '--camera', '30,10', '--canvas', '64x96', '-n', 2)
    for f in PICTURES:
        assert [Image.open(p).size for p in sorted(Path(f'a.{f}').glob('*.png'))]==[(64,96)]*2
    people = [json.loads(p.read_text())['people'] for p in sorted(Path('a.openpose').glob('*.json'))]
    depth = [np.asarray(Image.open(p)) for p in sorted(Path('a.depth').glob('*.png'))]
    for (person,),picture in zip(people, depth):
        points = np.reshape(person['pose_keypoints_2d'], (-1,3))
        assert np.mean([picture[int(y),int(x)]>0 for x,y,seen in points[1:14] if seen])>.9

def test_options():
    export(X, 'in.npz')
    convert('in.npz', 'a.bvh', 'a.glb', '--names', 'vrm', '--unit', 'mm')
    assert 'ROOT hips' in Path('a.bvh').read_text() and b'"leftUpperArm"' in Path('a.glb').read_bytes()
    assert np.abs(load_poses('a.bvh')[0]-canonical(X)).max()<2e-4
    convert('in.npz', 'all', '--format', ' BVH ')
    assert Path('all').read_text().startswith('HIERARCHY')
    convert('in.npz', 'one.png', '--camera', 'side', '-n', 1)
    convert('in.npz', 'two.png', '-n', 1)
    assert Image.open('one.png').size[0]<Image.open('two.png').size[0]
    assert 'replaced: one.png' in convert('in.npz', 'one.png')

def test_clip_of_humanml3d():
    "Frames of a moving clip, as HumanML3D's folders have them: each a canonical pose."
    clip = place_on_floor(np.concatenate([X]*4)+np.linspace(0, 1, 12)[:,None,None])
    np.save('clip.npy', humanml3d_vec_from_joints(clip))
    convert('clip.npy', 'clip.json')
    assert np.abs(load_poses('clip.json')[0]-canonical(np.concatenate([X]*4))).max()<2e-4

def test_unit_of_a_capture():
    "A capture without fingers and in feet: its unit is asked for, or given."
    export(X, 'a.bvh')
    Path('a.bvh').write_text(Path('a.bvh').read_text().replace('left_hip', 'left_thigh'))
    convert('a.bvh', 'metres.npy', '--from-unit', 'm', '--up', 'y')
    convert('a.bvh', 'feet.npy', '--from-unit', 'foot', '--up', 'y')
    metres,feet = (np.ptp(np.load(f'{name}.npy')[...,2]) for name in ('metres','feet'))
    assert abs(feet/metres-.3048)<1e-3

@pytest.fixture(scope='module')
def odd_files(tmp_path_factory):
    "A folder with what cannot be read and with what is in the way; no test adds to it."
    d = tmp_path_factory.mktemp('odd')
    export(X, d/'in.npz')
    for ending in ('bvh','json','npz','npy','glb','vrma','fbx'): (d/f'text.{ending}').write_text('<script>')
    np.save(d/'nan.npy', X[:1]*np.nan)
    np.save(d/'far.npy', X*1e4)
    np.save(d/'huge.npy', np.full((2,263), 1e30))
    np.save(d/'whole.npy', (X*1000).astype(int))
    np.save(d/'point.npy', np.ones((1,22,3)))
    np.savez(d/'long.npz', joints=X[:1], prompts=['W '*1001])
    (d/'random.npy').write_bytes(b'\x80random bytes')
    for name in ('pipe.json','pipe.glb','pipe.depth'): os.mkfifo(d/name)
    os.symlink('in.npz', d/'link.npz')
    os.symlink('nowhere', d/'dangling.glb')
    (d/'folder.json').mkdir()
    with open(d/'large.json', 'wb') as f: f.truncate(200_000_000)
    (d/'file').write_text('x')
    for folder in ('folder.glb','mine.depth'): (d/folder).mkdir()
    (d/'mine.depth/thesis.tex').write_text('x')
    os.symlink('mine.depth', d/'link.depth')
    return d

@pytest.mark.parametrize('args,code,says', [
    (('none.json','a.glb'), 1, 'none.json is missing'),
    (('in.npz','a.fbx'), 2, "a.fbx: unknown format 'fbx'"),
    (('in.npz','a'), 2, "a: unknown format ''"),
    (('in.npz','a.glb','--format','obj'), 2, "a.glb: unknown format 'obj'"),
    (('in.npz','a.glb','--camera','front'), 2, '--camera goes with --format openpose, depth, normal, png'),
    (('in.npz','a.depth','--canvas','8x8'), 2, 'the width of --canvas must be'),
    (('in.npz','a.depth','--camera','up'), 2, '--camera must be front'),
    (('in.npz','a.glb','--unit','cm'), 2, '--unit goes with --format bvh'),
    (('in.npz','a.bvh','--unit','foot'), 2, '--unit must be one of m, cm, mm'),
    (('in.npz','a.glb','--from-unit','cm'), 2, '--from-unit and --joint-map are about motion capture'),
    (('in.npz','a.glb','-n','0'), 2, '-n must be'),
    (('text.bvh','a.glb'), 1, 'text.bvh'),
    (('text.json','a.glb'), 1, 'text.json is not valid JSON'),
    (('text.npz','a.glb'), 1, 'text.npz is not a readable archive'),
    (('text.npy','a.glb'), 1, 'text.npy is not a readable .npy'),
    (('text.glb','a.bvh'), 1, 'text.glb cannot be read'),
    (('text.vrma','a.bvh'), 1, 'text.vrma cannot be read'),
    (('text.fbx','a.bvh'), 1, "unknown ending '.fbx'"),
    (('nan.npy','a.bvh'), 1, 'nan.npy holds 66 NaN or infinite values'),
    (('far.npy','a.bvh'), 1, 'another unit'),
    (('far.npy','a.bvh'), 1, 'far.npy: joints reach'),
    (('huge.npy','a.npy'), 1, 'huge.npy holds joints beyond'),
    (('whole.npy','a.json'), 1, 'whole.npy: lengths must be'),
    (('point.npy','a.glb'), 1, 'point.npy: pose 0, counted from 0, has all joints at one point'),
    (('long.npz','a.png'), 1, 'long.npz holds a prompt of 2,002 characters; at most 2,000 are read'),
    (('random.npy','a.glb'), 1, 'random.npy is not a readable .npy array of numbers (pickled objects are refused)\n'),
    (('pipe.json','a.glb'), 1, 'pipe.json is no regular file: expected a .json'),
    (('folder.json','a.glb'), 1, 'folder.json is a folder: expected a .json'),
    (('in.npz','pipe.glb'), 1, 'pipe.glb is no regular file'),
    (('in.npz','pipe.depth'), 1, 'pipe.depth is no folder'),
    (('in.npz','link.npz'), 1, 'link.npz is a link'),
    (('in.npz','dangling.glb'), 1, 'dangling.glb is a link'),
    (('in.npz','a.glb','--up','q'), 2, 'are about motion capture: a .bvh file\n'),
    (('large.json','a.bvh'), 1, 'large.json has 200 MB'),
    (('in.npz','file/a.glb'), 1, 'file is a file, not a folder'),
    (('in.npz','folder.glb'), 1, 'folder.glb is a folder'),
    (('in.npz','mine.depth'), 1, 'mine.depth is a folder that holds thesis.tex'),
    (('in.npz','link.depth'), 1, 'link.depth is a link')])
def test_refused(monkeypatch, odd_files, args, code, says):
    monkeypatch.chdir(odd_files)
    before = below()
    assert says in convert(*args, code=code)
    assert below()==before

def test_full_disk(monkeypatch):
    "The sentence names the file that could not be written, in a folder of pictures too."
    def full(*args, **kwargs): raise OSError(28, 'No space left on device')
    export(X, 'in.npz')
    monkeypatch.setattr(Path, 'write_bytes', full)
    monkeypatch.setattr(Image.Image, 'save', full)
    for file in ('a.glb','a.depth'):
        assert convert('in.npz', file, code=1)==f'text2pose: {file}: No space left on device\n'
    assert below()==['in.npz']

def test_warnings(monkeypatch, capsys):
    "One line each, without the place in the code."
    np.save('loose.npy', np.random.default_rng(0).normal(0, .3, (2,263)).astype(np.float32))
    monkeypatch.setattr('sys.argv', ['text2pose', 'convert', 'loose.npy', 'a.json'])
    with warnings.catch_warnings(), pytest.raises(SystemExit):
        warnings.simplefilter('default')
        main()
    said = capsys.readouterr().err.splitlines()
    assert len(said)==1 and said[0].startswith('text2pose: warning: no rigid skeleton fits the joints')

def test_scene_in_pictures():
    "People of a scene stand in one picture where the scene has them, in all three kinds of pictures."
    export(X, 'in.npz')
    args = ['scene', 'in.npz', '--layout', 'circle', '--format', 'openpose,depth,normal', '--out', '.']
    assert CliRunner().invoke(app, args).exit_code==0
    assert all(len(list(Path(f'scene.{f}').glob('*.png')))==1 for f in PICTURES)
    people = json.loads(Path('scene.openpose/000.json').read_text())['people']
    depth,normal = (np.asarray(Image.open(f'scene.{f}/000.png')) for f in ('depth','normal'))
    assert len(people)==3 and ((normal!=[128,128,255]).any(-1)<=(depth>0)).all()
    points = [p for person in people for p in np.reshape(person['pose_keypoints_2d'], (-1,3))[1:14]]
    assert np.mean([depth[int(y),int(x)]>0 for x,y,seen in points if seen])>.9
