"""BVH and ASF/AMC against a slow forward kinematics by scipy; odd but legal files; clear sentences for bad ones;
the raw files against realmocap22."""
import json, os, tracemalloc
from pathlib import Path

import numpy as np, pytest
from scipy.spatial.transform import Rotation

from text2pose.data import JOINT_NAMES, PARENTS, bone_lengths, canonical, heading, own_poses, y_up_from_z_up
from text2pose.humanml3d import read_realmocap22
from text2pose.mocap import (
    RIGS, UNITS, auto_map, find_rig, guess_unit, joint_map_for, joints_22, mocap_files, read_amc, read_bvh, read_mocap,
    read_mocap_folder, read_motion, resample, split_of, subject_of)

STAND = {p['name']:p['joints'] for p in own_poses()}['standing'].astype(float)

# ---- made-up files, and what scipy says about them

def numbers(values, format='{:.5f}'): return ' '.join(format.format(v) for v in values)

def random_channels(g, is_root):
    "Up to three rotations and three positions in any order; a root rotates about at least one axis."
    rotations = [f'{a}rotation' for a in g.permutation(list('XYZ'))[:g.integers(1 if is_root else 0, 4)]]
    positions = [f'{a}position' for a in g.permutation(list('XYZ'))[:g.integers(0, 4)]]
    mixed = rotations+positions
    return [mixed[i] for i in g.permutation(len(mixed))]

def depth_first(parents, j=0):
    "Joints in the order in which a BVH file has them."
    children = [k for k,p in enumerate(parents) if p==j]
    return [j]+[k for child in children for k in depth_first(parents, child)]

def bvh_hierarchy(parents, offsets, channels, ends):
    "Lines of the HIERARCHY part."
    lines = ['HIERARCHY']
    def write(j, pad):
        lines.extend([f'{pad}{"JOINT" if j else "ROOT"} j{j}', f'{pad}{{', f'{pad}  OFFSET {numbers(offsets[j])}'])
        if channels[j]: lines.append(f'{pad}  CHANNELS {len(channels[j])} '+' '.join(channels[j]))
        for k,p in enumerate(parents):
            if p==j: write(k, pad+'  ')
        if j in ends:
            lines.extend([f'{pad}  End Site', f'{pad}  {{', f'{pad}    OFFSET {numbers(ends[j])}', f'{pad}  }}'])
        lines.append(f'{pad}}}')
    write(0, '')
    return lines

def bvh_by_scipy(parents, offsets, channels, values, ends):
    "(frame, name) → position: one frame, one joint, one angle at a time."
    x = {}
    for f in range(len(values[0])):
        position,rotation = {},{}
        for j in depth_first(parents):
            offset = np.round(offsets[j], 5).copy()
            R = Rotation.identity()
            for channel,v in zip(channels[j], values[j][f]):
                axis = 'XYZ'.index(channel[0])
                if channel.endswith('position'): offset[axis] = v
                else: R = R*Rotation.from_rotvec(np.eye(3)[axis]*np.radians(v))
            p = parents[j]
            position[j] = offset if p<0 else position[p]+rotation[p].apply(offset)
            rotation[j] = R if p<0 else rotation[p]*R
            x[f,f'j{j}'] = position[j]
            if j in ends: x[f,f'j{j}_end'] = position[j]+rotation[j].apply(np.round(ends[j], 5))
    return x

def random_bvh(g, n_joints=9, n_frames=6):
    "Text of a BVH file with random tree, channels and orders, and the positions that scipy gives for it."
    parents = [-1]+[int(g.integers(0, j)) for j in range(1, n_joints)]
    offsets = g.normal(size=(n_joints,3))*20
    channels,values = {},{}
    for j in range(n_joints):
        channels[j] = random_channels(g, j==0)
        values[j] = g.uniform(-180, 180, (n_frames,len(channels[j]))).round(4)
    ends = {j:g.normal(size=3)*5 for j in range(n_joints) if j not in parents}
    lines = bvh_hierarchy(parents, offsets, channels, ends)
    lines += ['MOTION', f'Frames: {n_frames}', 'Frame Time: 0.008333']
    for row in np.concatenate([values[j] for j in depth_first(parents)], axis=1): lines.append(numbers(row, '{:.4f}'))
    return '\n'.join(lines)+'\n', bvh_by_scipy(parents, offsets, channels, values, ends)

def asf_bone(i, name, direction, size, axis, order, dof):
    "Lines of one bone."
    lines = [' begin', f'  id {i}', f'  name {name}', f'  direction {numbers(direction, "{:.8f}")}', f'  length {size}',
             f'  axis {numbers(axis, "{}")} {order.upper()}']
    if dof:
        lines.append('  dof '+' '.join(dof))
        lines += [('  limits ' if k==0 else '         ')+'(-180 180)' for k in range(len(dof))]
    return lines+[' end']

def turned(axes, angles, radians):
    "A rotation about fixed axes, which scipy writes in lower case."
    return Rotation.from_euler(axes, np.atleast_1d(angles), degrees=not radians) if axes else Rotation.identity()

def random_amc(g, n_bones=7, n_frames=5):
    "Texts of an ASF and an AMC file with random bones, axes, orders and units, and where scipy says the joints are."
    names = ['root']+[f'b{i}' for i in range(n_bones)]
    bones = names[1:]
    parents = {f'b{i}':names[int(g.integers(0, i+1))] for i in range(n_bones)}
    rad,amc_rad,length = bool(g.integers(2)),bool(g.integers(2)),float(g.choice([.45,1,2.5]))
    orders = {b:''.join(g.permutation(list('xyz'))) for b in names}
    axis = {b:g.uniform(-3,3,3).round(5) if rad else g.uniform(-180,180,3).round(4) for b in bones}
    direction = {}
    for b in bones:
        v = g.normal(size=3)
        direction[b] = v/np.linalg.norm(v)
    size = {b:round(float(g.uniform(.5,8)), 4) for b in bones}
    dof = {b:[f'r{a}' for a in g.permutation(list('xyz'))[:g.integers(0,4)]] for b in bones}
    dof['root'] = list(g.permutation(['tx','ty','tz','rx','ry','rz']))
    asf = [':version 1.10', ':name test', ':units', ' mass 1.0', f' length {length}',
           f' angle {"rad" if rad else "deg"}', ':documentation', ' text', ':root',
           ' order '+' '.join(d.upper() for d in dof['root']), ' axis XYZ', ' position 0 0 0', ' orientation 0 0 0',
           ':bonedata']
    for i,b in enumerate(bones, 1): asf += asf_bone(i, b, direction[b], size[b], axis[b], orders[b], dof[b])
    asf += [':hierarchy', ' begin']
    for p in names:
        children = [b for b in bones if parents[b]==p]
        if children: asf.append(f'  {p} '+' '.join(children))
    asf.append(' end')
    amc = ['# made up', ':FULLY-SPECIFIED', ':RADIANS' if amc_rad else ':DEGREES']
    x = {}
    for f in range(n_frames):
        values = {}
        for b in names:
            n = len(dof[b])
            values[b] = (g.uniform(-3,3,n) if amc_rad else g.uniform(-180,180,n)).round(5)
        amc += [str(17+f)]+[f'{b} {numbers(values[b], "{}")}' for b in names if dof[b]]
        rotations = [k for k,d in enumerate(dof['root']) if d[0]=='r']
        rotation = {'root':turned(''.join(dof['root'][k][1] for k in rotations), values['root'][rotations], amc_rad)}
        end = {'root':np.array([values['root'][dof['root'].index(f't{a}')] for a in 'xyz'])/length}
        x[f,'root'] = end['root']
        for b in bones:
            C = turned(orders[b], axis[b], rad)
            R = turned(''.join(d[1] for d in dof[b]), values[b], amc_rad)
            rotation[b] = rotation[parents[b]]*C*R*C.inv()
            x[f,b] = end[parents[b]]
            end[b] = end[parents[b]]+rotation[b].apply(np.round(direction[b], 8)*size[b]/length)
            if b not in parents.values(): x[f,f'{b}_end'] = end[b]
    return '\n'.join(asf)+'\n', '\n'.join(amc)+'\n', x

def same(m, x):
    assert {n for _,n in x}==set(m.names) and all(p<j for j,p in enumerate(m.parents))
    for (f,n),v in x.items(): np.testing.assert_allclose(m.positions[f,m.names.index(n)], v, atol=2e-3, rtol=1e-5)

def bvh_of(rest, frames=3, names=JOINT_NAMES, parents=PARENTS, fps=20, number='{:.9g}'):
    "A BVH file of a standing body that does not move."
    lines = ['HIERARCHY']
    def write(j):
        p = parents[j]
        offset = rest[j]-rest[p] if p>=0 else rest[j]
        lines.extend([f'{"JOINT" if p>=0 else "ROOT"} {names[j]}', '{', f'OFFSET {numbers(offset, number)}',
                      'CHANNELS 3 Zrotation Xrotation Yrotation'])
        children = [k for k,parent in enumerate(parents) if parent==j]
        for k in children: write(k)
        if not children: lines.extend(['End Site', '{', 'OFFSET 0 0 0', '}'])
        lines.append('}')
    write(0)
    still = ' '.join(['0']*3*len(names))
    lines += ['MOTION', f'Frames: {frames}', f'Frame Time: {1/fps:.7f}']+[still]*frames
    return '\n'.join(lines)+'\n'

# ---- positions

@pytest.mark.parametrize('seed', range(25))
def test_bvh_as_scipy(seed, tmp_path):
    text,x = random_bvh(np.random.default_rng(seed), n_joints=1+seed%12)
    (tmp_path/'a.bvh').write_text(text)
    m = read_bvh(tmp_path/'a.bvh')
    same(m, x)
    assert abs(m.fps-120)<.01

@pytest.mark.parametrize('seed', range(25))
def test_amc_as_scipy(seed, tmp_path):
    asf,amc,x = random_amc(np.random.default_rng(seed), n_bones=1+seed%9)
    (tmp_path/'s.asf').write_text(asf)
    (tmp_path/'s_1.amc').write_text(amc)
    same(read_amc(tmp_path/'s_1.amc'), x)

def test_odd_but_legal_bvh(tmp_path):
    text,x = random_bvh(np.random.default_rng(3))
    path = tmp_path/'a.bvh'
    head,rows = text.split('Frame Time: 0.008333\n')
    number_a_line = head+'Frame Time: 0.008333\n'+'\n'.join(rows.split())
    upper = text.upper().replace('J','j').replace('jOINT','JOINT').replace('_END','_end')
    braces_beside = text.replace('{\n','{ ').replace('\n  {',' {')
    spaced = text.replace('Frames: 6','Frames:\t6').replace('Time: ','Time:')
    for odd in (text.replace('\n','\r\n'), '\ufeff'+text, text.replace(' ','\t'), text.lower(), upper,
                text.replace('\n','\n\n'), text.replace('MOTION','# a comment\nMOTION'), text.replace('\n','\r'),
                braces_beside, text.rstrip('\n'), spaced, number_a_line):
        path.write_bytes(odd.encode())
        same(read_bvh(path), x)

def test_odd_but_legal_amc(tmp_path):
    asf,amc,x = random_amc(np.random.default_rng(4))
    (tmp_path/'s.asf').write_bytes(('\ufeff'+asf.replace('\n','\r\n')).encode())
    path = tmp_path/'s_01.amc'
    with_rate = amc.replace(':FULLY-SPECIFIED',':fully-specified\n:SAMPLES-PER-SECOND 60')
    for odd in (amc.replace('\n','\r\n'), amc.replace(' ','\t'), amc.replace('\n','\n\n'),
                amc.replace('17\n','17\n# note\n'), with_rate):
        path.write_bytes(odd.encode())
        m = read_amc(path)
        same(m, x)
        assert m.fps==(60 if odd==with_rate else 120)

# ---- clips

@pytest.mark.parametrize('unit', UNITS)
@pytest.mark.parametrize('up', 'yz')
def test_units_and_axes(unit, up, tmp_path):
    rest = (y_up_from_z_up(STAND) if up=='y' else STAND)/UNITS[unit]
    (tmp_path/'s.bvh').write_text(bvh_of(rest))
    c = read_mocap(tmp_path/'s.bvh')
    np.testing.assert_allclose(canonical(c.joints), canonical(np.tile(STAND, (3,1,1))), atol=1e-5)
    assert c.joints[...,2].min()==0 and np.abs(c.joints[0,0,:2]).max()<1e-6
    assert abs(heading(c.joints[0]))<1e-5 and c.joints.dtype==np.float32
    assert c.captions==[] and (c.id,c.source,c.rig,c.fps)==('s','mocap','text2pose',20.)
    for child in np.linspace(.65, 1.25, 5):
        assert guess_unit(STAND[None]/UNITS[unit]*child)==unit or unit in ('inch','cmu') or child<.7

def test_options(tmp_path):
    path = tmp_path/'s.bvh'
    path.write_text(bvh_of(y_up_from_z_up(STAND)*100, frames=61, fps=60))
    for options,n in (({},21), (dict(seconds=.5),10), (dict(first_frame=1),20), (dict(fps=30),31)):
        assert len(read_mocap(path, **options).joints)==n
    np.testing.assert_allclose(np.ptp(read_mocap(path, unit='mm').joints[...,2]), np.ptp(STAND[:,2])/10, rtol=1e-4)
    assert np.ptp(read_mocap(path, up='z').joints[0,:,2])<.5  # as asked: now it lies
    half = read_mocap(path, joint_map={'head':['neck','head',.5]})
    assert half.rig=='text2pose'
    np.testing.assert_allclose(bone_lengths(half.joints)[0,14], bone_lengths(STAND)[14]/2, rtol=1e-4)
    (tmp_path/'map.json').write_text(json.dumps({j:j for j in JOINT_NAMES}))
    assert read_mocap(path, joint_map=tmp_path/'map.json').rig=='by hand'

@pytest.mark.parametrize('options,says', [
    (dict(unit='yard'), 'unit must be one of'),
    (dict(up='x'), "up must be 'y' or 'z'"),
    (dict(fps=0), 'fps must be'),
    (dict(fps=float('nan')), 'fps must be'),
    (dict(seconds=0), 'seconds must be'),
    (dict(first_frame=-1), 'first_frame must be'),
    (dict(first_frame=61), 'has 61 frames'),
    (dict(joint_map={'tail':'head'}), 'no joint is called'),
    (dict(joint_map={'head':'tail'}), "comes from 'tail', which .* does not have"),
    (dict(joint_map={'head':['neck']}), 'must be a name or'),
    (dict(joint_map={'head':['neck','head','half']}), 'must be a name or')])
def test_bad_options(options, says, tmp_path):
    path = tmp_path/'s.bvh'
    path.write_text(bvh_of(y_up_from_z_up(STAND)*100, frames=61, fps=60))
    with pytest.raises(ValueError, match=says): read_mocap(path, **options)

def test_bad_paths(tmp_path):
    with pytest.raises(ValueError, match='ends in .bvh or .amc'): read_mocap(tmp_path/'s.fbx')
    with pytest.raises(FileNotFoundError, match='is missing'): read_mocap(tmp_path/'none.bvh')
    with pytest.raises(FileNotFoundError, match='is missing'): read_mocap(tmp_path/'none.amc')

def test_resample():
    x = np.arange(61.)[:,None,None]*np.ones((1,22,3))
    np.testing.assert_array_equal(resample(x, 59.9988), x[::3])
    np.testing.assert_allclose(resample(x, 30.)[:,0,0], np.arange(41)*1.5)
    np.testing.assert_allclose(resample(x, 10.)[:,0,0], np.arange(121)/2)
    assert len(resample(x[:1], 30))==1

def test_which_skeleton(tmp_path):
    asf,amc,_ = random_amc(np.random.default_rng(1))
    for n in ('35','35_30','HDM_bd'): (tmp_path/f'{n}.asf').write_text(asf)
    for n in ('35_01','HDM_bd_walk_1'):
        (tmp_path/f'{n}.amc').write_text(amc)
        read_amc(tmp_path/f'{n}.amc')
    (tmp_path/'x.amc').write_text(amc)
    with pytest.raises(FileNotFoundError, match='3 .asf files, none named like it'): read_amc(tmp_path/'x.amc')
    assert read_amc(tmp_path/'x.amc', tmp_path/'35.asf').names==read_amc(tmp_path/'35_01.amc').names

# ---- bad files

def test_bombs_cost_nothing(tmp_path):
    path = tmp_path/'b.bvh'
    text = bvh_of(STAND)
    tracemalloc.start()
    deep_tree = ('HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n'+'JOINT b\n{\nOFFSET 0 0 1\n'*9000
                 +'End Site\n{\nOFFSET 0 0 0\n}\n'+'}\n'*9001)
    deep = deep_tree+'MOTION\nFrames: 20000\nFrame Time: .01\n'+'0\n'*20000
    endless = 'HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n'+'JOINT b\n{\nOFFSET 0 0 0\n'*100_000
    for bad,says in (
            (text.replace('Frames: 3','Frames: 1000000000000'), '1000000000000 frames declared, 3 present'),
            (text.replace('Frames: 3','Frames: '+'9'*5000), 'Frames must be'),
            (endless, 'more than 10,000 joints'),
            (deep, 'more than 50,000,000 points'),
            (text.replace('CHANNELS 3','CHANNELS 999999999'), 'CHANNELS needs a number'),
            (text.replace('0.0500000','1e-300'), 'Frame Time must be between'),
            (text.replace('JOINT head','JOINT '+'x'*10**6), '1 to 200 characters'),
            (text+'0 '*10**5, 'a frame has 66 numbers')):
        path.write_text(bad)
        with pytest.raises(ValueError, match=says) as e: read_bvh(path)
        assert str(path) in str(e.value) and len(str(e.value))<500
    assert tracemalloc.get_traced_memory()[1]<200e6
    tracemalloc.stop()
    path.write_text(deep_tree+'MOTION\nFrames: 2\nFrame Time: .01\n0\n0\n')
    m = read_bvh(path)
    assert len(m.names)==9002  # deep, but honest
    with pytest.raises(ValueError, match='no joint found'): joint_map_for(m)

def test_bad_bvh(tmp_path):
    text = bvh_of(STAND)
    path = tmp_path/'b.bvh'
    for bad,says in (
            ('', 'is empty'),
            ('\0\1', 'is not a text file'),
            ('hello', 'line 1: expected a keyword of BVH'),
            (text.replace('CHANNELS 3 Z','CHANNELS 4 Z',1), '4 channels declared, 3 named'),
            (text.replace('Frames: 3','Frames: 4'), '4 frames declared, 3 present'),
            (text.replace('Frames: 3','Frames: 2'), '2 frames declared, 3 present'),
            (text.replace('0 0 0\n','0 0 nan\n',1), 'OFFSET'),
            (text[:-20], 'a frame has 66 numbers'),
            (text.replace('Frame Time','Time'), 'expected "Frame Time: number"'),
            (text.replace('}\nMOTION','MOTION'), 'is still open'),
            (text.replace('MOTION','}\nMOTION'), 'without an open joint'),
            (text.replace('Zrotation','Wrotation',1), "cannot read the channel 'wrotation'"),
            (text.replace('\n0 0','\n1_0 0',1), "expected a number, found '1_0'"),
            (text.replace('\n0 0','\n٣ 0',1), 'expected a number')):
        path.write_text(bad)
        with pytest.raises(ValueError, match=says): read_bvh(path)

def test_bad_asf(tmp_path):
    asf,amc,_ = random_amc(np.random.default_rng(2))
    (tmp_path/'s.amc').write_text(amc)
    for bad,says in (
            ('', 'is empty'),
            ('x', 'no bones'),
            (asf.replace('dof','dof rw',1), 'degree of freedom'),
            (asf.replace('direction','direction a',1), 'direction needs 3 numbers'),
            (asf.replace(':hierarchy','',1), 's.asf'),
            (asf.replace('  root b0','  root b0 b99',1), "'b99', which is not a bone"),
            (asf.replace('  root b0','  root b0 b0',1), 'hangs in two places'),
            (asf.split(':hierarchy')[0], 'no hierarchy'),
            (asf.replace(' length ',' length -',1), 'positive scale'),
            (asf.replace('name b1\n','name b0\n',1), "a second bone called 'b0'")):
        (tmp_path/'s.asf').write_text(bad)
        with pytest.raises(ValueError, match=says): read_amc(tmp_path/'s.amc')

def test_bad_amc(tmp_path):
    asf,amc,_ = random_amc(np.random.default_rng(2))
    (tmp_path/'s.asf').write_text(asf)
    for bad,says in (
            ('', 'is empty'),
            ('# only\n', 'no frames'),
            (amc.replace('18\n','20\n'), 'expected frame 18, found 20'),
            (amc.rstrip('\n').rsplit('\n',1)[0], 'ends inside frame'),
            (amc+'22\n', 'ends inside frame 22'),
            (amc.replace('root ','root x',1), 'expected a number'),
            (amc.replace('root','toor',1), "'toor' is not a bone")):
        (tmp_path/'s.amc').write_text(bad)
        with pytest.raises(ValueError, match=says) as e: read_amc(tmp_path/'s.amc')
        assert 's.amc' in str(e.value)

# ---- folders

def test_folder(tmp_path):
    d = tmp_path/'d'
    (d/'sub'/'texts').mkdir(parents=True)
    for n in ('walk','sub/walk','sub/12_3','sub/Angry_FW','broken','.hidden'): (d/f'{n}.bvh').write_text(bvh_of(STAND))
    (d/'broken.bvh').write_text('HIERARCHY')
    (d/'sub'/'texts'/'Angry_FW.txt').write_text('an angry walk#an/DET angry/ADJ walk/NOUN#0.0#0.0\n')
    assert [i for i,_ in mocap_files(d)]==['broken','12_3','Angry_FW','sub-walk','walk']
    (d/'captions.jsonl').write_text(
        '{"id":"walk","text":"somebody walks"}\n\n{"id":"walk","text":"steps","kind":"label"}\n')
    said = []
    clips = read_mocap_folder(d, on_skip=said.append, licence='mine', source='home', splits={'walk':'test'})
    clips = {c.id:c for c in clips}
    assert list(clips)==['Angry_FW','sub-walk','walk'] and len(said)==2
    assert 'no MOTION part' in said[0] and '12_3.bvh: no caption' in said[1]
    walk,angry = clips['walk'],clips['Angry_FW']
    assert [(c.text,c.kind) for c in walk.captions]==[('somebody walks','human'),('steps','label')]
    assert (walk.split,walk.licence,walk.source)==('test','mine','home')
    assert angry.captions[0].kind=='human' and angry.split==split_of('Angry')
    with pytest.raises(ValueError, match='no MOTION part'): list(read_mocap_folder(d, strict=True))
    numbered = read_mocap_folder(d, ids=['12_3'], need_caption=False)
    assert [c.id for c in numbered]==['12_3'] and subject_of('12_3')=='12'
    with pytest.raises(ValueError, match="no capture file called 'x'"): list(read_mocap_folder(d, ids=['x']))
    (d/'captions.jsonl').write_text('{"id":"walk"}\n')
    with pytest.raises(ValueError, match='captions.jsonl, line 1'): list(read_mocap_folder(d))
    (tmp_path/'e').mkdir()
    with pytest.raises(ValueError, match='holds no .bvh or .amc'): list(read_mocap_folder(tmp_path/'e'))
    with pytest.raises(FileNotFoundError, match='expected a folder'): list(read_mocap_folder(tmp_path/'none'))

# ---- the raw files

DATA = Path(os.environ.get('TEXT2POSE_DATA') or '/nowhere')

def raw_pairs(folder):
    "(file, options for read_mocap, clip id) for every file of raw_mocap and every window of the 100STYLE file."
    for line in (folder/'raw_mocap'/'manifest.jsonl').read_text().splitlines():
        row = json.loads(line)
        path,clip = folder/'raw_mocap'/row['file'],row['clip']
        if clip.startswith('style100'):
            for w in range(6): yield path, dict(first_frame=599*w, seconds=10), f'{clip[:-2]}{w:02}'
        else: yield path, {}, clip

@pytest.mark.skipif(not (DATA/'raw_mocap').is_dir(), reason='TEXT2POSE_DATA does not hold raw_mocap')
def test_raw_files_give_realmocap22():
    pairs = list(raw_pairs(DATA))
    assert len({path for path,_,_ in pairs})==13
    theirs = {c.id:c.joints for c in read_realmocap22(DATA/'realmocap22', ('cmu','style100','hdm05','bandai'))}
    for path,options,id in pairs:
        ours = read_mocap(path, **options)
        assert ours.joints.shape==theirs[id].shape and ours.rig in RIGS
        d = np.linalg.norm(ours.joints-theirs[id], axis=-1)
        assert d.mean()<.002 and d.max()<.01, (path, d.mean(), d.max())
        motion = read_motion(path)
        auto,missing = auto_map(motion)
        assert list(auto)==JOINT_NAMES and missing==[]
        apart = np.linalg.norm(joints_22(motion)-joints_22(motion, auto), axis=-1).mean(0)>1e-3
        assert apart.sum()<=2, (find_rig(motion.names), apart)
