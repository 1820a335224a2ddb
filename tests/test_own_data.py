"A user's own HumanML3D folder, from clips to weights to poses, through the command line."
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from text2pose.cli import app
from text2pose.data import own_poses, read_pose_table, table_joints, y_up_from_z_up
from text2pose.export import load_poses

def run(*args):
    r = CliRunner().invoke(app, [str(a) for a in args])
    assert r.exit_code==0, f'{r.output}\n{r.exception!r}'
    return r.output

def official_layout(d, poses):
    "One clip of a frame each, as HumanML3D writes them: pelvis height, positions above the floor, one caption."
    (d/'new_joint_vecs').mkdir(parents=True); (d/'texts').mkdir()
    for i,p in enumerate(poses):
        y = y_up_from_z_up(p['joints']); height = -y[:,1].min()
        v = np.zeros((1,263), np.float32); v[:,3] = height; v[:,4:67] = (y[1:]+[0,height,0]).reshape(1,63)
        np.save(d/'new_joint_vecs'/f'{i:06}.npy', v)
        (d/'texts'/f'{i:06}.txt').write_text(f'{p["captions"][0]}, then stops.#a/DET person/NOUN#0.0#0.0\n')
    for split,ids in (('train',range(len(poses))),('val',range(2))): (d/f'{split}.txt').write_text(''.join(f'{i:06}\n' for i in ids))

def test_train_on_humanml3d(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path); monkeypatch.setenv('HF_HUB_OFFLINE', '1'); monkeypatch.delenv('TEXT2POSE_DATA', raising=False)
    poses = own_poses()[:6]; official_layout(Path('h'), poses)
    said = run('data', 'build', '--preset', 'humanml3d', '--humanml3d', 'h', '--out', 't.parquet'); assert 'humanml3d 8' in said
    table = read_pose_table('t.parquet'); mine = table.filter(np.array([s=='humanml3d' for s in table['source'].to_pylist()]))
    assert np.abs(table_joints(mine)[:6]-np.stack([p['joints'] for p in poses])).max()<1e-4        # the same poses come back
    assert mine['first_action'][0].as_py()==poses[0]['captions'][0] and set(mine['caption_kind'].to_pylist())=={'human'}
    run('data', 'build', '--preset', 'humanml3d', '--humanml3d', 'h', '--out', 'u.parquet'); assert Path('u.parquet').read_bytes()==Path('t.parquet').read_bytes()
    assert 'val 2' in run('data', 'check', 't.parquet'); run('data', 'show', 't.parquet', '-n', '3', '--out', 'p.png')
    args = ('train', '--data', 't.parquet', '--steps', '3', '--batch-size', '4', '--cpu', '--out', 'w')
    run(*args); weights = Path('w/model.safetensors').read_bytes(); run(*args); assert Path('w/model.safetensors').read_bytes()==weights    # already at its end
    run('generate', 'a person waves', '-n', '2', '--weights', 'w', '--out', 'o', '--format', 'npz'); assert load_poses('o/poses.npz')[0].shape==(2,22,3)
    assert 'made from: 12 samples' in run('info', '--weights', 'w')
