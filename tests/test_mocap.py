"BVH and ASF/AMC against a slow forward kinematics by scipy, odd but legal files, clear sentences for bad ones, and the raw files against realmocap22."
import json, os, time, tracemalloc
from pathlib import Path

import numpy as np, pytest
from scipy.spatial.transform import Rotation

from text2pose.data import JOINT_NAMES, PARENTS, bone_lengths, canonical, heading, own_poses, y_up_from_z_up
from text2pose.humanml3d import read_realmocap22
from text2pose.mocap import (
    Motion, RIGS, UNITS, auto_map, find_rig, guess_unit, joint_map_for, joints_22, mocap_files, read_amc, read_bvh,
    read_mocap, read_mocap_folder, resample, split_of, subject_of, words_of_name)

STAND = {p['name']:p['joints'] for p in own_poses()}['standing'].astype(float)

def random_bvh(g, n_joints=9, n_frames=6):
    "Text of a BVH file with random tree, channels and orders, and the positions that scipy gives for it."
    parents = [-1]+[int(g.integers(0, j)) for j in range(1, n_joints)]
    kids = {j:[k for k,p in enumerate(parents) if p==j] for j in range(n_joints)}
    order = []
    def visit(j):
        order.append(j)
        [visit(k) for k in kids[j]]
    visit(0)
    offsets = g.normal(size=(n_joints,3))*20
    channels,values = {},{}
    for j in range(n_joints):
        rot = [f'{a}rotation' for a in g.permutation(list('XYZ'))[:g.integers(0 if j else 1, 4)]]
        pos = [f'{a}position' for a in g.permutation(list('XYZ'))[:g.integers(0, 4)]]
        mixed = rot+pos
        channels[j] = [mixed[i] for i in g.permutation(len(mixed))]
        values[j] = g.uniform(-180, 180, (n_frames,len(mixed))).round(4)
    ends = {j:g.normal(size=3)*5 for j in range(n_joints) if not kids[j]}
    out = ['HIERARCHY']
    def write(j, pad):
        out.extend([f'{pad}{"JOINT" if j else "ROOT"} j{j}', pad+'{', f'{pad}  OFFSET '+' '.join(f'{v:.5f}' for v in offsets[j])])
        if channels[j]: out.append(f'{pad}  CHANNELS {len(channels[j])} '+' '.join(channels[j]))
        for k in kids[j]: write(k, pad+'  ')
        if j in ends:
            out.extend([pad+'  End Site', pad+'  {', pad+'    OFFSET '+' '.join(f'{v:.5f}' for v in ends[j]), pad+'  }'])
        out.append(pad+'}')
    write(0, '')
    rows = np.concatenate([values[j] for j in order], axis=1)
    out += ['MOTION', f'Frames: {n_frames}', 'Frame Time: 0.008333'] + [' '.join(f'{v:.4f}' for v in r) for r in rows]
    x = {}
    for f in range(n_frames):  # one frame, one joint, one angle at a time
        pos,rot = {},{}
        for j in order:
            o = np.round(offsets[j], 5).copy()
            R = Rotation.identity()
            for c,v in zip(channels[j], values[j][f]):
                if c.endswith('position'): o['XYZ'.index(c[0])] = v
                else: R = R*Rotation.from_rotvec(np.eye(3)['XYZ'.index(c[0])]*np.radians(v))
            p = parents[j]
            pos[j] = o if p<0 else pos[p]+rot[p].apply(o)
            rot[j] = R if p<0 else rot[p]*R
            x[f,f'j{j}'] = pos[j]
            if j in ends: x[f,f'j{j}_end'] = pos[j]+rot[j].apply(np.round(ends[j], 5))
    return '\n'.join(out)+'\n', x

def random_amc(g, n_bones=7, n_frames=5):
    "Texts of an ASF and an AMC file with random bones, axes, orders and units, and where scipy says the bones begin and end."
    names = ['root']+[f'b{i}' for i in range(n_bones)]
    parents = {f'b{i}':names[int(g.integers(0, i+1))] for i in range(n_bones)}
    rad,amc_rad,length = bool(g.integers(2)),bool(g.integers(2)),float(g.choice([.45,1,2.5]))
    orders = {b:''.join(g.permutation(list('xyz'))) for b in names}
    axis = {b:g.uniform(-3,3,3).round(5) if rad else g.uniform(-180,180,3).round(4) for b in names[1:]}
    direction = {b:(v:=g.normal(size=3))/np.linalg.norm(v) for b in names[1:]}
    size = {b:round(float(g.uniform(.5,8)), 4) for b in names[1:]}
    dof = {b:[f'r{a}' for a in g.permutation(list('xyz'))[:g.integers(0,4)]] for b in names[1:]}
    dof['root'] = list(g.permutation(['tx','ty','tz','rx','ry','rz']))
    lines = [':version 1.10',':name test',':units',' mass 1.0',f' length {length}',f' angle {"rad" if rad else "deg"}',':documentation',' text',':root',' order '+' '.join(d.upper() for d in dof['root']),
        ' axis XYZ',' position 0 0 0',' orientation 0 0 0',':bonedata']
    for i,b in enumerate(names[1:]):
        lines += [' begin',f'  id {i+1}',f'  name {b}','  direction '+' '.join(f'{v:.8f}' for v in direction[b]),f'  length {size[b]}','  axis '+' '.join(map(str, axis[b]))+f' {orders[b].upper()}']
        if dof[b]:
            lines += ['  dof '+' '.join(dof[b])]+[('  limits ' if k==0 else '         ')+'(-180 180)' for k in range(len(dof[b]))]
        lines.append(' end')
    lines += [':hierarchy',' begin']+[f'  {p} '+' '.join(c for c in names[1:] if parents[c]==p) for p in names if p in parents.values()]+[' end']
    # lower case: about fixed axes
    turned = lambda axes,angles,unit: Rotation.from_euler(axes, np.atleast_1d(angles), degrees=not unit) if axes else Rotation.identity()
    amc = ['# made up',':FULLY-SPECIFIED',':RADIANS' if amc_rad else ':DEGREES']
    x = {}
    for f in range(n_frames):
        v = {b:(g.uniform(-3,3,len(dof[b])) if amc_rad else g.uniform(-180,180,len(dof[b]))).round(5) for b in names}
        amc += [str(17+f)]+[f'{b} '+' '.join(map(str, v[b])) for b in names if dof[b]]
        end,rot = {},{}
        r = [k for k,d in enumerate(dof['root']) if d[0]=='r']
        rot['root'] = turned(''.join(dof['root'][k][1] for k in r), v['root'][r], amc_rad)
        end['root'] = np.array([v['root'][dof['root'].index(f't{a}')] for a in 'xyz'])/length
        x[f,'root'] = end['root']
        for b in names[1:]:
            C = turned(orders[b], axis[b], rad)
            rot[b] = rot[parents[b]]*C*turned(''.join(d[1] for d in dof[b]), v[b], amc_rad)*C.inv()
            x[f,b] = end[parents[b]]
            end[b] = end[parents[b]]+rot[b].apply(np.round(direction[b], 8)*size[b]/length)
            if b not in parents.values(): x[f,f'{b}_end'] = end[b]
    return '\n'.join(lines)+'\n', '\n'.join(amc)+'\n', x

def same(m, x):
    assert {n for _,n in x}==set(m.names) and all(p<j for j,p in enumerate(m.parents))
    for (f,n),v in x.items(): np.testing.assert_allclose(m.positions[f,m.names.index(n)], v, atol=2e-3, rtol=1e-5)

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

def test_odd_but_legal(tmp_path):
    text,x = random_bvh(np.random.default_rng(3))
    p = tmp_path/'a.bvh'
    for odd in (text.replace('\n','\r\n'), '\ufeff'+text, text.replace(' ','\t'), text.lower(), text.upper().replace('J','j').replace('jOINT','JOINT').replace('_END','_end'), text.replace('\n','\n\n'),
                text.replace('MOTION','# a comment\nMOTION'), text.replace('\n','\r'), text.replace('{\n','{ ').replace('\n  {',' {'), text.rstrip('\n'), text.replace('Frames: 6','Frames:\t6').replace('Time: ','Time:')):
        p.write_bytes(odd.encode())
        same(read_bvh(p), x)
    head,rows = text.split('Frame Time: 0.008333\n')
    p.write_text(head+'Frame Time: 0.008333\n'+'\n'.join(rows.split()))  # a number a line
    same(read_bvh(p), x)
    asf,amc,x = random_amc(np.random.default_rng(4))
    (tmp_path/'s.asf').write_bytes(('\ufeff'+asf.replace('\n','\r\n')).encode())
    q = tmp_path/'s_01.amc'
    for odd in (amc.replace('\n','\r\n'), amc.replace(' ','\t'), amc.replace('\n','\n\n'), amc.replace('17\n','17\n# note\n'), amc.replace(':FULLY-SPECIFIED',':fully-specified\n:SAMPLES-PER-SECOND 60')):
        q.write_bytes(odd.encode())
        m = read_amc(q)
        same(m, x)
        assert m.fps==(60 if 'SAMPLES' in odd else 120)

def bvh_of(rest, frames=3, names=JOINT_NAMES, parents=PARENTS, fps=20, number='{:.9g}'):
    "A BVH file of a standing body that does not move."
    out = ['HIERARCHY']
    def joint(j):
        kids = [k for k,p in enumerate(parents) if p==j]
        out.extend([('JOINT ' if parents[j]>=0 else 'ROOT ')+names[j], '{', 'OFFSET '+' '.join(number.format(v) for v in rest[j]-(rest[parents[j]] if parents[j]>=0 else 0)),
            'CHANNELS 3 Zrotation Xrotation Yrotation'])
        for k in kids: joint(k)
        if not kids: out.extend(['End Site','{','OFFSET 0 0 0','}'])
        out.append('}')
    joint(0)
    return '\n'.join(out+['MOTION',f'Frames: {frames}',f'Frame Time: {1/fps:.7f}']+[' '.join(['0']*3*len(names))]*frames)+'\n'

@pytest.mark.parametrize('unit', UNITS)
@pytest.mark.parametrize('up', 'yz')
def test_units_and_axes(unit, up, tmp_path):
    rest = (y_up_from_z_up(STAND) if up=='y' else STAND)/UNITS[unit]
    (tmp_path/'s.bvh').write_text(bvh_of(rest))
    c = read_mocap(tmp_path/'s.bvh')
    np.testing.assert_allclose(canonical(c.joints), canonical(np.tile(STAND, (3,1,1))), atol=1e-5)
    assert c.joints[...,2].min()==0 and np.abs(c.joints[0,0,:2]).max()<1e-6 and abs(heading(c.joints[0]))<1e-5 and c.joints.dtype==np.float32
    assert c.captions==[] and (c.id,c.source,c.rig,c.fps)==('s','mocap','text2pose',20.)
    for child in np.linspace(.65, 1.25, 5):
        assert guess_unit(STAND[None]/UNITS[unit]*child)==unit or unit in ('inch','cmu') or child<.7

def test_options(tmp_path):
    p = tmp_path/'s.bvh'
    p.write_text(bvh_of(y_up_from_z_up(STAND)*100, frames=61, fps=60))
    assert len(read_mocap(p).joints)==21 and len(read_mocap(p, seconds=.5).joints)==10 and len(read_mocap(p, first_frame=1).joints)==20 and len(read_mocap(p, fps=30).joints)==31
    np.testing.assert_allclose(np.ptp(read_mocap(p, unit='mm').joints[...,2]), np.ptp(STAND[:,2])/10, rtol=1e-4)
    assert np.ptp(read_mocap(p, up='z').joints[0,:,2])<.5  # as asked: now it lies
    half = read_mocap(p, joint_map={'head':['neck','head',.5]})
    assert half.rig=='text2pose'
    np.testing.assert_allclose(bone_lengths(half.joints)[0,14], bone_lengths(STAND)[14]/2, rtol=1e-4)
    (tmp_path/'map.json').write_text(json.dumps({j:j for j in JOINT_NAMES}))
    assert read_mocap(p, joint_map=tmp_path/'map.json').rig=='by hand'
    for bad,says in ((dict(unit='yard'),'unit must be one of'),(dict(up='x'),"up must be 'y' or 'z'"),(dict(fps=0),'fps must be'),(dict(seconds=0),'seconds must be'),(dict(first_frame=-1),'first_frame must be'),
                     (dict(first_frame=61),'has 61 frames'),(dict(joint_map={'tail':'head'}),'no joint is called'),(dict(joint_map={'head':'tail'}),"comes from 'tail'"),(dict(joint_map={'head':['neck']}),'must be a name or'),
                     (dict(joint_map={'head':['neck','head','half']}),'must be a name or'),(dict(fps=float('nan')),'fps must be')):
        with pytest.raises(ValueError, match=says): read_mocap(p, **bad)
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

def test_bombs_cost_nothing(tmp_path):
    p = tmp_path/'b.bvh'
    text = bvh_of(STAND)
    tracemalloc.start()
    t = time.process_time()
    deep = 'HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n'+'JOINT b\n{\nOFFSET 0 0 1\n'*9000+'End Site\n{\nOFFSET 0 0 0\n}\n'+'}\n'*9001+'MOTION\nFrames: 20000\nFrame Time: .01\n'+'0\n'*20000
    for bad,says in ((text.replace('Frames: 3','Frames: 1000000000000'),'1000000000000 frames declared, 3 present'), (text.replace('Frames: 3','Frames: '+'9'*5000),'Frames must be'),
        ('HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n'+'JOINT b\n{\nOFFSET 0 0 0\n'*100_000,'more than 10,000 joints'), (deep,'more than 50,000,000 points'), (text.replace('CHANNELS 3','CHANNELS 999999999'),'CHANNELS needs a number'),
        (text.replace('0.0500000','1e-300'),'Frame Time must be between'), (text.replace('JOINT head','JOINT '+'x'*10**6),'1 to 200 characters'), (text+'0 '*10**5,'a frame has 66 numbers')):
        p.write_text(bad)
        with pytest.raises(ValueError, match=says) as e: read_bvh(p)
        assert str(p) in str(e.value) and len(str(e.value))<500
    assert tracemalloc.get_traced_memory()[1]<200e6
    tracemalloc.stop()
    p.write_text(deep.replace('Frames: 20000','Frames: 2').replace('0\n'*20000,'0\n'*2))
    m = read_bvh(p)
    assert len(m.names)==9002  # deep, but honest
    with pytest.raises(ValueError, match='no partner found'): joint_map_for(m)

def test_sentences(tmp_path):
    text = bvh_of(STAND)
    p = tmp_path/'b.bvh'
    for bad,says in (('','is empty'),('\0\1','is no text'),('hello','line 1: expected a keyword of BVH'),(text.replace('CHANNELS 3 Z','CHANNELS 4 Z',1),'4 channels declared, 3 named'),(text.replace('Frames: 3','Frames: 4'),'4 frames declared, 3 present'),
        (text.replace('Frames: 3','Frames: 2'),'2 frames declared, 3 present'),(text.replace('0 0 0\n','0 0 nan\n',1),'OFFSET'),(text[:-20],'a frame has 66 numbers'),(text.replace('Frame Time','Time'),'expected "Frame Time: number"'),
        (text.replace('}\nMOTION','MOTION'),'is still open'),(text.replace('MOTION','}\nMOTION'),'without an open joint'),(text.replace('Zrotation','Wrotation',1),"cannot read the channel 'wrotation'"),
        (text.replace('\n0 0','\n1_0 0',1),"expected a number, found '1_0'"),(text.replace('\n0 0','\n٣ 0',1),'expected a number')):
        p.write_text(bad)
        with pytest.raises(ValueError, match=says): read_bvh(p)
    asf,amc,_ = random_amc(np.random.default_rng(2))
    a,q = tmp_path/'s.asf',tmp_path/'s.amc'
    q.write_text(amc)
    for bad,says in (('','is empty'),('x','no bones'),(asf.replace('dof','dof rw',1),'degree of freedom'),(asf.replace('direction','direction a',1),'direction needs 3 numbers'),(asf.replace(':hierarchy','',1),'before'),
        (asf.replace('  root b0','  root b0 b99',1),"'b99', which is no bone"),(asf.replace('  root b0','  root b0 b0',1),'hangs in two places'),(asf.split(':hierarchy')[0],'no hierarchy'),(asf.replace(' length ',' length -',1),'positive scale'),
        (asf.replace('name b1\n','name b0\n',1),"a second bone called 'b0'")):
        a.write_text(bad)
        with pytest.raises(ValueError, match=says if says!='before' else 's.asf'): read_amc(q)
    a.write_text(asf)
    for bad,says in (('','is empty'),('# only\n','no frames'),(amc.replace('18\n','20\n'),'expected frame 18, found 20'),(amc.rstrip('\n').rsplit('\n',1)[0],'ends inside frame'),(amc+'22\n','ends inside frame 22'),
        (amc.replace('root ','root x',1),'expected a number'),(amc.replace('root','toor',1),"'toor' is no bone")):
        q.write_text(bad)
        with pytest.raises(ValueError, match=says) as e: read_amc(q)
        assert 's.amc' in str(e.value)

def test_folder(tmp_path):
    d = tmp_path/'d'
    (d/'sub'/'texts').mkdir(parents=True)
    for n in ('walk','sub/walk','sub/12_3','sub/Angry_FW','broken','.hidden'): (d/f'{n}.bvh').write_text(bvh_of(STAND))
    (d/'broken.bvh').write_text('HIERARCHY')
    (d/'sub'/'texts'/'Angry_FW.txt').write_text('an angry walk#an/DET angry/ADJ walk/NOUN#0.0#0.0\n')
    assert [i for i,_ in mocap_files(d)]==['broken','12_3','Angry_FW','sub-walk','walk']
    (d/'captions.jsonl').write_text('{"id":"walk","text":"somebody walks"}\n\n{"id":"walk","text":"steps","kind":"label"}\n')
    said = []
    clips = {c.id:c for c in read_mocap_folder(d, on_skip=said.append, licence='mine', source='home', splits={'walk':'test'})}
    assert list(clips)==['Angry_FW','sub-walk','walk'] and len(said)==2 and 'no MOTION part' in said[0] and '12_3.bvh: no caption' in said[1]
    assert [(c.text,c.kind) for c in clips['walk'].captions]==[('somebody walks','human'),('steps','label')] and clips['Angry_FW'].captions[0].kind=='human'
    assert (clips['walk'].split,clips['walk'].licence,clips['walk'].source)==('test','mine','home') and clips['Angry_FW'].split==split_of('Angry')
    with pytest.raises(ValueError, match='no MOTION part'): list(read_mocap_folder(d, strict=True))
    assert [c.id for c in read_mocap_folder(d, ids=['12_3'], need_caption=False)]==['12_3'] and subject_of('12_3')=='12'
    with pytest.raises(ValueError, match="no capture file called 'x'"): list(read_mocap_folder(d, ids=['x']))
    (d/'captions.jsonl').write_text('{"id":"walk"}\n')
    with pytest.raises(ValueError, match='captions.jsonl, line 1'): list(read_mocap_folder(d))
    (tmp_path/'e').mkdir()
    with pytest.raises(ValueError, match='holds no .bvh or .amc'): list(read_mocap_folder(tmp_path/'e'))
    with pytest.raises(FileNotFoundError, match='expected a folder'): list(read_mocap_folder(tmp_path/'none'))

DATA = os.environ.get('TEXT2POSE_DATA')

def raw_pairs(folder):
    for r in map(json.loads, (folder/'raw_mocap'/'manifest.jsonl').read_text().splitlines()):
        path = folder/'raw_mocap'/r['file']
        if r['clip'].startswith('style100'):
            yield from ((path, dict(first_frame=599*w, seconds=10), f'{r["clip"][:-2]}{w:02}') for w in range(6))
        else: yield path, {}, r['clip']

@pytest.mark.skipif(not DATA or not (Path(DATA or '')/'raw_mocap').is_dir(), reason='TEXT2POSE_DATA does not hold raw_mocap')
def test_raw_files_give_realmocap22():
    pairs = list(raw_pairs(Path(DATA)))
    assert len({p for p,_,_ in pairs})==13
    theirs = {c.id:c.joints for c in read_realmocap22(Path(DATA)/'realmocap22', ('cmu','style100','hdm05','bandai'))}
    for path,options,id in pairs:
        mine = read_mocap(path, **options)
        assert mine.joints.shape==theirs[id].shape and mine.rig in RIGS
        d = np.linalg.norm(mine.joints-theirs[id], axis=-1)
        assert d.mean()<.002 and d.max()<.01, (path, d.mean(), d.max())
        auto = auto_map(m:=Motion(**{**vars(read_bvh(path) if path.suffix=='.bvh' else read_amc(path))}))[0]
        assert list(auto)==JOINT_NAMES
        apart = np.linalg.norm(joints_22(m)-joints_22(m, auto), axis=-1).mean(0)>1e-3
        assert apart.sum()<=2, (find_rig(m.names), apart)
