"The atlas: files with mistakes, the floor, mirror images, variations, compositions, and what is held out."
import importlib.util, json, os, re
from pathlib import Path

import numpy as np, pytest
from hypothesis import given, settings, strategies as st

from text2pose import atlas as A
from text2pose.core import asset
from text2pose.data import JOINT_NAMES, bone_lengths, heading, joint_idx, mirror, own_poses
from text2pose.describe import looking
from text2pose.skeleton import (
    bone_lengths_for, forward_kinematics, joint_angles, joint_rotations, reference_bone_lengths, rest_offsets)
from text2pose.posecodes import POSECODES, satisfies

POSES = A.atlas()
OWN = {n:p for n,p in POSES.items() if not p.twin_of}
EVERY = {n:A.atlas_joints(n)[0] for n in OWN}
EVERY.update({n:mirror(EVERY[p.twin_of]) for n,p in POSES.items() if p.twin_of})  # that twins are this is a test below
EVERY = {n:EVERY[n] for n in POSES}
GOOD = '- name: hand_up\n  phrases: [hand up, raise a hand, one hand in the air]\n  angles: {left_shoulder: {flexion: 170}}\n  expects: [left_hand_overhead]\n'

def folder_of(tmp_path, **files):
    for name,text in files.items():
        (tmp_path/f'{name}.yaml').write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path

# ---- faces

TURNED = """- name: turned_left
  phrases: [a, b, c]
  contact: none
  angles:
    pelvis: {twist: 20, flexion: 10}
    trunk: {twist: 15, flexion: 30, bend: 5}
    neck: {twist: 60, flexion: 20, bend: 10}
"""

def test_face_is_where_the_neck_turns_it(tmp_path):
    "Forward kinematics by hand, then the heading; the mirrored twin looks to the other side."
    folder = folder_of(tmp_path, a=TURNED)
    angles = A.atlas(folder=folder)['turned_left'].angles
    R = joint_rotations(angles).double().numpy()
    x = forward_kinematics(R, rest_offsets().double())
    face = R[0]@R[3]@R[6]@R[9]@R[12]@[0,-1,0]
    turn = -heading(x)
    c,s = np.cos(turn),np.sin(turn)
    face = np.array([c*face[0]-s*face[1], s*face[0]+c*face[1], face[2]])
    assert np.abs(A.atlas_face('turned_left', folder=folder)-face).max()<1e-5 and face[0]>.7
    assert (A.atlas_face('turned_right', folder=folder)==A.atlas_face('turned_left', folder=folder)*[-1,1,1]).all()
    larger = A.atlas_face('turned_left', bone_lengths_for(1.9), folder)
    assert np.abs(larger-face).max()<1e-5
    assert 'looks: over the left shoulder' in A.describe_pose('turned_left', folder)
    assert 'looks: over the right shoulder' in A.describe_pose('turned_right', folder)

def test_faces_of_all_poses():
    "Unit vectors; only who has a twisted neck looks over a shoulder, and to the side of the twist."
    faces = np.stack([A.atlas_face(n) for n in POSES])
    assert np.abs(np.linalg.norm(faces, axis=1)-1).max()<1e-5
    sides = looking(np.stack([EVERY[n] for n in POSES]), faces)
    twist = np.array([p.angles.get('neck', {}).get('twist', 0) for p in POSES.values()])
    aside = [(side,t) for side,t in zip(sides, twist) if side in ('left','right') or abs(t)>45]
    assert all(side==('left' if t>0 else 'right') for side,t in aside)
    assert .005<len(aside)/len(sides)<.1
    with pytest.raises(ValueError, match='no pose of the atlas'): A.atlas_face('nowhere')

# ---- files

LETTERS = 'abcdefghijklm'
BOMB = '- &a [x,x,x,x,x,x,x,x,x]\n'+''.join(f'- &{b} [{",".join([f"*{a}"]*9)}]\n' for a,b in zip(LETTERS, LETTERS[1:]))

@pytest.mark.parametrize('text,says', [
    (GOOD.replace('left_shoulder','left_sholder'), "angles: no joint is called 'left_sholder'"),
    (GOOD.replace('flexion','bending'), "left_shoulder has no angle 'bending'"),
    (GOOD.replace('170','far'), 'must be degrees'), (GOOD.replace('170','true'), 'must be degrees'),
    (GOOD.replace('170','.inf'), 'must be degrees'), (GOOD.replace('170','1'+'0'*400), 'must be degrees'),
    (GOOD.replace('170','2001-01-01'), 'must be degrees'),
    (GOOD.replace('{flexion: 170}','170'), 'must have named angles'),
    (GOOD.replace('hand up, ',''), 'must have 3 to 30 entries, found 2'),
    (GOOD.replace('hand up','raise a hand'), 'same entry twice'),
    (GOOD.replace('hand up','12:30'), 'list of sentences'),
    (GOOD.replace('left_hand_overhead','left_hand_overhed'), "did you mean 'left_hand_overhead'"),
    (GOOD+'  contact: [feet, toes]\n', "'toes'"), (GOOD+'  contact: [feet, none]\n', 'stand alone'),
    (GOOD+'  contact: []\n', 'name or a list'),
    (GOOD+'  vary: {left_sholder: 3}\n', "'left_sholder'"), (GOOD+'  vary: -1\n', '0 to 30'),
    (GOOD+'  split: test\n', 'train or val'), (GOOD+'  mirror: 1\n', 'true or false'),
    (GOOD+'  colour: red\n', "no field 'colour'"), (GOOD.replace('hand_up','Hand up'), 'small letters'),
    (GOOD.replace('- name: hand_up\n','- colour: red\n'), 'entry 1'), (GOOD+GOOD, 'is taken'),
    (GOOD.replace('hand_up','left_hand')+GOOD.replace('hand_up','right_hand'),
    "taken by the mirror image of 'left_hand'"),
    (GOOD+'  name: again\n', "line 5: 'name' is written twice"),
    (GOOD.replace('[hand','[[hand'), 'not valid YAML: line 3'),
    ('['+'1,'*250_000+']', 'line 1: more than 250,000 lists, mappings and values'),
    ('- 1'+':1'*1000, 'line 1: a value of 2,001 characters'),
    ('a: &a {'+', '.join(f'k{i}: 1' for i in range(5000))+'}\nb:\n'+'- {<<: *a}\n'*30, 'more than 250,000 lists'),
    ('- &a '+'x'*900+'\n'+'- *a\n'*9, 'entry 1 must be a pose'),
    ('- !!python/object/apply:os.getcwd []\n', 'not valid YAML: line 1'),
    ('a: 1\n', 'must hold a list of poses, found dict'), ('', 'must hold a list'),
    ('- 3\n', 'entry 1 must be a pose'), ('['*5000, 'not valid YAML'), (b'\xff\xfe\x00', 'not valid YAML'),
    (GOOD.replace('hand up','рука вверх'), "the letter 'р', which is not Latin"),
    ('\n'+GOOD.replace('170','far'), '(entry on line 2)'), (BOMB, 'may not lie in what has an anchor'),
    (GOOD+'  vary: &a [[x,x,x,x],[x,x,x]]\n', '0 to 30'),
    ('- 2001-99-99\n', 'not valid YAML'), ('&a [*a]\n', 'may not lie in what has an anchor'),
    ('['*100_000, 'deep'), ('- '*100_000, 'deep'),
    ('- !!bool "x"\n', 'not valid YAML'), ('- &a x\n'+'- *a\n'*101, 'more than 100 aliases'),
    ('? [a]\n: b\n', 'not valid YAML')])
def test_one_sentence_for_a_mistake(tmp_path, text, says):
    folder_of(tmp_path, own=text)
    found = A.check_atlas(tmp_path)
    assert found and says in ' '.join(found) and all(f.startswith('own.yaml') and '\n' not in f for f in found), found
    with pytest.raises(ValueError, match='own.yaml'): A.atlas(folder=tmp_path)

@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_damaged_files_are_refused_in_words(tmp_path_factory, data):
    text = bytearray(asset('atlas/basics.yaml').read_bytes()[:3000])
    for _ in range(data.draw(st.integers(1, 6))):
        i = data.draw(st.integers(0, len(text)-1))
        text[i:i+data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=4))
    folder = folder_of(tmp_path_factory.mktemp('a'), own=bytes(text))
    try: A.atlas(folder=folder)
    except ValueError as e: assert str(e).startswith('own.yaml') and '\n' not in str(e)

def test_names_of_two_files_and_missing_folders(tmp_path):
    folder_of(tmp_path, one=GOOD, two=GOOD)
    with pytest.raises(ValueError, match="two.yaml: pose 'hand_up': the name 'hand_up' is taken in one.yaml"):
        A.atlas(folder=tmp_path)
    with pytest.raises(FileNotFoundError, match='no .yaml files'): A.atlas(folder=tmp_path/'none')
    with pytest.raises(FileNotFoundError): A.check_atlas(tmp_path/'none')
    with pytest.raises(ValueError, match='split'): A.atlas('test')

def test_a_changed_file_is_read_again(tmp_path):
    path = folder_of(tmp_path, own=GOOD)/'own.yaml'
    assert set(A.atlas(folder=tmp_path))=={'hand_up','hand_up_mirrored'}
    path.write_text(GOOD.replace('hand_up','arm_up'))
    os.utime(path, ns=(1,1))
    assert set(A.atlas(folder=tmp_path))=={'arm_up','arm_up_mirrored'}
    assert A.vary_pose('arm_up', 3, folder=tmp_path).shape==(3,22,3)
    assert {r['clip'] for r in A.atlas_rows(2, folder=tmp_path)}=={'arm_up','arm_up_mirrored'}
    with pytest.raises(ValueError, match='no pose has the field'): A.compositions(3, folder=tmp_path)

def test_what_a_check_finds_in_a_bad_pose(tmp_path):
    def found(**fields):
        return ' '.join(A.check_atlas(folder_of(tmp_path,
            own='- name: p\n  phrases: [one, two, three]\n' + ''.join(f'  {k}: {v}\n' for k,v in fields.items()))))
    assert 'plausibility' in found(angles='{left_knee: {flexion: -60}}', expects='[standing]')
    assert 'does not hold' in found(angles='{left_shoulder: {flexion: 90}}', expects='[left_hand_overhead]')
    assert 'mirror: false' in found(angles='{left_shoulder: {abduction: 90}, right_shoulder: {abduction: 90}}',
        expects='[left_hand_out_to_side]')
    crossed = '{left_hip: {flexion: 60, abduction: -30}, left_knee: {flexion: 60}, right_hip: {flexion: 60}, ' \
        'right_knee: {flexion: 60}}'
    assert 'overlap' in found(angles=crossed, contact='none', expects='[left_knee_bent]')
    assert 'expects nothing' in found(angles='{left_shoulder: {flexion: 90}}')
    assert 'ends with a stop' in found(angles='{left_shoulder: {flexion: 90}}', expects='[standing]',
        upper='[arm forward.]')
    plank = '{pelvis: {flexion: 80}, left_shoulder: {flexion: 80}, right_shoulder: {flexion: 80}}'
    fields = dict(contact='[hands, feet]', lower='[in a plank]', expects='["!lying_on_back"]')
    assert 'arms bear weight' in found(angles=plank, **fields)

# ---- the package's own atlas

def test_the_atlas_is_large_and_whole():
    assert len(OWN)>=300
    assert sum('yoga' in p.tags for p in OWN.values())>=40
    assert any('golf' in p.tags for p in OWN.values())
    assert all(20<=len(p.phrases)<=30 and len(p.expects)>=2 and p.tags for p in OWN.values())
    assert .02<np.mean([p.split=='val' for p in OWN.values()])<.2
    assert sum(bool(p.upper) for p in OWN.values())>=60 and sum(bool(p.lower) for p in OWN.values())>=25

def test_poses_json_is_derived_from_the_atlas():
    spec = importlib.util.spec_from_file_location('make_poses', Path(__file__).parents[1]/'tools/make_poses.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = asset('poses.json').read_text(encoding='utf-8')
    written = json.loads(text)
    made = tool.from_atlas(written, POSES)
    for a,b in zip(made['poses'], written['poses'], strict=True):  # the fifth decimal is the processor's
        np.testing.assert_allclose(a.pop('joints'), b['joints'], atol=1.5e-5)
        assert a=={k:v for k,v in b.items() if k!='joints'}
    assert tool.layout(written)==text
    for p in own_poses():
        assert p['angles']==POSES[p['name']].angles
        assert set(p['captions'])<=set(POSES[p['name']].phrases)
        assert 'basics' in POSES[p['name']].tags

def test_twins_are_mirror_images():
    twins = {n:p for n,p in POSES.items() if p.twin_of}
    some = list(twins)[::30]
    x = np.stack([A.atlas_joints(n)[0] for n in some])
    assert np.array_equal(x, mirror(np.stack([A.atlas_joints(twins[n].twin_of)[0] for n in some])))
    x = np.stack([EVERY[n] for n in twins])
    assert A._as_expected(x, [p.expects for p in twins.values()]).all()
    assert A._as_expected(np.stack(list(EVERY.values())), [p.expects for p in POSES.values()]).all()
    written = lambda some: np.stack([A._to_vector(p.angles) for p in some])
    fk = lambda v: A._joints(v, None)
    assert np.abs(fk(written(twins.values()))-mirror(fk(written(POSES[p.twin_of] for p in twins.values())))).max()<2e-5
    for n,p in twins.items():
        o = POSES[p.twin_of]
        assert p.split==o.split
        assert p.tags==o.tags
        assert A._twin(p).phrases==o.phrases
        assert {A._swap_sides(c) for c in p.contact}==set(o.contact)
        if {'left','right'}&set(n.split('_')): assert A._swap_sides(n)==p.twin_of

def test_the_floor():
    """By its own arithmetic: soles, knees and hands that bear are level, and nothing is far below them.
    A difference of more than 15 cm means a box or a bench."""
    level = lambda *z: (gap:=max(z)-min(z))<.012 or gap>.15
    for n,p in OWN.items():
        z = dict(zip(JOINT_NAMES, EVERY[n][:,2]))
        feet = [z[c] for c in p.contact if c.endswith('foot')]
        heels = [z[f'{s}_ankle']-.42*np.linalg.norm(EVERY[n][10]-EVERY[n][7]) for s in ('left','right')]
        flat = all(abs(h-z[f'{s}_foot'])<.02 for h,s in zip(heels, ('left','right')))
        if set(p.contact)=={'left_foot','right_foot'} and flat: assert level(*feet), n
        if feet and set(p.contact)<={'left_foot','right_foot'}:
            assert min(z.values())>min(feet+[h for h,
                s in zip(heels, ('left','right')) if f'{s}_foot' in p.contact])-.025, n
        if set(p.contact)=={'left_knee','right_knee'}: assert level(z['left_knee'], z['right_knee']), n
        if set(p.contact)=={'left_knee','right_knee','left_hand','right_hand'}:
            assert level(*(z[f'{s}_{j}']-t for s in ('left','right') for j,t in (('knee',.035),('wrist',.025)))), n
    assert A._solved(A._where(None)).left.max()<=.01

# ---- variations

@pytest.mark.parametrize('name', ['saluting','hands_and_knees','sitting_on_floor','lying_on_back','warrior_two',
    'arms_crossed','plank','right_kick'])
def test_variations_are_bounded_and_still_the_pose(name):
    lengths = bone_lengths_for(height=1.6)
    x = A.vary_pose(name, 24, seed=3, lengths=lengths)
    p = POSES[name]
    assert x.dtype==np.float32
    assert np.abs(x[:,0]).max()==0
    assert np.abs(bone_lengths(x)/lengths-1).max()<1e-3
    assert satisfies(p.expects, x).all()
    angles = joint_angles(x)
    assert all(angles[f'{s}_{j}_flexion'].min()>=-1 for s in ('left','right') for j in ('knee',
        'elbow') if p.angles.get(f'{s}_{j}', {}).get('flexion', 0)>=0)
    assert np.linalg.norm(x-x.mean(0), axis=-1).max()<.6 and len(np.unique(x.round(4), axis=0))>12
    many = bone_lengths_for(height=1.5)*np.linspace(1, 1.2, 24)[:,None]
    assert np.allclose(bone_lengths(A.vary_pose(name, 24, lengths=many)), many, rtol=1e-3)

def test_seeds_and_bad_calls():
    a = A.vary_pose('bow', 6, seed=1)
    assert np.array_equal(a, A.vary_pose('bow', 6, seed=1))
    assert np.array_equal(a[:2], A.vary_pose('bow', 2, seed=1))
    assert not np.allclose(a, A.vary_pose('bow', 6, seed=2))
    rows = A.atlas_rows(2, 5, 'val', n_phrases=2)
    again = A.atlas_rows(2, 5, 'val', n_phrases=2)
    assert [r['caption'] for r in rows]==[r['caption'] for r in again]
    assert len(rows)==4*len(A.atlas('val'))
    assert all(np.array_equal(r['joints'], s['joints']) and np.array_equal(r['face'], s['face'])
               for r,s in zip(rows, again))
    for r in rows:
        assert abs(np.linalg.norm(r['face'])-1)<1e-5
        if r['frame']==0: assert np.abs(r['face']-A.atlas_face(r['clip'])).max()<1e-5
    for r in rows:
        assert r['source']==r['caption_kind']=='atlas'
        assert r['first_action']==r['caption'] and r['caption'] in POSES[r['clip']].phrases
    assert A.atlas_joints(POSES['bow']).shape==(1,22,3) and A.vary_pose('bow', 0).shape==(0,22,3)
    for bad in (dict(name='bo'), dict(name='bow', n=-1), dict(name='bow', n=1.5), dict(name='bow', seed=-1),
        dict(name='bow', lengths=[1]*20), dict(name='bow', lengths=reference_bone_lengths()*100)):
        with pytest.raises(ValueError): A.vary_pose(**bad)
    for bad in (dict(n_variations=0), dict(split='test'), dict(n_words=-1)):
        with pytest.raises(ValueError): A.atlas_rows(**bad)

# ---- compositions

def test_a_composition_takes_arms_and_legs():
    u,l = EVERY['saluting'],EVERY['kneeling']*np.float32(1.1)
    x,ok = A.compose(u, l)
    x = x[0]
    assert ok[0]
    assert np.allclose(bone_lengths(x), bone_lengths(l), atol=1e-4)  # one body: that of the legs
    legs = [joint_idx(f'{s}_{j}') for s in ('left','right') for j in ('hip','knee','ankle','foot')]
    assert np.abs(x[legs]-l[legs]).max()<.02
    for name,k in joint_angles(x).items():
        if 'elbow' in name or 'shoulder' in name: assert abs(k-joint_angles(u)[name])<3, name
        if 'knee' in name or 'hip' in name: assert abs(k-joint_angles(l)[name])<3, name
    assert np.abs(A.compose('standing','standing')[0][0]-EVERY['standing']).max()<1e-4
    with pytest.raises(ValueError, match='no posecode'): A.compose('saluting','sitting',['sat'])
    with pytest.raises(ValueError, match='no pose of the atlas'): A.compose('saluting','sat')

def test_limbs_through_each_other_are_seen():
    x = EVERY['standing'][None].copy()
    assert A.self_intersection(x)[0]<=A.GIVES
    bad = x.copy()
    bad[:,20] = bad[:,5]+(bad[:,5]-bad[:,18])*.4
    assert A.self_intersection(bad)[0]>A.GIVES  # the left forearm through the right knee
    assert np.allclose(A.self_intersection(bad), A.self_intersection(mirror(bad)), atol=1e-5)
    assert np.allclose(1.2*A.self_intersection(bad), A.self_intersection(np.float32(1.2)*bad), atol=1e-4)
    assert A.self_intersection(bad[0]).shape==()

def test_what_is_held_out_is_never_in_training():
    train,val = A.compositions(60, 0, 'train'),A.compositions(30, 0, 'val')
    assert not set(train[1])&set(val[1])
    held = set(A.atlas('val'))
    assert not {n for pair in train[1] for n in pair}&held
    for u,l in train[1]+val[1]:
        twins = [next((t for t,q in POSES.items() if q.twin_of==n), POSES[n].twin_of or n) for n in (u,l)]
        assert A.pair_split(POSES[u],POSES[l])==A.pair_split(*(POSES[t] for t in twins)), (u,l,twins)
    assert not {r['clip'] for r in A.atlas_rows(1, split='train', n_phrases=1)}&held
    assert {r['split'] for r in A.composition_rows(8, split='val')}=={'val'}

def test_compositions_say_what_they_are():
    x,names,captions = A.compositions(50, 7)
    assert len(x)==len(names)==len(captions)==50 and A.compositions(0)[1]==[]
    for (u,l),c in zip(names, captions):
        said = [t for t in POSES[u].upper if t in c]
        assert said and not re.search(r'\b(with|and|while) (with|and|while)\b|the (the|a)\b|[.]| ,|  ', c), c
    assert set(JOINT_NAMES) and satisfies(['!lying'], EVERY['standing'])[0] and len(POSECODES)>=120
