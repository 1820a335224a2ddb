"Poses at the edges of what there is, rules at their limits, drawings that are refused, and pose tables that are none."
import json, os, resource, subprocess, sys

import numpy as np, pyarrow as pa, pyarrow.parquet as pq, pytest, torch

import text2pose.data
from text2pose.data import (
    JOINT_NAMES, MIRROR_IDX, N_JOINTS, POSE_COLUMNS, POSE_DIM, RULES, Report, bone_lengths, body_axes, canonical,
    distinct_frames, draw_body, frame_faults, good_frames, heading, is_t_pose, joint_idx, mirror, own_poses, own_rows,
    plot_bodies, plot_pose, plot_poses, plot_sequence, plot_views, pose_faults, pose_table, read_pose_table, rotate_z,
    canonical_faces, table_faces, table_joints, table_report, with_report, write_pose_table)

OWN = {p['name']:p['joints'] for p in own_poses()}
STAND = OWN['standing']
POSES = np.stack(list(OWN.values()))

@pytest.fixture
def rng(): return np.random.default_rng(0)

@pytest.fixture
def plt():
    import matplotlib.pyplot as plt
    yield plt
    plt.close('all')

# Frame

def test_body_axes_of_any_orientation(rng):
    "Right angles and length 1, however the body is turned."
    rotations = np.linalg.qr(rng.normal(size=(200,3,3)))[0]
    left,forward,up = body_axes(STAND@rotations)
    for axis in (left,forward,up): assert np.abs(np.linalg.norm(axis, axis=-1)-1).max()<1e-6
    for a,b in ((left,forward), (forward,up), (up,left)): assert np.abs((a*b).sum(-1)).max()<1e-6

def test_heading_turns_with_the_body(rng):
    "Canonical poses of all kinds, turned by any angle, come back to themselves."
    angles = rng.uniform(-np.pi, np.pi, len(POSES))
    x = canonical(POSES)
    off = heading(rotate_z(x, angles))-heading(x)-angles
    assert np.abs((off+np.pi)%(2*np.pi)-np.pi).max()<1e-5
    assert np.abs(canonical(rotate_z(x, angles))-x).max()<1e-5

def test_canonical_bad_input():
    for shape in ((22,2), (21,3), (66,), (3,)):
        with pytest.raises(ValueError, match='poses must have shape'): canonical(np.zeros(shape))
    assert (canonical(STAND*0)==0).all()

@pytest.mark.parametrize('shape', [(22,3), (0,22,3), (4,22,3), (2,3,22,3)])
def test_canonical_any_number(rng, shape):
    x = STAND+rng.normal(size=shape)*.01+5
    poses = canonical(x)
    assert poses.shape==shape and poses.dtype==np.float32 and (poses[...,0,:]==0).all()
    assert np.allclose(bone_lengths(poses), bone_lengths(x), atol=1e-5)

@pytest.mark.parametrize('library', [np.asarray, torch.from_numpy])
def test_mirror_leaves_its_input_alone(library):
    x = library(POSES.copy())
    mirrored = mirror(x)
    assert type(mirrored) is type(x) and np.array_equal(x, POSES)
    assert np.allclose(bone_lengths(mirrored), np.asarray(bone_lengths(x))[:,[MIRROR_IDX[j]-1 for j in range(1,22)]])

# Faults

def test_pose_faults_bad_input():
    for bad,says in ((STAND, r'shape \(n, 22, 3\)'), (POSES*np.nan, 'NaN'), (POSES[:,:21], r'shape \(n, 22, 3\)')):
        with pytest.raises(ValueError, match=f'joints .*{says}'): pose_faults(bad)
        with pytest.raises(ValueError, match=f'joints of a clip .*{says}'): frame_faults(bad)

def test_a_point_is_no_body():
    faults = pose_faults(np.zeros((1,N_JOINTS,3)))
    assert faults['size'].all() and faults['limbs'].all()

@pytest.mark.parametrize('scale,found', [(.3,True), (.6,False), (1.,False), (1.5,False), (3.,True)])
def test_only_the_trunk_decides_about_size(scale, found):
    "Trunks of 0.25 to 0.9 m; proportions do not change with size, so nothing else is found."
    faults = pose_faults(STAND[None]*scale)
    assert faults.pop('size')==[found] and not np.any(list(faults.values()))

def test_rules_have_one_order():
    for n in (0,1,2,3): assert tuple(frame_faults(POSES[:n]))==RULES
    assert all(f.shape==(0,) and f.dtype==bool for f in frame_faults(POSES[:0]).values())

def test_spike():
    "25 cm away, and back: a joint that stays there has moved."
    clip = np.repeat(STAND[None], 9, 0)
    wrist = JOINT_NAMES.index('left_wrist')
    for metres,found in ((.24,False), (.26,True)):
        x = clip.copy()
        x[4,wrist,1] -= metres
        assert frame_faults(x)['spike'].tolist()==[i==4 and found for i in range(9)]
    x = clip.copy()
    x[4:,wrist,1] -= .3
    assert not frame_faults(x)['spike'].any()
    x = clip.copy()
    x[[0,-1],wrist,1] -= .3
    assert not frame_faults(x)['spike'].any()  # ends have one neighbour only

def test_calibration_only_at_the_ends():
    clip = np.repeat(STAND[None], 20, 0)
    clip[:3] = clip[8:10] = clip[-2:] = OWN['t_pose']
    assert is_t_pose(clip).sum()==7
    assert np.flatnonzero(frame_faults(clip)['calibration']).tolist()==[0,1,2,18,19]
    clip[:10] = OWN['t_pose']
    assert not frame_faults(clip)['calibration'].any()  # more than half: somebody's T-pose

def test_side_swap():
    "The shorter part goes, whichever comes first."
    for n_swapped in (6,14):
        clip = np.repeat(OWN['walking_left_forward'][None], 20, 0)
        clip[:n_swapped] = clip[:n_swapped][:,MIRROR_IDX]
        bad = np.flatnonzero(frame_faults(clip)['side swap']).tolist()
        assert bad==(list(range(6)) if n_swapped==6 else list(range(14,20)))

def test_bone_length():
    for factor,found in ((1.14,False), (1.16,True)):
        clip = np.repeat(STAND[None], 9, 0)
        clip[4,20] = clip[4,18]+factor*(clip[4,20]-clip[4,18])
        assert frame_faults(clip)['bone length'].tolist()==[i==4 and found for i in range(9)]

def test_a_frame_counts_once():
    clip = np.repeat(STAND[None], 9, 0)
    clip[4,20] += [1,1,0]  # limbs, bone length and spike
    faults = frame_faults(clip)
    assert [rule for rule in RULES if faults[rule][4]]==['limbs','bone length','spike']
    good,dropped = good_frames(clip)
    assert dropped=={'limbs':1} and good.sum()==8

def test_distinct_frames():
    creep = STAND+np.arange(10)[:,None,None]*np.array([.007,0,0])
    assert np.flatnonzero(distinct_frames(creep)).tolist()==[0,3,6,9]  # measured from the last one kept
    assert distinct_frames(creep[:0]).shape==(0,)

# Drawing

def test_drawing_bad_input(plt):
    for bad,says in ((POSES[:2], 'use plot_poses for several'), (STAND[:21], r'got \(21, 3\)'), (STAND*np.nan, 'NaN')):
        with pytest.raises(ValueError, match=says): plot_pose(bad)
    for bad in (STAND, POSES[:,:21], np.zeros((2,66))):
        with pytest.raises(ValueError, match=r'plot_poses draws poses of shape \(n, 22, 3\)'): plot_poses(bad)

def test_grid(plt):
    assert len(plot_poses(POSES[:5], n_cols=3).axes)==6
    assert len(plot_poses(POSES[:5]).axes)==5
    assert len(plot_poses(POSES[:0]).axes)==1  # no pose, an empty picture

def test_title_is_no_formula(plt):
    fig = plot_poses(POSES[:1], [r'a $\frac and a title that is longer than a line'])
    fig.canvas.draw()
    assert fig.axes[0].get_title().count('\n')==2

@pytest.mark.parametrize('library', [np.asarray, torch.from_numpy])
def test_sequence_of_a_list(plt, library):
    "First and last among those drawn, each with its own title; ghosts can be left out."
    run = [library(x) for x in POSES[:20]]
    fig = plot_sequence(run, list(range(20)), n=4, suptitle='a run', radius=1.5)
    assert [ax.get_title() for ax in fig.axes]==['0','6','13','19']
    ghostless = plot_sequence(run, n=4, ghosts=None)
    assert len(fig.axes[0].lines)==2*len(ghostless.axes[0].lines)==2*(N_JOINTS-1)
    assert len(plot_sequence(run[:3], n=10).axes)==3

# Bodies

FRONT, BEHIND = dict(azim=0, elev=0), dict(azim=180, elev=0)

def _is_blue(picture): return picture[...,2].astype(int)-picture[...,0]>40

def _is_red(picture): return picture[...,0].astype(int)-picture[...,1]>55  # skin: less than 50

def _middle_column(mask): return np.flatnonzero(mask.any(0)).mean()

@pytest.mark.parametrize('size', [(240,300), (101,57), (16,16)])
def test_body_picture(size):
    picture = draw_body(STAND, size=size)
    assert picture.shape==(size[1],size[0],3) and picture.dtype==np.uint8
    assert np.array_equal(picture, draw_body(torch.from_numpy(STAND), size=size))
    assert len(np.unique(picture.reshape(-1,3), axis=0))>20

def test_left_is_blue_and_on_its_side():
    for view,sign in ((FRONT,1),(BEHIND,-1)):
        picture = draw_body(STAND, **view)
        assert sign*(_middle_column(_is_blue(picture))-_middle_column(_is_red(picture)))>20
    flipped = draw_body(mirror(STAND), **FRONT)
    assert np.abs(_is_blue(flipped).sum()/_is_blue(draw_body(STAND, **FRONT)).sum()-1)<.05

def test_what_is_in_front_hides():
    "A left forearm held before the chest is seen from the front only; one behind the back from behind only."
    for y in (-.25,.25):
        x = STAND.astype(np.float64)
        x[[joint_idx(f'left_{j}') for j in ('elbow','wrist')]] = [[.12,y,.3],[-.02,y,.3]]
        seen = {name:_is_blue(draw_body(x, **view, extent=2)) for name,view in (('front',FRONT),('behind',BEHIND))}
        middle = {name:mask[70:105,118:122].sum() for name,mask in seen.items()}
        assert (middle['front']>20 and middle['behind']==0) if y<0 else (middle['behind']>20 and middle['front']==0)

def _below_left_foot(x):
    "Brightness of the floor from the lowest blue pixel of the picture downwards."
    picture = draw_body(x, azim=0, elev=20, size=(480,600))
    row,col = np.argwhere(_is_blue(picture))[-1]
    return picture[row+4:row+120,col].mean(-1)

def test_a_lifted_foot_floats():
    "The shadow touches a foot that stands; below one 15 cm up there is lit floor first."
    lifted = STAND.copy()
    lifted[[joint_idx(f'left_{j}') for j in ('knee','ankle','foot')],2] += .15
    standing,floating = _below_left_foot(STAND),_below_left_foot(lifted)
    assert standing.argmin()<6 and standing.min()<standing.max()-40
    assert floating.argmin()>15 and floating[0]>floating.min()+4

def test_trunk_follows_the_spine():
    "Seen from the side, a spine joint that is pushed 10 cm back moves the back by about as much."
    def back(x):
        picture = draw_body(x, azim=90, elev=0, size=(480,600), floor=False)
        rows,cols = np.nonzero(picture.min(-1)<235)
        top,bottom = rows.min(),rows.max()
        waist = (rows>top+.3*(bottom-top))&(rows<top+.42*(bottom-top))
        heel = rows>bottom-5
        return (cols[waist].max()-cols[heel].max())/(bottom-top)*1.77
    bent = STAND.copy()
    bent[joint_idx('spine1'),1] += .1
    assert .07<back(bent)-back(STAND)<.12

def test_face_looks_where_it_is_told():
    "From the side that it looks to there is more skin than hair, from behind more hair."
    def skin(face, azim):
        r,g,b = draw_body(STAND, azim, 0, (480,600), face=face)[:100].astype(int).transpose(2,0,1)
        return ((r-b>40)&(r-g<55)).sum()
    for face,azim in (((0,-1,0),0), ((1,0,0),90), ((0,5,0),180)):
        assert skin(face, azim)>2*skin(face, azim+180)
    assert np.array_equal(draw_body(STAND, face=(0,-1,0)), draw_body(STAND, face=(0,-7.,0)))

AWKWARD = {
    'a point':STAND*0, 'far away':STAND*0+1e9, 'tiny':STAND*1e-6, 'huge':STAND*1e5, 'largest':STAND*1e38,
    'flat':STAND*[1,1,0], 'a line':STAND*[0,0,1], 'upside down':STAND*[1,-1,-1],
    'no spine':np.where(np.isin(np.arange(22), [3,6,9])[:,None], 0, STAND),
    'noise':np.random.default_rng(0).normal(size=(22,3))}

@pytest.mark.parametrize('name', AWKWARD)
@pytest.mark.filterwarnings('error')
def test_any_finite_pose_has_a_picture(name):
    x = AWKWARD[name].astype(np.float64)
    for azim,elev in ((35,12),(90,0),(0,90),(0,-90),(200,-20)):
        picture = draw_body(x, azim, elev)
        assert picture.std()>0 and np.array_equal(picture, draw_body(x, azim, elev))
        assert (_is_blue(picture)|_is_red(picture)|(picture.max(-1)<150)).any()  # there is a body

@pytest.mark.parametrize('change,says', [
    (dict(joints=STAND[:21]), r'joints of draw_body must have shape \(22, 3\), found \(21, 3\)'),
    (dict(joints=STAND*np.nan), 'joints of draw_body holds 66 NaN'),
    (dict(joints='x'), 'must hold an array of numbers'),
    (dict(face=(0,0,0)), 'face must be a direction'), (dict(face=(0,1)), r'face must have shape \(3\)'),
    (dict(azim=np.inf), 'azim and elev holds 1 NaN'), (dict(size=(240,8)), 'a whole number of at least 16'),
    (dict(size=(240.5,300)), 'a whole number of at least 16'), (dict(size=(9,)*3), 'size'), (dict(extent=0), 'extent')])
def test_body_bad_input(change, says):
    with pytest.raises(ValueError, match=says) as e: draw_body(**{'joints':STAND, **change})
    assert '\n' not in str(e.value)

def test_grid_of_bodies(plt):
    fig = plot_bodies(POSES[:5], list('abcde'), n_cols=3, size=1., suptitle='five', faces=np.tile([0,-1.,0], (5,1)))
    assert [ax.get_title() for ax in fig.axes]==list('abcde')
    assert fig.axes[0].images[0].get_array().shape==(100,160,3)  # two views beside each other
    boxes = [ax.get_window_extent() for ax in fig.axes]
    assert all(abs(b.width-160)<.5 and abs(b.height-100)<.5 for b in boxes)  # a pixel for a pixel
    assert boxes[3].y1<boxes[0].y0 and boxes[0].x1<boxes[1].x0
    def picture(faces): return plot_bodies(POSES[:1], faces=faces).axes[0].images[0].get_array()
    assert (picture([[np.nan]*3])==picture(None)).all() and (picture([[1,0,0]])!=picture(None)).any()
    assert len(plot_bodies(POSES[:0]).axes)==1  # no pose, an empty picture
    assert plot_bodies(POSES[:1], views=['front']).axes[0].images[0].get_array().shape==(200,160,3)

@pytest.mark.parametrize('change,says', [
    (dict(joints=STAND), r'plot_bodies draws poses of shape \(n, 22, 3\)'),
    (dict(views=['left']), "no view is called 'left'"),
    (dict(views=[]), 'at least one view'), (dict(titles=['a']), 'titles must be one per pose: 2 poses, got 1'),
    (dict(faces=np.zeros((1,3))), 'faces must be one per pose'),
    (dict(faces=[[0,0,0]]*2), 'face 0 must be a direction'),
    (dict(faces=[None,[0,np.nan,1]]), 'face 1 must be a direction'), (dict(faces=3), 'faces must be one per pose'),
    (dict(joints=POSES[:2]*np.nan), '66 NaN')])
def test_grid_of_bodies_bad_input(plt, change, says):
    with pytest.raises(ValueError, match=says): plot_bodies(**{'joints':POSES[:2], **change})

def test_views_by_name(plt):
    with pytest.raises(ValueError, match="no view is called 'left'; the views are front, side, behind, above, three-q"):
        plot_views(STAND, ['left'])

# Reports and tables

def test_report():
    assert str(Report())=='' and Report()+Report()==Report()
    report = Report()
    report.count('b', clips=1234, rows=np.int64(2))
    report.count('a', poses=1)
    report.dropped.update(spike=2, limbs=1)
    report.skip(ValueError('skipped: x is missing'))
    report.skip('y is missing')
    assert str(report).splitlines()==['a: 1 poses', 'b: 1,234 clips, 2 rows', 'frames left out: limbs 1, spike 2',
        'skipped: 2, the first: x is missing']
    assert Report.from_dict(json.loads(json.dumps(report.to_dict())))==report

@pytest.fixture(scope='module')
def table(): return pose_table(own_rows())

@pytest.mark.parametrize('change,says', [
    (dict(caption_kind='guess'), "caption_kind must be one of human, label, words, atlas, detailed, found 'guess'"),
    (dict(joints=np.full(POSE_DIM, np.nan, np.float32)), 'joints of the pose table holds 66 NaN'),
    (dict(joints=np.zeros(POSE_DIM, complex)), 'joints of the pose table must hold an array of numbers'),
    (dict(joints=np.zeros((22,3), np.float32)), r'joints of the pose table must have shape \(n, 66\)')])
def test_bad_rows(change, says):
    with pytest.raises(ValueError, match=says): pose_table([{**own_rows()[0], **change}])

def test_table_without_rows(tmp_path):
    write_pose_table(pose_table([]), tmp_path/'t.parquet')
    back = read_pose_table(tmp_path/'t.parquet')
    assert back.num_rows==0 and table_joints(back).shape==(0,22,3) and table_report(back)==Report()

@pytest.mark.parametrize('column', [c for c in POSE_COLUMNS if c!='face'])
def test_missing_column(tmp_path, table, column):
    path = tmp_path/'t.parquet'
    pq.write_table(table.drop([column]), path)
    with pytest.raises(ValueError, match=f'^{path} is no pose table: it lacks the column {column}$'):
        read_pose_table(path)

def test_faces_of_a_table(tmp_path):
    "A face that is known is kept as a unit vector; without one, and in a table of before the column, it is null."
    rows = own_rows()[:3]
    rows = [{**rows[0], 'face':[0,-3,4]}, {**rows[1], 'face':[np.nan]*3}, rows[2]]
    path = tmp_path/'t.parquet'
    write_pose_table(pose_table(rows), path)
    back = read_pose_table(path)
    assert np.allclose(table_faces(back), [[0,-.6,.8],[np.nan]*3,[np.nan]*3], equal_nan=True)
    assert np.allclose(table_faces(back.take([2,0])), [[np.nan]*3,[0,-.6,.8]], equal_nan=True)
    pq.write_table(back.drop(['face']), path)
    older = read_pose_table(path)
    assert older.column_names==list(POSE_COLUMNS) and np.isnan(table_faces(older)).all()
    with pytest.raises(ValueError, match='face 0 must be a direction'): pose_table([{**rows[0], 'face':[0,0,0]}])
    wrong = pa.array([[0,-3,4],None,None], pa.list_(pa.float32(), 3))
    pq.write_table(back.set_column(back.column_names.index('face'), 'face', wrong), path)
    with pytest.raises(ValueError, match='column face must hold unit vectors'): read_pose_table(path)

def test_canonical_faces():
    "Whatever the heading, a face keeps its angle to the body."
    angles = np.linspace(-3, 3, len(POSES))
    faces = np.random.default_rng(0).normal(size=(len(POSES),3))
    x = canonical(POSES)
    back = canonical_faces(rotate_z(faces[:,None], angles)[:,0], rotate_z(x, angles))
    assert np.abs(back-faces).max()<1e-4
    assert np.isnan(canonical_faces(faces*np.nan, x)).all()

def test_other_columns_are_left_out(tmp_path, table):
    more = table.append_column('note', pa.array(['x']*len(table))).select(['note', *POSE_COLUMNS[::-1]])
    pq.write_table(more, tmp_path/'t.parquet')
    assert read_pose_table(tmp_path/'t.parquet').column_names==list(POSE_COLUMNS)

def _with_column(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)

@pytest.mark.parametrize('name,value', [('frame','first'), ('frame',2**40), ('frame',None), ('caption',None),
    ('split',None), ('cluster',10**6), ('joints',None), ('joints',[0.]*65), ('joints',['a']*66)])
def test_wrong_type(tmp_path, table, name, value):
    path = tmp_path/'t.parquet'
    pq.write_table(_with_column(table, name, pa.array([value]*len(table))), path)
    with pytest.raises(ValueError, match=f'^{path} is no pose table: ') as e: read_pose_table(path)
    assert '\n' not in str(e.value)

def test_infinite_joints(tmp_path, table):
    path = tmp_path/'t.parquet'
    joints = pa.array([[float('inf')]*66]*len(table), pa.list_(pa.float32(), 66))
    pq.write_table(_with_column(table, 'joints', joints), path)
    with pytest.raises(ValueError, match=f'^{path}, column joints holds {66*len(table)} NaN or infinite'):
        read_pose_table(path)

def test_wider_types_are_cast(tmp_path, table):
    "Other writers use 64 bits."
    wide = _with_column(table, 'frame', table['frame'].cast(pa.int64()))
    wide = _with_column(wide, 'joints', pa.array(table['joints'].to_pylist(), pa.list_(pa.float64())))
    pq.write_table(wide, tmp_path/'t.parquet')
    assert read_pose_table(tmp_path/'t.parquet').equals(table)

def test_no_parquet(tmp_path, table):
    path = tmp_path/'t.parquet'
    with pytest.raises(FileNotFoundError, match='is missing: expected a pose table'): read_pose_table(path)
    with pytest.raises(FileNotFoundError, match='is a folder: expected a pose table'): read_pose_table(tmp_path)
    write_pose_table(table, path)
    whole = path.read_bytes()
    for content in (b'', b'PAR1', whole[:500], whole[:-1], whole[:-20]+bytes(20)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f'^{path} is not a readable Parquet file: ') as e: read_pose_table(path)
        assert '\n' not in str(e.value)

@pytest.mark.parametrize('stored', ['', '{', '[]', '1', '{"read":{}}', '{"read":{},"dropped":3,"skipped":[]}'])
def test_unreadable_report(table, stored):
    "A broken report does not make the poses unreadable."
    assert table_report(table.replace_schema_metadata({'text2pose':stored}))==Report()
    assert table_report(with_report(table, None))==Report()

# ---- hostile tables

def in_a_process(code, gigabytes=2):
    "Run code in a process that may take so much memory; its last line and peak in bytes."
    def limit(): resource.setrlimit(resource.RLIMIT_AS, (int(gigabytes*2**30),)*2)
    # VmHWM is that of the process itself; its ru_maxrss is at least that of the process that started it
    code += '\nprint(next(l.split()[1] for l in open("/proc/self/status") if l.startswith("VmHWM")))'
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, preexec_fn=limit, timeout=300)
    assert r.returncode==0, r.stderr[-2000:]
    *_,said,peak = r.stdout.splitlines()
    return said, 1024*int(peak)

def _shared(text, n): return pa.DictionaryArray.from_arrays(pa.array([0]*n, pa.int32()), [text])

def test_a_table_that_fills_the_memory(tmp_path, table):
    "A file of some kilobytes whose rows share a text, 3 GB in all."
    some = table.take(np.zeros(600, int))
    pq.write_table(_with_column(some, 'caption', _shared('x'*5_000_000, 600)), tmp_path/'t.parquet', compression='zstd')
    assert (tmp_path/'t.parquet').stat().st_size<100_000
    code = f"""from text2pose.data import read_pose_table
try: read_pose_table({str(tmp_path/'t.parquet')!r})
except ValueError as e: print(e)"""
    said,peak = in_a_process(code)
    assert said==f'{tmp_path}/t.parquet, column caption holds a text of 5,000,000 bytes; at most 65,536 are read'
    assert peak<500e6

@pytest.mark.parametrize('name,values,options,says', [
    ('codes', lambda n: _shared('x'*60_000, n), {}, 'has 30 MB when unpacked; at most'),
    ('clip', lambda n: pa.array(['x'*60_000]*n), dict(use_dictionary=False), 'has 30 MB when unpacked; at most'),
    ('clip', lambda n: pa.array([f'{"x"*1000}{i}' for i in range(n)]),
     dict(use_dictionary=False, column_encoding={'clip':'DELTA_BYTE_ARRAY'}), 'clip has the encoding DELTA_BYTE_ARRAY'),
    ('joints', lambda n: pa.array([[0.]*12_000]*n, pa.list_(pa.float32())), {}, 'when unpacked; at most')],
    ids=['shared','plain','prefixes','lists'])
def test_small_files_of_large_tables(tmp_path, table, monkeypatch, name, values, options, says):
    "With a limit that is lower than usual, so that this takes no time."
    monkeypatch.setattr(text2pose.data, '_max_table', lambda path: 2**24)
    n = 500
    some = table.take(np.zeros(n, int))
    pq.write_table(some, tmp_path/'good.parquet')
    assert len(read_pose_table(tmp_path/'good.parquet'))==n
    path = tmp_path/'t.parquet'
    pq.write_table(_with_column(some, name, values(n)), path, compression='zstd', **options)
    assert path.stat().st_size<200_000
    with pytest.raises(ValueError, match=f'{path}.*{says}'): read_pose_table(path)

def test_many_equal_rows(tmp_path, table, monkeypatch):
    monkeypatch.setattr(text2pose.data, '_max_table', lambda path: 2**20)
    pq.write_table(table.take(np.zeros(5000, int)), tmp_path/'t.parquet', compression='zstd')
    with pytest.raises(ValueError, match='t.parquet has [0-9]+ MB when unpacked'): read_pose_table(tmp_path/'t.parquet')

def test_only_our_columns_are_read(tmp_path, table):
    more = table.append_column('note', _shared('x'*5_000_000, len(table)))
    pq.write_table(more, tmp_path/'t.parquet')
    assert read_pose_table(tmp_path/'t.parquet').equals(table)

def test_changed_bytes_are_found(tmp_path, table):
    "Pages carry checksums: no table with a bit turned is read as another table."
    write_pose_table(table, tmp_path/'t.parquet')
    whole = (tmp_path/'t.parquet').read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(4, len(whole)-8, 40):
        changed = bytearray(whole)
        changed[at] ^= 1<<int(rng.integers(8))
        (tmp_path/'t.parquet').write_bytes(bytes(changed))
        try: back = read_pose_table(tmp_path/'t.parquet')
        except ValueError as e: assert f'{tmp_path}/t.parquet' in str(e) and '\n' not in str(e)
        else: assert back.equals(table)  # in what nobody reads: statistics, page headers

def test_tables_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path/'pipe.parquet')
    for path in (tmp_path/'pipe.parquet','/dev/zero'):
        with pytest.raises(FileNotFoundError, match='is no regular file: expected a pose table'): read_pose_table(path)

@pytest.mark.parametrize('stored', ['{"read":{"a":1},"dropped":{},"skipped":[]}', '['*100_000,
    '{"read":{"a":{"rows":"x"}},"dropped":{},"skipped":[]}', '{"read":{},"dropped":{"a":[]},"skipped":[]}',
    '{"read":{},"dropped":{},"skipped":[3]}', '{"read":{},"dropped":{},"skipped":[],"warned":[{}]}'])
def test_reports_of_other_things(table, stored):
    assert str(table_report(table.replace_schema_metadata({'text2pose':stored})))==''

@pytest.mark.parametrize('value', [np.nan, np.inf, 1e31, 1e300])
def test_canonical_of_no_numbers(value):
    joints = POSES[:2].astype(float)
    joints[1,3,0] = value
    with pytest.raises(ValueError, match='poses hold 1 values that are NaN or beyond'): canonical(joints)
