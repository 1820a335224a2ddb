"A user's own HumanML3D folder as a table, interrupted builds, missing sources, weights, and caption states."
import re, shutil
from pathlib import Path

import numpy as np, pytest, torch
from typer.testing import CliRunner

from text2pose import dataset
from text2pose.atlas import atlas_rows
from text2pose.cli import app
from text2pose.data import (
    Report, own_poses, own_rows, pose_table, read_pose_table, table_faces, table_joints, table_report)
from text2pose.dataset import (
    CaptionStates, TrainingSet, build_table, sampling_weights, split_rows, table_from_parts, words_rows)
from text2pose.export import export
from text2pose.skeleton import pose_from_angles

BUILD = ('data', 'build', '--preset', 'humanml3d', '--humanml3d', 'h', '--out')
SMALL = dict(n_words=0, n_variations=1, n_compositions=0)

def run(*args, code=0):
    r = CliRunner().invoke(app, [str(a) for a in args])
    assert r.exit_code==code, f'{r.output}\n{r.exception!r}'
    return r.output

def column(table, name): return np.array(table[name].to_pylist())

@pytest.fixture
def no_atlas(monkeypatch):
    "The atlas is tested elsewhere."
    monkeypatch.setattr(dataset, '_atlas_jobs', lambda *a: [])

@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    "Our own poses in the official layout, written through the encoder; two of them for validation."
    folder = tmp_path_factory.mktemp('exported')/'h'
    assert f'{2*len(own_poses())} clips' in run('data', 'export', '--humanml3d', folder, '--own')
    ids = (folder/'train.txt').read_text().split()
    held_out = [i for i in ids if i.endswith(('own_bow','own_sitting'))]
    (folder/'train.txt').write_text('\n'.join(i for i in ids if i not in held_out))
    (folder/'val.txt').write_text('\n'.join(held_out))
    return folder

@pytest.fixture
def humanml3d(tmp_path, monkeypatch, no_atlas, exported):
    "That folder, for a test to change, where no other data is."
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.delenv('TEXT2POSE_DATA', raising=False)
    return Path(shutil.copytree(exported, 'h'))

def test_build_from_humanml3d(humanml3d):
    said = run(*BUILD, 't.parquet')
    assert f'humanml3d: {len(own_poses())} clips' in said
    table = read_pose_table('t.parquet')
    rows = table.filter(column(table, 'source')=='humanml3d')
    joints = dict(zip(rows['clip'].to_pylist(), table_joints(rows)))
    assert len(joints)==len(own_poses())
    # the same poses come back
    assert max(np.abs(joints[f'own_{p["name"]}']-p['joints']).max() for p in own_poses())<.03  # retargeted
    assert set(column(rows, 'split'))=={'train','val'}
    own = column(rows, 'caption')[column(rows, 'caption_kind')!='words']
    assert set(own)=={c for p in own_poses() for c in p['captions']}
    run(*BUILD, 'u.parquet')
    assert Path('u.parquet').read_bytes()==Path('t.parquet').read_bytes()
    assert 'how it was made' in run('data', 'check', 't.parquet')
    run('data', 'show', 't.parquet', '-n', '3', '--out', 'p.png')

def test_sampled_build(humanml3d):
    run(*BUILD, 's.parquet', '--sample', '60', '--key-frames', '1')
    sampled = read_pose_table('s.parquet')
    assert len(set(column(sampled, 'pose_id')[column(sampled, 'split')=='train']))==60
    assert sampled['cluster'].null_count==0

def test_bad_clips_do_not_stop_a_build(humanml3d):
    for sub in ('new_joint_vecs','new_joints'): (humanml3d/sub/'own_bow.npy').unlink(missing_ok=True)
    (humanml3d/'new_joint_vecs'/'own_crouching.npy').write_bytes(b'cut off')
    (humanml3d/'texts'/'own_standing.txt').write_text('no tags\n')
    said = run(*BUILD, 't.parquet')
    skipped = table_report(read_pose_table('t.parquet')).skipped
    for what in ('own_bow','own_crouching','own_standing.txt, line 1'):
        assert any(what in s for s in skipped) and what in said
    assert f'humanml3d: {len(own_poses())-3} clips' in said

def test_interrupted_build(humanml3d, monkeypatch):
    "What was finished is not read again, and the table is the same to the byte."
    monkeypatch.setattr(dataset, '_CLIPS_PER_JOB', 7)
    read,seen = dataset.read_humanml3d,[]
    def counted(folder, split, ids, **kw):
        seen.extend(ids)
        if len(seen)>30 and 'stopped' not in seen:
            seen.append('stopped')
            raise KeyboardInterrupt
        return read(folder, split, ids, **kw)
    monkeypatch.setattr(dataset, 'read_humanml3d', counted)
    r = CliRunner().invoke(app, [*BUILD,'a.parquet'])
    assert r.exit_code!=0 and not Path('a.parquet').exists()
    before = len(seen)
    run(*BUILD, 'a.parquet')
    assert len(seen)-before<len(own_poses())-20
    assert not list(Path('.').glob('.*.parts'))
    monkeypatch.setattr(dataset, 'read_humanml3d', read)
    run(*BUILD, 'b.parquet')
    assert Path('a.parquet').read_bytes()==Path('b.parquet').read_bytes()

@pytest.fixture
def empty(tmp_path, monkeypatch):
    "An empty folder, no data, and a build that must not begin."
    monkeypatch.delenv('TEXT2POSE_DATA', raising=False)
    def too_late(*args): raise AssertionError('something was read before the error')
    monkeypatch.setattr(dataset, 'table_from_parts', too_late)
    (tmp_path/'empty').mkdir()
    return tmp_path/'empty'

def test_faces_of_captures(tmp_path, monkeypatch, no_atlas):
    "A capture whose head is turned fills the column; captions tell it only when asked."
    monkeypatch.delenv('TEXT2POSE_DATA', raising=False)
    raising = {'right_shoulder':{'abduction':torch.linspace(10, 90, 30)}}
    face = np.float32([.8,-.6,0])
    (tmp_path/'m').mkdir()
    export(pose_from_angles(raising), tmp_path/'m'/'raise_arm.bvh', faces=np.tile(face, (30,1)))
    settings = dict(SMALL, n_words=4, mocap=tmp_path/'m', n_clusters=1)
    plain,told = build_table(**settings),build_table(**settings, faces=True)
    assert len(plain)==len(told)>20
    for table in (plain,told): assert np.abs(table_faces(table)-face).max()<.02
    said = [sum(bool(re.search('to the left|left shoulder', c)) for c in column(t, 'caption')) for t in (plain,told)]
    assert said[0]==0 and said[1]>len(told)/4
    assert (table_joints(plain)==table_joints(told)).all()

@pytest.mark.parametrize('data', [None, 'here', 'nowhere'])
def test_research_needs_its_data(empty, monkeypatch, data):
    "Whether TEXT2POSE_DATA is not set, lacks the folder, or leads nowhere."
    if data: monkeypatch.setenv('TEXT2POSE_DATA', str(empty if data=='here' else empty/data))
    with pytest.raises(ValueError, match='research needs realmocap22, which is not here: name its folder, or set'):
        build_table('research')

def test_folders_without_their_files(empty):
    (empty/'notes.txt').write_text('no capture')
    with pytest.raises(ValueError, match=f'{empty} holds no motion capture: expected .bvh files, or .amc files'):
        build_table(mocap=empty)
    for preset in ('open','research'):
        with pytest.raises(FileNotFoundError, match='captions.jsonl is missing: expected it in a realmocap22 folder'):
            build_table(preset, realmocap22=empty)
    (empty/'captions.jsonl').write_text('')
    with pytest.raises(FileNotFoundError, match='cmu.npz is missing'): build_table(realmocap22=empty)
    with pytest.raises(FileNotFoundError, match='nowhere is missing'): build_table(mocap=empty/'nowhere')
    for split in ('train','val'): (empty/f'{split}.txt').write_text('')
    with pytest.raises(ValueError, match='train.txt and val.txt name no clip'):
        build_table('humanml3d', humanml3d=empty)

def test_folders_of_another_preset(empty):
    with pytest.raises(ValueError, match='the preset open does not read a HumanML3D folder'):
        build_table('open', humanml3d=empty)
    with pytest.raises(ValueError, match='the preset humanml3d does not read realmocap22'):
        build_table('humanml3d', realmocap22=empty)

@pytest.mark.parametrize('set_to', [None, 'a folder without realmocap22'])
def test_open_without_data_says_so(tmp_path, monkeypatch, set_to):
    monkeypatch.delenv('TEXT2POSE_DATA', raising=False)
    if set_to: monkeypatch.setenv('TEXT2POSE_DATA', str(tmp_path))
    report = table_report(build_table('open', **SMALL))
    assert set(report.read)=={'atlas'}
    assert report.skipped==['realmocap22, which is not here: only poses of the atlas are in the table']
    assert 'only poses of the atlas' in str(report)

@pytest.fixture(scope='module')
def table():
    rows = atlas_rows(1)[:120]
    return pose_table(rows+words_rows(rows))

def test_shares_of_kinds_and_sources(table):
    rows = split_rows(table)
    weights = sampling_weights(rows, kind_shares=dict(atlas=3., words=1.))
    assert weights[rows.kind=='atlas'].sum()==pytest.approx(.75)
    assert weights[rows.kind=='words'].sum()==pytest.approx(.25)
    # a caption that occurs n times is drawn √n times as often as one that occurs once
    atlas = rows.kind=='atlas'
    total = {c:weights[atlas&(rows.caption==c)].sum() for c in set(rows.caption[atlas])}
    count = {c:(atlas&(rows.caption==c)).sum() for c in total}
    per_root = [total[c]/count[c]**.5 for c in total]
    assert np.ptp(per_root)<1e-12

def test_draws_follow_the_weights(table):
    ts = TrainingSet(table, seed=3)
    _,captions,_ = ts.draw(40_000, torch.Generator().manual_seed(0))
    wanted = torch.zeros(len(ts.captions), dtype=torch.float64)
    wanted.index_add_(0, ts.caption_idx, ts.weights/2)
    wanted.index_add_(0, ts.mirrored_idx, ts.weights/2)
    drawn = torch.bincount(captions, minlength=len(ts.captions))/len(captions)
    assert (drawn-wanted).abs().max()<6*(wanted.max()/len(captions)).sqrt()

def test_caption_states_are_cut_to_what_is_asked():
    some = [torch.full((n,4), float(n)) for n in (3,1,5)]
    states = CaptionStates.of(some)
    for a,b in zip(states.as_list(), some): assert torch.equal(a.float(), b)
    tokens,mask = states(torch.tensor([1,0]), 'cpu')
    assert tokens.shape==(2,3,4) and mask.sum(1).tolist()==[1,3] and tokens.dtype==torch.float32

def test_broken_part_stops_a_build(tmp_path):
    "A part that cannot be read is named; it is neither skipped nor silently made again."
    def job(): return own_rows()[:1], Report()
    table_from_parts([job,job], tmp_path)
    (tmp_path/'00001.parquet').write_bytes(b'')
    with pytest.raises(ValueError, match='00001.parquet is not a readable Parquet'):
        table_from_parts([job,job], tmp_path)

def test_no_parts():
    assert table_from_parts([]).equals(pose_table([]))
