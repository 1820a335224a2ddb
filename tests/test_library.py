"""The shipped library is the atlas; anybody's files become poses on the reference body; what is wrong with them is said
in one sentence, and nothing is half-loaded."""
import warnings, zipfile, zlib
from pathlib import Path

import numpy as np, pytest
from hypothesis import given, settings, strategies as st

from make_library import library_of_atlas
import text2pose.atlas, text2pose.export
from text2pose import library as L
from text2pose.atlas import atlas, atlas_joints
from text2pose.core import asset
from text2pose.data import bone_lengths, mirror, own_poses, pose_table, rotate_z
from text2pose.export import export, to_bvh
from text2pose.skeleton import bone_lengths_for, enforce_bone_lengths, plausibility, reference_bone_lengths

NAMES = ['standing','saluting','lunge_left']
X = np.concatenate([atlas_joints(n) for n in NAMES])
PROMPTS = ['stand', 'salute', 'lunge with the left leg']
GOOD = """- name: hand_up
  phrases: [hand up, raise a hand, one hand in the air]
  angles: {left_shoulder: {flexion: 170}}
"""

@pytest.fixture(scope='module')
def library(): return L.atlas_library()

def folder_of(folder, **files):
    "Write files; two underscores in a name are the dot."
    for name,content in files.items():
        (folder/name.replace('__','.')).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder

def refusal(path):
    "The sentence with which a path is refused."
    with pytest.raises((ValueError,FileNotFoundError)) as e: L.read_library(path)
    said = str(e.value)
    assert '\n' not in said and len(said)<600, said
    return said

# ---- the shipped library

def test_shipped_library_is_the_atlas(library):
    "What the YAML files say; if this fails, run: python tools/make_library.py"
    made = library_of_atlas()
    for field in ('names','phrases','sources','splits'):
        assert getattr(library, field)==getattr(made, field), f'{field}: run python tools/make_library.py'
    assert np.abs(library.joints-made.joints).max()<1e-4
    poses = atlas()
    assert library.names==list(poses) and set(library.sources)=={'atlas'}
    assert library.splits==[p.split for p in poses.values()]
    assert [tuple(p) for p in library.phrases]==[p.phrases for p in poses.values()]
    for i in range(0, len(poses), 97):
        assert np.abs(library.joints[i]-atlas_joints(library.names[i])[0]).max()<1e-4
    for name,p in poses.items():
        if not p.twin_of: continue
        own,twin = (library.joints[library.names.index(n)] for n in (p.twin_of, name))
        assert (twin==mirror(own[None])[0]).all()

def test_shipped_library_is_small():
    assert asset('library.safetensors').stat().st_size<2_000_000

def test_splits(library):
    train,val = library.of_split('train'), library.of_split('val')
    assert len(train)+len(val)==len(library) and set(train.splits)=={'train'} and set(val.splits)=={'val'}
    assert set(train.names)==set(atlas('train')) and set(val.names)==set(atlas('val'))
    with pytest.raises(ValueError, match="split must be 'train' or 'val'"): library.of_split('test')

def test_saved_and_loaded(tmp_path, library):
    L.save_library(library[:50], tmp_path/'a.safetensors')
    for again in (L.load_library(tmp_path/'a.safetensors'), L.read_library(tmp_path)):
        assert again.names==library.names[:50] and (again.joints==library.joints[:50]).all()
    raw = (tmp_path/'a.safetensors').read_bytes()
    for cut in (0, 5, 100, len(raw)//2, len(raw)-1):
        (tmp_path/'a.safetensors').write_bytes(raw[:cut])
        assert 'a.safetensors is not a readable library' in refusal(tmp_path)

@pytest.mark.parametrize('words', [
    b'', b'[]', b'{}', b'{"names":"abc"}', b'['*100_000,
    b'{"names":[1],"phrases":[["a"]],"sources":["b"],"splits":["train"]}',
    b'{"names":["a"],"phrases":["a"],"sources":["b"],"splits":["train"]}',
    b'{"names":["a"],"phrases":[[]],"sources":["b"],"splits":["train"]}',
    b'{"names":["a"],"phrases":[["a"]],"sources":["b"],"splits":["test"]}', b' '*(2**27+1)])
def test_forged_library(tmp_path, words):
    from safetensors.numpy import save_file
    packed = np.frombuffer(zlib.compress(words), np.uint8)
    save_file(dict(joints=X[:1], words=packed), tmp_path/'a.safetensors', dict(format='text2pose library/1'))
    assert 'a.safetensors is not a readable library' in refusal(tmp_path)

# ---- the columns

def columns(n=3, **changes):
    phrases = [[p] for p in PROMPTS[:n]]
    own = dict(names=NAMES[:n], joints=X[:n], phrases=phrases, sources=['here']*n, splits=['train']*n)
    return own | changes

@pytest.mark.parametrize('changes,says', [
    (dict(names=['a','b','a']), "two poses are called 'a', both in here"), (dict(names=['a','b',' ']), 'must be words'),
    (dict(names=['a','b',3]), 'must be words'), (dict(names=['a','b','я']), 'not Latin'),
    (dict(names=['a','b','c'*501]), '501 characters'), (dict(names=['a']), 'must have shape (1, 22, 3)'),
    (dict(joints=X[:,:21]), 'must have shape'), (dict(joints=X*np.nan), 'NaN'), (dict(joints=X*1.1), 'reference body'),
    (dict(joints=X+1), 'pelvis at the origin'), (dict(phrases=[['a'],[],['b']]), "'saluting' has no phrase"),
    (dict(phrases='abc'), "here: pose 'standing': phrases must be a list of str, found 'a'"),
    (dict(phrases=[['a'],'zorbo',['b']]), "here: pose 'saluting': phrases must be a list of str, found 'zorbo'"),
    (dict(phrases=[['a'],['b',3],['c']]), "pose 'saluting': a phrase must be words, found 3"),
    (dict(phrases=[['a'],['b','12…'],['c']]), "here: pose 'saluting': a phrase must have a letter, found '12…'"),
    (dict(phrases=[['a'],['рука'],['c']]), "a phrase has the letter 'р'"),
    (dict(phrases=[['a'],['b\ud800'],['c']]), 'which is not valid UTF-8'),
    (dict(phrases=[['a'],['b'*501],['c']]), "pose 'saluting': a phrase has 501 characters; at most 500 are read: 'bbb"),
   
    (dict(phrases=[['a']]), '3 names has 1 phrases'), (dict(splits=['train','val','']), 'the split must be')])
def test_columns_are_checked(changes, says):
    with pytest.raises(ValueError) as e: L.PoseLibrary(**columns(**changes))
    assert says in str(e.value)

def test_too_many(monkeypatch):
    monkeypatch.setattr(L, 'MAX_LIBRARY', 2)
    with pytest.raises(ValueError, match='a library has 3 poses; at most 2'): L.PoseLibrary(**columns())

def test_rows():
    three = L.PoseLibrary(**columns())
    assert three[1:].names==NAMES[1:] and three[np.array([True,False,True])].names==['standing','lunge_left']
    assert three[[2,1]].phrases==[[PROMPTS[2]],[PROMPTS[1]]] and len(three[[]])==0 and three[-1].names==['lunge_left']
    assert len(three[[]].mirrored())==0 and repr(three)=='PoseLibrary of 3 poses with 3 phrases from here'
    with pytest.raises(IndexError): three[[3]]
    with pytest.raises(TypeError): three+3

def test_sum_names_both_sources():
    a = L.PoseLibrary(**columns())
    b = L.PoseLibrary(**columns(1, sources=['there.yaml']))
    with pytest.raises(ValueError, match="'standing', one in here, one in there.yaml: rename one"): a+b
    c = L.PoseLibrary(**columns(1, names=['other']))
    assert (a+c).names==[*NAMES,'other'] and (c+a).names==['other',*NAMES] and len((a+c).joints)==4

def test_twins(library):
    some = library[[library.names.index(n) for n in NAMES]]
    twins = some.mirrored()
    assert twins.names==[*NAMES,'saluting_mirrored','lunge_right']
    poses = atlas()
    for i,name in enumerate(twins.names): assert twins.phrases[i]==list(poses[name].phrases)
    assert twins.mirrored().names==twins.names
    assert library.mirrored(np.zeros(len(library), bool)).names==library.names

@pytest.mark.parametrize('name', ['saluting', 'lunge_left', 'left_leg_up_right_arm_down', 'kick with the left leg',
    'wave 3', 'turn right', 'Left Hook', 'throw a ball', 'a left-handed serve'])
def test_twin_of_twin(name):
    assert L.twin_name(name)!=name and L.twin_name(L.twin_name(name))==name

# ---- files

def test_yaml(tmp_path):
    folder_of(tmp_path, own__yaml=GOOD, more__yml=GOOD.replace('hand_up','lonely')+'  mirror: false\n  split: val\n')
    found = L.read_library(tmp_path)
    assert found.names==['lonely','hand_up','hand_up_mirrored'] and found.splits==['val','train','train']
    assert [Path(s).name for s in found.sources]==['more.yml','own.yaml','own.yaml']
    assert (found.joints[1]==atlas_joints('hand_up', folder=tmp_path)[0]).all()
    assert (found.joints[2]==atlas_joints('hand_up_mirrored', folder=tmp_path)[0]).all()
    symmetric = GOOD.replace('{left_shoulder: {flexion: 170}}', '{left_knee: {flexion: 30}, right_knee: {flexion: 30}}')
    folder_of(tmp_path, own__yaml=symmetric)
    assert L.read_library(tmp_path/'own.yaml').names==['hand_up']

@pytest.mark.parametrize('format', ['json','npz'])
def test_json_and_npz(tmp_path, format):
    export(X, tmp_path/f'made.{format}', prompts=PROMPTS)
    found = L.read_library(tmp_path)
    assert found.names==[*PROMPTS, 'salute_mirrored', 'lunge with the right leg']
    assert found.phrases[2:]==[['lunge with the left leg'],['salute'],['lunge with the right leg']]
    assert np.abs(found.joints[:3]-X).max()<1e-4
    export(X, tmp_path/f'made.{format}', prompts=['salute','','salute'])
    assert L.read_library(tmp_path).names[:3]==['salute 1','made','salute 2']
    export(X[[1,1,1]], tmp_path/f'made.{format}', prompts=['go 1','go','go'])
    assert L.read_library(tmp_path).names[:3]==['go 1','go 2','go 3']

def test_other_bodies_and_places(tmp_path):
    "Other statures, noise, places and headings: the same poses on our body."
    rng = np.random.default_rng(0)
    tall = np.concatenate([atlas_joints(n, lengths=bone_lengths_for(1.95)) for n in NAMES])
    moved = rotate_z(tall, np.full(3, 2.))+np.float32([1,-2,.9])
    export(moved, tmp_path/'a.npz', prompts=PROMPTS)
    assert np.abs(L.read_library(tmp_path).joints[:3]-X).max()<.03
    noisy = X+rng.normal(0, .01, X.shape).astype(np.float32)
    np.savez(tmp_path/'a.npz', joints=noisy, prompts=PROMPTS)
    found = L.read_library(tmp_path)
    assert np.abs(bone_lengths(found.joints)-reference_bone_lengths()).max()<1e-5
    assert np.abs(found.joints[:3]-X).max()<.06

def test_bvh(tmp_path):
    (tmp_path/'lunge_left.bvh').write_text(to_bvh(X[[2,2,2,2]]))
    one = L.read_library(tmp_path)
    assert one.names==['lunge left','lunge right']
    assert one.phrases==[['lunge left'],['lunge right']]
    assert np.abs(one.joints[0]-X[2]).max()<1e-3
    many = np.stack([p['joints'] for p in own_poses()[:30]])
    (tmp_path/'lunge_left.bvh').write_text(to_bvh(many))
    found = L.read_library(tmp_path)
    assert found.names[:8]==[f'lunge left {i}' for i in range(1,9)] and L.MAX_FRAMES==8
    foreign = to_bvh(X).replace('left_hip', 'left_thigh')  # counts as anybody's capture
    (tmp_path/'lunge_left.bvh').write_text(foreign)
    found = L.read_library(tmp_path)
    assert np.abs(found.joints[:3]-X).max()<.03
    assert np.abs(bone_lengths(found.joints)-reference_bone_lengths()).max()<1e-5

def test_folders(tmp_path):
    folder_of(tmp_path, own__yaml=GOOD, notes__txt='', poses__png=b'', **{'__hidden__yaml':'['})
    (tmp_path/'below.yaml').mkdir()
    (tmp_path/'below.yaml/more.yaml').write_text('[')
    assert L.read_library(tmp_path).names==['hand_up','hand_up_mirrored']
    assert L.read_library(str(tmp_path)).names==['hand_up','hand_up_mirrored']
    upper = folder_of(tmp_path, OWN__YAML=GOOD.replace('hand_up','arm_up'))
    assert len(L.read_library(upper))==4

def exported(path, prompts):
    export(X, path, prompts=prompts)
    return L.read_library(path.parent)

@pytest.mark.parametrize('format,stem', [
    *(('npz', stem) for stem in ('01_01','001','___','🤸','(-)','\u200b')), ('bvh','01_01'), ('json','🤸')])
def test_files_without_words(tmp_path, format, stem):
    export(X, tmp_path/f'{stem}.{format}')
    found = L.read_library(tmp_path)
    assert found.names[:3]==['pose 1','pose 2','pose 3'] and found.phrases[:3]==[['pose 1'],['pose 2'],['pose 3']]
    L.save_library(L.atlas_library()+found, tmp_path/'all.safetensors')

@pytest.mark.parametrize('prompt', ['...', '\u200b', '1', '🤸', '  '])
def test_prompts_without_words(tmp_path, prompt):
    found = exported(tmp_path/'made.json', ['hop',prompt,prompt])
    assert found.names[:3]==['hop','made 1','made 2'] and found.phrases[:3]==[['hop'],['made'],['made']]
    (tmp_path/'made.json').rename(tmp_path/'1.json')
    found = L.read_library(tmp_path)
    assert found.names[:3]==['hop','pose 1','pose 2'] and found.phrases[:3]==[['hop'],['pose 1'],['pose 2']]
    (tmp_path/'1.json').rename(tmp_path/'🤸 Überschlag.json')
    assert L.read_library(tmp_path).names[1]=='🤸 Überschlag 1'

def test_files_without_words_go_on_counting(tmp_path):
    for stem in ('01_01','02_02'): export(X, tmp_path/f'{stem}.npz', prompts=['','pose','pose 1'])
    found = L.read_library(tmp_path)
    assert found.names[:6]==['pose 2','pose 3','pose 1','pose 4','pose 5','pose 1 2']
    assert found.phrases[:6]==[['pose 2'],['pose'],['pose 1'],['pose 4'],['pose'],['pose 1']]

def test_file_name_that_is_no_text(tmp_path):
    "Latin-1 bytes in the name of a file."
    path = tmp_path/b'\xe9t\xe9.npz'.decode('utf-8', 'surrogateescape')
    export(X, tmp_path/'a.npz')
    try: (tmp_path/'a.npz').rename(path)
    except (OSError, UnicodeError): pytest.skip('no such names here')
    found = L.read_library(tmp_path)
    assert found.names[:3]==['t 1','t 2','t 3']
    L.save_library(found, tmp_path/'a.safetensors')

@pytest.mark.parametrize('prompts', [['standing','lunge_left','t_pose'], ['standing_mirrored','saluting','saluting']])
def test_names_of_the_atlas(tmp_path, library, prompts):
    found = exported(tmp_path/'made.json', prompts)
    assert found.phrases[:3]==[[p] for p in prompts] and not set(found.names)&set(library.names)
    assert found.names[0]==f'{prompts[0]} 2' and (library+found).names[-len(found):]==found.names
    with pytest.raises(ValueError, match="two poses are called 'saluting', one in atlas, one in .*own.yaml"):
        library+L.read_library(folder_of(tmp_path, own__yaml=GOOD.replace('hand_up','saluting')))

def test_two_runs(tmp_path, library):
    "Whatever generate wrote, as often as you like."
    for run in ('a.json','a.npz','b.json'): export(X, tmp_path/run, prompts=['hop','hop','saluting'])
    export(X, tmp_path/'hop.bvh')
    found = L.read_library(tmp_path)
    assert found.names[:9]==['hop 1','hop 2','saluting 2','hop 3','hop 4','saluting 3','hop 5','hop 6','saluting 4']
    assert len(set((library+found).names))==len(library)+len(found)

def test_words_give_way_to_yaml(tmp_path):
    folder_of(tmp_path, own__yaml=GOOD)
    found = exported(tmp_path/'made.json', ['hand_up','hand_up_mirrored','hand_up (mirrored)'])
    assert found.names[:3]==['hand_up 2','hand_up_mirrored 2','hand_up (mirrored) 2'] and 'hand_up' in found.names

@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.lists(st.sampled_from(['hop','hop_mirrored','hop (mirrored)','hop 2','hop left','hop right','pose',
    'hop right 2','standing','pose 1','standing_mirrored']), min_size=1, max_size=5), min_size=1, max_size=4))
def test_names_and_twins_differ(files):
    "What PoseLibrary.mirrored makes of the names has none twice, and none of the atlas."
    taken = L._Names(['standing','saluting'])
    names = [n for texts in files for n in L._numbered(texts, taken)]
    twins = [L.twin_name(n) for n in names if L.twin_name(n) not in names]
    every = names+twins
    assert len(set(every))==len(every) and not {'standing','saluting'}&set(every)

# ---- faults

LETTERS = 'abcdefghijklm'
BOMB = '- &a [x,x,x,x,x,x,x,x,x]\n'+''.join(f'- &{b} [{",".join([f"*{a}"]*9)}]\n' for a,b in zip(LETTERS, LETTERS[1:]))

@pytest.mark.parametrize('text,says', [
    (GOOD.replace('flexion','bending'), "pose 'hand_up', angles: left_shoulder has no angle 'bending'"),
    (GOOD.replace('hand up, ',''), 'must have 3 to 30 entries'), (GOOD+'  colour: red\n', "no field 'colour'"),
    (GOOD.replace('hand_up','рука'), 'must be small letters'), (GOOD.replace('hand up','рука'), 'not Latin'),
    (GOOD.replace('hand up','up '*300), 'at most 500 are read'), (GOOD.replace('170','.nan'), 'must be degrees'),
    (GOOD+GOOD, "the name 'hand_up' is taken"), (GOOD.replace('[hand','[[hand'), 'not valid YAML: line 3'),
    (GOOD+'  name: again\n', "'name' is written twice"), ('', 'must hold a list of poses, found nothing'),
    ('[]', 'holds no poses'),
    ('hand_up: 3\n', 'found dict'), ('- 3\n', 'entry 1 must be a pose'), (BOMB, 'may not lie in what has an anchor'),
    ('- !!python/object/apply:os.getcwd []\n', 'not valid YAML: line 1'), ('['*5000, 'not valid YAML'),
    (b'\xff\xfe\x00', 'not valid YAML'), ('- {"name": a}\n'*100_000, 'has 100000 poses; at most 20000')])
def test_wrong_yaml(tmp_path, text, says):
    said = refusal(folder_of(tmp_path, own__yaml=text, good__yaml=GOOD.replace('hand_up','fine')))
    assert says in said and 'own.yaml' in said

def test_large_files(tmp_path, monkeypatch):
    monkeypatch.setattr(text2pose.atlas, '_MAX_YAML', 10)
    assert 'bytes; at most 10 bytes are read' in refusal(folder_of(tmp_path, own__yaml=GOOD))
    (tmp_path/'own.yaml').unlink()
    monkeypatch.setattr(text2pose.export, '_MAX_FILE_BYTES', 2**20)
    with zipfile.ZipFile(tmp_path/'bomb.npz', 'w', zipfile.ZIP_DEFLATED) as z: z.writestr('joints.npy', b'\0'*2**21)
    assert 'bomb.npz has 2 MB when unpacked; at most 1 MB' in refusal(tmp_path)
    np.savez(tmp_path/'bomb.npz', joints=np.zeros((100,22,3), np.float32))
    monkeypatch.setattr(L, 'MAX_LIBRARY', 20)
    assert 'bomb.npz has 100 poses; at most 20' in refusal(tmp_path)

def test_too_many_with_their_twins(tmp_path, monkeypatch):
    atlas = L.atlas_library()
    monkeypatch.setattr(L, 'MAX_LIBRARY', 4)
    monkeypatch.setattr(L, 'atlas_library', lambda: atlas)
    export(X, tmp_path/'made.npz', prompts=PROMPTS)
    assert 'has 5 poses; at most 4 are read, twins included' in refusal(tmp_path)

def test_two_files_with_one_name(tmp_path):
    folder_of(tmp_path, one__yaml=GOOD, two__yaml=GOOD)
    said = refusal(tmp_path)
    one,two = tmp_path/'one.yaml', tmp_path/'two.yaml'
    assert said==f"two poses are called 'hand_up', one in {one}, one in {two}: rename one of them"
    export(X, tmp_path/'one.json', prompts=PROMPTS)
    export(X, tmp_path/'two.npz', prompts=PROMPTS)
    (tmp_path/'one.yaml').unlink()
    (tmp_path/'two.yaml').unlink()
    found = L.read_library(tmp_path)
    assert found.names[:6]==[*PROMPTS, *(f'{p} 2' for p in PROMPTS)]
    assert found.phrases[:6]==[[p] for p in PROMPTS]*2 and 'salute 2 (mirrored)' in found.names

def test_limits_are_for_what_was_written(tmp_path):
    "A number, left and right exchanged and ' (mirrored)' may make it longer."
    long = ['u'*500, 'u'*500, ('left hand up, '*40)[:500]]
    found = exported(tmp_path/'made.json', long)
    assert len(found)==5 and len(found.names[3])==500+len(' 2 (mirrored)') and len(found.phrases[4][0])>520
    L.save_library(found, tmp_path/'own.safetensors')
    assert L.read_library(tmp_path/'own.safetensors').names==found.names
    assert len(found.mirrored())==len(found)
    folder_of(tmp_path, made__json='{}', own__yaml=GOOD.replace('hand_up', 'u'*500))
    assert len(L.read_library(tmp_path/'own.yaml').names[1])==509
    folder_of(tmp_path, own__yaml=GOOD.replace('hand_up', 'u'*501))
    assert "own.yaml: pose 'uuu" in refusal(tmp_path/'own.yaml')
    assert 'the name has 501 characters; at most 500' in refusal(tmp_path/'own.yaml')
    exactly = ' '.join('a'*250)
    assert L.PoseLibrary(**columns(1, phrases=[[exactly]])).phrases==[[exactly]]

@pytest.mark.parametrize('phrase,says', [('"12"', "must have a letter, found '12'"), (r'"up \ud800"', 'own.yaml'),
    ('"\u200b"', 'must have a letter'), ('x'*501, 'has 501 characters; at most 500 are read')])
def test_phrases_of_yaml(tmp_path, phrase, says):
    said = refusal(folder_of(tmp_path, own__yaml=GOOD.replace('[hand up', f'[{phrase}')))
    assert says in said and 'own.yaml' in said

@pytest.mark.parametrize('phrases,says', [([['12']], 'must have a letter'), (['zorbo'], 'no lists of texts'),
    ([['x'*501]], 'has 501 characters')])
def test_phrases_of_a_saved_library(tmp_path, phrases, says):
    own = L.PoseLibrary(**columns(1))
    own.phrases = phrases
    L.save_library(own, tmp_path/'own.safetensors')
    said = refusal(tmp_path)
    assert says in said and 'own.safetensors' in said

def test_half_a_character(tmp_path):
    (tmp_path/'a.json').write_text('{"poses": [{"prompt": "hop \\ud83e", "joints": %s}]}' % X[0].tolist())
    assert 'a.json: the prompt of pose 0 has half a character, which is not valid UTF-8' in refusal(tmp_path)

def test_large_json(tmp_path):
    with (tmp_path/'a.json').open('wb') as f: f.truncate(2**28)
    assert refusal(tmp_path)==f'{tmp_path}/a.json has 268 MB; at most 134 MB are read'

def test_empty_library(tmp_path):
    L.save_library(L.PoseLibrary(**columns())[[]], tmp_path/'own.safetensors')
    assert 'own.safetensors holds no poses' in refusal(tmp_path)

@pytest.mark.parametrize('path', ['', ' ', None, 3])
def test_no_path(path): assert 'expected a folder or a file' in refusal(path)

def test_paths_that_cannot_be_read(tmp_path, monkeypatch):
    assert 'cannot be read: File name too long' in refusal('a'*5000)
    assert 'cannot be read: File name too long' in refusal(tmp_path/('a'*300+'.yaml'))
    folder_of(tmp_path, own__yaml=GOOD)
    def denied(*args, **kwargs): raise PermissionError(13, 'Permission denied', str(tmp_path))
    for method in ('exists','iterdir','is_file','stat'):
        with monkeypatch.context() as m:
            m.setattr(Path, method, denied)
            assert refusal(tmp_path)==f'{tmp_path} cannot be read: Permission denied', method
    with monkeypatch.context() as m:
        m.setattr(Path, 'read_text', denied)
        assert 'own.yaml cannot be read: Permission denied' in refusal(tmp_path)

def test_no_poses(tmp_path):
    assert f'{tmp_path} holds no poses: there is nothing' in refusal(tmp_path)
    for name in 'a.txt b.png c.fbx d.glb'.split(): (tmp_path/name).write_text('')
    assert 'there is only a.txt, b.png, c.fbx and 1 more; poses are read from .yaml' in refusal(tmp_path)
    assert 'unknown ending' in refusal(tmp_path/'d.glb')
    assert 'none is missing: expected a folder' in refusal(tmp_path/'none')
    assert 'none.yaml is missing' in refusal(tmp_path/'none.yaml')

T_POSE = atlas_joints('t_pose')[0]
_x,_y,_z = T_POSE.T
SWAPPED = T_POSE.copy()
SWAPPED[[1,2]] = T_POSE[[2,1]]
ORDER = [*range(16),18,19,16,17,20,21]
NAN = T_POSE.copy()
NAN[7,1] = np.nan

@pytest.mark.parametrize('pose,says', [
    (100*T_POSE, 'are they centimetres?'), (1000*T_POSE, 'are they millimetres?'), (39.37*T_POSE, 'are they inches?'),
    (1e30*T_POSE.astype(float), 'times those of the reference body'), (0*T_POSE, 'its trunk is not as long'),
    (.1*T_POSE, 'its trunk is not as long'), (NAN, 'holds NaN'), (SWAPPED, 'left and right'),
    (np.where(np.isnan(NAN), np.inf, T_POSE), 'holds NaN'),
    (T_POSE*[-1,1,1], 'left and right'), (np.stack([-_x,_y,-_z], 1), 'is upside down'),
    (T_POSE[ORDER], 'does not fit a human body')])
def test_no_pose_of_a_person(tmp_path, pose, says):
    np.savez(tmp_path/'a.npz', joints=np.stack([T_POSE,pose]), prompts=['fine','odd'])
    said = refusal(tmp_path)
    assert says in said and "a.npz: pose 'odd'" in said

def test_y_up(tmp_path):
    "Where poses stand on the plane y = 0; lying on a floor is no such case."
    np.savez(tmp_path/'a.npz', joints=np.stack([X[...,0],X[...,2]+.93,-X[...,1]], -1), prompts=PROMPTS)
    assert "a.npz: pose 'stand' stands on the plane y = 0: is Y up?" in refusal(tmp_path)
    lying = np.concatenate([atlas_joints(n) for n in ('yoga_corpse','lying_face_down')])
    np.savez(tmp_path/'a.npz', joints=lying, prompts=['a','b'])
    assert len(L.read_library(tmp_path))>=2

@pytest.mark.parametrize('n,says', [
    (24, 'SMPL has 24 joints'), (17, 'COCO'), (33, 'MediaPipe'), (21, 'found (2, 21, 3)')])
def test_other_skeletons(tmp_path, n, says):
    np.savez(tmp_path/'a.npz', joints=np.zeros((2,n,3)))
    assert says in refusal(tmp_path) and 'must have shape (n, 22, 3)' in refusal(tmp_path)

@pytest.mark.parametrize('arrays,says', [
    (dict(joints=X, prompts=['a']), 'holds 1 prompts for 3 poses'), (dict(joints=X[:0]), 'holds no poses'),
    (dict(joints=X[0]), 'found (22, 3)'), (dict(joints=np.full((2,22,3), 'a')), 'must be numbers'),
    (dict(poses=X), 'not a readable .npz'), (dict(joints=np.array([{}])), 'pickled objects are refused'),
    (dict(joints=X, prompts=['a','b','приседать']), 'the prompt of pose 2 has the letter'),
    (dict(joints=X, prompts=['a','b','c'*501]), 'the prompt of pose 2 has 501 characters')])
def test_wrong_npz(tmp_path, arrays, says):
    np.savez(tmp_path/'a.npz', **arrays)
    said = refusal(tmp_path)
    assert says in said and 'a.npz' in said

@pytest.mark.parametrize('text,says', [
    ('', 'not valid JSON'), ('[]', 'must hold a JSON object'), ('{"name": "x"}', 'not a pose file'),
    ('{"poses": []}', 'a.json holds no poses'), ('{"poses": [{"joints": [[1,2,3]]}]}', 'shape'),
    ('{"poses": 3}', 'not a pose file'),
    ('['*100_000, 'not valid JSON')])
def test_wrong_json(tmp_path, text, says):
    (tmp_path/'a.json').write_text(text)
    said = refusal(tmp_path)
    assert says in said and 'a.json' in said

def test_wrong_bvh(tmp_path):
    (tmp_path/'a.bvh').write_text('HIERARCHY\n')
    assert 'a.bvh' in refusal(tmp_path)
    (tmp_path/'a.bvh').write_text(to_bvh(X).replace('left_hip','x'))
    assert 'a.bvh' in refusal(tmp_path)
    (tmp_path/'a.bvh').unlink()
    (tmp_path/'рука.bvh').write_text(to_bvh(X))
    assert "the name of the file has the letter 'р'" in refusal(tmp_path)

@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_damaged_files_are_refused_in_words(tmp_path_factory, data):
    "Whatever is damaged: a library or one sentence."
    folder = tmp_path_factory.mktemp('a')
    kind = data.draw(st.sampled_from(['json','npz','bvh','yaml','safetensors']))
    path = folder/f'a.{kind}'
    if kind=='yaml': path.write_text(GOOD)
    elif kind=='safetensors': L.save_library(L.PoseLibrary(**columns()), path)
    else: export(X, path)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        i = data.draw(st.integers(0, len(raw)-1))
        raw[i:i+data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=4))
    path.write_bytes(raw)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try: found = L.read_library(folder)
        except ValueError as e:
            assert '\n' not in str(e) and path.name in str(e), e
            return
    assert (plausibility(found.joints)>=0).all()
    assert np.abs(bone_lengths(found.joints)-reference_bone_lengths()).max()<1e-3

# ---- captures

def row(i, caption='a', **changes):
    return dict(pose_id=f'p{i}', source='cmu', licence='none', split='train', clip='c', frame=i, caption=caption,
        caption_kind='human', first_action='', cluster=None, joints=own_poses()[i]['joints'].reshape(-1)) | changes

def test_table_library():
    rows = [row(i, f'caption {i}') for i in range(10)]
    rows += [row(0, 'another'), row(0, 'caption 0'), row(0, 'приседать'), row(1, 'x'*501)]
    rows += [row(10, split='val'), row(11, source='atlas'), row(12, 'приседать')]
    every = L.table_library(pose_table(rows), 10)
    assert sorted(every.names)==[f'p{i}' for i in range(10)]
    assert set(every.sources)=={'cmu'} and set(every.splits)=={'train'}
    phrases = dict(zip(every.names, every.phrases))
    assert phrases['p0']==['caption 0','another'] and phrases['p1']==['caption 1']
    some = [L.table_library(pose_table(rows), 4, seed=s) for s in (0,0,1)]
    assert len(some[0])==4 and some[0].names==some[1].names and set(some[2].names)<=set(every.names)
    with pytest.raises(ValueError, match='at most 10, got 11'): L.table_library(pose_table(rows), 11)
    with pytest.raises(ValueError, match='no captured pose'): L.table_library(pose_table(rows[14:]), 1)

def test_table_library_puts_poses_on_our_body():
    tall = enforce_bone_lengths(own_poses()[3]['joints'], bone_lengths_for(1.9)).reshape(-1)
    found = L.table_library(pose_table([row(3, joints=tall)]), 1)
    assert np.abs(bone_lengths(found.joints)-reference_bone_lengths()).max()<1e-5
