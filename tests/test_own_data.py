"A user's own HumanML3D folder, from clips to weights to poses, through the command line; and a build that was interrupted."
import json
from pathlib import Path

import numpy as np, pytest
from typer.testing import CliRunner

from text2pose import train
from text2pose.cli import app
from text2pose.data import own_poses, read_pose_table, table_joints, table_report
from text2pose.export import load_poses

def run(*args, code=0):
    r = CliRunner().invoke(app, [str(a) for a in args])
    assert r.exit_code==code, f'{r.output}\n{r.exception!r}'
    return r.output

@pytest.fixture
def humanml3d(tmp_path, monkeypatch):
    "Our own poses in the official layout, written through the encoder; two of them for validation."
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.delenv('TEXT2POSE_DATA', raising=False)
    monkeypatch.setattr(train, '_atlas_jobs', lambda *a: [])                    # the atlas is tested elsewhere
    assert f'{2*len(own_poses())} clips' in run('data', 'export', '--humanml3d', 'h', '--own')
    ids = Path('h/train.txt').read_text().split()
    held = [i for i in ids if i.endswith(('own_bow','own_sitting'))]
    Path('h/train.txt').write_text('\n'.join(i for i in ids if i not in held))
    Path('h/val.txt').write_text('\n'.join(held))
    return Path('h')

def test_train_on_humanml3d(humanml3d):
    build = ('data', 'build', '--preset', 'humanml3d', '--humanml3d', 'h', '--out')
    said = run(*build, 't.parquet')
    assert f'humanml3d: {len(own_poses())} clips' in said
    table = read_pose_table('t.parquet')
    mine = table.filter(np.array([s=='humanml3d' for s in table['source'].to_pylist()]))
    joints = dict(zip(mine['clip'].to_pylist(), table_joints(mine)))
    # the same poses come back
    assert len(joints)==len(own_poses()) and max(np.abs(joints[f'own_{p["name"]}']-p['joints']).max() for p in own_poses())<1e-3
    assert set(mine['split'].to_pylist())=={'train','val'} and {c for c,k in zip(mine['caption'].to_pylist(), mine['caption_kind'].to_pylist()) if k!='words'}=={c for p in own_poses() for c in p['captions']}
    run(*build, 'u.parquet')
    assert Path('u.parquet').read_bytes()==Path('t.parquet').read_bytes()
    assert 'how it was made' in run('data', 'check', 't.parquet')
    run('data', 'show', 't.parquet', '-n', '3', '--out', 'p.png')
    run(*build, 's.parquet', '--sample', '60', '--key-frames', '1')
    sampled = read_pose_table('s.parquet')
    assert len({i for i,s in zip(sampled['pose_id'].to_pylist(), sampled['split'].to_pylist()) if s=='train'})==60 and sampled['cluster'].null_count==0
    args = ('train', '--data', 't.parquet', '--steps', '3', '--batch-size', '4', '--cpu', '--out', 'w')
    run(*args)
    weights = Path('w/model.safetensors').read_bytes()
    run(*args)
    assert Path('w/model.safetensors').read_bytes()==weights  # already at its end
    run('generate', 'a person waves', '-n', '2', '--weights', 'w', '--out', 'o', '--format', 'npz')
    assert load_poses('o/poses.npz')[0].shape==(2,22,3)
    assert 'made from: 12 samples' in run('info', '--weights', 'w')
    read = ('train', '--data', 't.parquet', '--reading', '--steps', '2', '--batch-size', '4', '--cpu', '--out', 'r')
    run(*read)
    run('train', '--data', 't.parquet', '--from', 'r', '--freeze-reader', '--steps', '2', '--batch-size', '8', '--noise-samples', '4', '--cpu', '--out', 'f')
    how = [json.loads(Path(f, 'training.json').read_text()) for f in 'rf']
    assert how[0]['config']['reading'] and how[1]['start']['samples']==8 and how[1]['samples']==16

def test_bad_clips_do_not_stop_a_build(humanml3d):
    for sub in ('new_joint_vecs','new_joints'): (humanml3d/sub/'own_bow.npy').unlink(missing_ok=True)
    (humanml3d/'new_joint_vecs'/'own_crouching.npy').write_bytes(b'cut off')
    (humanml3d/'texts'/'own_standing.txt').write_text('no tags\n')
    said = run('data', 'build', '--preset', 'humanml3d', '--humanml3d', 'h', '--out', 't.parquet')
    skipped = table_report(read_pose_table('t.parquet')).skipped
    for what in ('own_bow','own_crouching','own_standing.txt, line 1'):
        assert any(what in s for s in skipped) and what in said
    assert f'humanml3d: {len(own_poses())-3} clips' in said

def test_interrupted_build(humanml3d, monkeypatch):
    "What was finished is not read again, and the table is the same to the byte."
    monkeypatch.setattr(train._jobs, '__defaults__', (7,))                     # small portions
    build = ('data', 'build', '--preset', 'humanml3d', '--humanml3d', 'h', '--out')
    read,seen = train.read_humanml3d,[]
    def counted(folder, split, ids, **kw):
        seen.extend(ids)
        if len(seen)>30 and 'stopped' not in seen:
            seen.append('stopped')
            raise KeyboardInterrupt
        return read(folder, split, ids, **kw)
    monkeypatch.setattr(train, 'read_humanml3d', counted)
    r = CliRunner().invoke(app, ['data','build','--preset','humanml3d','--humanml3d','h','--out','a.parquet'])
    assert r.exit_code!=0 and not Path('a.parquet').exists()
    before = len(seen)
    run(*build, 'a.parquet')
    assert len(seen)-before<len(own_poses())-20
    assert not list(Path('.').glob('.*.parts'))
    monkeypatch.setattr(train, 'read_humanml3d', read)
    run(*build, 'b.parquet')
    assert Path('a.parquet').read_bytes()==Path('b.parquet').read_bytes()
