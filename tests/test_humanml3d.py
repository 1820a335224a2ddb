"Folders of HumanML3D and realmocap22 that are damaged, and clips that the official layout cannot hold."
import json
from dataclasses import replace

import numpy as np, pytest

from text2pose.data import Caption, Clip, N_JOINTS, canonical, own_poses, rotate_z, y_up_from_z_up
from text2pose.humanml3d import (
    ALL_SOURCES, HUMANML3D_SLICES, humanml3d_ids, humanml3d_stats, humanml3d_vec_from_joints, joints_from_humanml3d_vec,
    place_on_floor, read_humanml3d, read_realmocap22, world_from_humanml3d_vec, write_humanml3d)

OWN = {p['name']:p['joints'] for p in own_poses()}
POSES = np.stack(list(OWN.values()))
CLIP = Clip('000001', 'own', 'Apache-2.0', 'train', POSES[:4], [Caption('a person stands.')])

# Features

@pytest.mark.parametrize('n_frames', [1,2,3,81])
def test_round_trip(n_frames):
    "Any clip, also one whose poses have nothing to do with each other, comes back from its features."
    placed = place_on_floor(POSES[-n_frames:])
    vec = humanml3d_vec_from_joints(placed)
    assert vec.shape==(n_frames,263) and vec.dtype==np.float32 and np.isfinite(vec).all()
    assert np.abs(world_from_humanml3d_vec(vec)-placed).max()<1e-4
    assert np.abs(canonical(joints_from_humanml3d_vec(vec))-canonical(placed)).max()<1e-4

def test_features_do_not_know_the_place():
    turned = rotate_z(POSES, np.full(len(POSES), 2.))+[3,-2,1]
    a,b = (humanml3d_vec_from_joints(place_on_floor(x)) for x in (POSES,turned))
    assert np.abs(a-b).max()<1e-4

def test_rotations_are_rotations():
    "The two columns kept of each joint's matrix have length 1 and stand at right angles."
    vec = humanml3d_vec_from_joints(place_on_floor(POSES))
    columns = vec[:,HUMANML3D_SLICES['rotations_6d']].reshape(-1,21,2,3)
    assert np.abs(np.linalg.norm(columns, axis=-1)-1).max()<1e-5
    assert np.abs((columns[...,0,:]*columns[...,1,:]).sum(-1)).max()<1e-5

@pytest.mark.parametrize('bad,says', [(POSES[0], r'shape \(n, 22, 3\)'), (POSES[:,:21], r'shape \(n, 22, 3\)'),
    (POSES*np.nan, 'NaN'), (POSES[:0], 'at least one frame'), (POSES.tolist()[:1]*0, r'shape \(n, 22, 3\)')])
def test_encoding_bad_input(bad, says):
    with pytest.raises(ValueError, match=f'a clip .*{says}'): humanml3d_vec_from_joints(bad)

def test_decoding_bad_input():
    for n in (262,264,1):
        with pytest.raises(ValueError, match=rf'263 numbers, got shape \(3, {n}\)'):
            joints_from_humanml3d_vec(np.zeros((3,n)))

# The official folder

@pytest.fixture
def folder(tmp_path):
    write_humanml3d([CLIP, replace(CLIP, id='000002', split='val')], tmp_path/'h')
    return tmp_path/'h'

@pytest.mark.parametrize('change,says', [
    (dict(id='a/b'), "clip id 'a/b' cannot be a file name"), (dict(id='..'), 'cannot be a file name'),
    (dict(id='.hidden'), 'cannot be a file name'), (dict(id=''), 'cannot be a file name'),
    (dict(id='a b'), 'cannot be a file name'), (dict(id='a\n'), 'cannot be a file name'),
    (dict(fps=30.), 'has 30.0 frames per second; HumanML3D has 20'),
    (dict(split='dev'), "has the split 'dev'; HumanML3D has train, val, test"),
    (dict(joints=POSES[:,:21]), r'clip 000009 must have shape \(n, 22, 3\)'),
    (dict(joints=POSES*np.nan), 'clip 000009 holds .* NaN'), (dict(id='000001'), 'two clips are called 000001'),
    (dict(id='M000001'), 'two clips are called M000001')])
def test_clips_that_cannot_be_written(tmp_path, change, says):
    "The good clip before it is not written either."
    with pytest.raises(ValueError, match=says):
        write_humanml3d([CLIP, replace(CLIP, **{'id':'000009', **change})], tmp_path/'h')
    assert list(tmp_path.iterdir())==[]

def test_nothing_to_write(tmp_path):
    with pytest.raises(ValueError, match='no clips to write'): write_humanml3d([], tmp_path/'h')
    assert list(tmp_path.iterdir())==[]
    (tmp_path/'file').write_text('x')
    with pytest.raises(FileExistsError, match='is not an empty folder; nothing was written'):
        write_humanml3d([CLIP], tmp_path/'file')

def test_without_mirror_images(tmp_path):
    report = write_humanml3d([CLIP], tmp_path, mirrored=False)
    assert report.read=={'own':dict(clips=1, captions=1, frames=4)}
    assert humanml3d_ids(tmp_path, 'all')==['000001']
    assert sorted(p.name for p in tmp_path.rglob('*.npy'))==['000001.npy','000001.npy','Mean.npy','Std.npy']

def test_stats(folder):
    "Mean of the frames; the standard deviation is the mean one of its group."
    mean,std = humanml3d_stats(folder)
    frames = np.concatenate([np.load(p) for p in sorted((folder/'new_joint_vecs').glob('*.npy'))])
    assert np.allclose(mean, frames.mean(0), atol=1e-5)
    for s in HUMANML3D_SLICES.values():
        assert np.allclose(std[s], max(frames[:,s].std(0).mean(), 1e-6), atol=1e-5)

@pytest.mark.parametrize('std,says', [(np.zeros(263), 'must be positive, found 0'), (-np.ones(263), 'must be positive'),
    (np.ones(262), r'must have shape \(263\)'), (np.full(263, np.nan), 'NaN')])
def test_bad_stats(folder, std, says):
    np.save(folder/'Std.npy', std)
    with pytest.raises(ValueError, match=f'Std.npy.*{says}'): humanml3d_stats(folder)

@pytest.mark.parametrize('id', ['../secret', 'a/b', '.', '..', 'a\0b', '/etc/passwd'])
def test_ids_stay_in_the_folder(folder, id):
    (folder/'train.txt').write_text(f'000001\n{id}\n')
    with pytest.raises(ValueError, match='train.txt names .*which is no clip id'): list(read_humanml3d(folder))

def test_split_lists(folder, tmp_path):
    (folder/'train.txt').write_bytes(b'\r\n 000001 \r\n\r\nM000001')
    assert humanml3d_ids(folder)==['000001','M000001'] and humanml3d_ids(folder, mirrored=False)==['000001']
    for encoding in ('utf-8-sig','utf-16'):  # as Notepad saves it
        (folder/'train.txt').write_bytes('000001\r\nM000001\r\n'.encode(encoding))
        assert humanml3d_ids(folder)==['000001','M000001']
        assert [c.id for c in read_humanml3d(folder)][:1]==['000001']
    (folder/'train.txt').write_bytes(b'\xff\xfe0')
    with pytest.raises(ValueError, match='train.txt is not UTF-8'): humanml3d_ids(folder)
    with pytest.raises(FileNotFoundError, match='dev.txt is missing: expected a split list'):
        humanml3d_ids(folder, 'dev')
    with pytest.raises(FileNotFoundError, match='none is missing: expected a HumanML3D'):
        humanml3d_ids(tmp_path/'none')

def _normalise(folder):
    mean,std = humanml3d_stats(folder)
    path = folder/'new_joint_vecs'/'000002.npy'
    np.save(path, (np.load(path)-mean)/std)

def _empty(folder): np.save(folder/'new_joint_vecs'/'000002.npy', np.zeros((0,263)))

def _silence(folder): (folder/'texts'/'000002.txt').write_text('\n')

def _remove_texts(folder): (folder/'texts'/'000002.txt').unlink()

@pytest.mark.parametrize('damage,says', [
    (_normalise, '000002.npy: no frame of it is a body; if the features are normalised'),
    (_empty, 'clip 000002 in .* has no frames'), (_silence, '000002.txt holds no caption'),
    (_remove_texts, '000002.txt is missing')])
def test_damaged_clips(folder, damage, says):
    "Skipped and told, with the clip after it still read; or an error, if strict."
    damage(folder)
    skipped = []
    clips = list(read_humanml3d(folder, 'val', on_skip=skipped.append))
    assert [c.id for c in clips]==['M000002'] and len(skipped)==1
    with pytest.raises((ValueError,FileNotFoundError), match=says) as e:
        list(read_humanml3d(folder, 'val', strict=True))
    assert skipped==[f'skipped: {e.value}']

# realmocap22

@pytest.fixture
def realmocap22(tmp_path):
    "Two clips of HDM05, of three frames and one."
    y_up = y_up_from_z_up(POSES[:4])
    np.savez(tmp_path/'hdm05.npz', ids=np.array(['a','b']), start=np.array([0,3,4]), joints=y_up.astype(np.float16),
        root_xz=np.arange(8, dtype=np.float32).reshape(4,2))
    sentences = ['a person kicks.','he kicks.']
    rows = [dict(id='a', text='kick lfront 1 reps', split='train', rig='asf', sentences=sentences),
        dict(id='b', text='grab high r', split='val', rig='asf')]
    (tmp_path/'captions.jsonl').write_text(''.join(json.dumps(r)+'\n' for r in rows))
    (tmp_path/'texts').mkdir()
    (tmp_path/'texts'/'a.txt').write_text('he kicks.#he/PRON kick/VERB#0.0#0.0\n')
    return tmp_path

def test_realmocap22(realmocap22):
    kick,grab = read_realmocap22(realmocap22, ['hdm05'])
    assert (kick.id,kick.source,kick.licence,kick.split,kick.rig)==('a','hdm05','CC BY-SA 3.0','train','asf')
    assert [(c.text,c.kind,len(c.tags)) for c in kick.captions]==[
        ('kick left front 1 reps','label',0), ('a person kicks.','human',0), ('he kicks.','human',2)]
    assert [c.text for c in grab.captions]==['grab high right']
    assert kick.joints.shape==(3,N_JOINTS,3) and grab.joints.shape==(1,N_JOINTS,3)
    # x and z of the path, which are our x and −y
    assert np.allclose(kick.joints[:,0,:2], [[0,-1],[2,-3],[4,-5]]) and np.allclose(grab.joints[:,0,:2], [[6,-7]])
    assert np.abs(canonical(kick.joints)-canonical(POSES[:3])).max()<5e-3  # float16
    assert [c.id for c in read_realmocap22(realmocap22, ['hdm05'], 'val')]==['b']

def _change_archive(**changes):
    def _change(folder):
        with np.load(folder/'hdm05.npz') as z: arrays = dict(z)
        np.savez(folder/'hdm05.npz', **{k:v for k,v in {**arrays, **changes}.items() if v is not None})
    return _change

def _pickle(folder): np.savez(folder/'hdm05.npz', ids=np.array([{}]), allow_pickle=True)

def _cut(folder): (folder/'hdm05.npz').write_bytes((folder/'hdm05.npz').read_bytes()[:100])

def _remove(folder): (folder/'hdm05.npz').unlink()

NAN = np.full((4,N_JOINTS,3), np.nan, np.float16)

@pytest.mark.parametrize('damage,says', [
    (_cut, 'hdm05.npz is not a readable archive'), (_pickle, 'is not a readable realmocap22 archive'),
    (_remove, 'hdm05.npz is missing: expected motion of the source hdm05'),
    (_change_archive(root_xz=None), 'is not a readable realmocap22 archive'),
    (_change_archive(start=np.array([0,3])), 'do not fit each other'),
    (_change_archive(start=np.array([1,3,4])), 'do not fit each other'),
    (_change_archive(start=np.array([0,3,3])), 'do not fit each other'),
    (_change_archive(start=np.array([0,5,4])), 'do not fit each other'),
    (_change_archive(root_xz=np.zeros((3,2))), 'do not fit each other'),
    (_change_archive(ids=np.array(['a','c'])), 'hdm05.npz holds clip c, which .*captions.jsonl does not name'),
    (_change_archive(joints=NAN), 'hdm05.npz, clip a holds 198 NaN'),
    (_change_archive(joints=NAN[:,:21]), r'hdm05.npz, clip a must have shape \(n, 22, 3\)')])
def test_damaged_archive(realmocap22, damage, says):
    damage(realmocap22)
    with pytest.raises((ValueError,FileNotFoundError), match=says): list(read_realmocap22(realmocap22, ['hdm05']))

@pytest.mark.parametrize('line', [
    '', '[]', '{', '"a"', '{"id":"a"}', '{"id":["a"],"text":"","split":"","rig":""}', '\xff'])
def test_damaged_listing(realmocap22, line):
    good = (realmocap22/'captions.jsonl').read_bytes()
    (realmocap22/'captions.jsonl').write_bytes(good+line.encode('latin1')+b'\n')
    with pytest.raises(ValueError, match='captions.jsonl, line 3: expected a JSON object with id, text, split and rig'):
        list(read_realmocap22(realmocap22, ['hdm05']))

def test_no_realmocap22(realmocap22):
    with pytest.raises(ValueError, match=f"unknown source 'amass'; the sources are {', '.join(ALL_SOURCES)}"):
        list(read_realmocap22(realmocap22, ['hdm05','amass']))
    (realmocap22/'captions.jsonl').unlink()
    with pytest.raises(FileNotFoundError, match='captions.jsonl is missing: expected the realmocap22 folder'):
        list(read_realmocap22(realmocap22, ['hdm05']))
