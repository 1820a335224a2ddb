"""BVH and ASF/AMC against a slow forward kinematics by scipy; odd but legal files; clear sentences for bad ones;
the raw files against realmocap22."""
import json, os, tracemalloc
from pathlib import Path

import numpy as np, pytest
from scipy.spatial.transform import Rotation

from text2pose.captions import clip_rows
from text2pose.data import (
    JOINT_NAMES, PARENTS, Caption, Clip, Report, bone_lengths, canonical, heading, own_poses, y_up_from_z_up)
from text2pose.humanml3d import read_realmocap22
from text2pose.mocap import (
    AXES, RIGS, UNITS, auto_map, find_rig, guess_unit, joint_map_for, joints_22, mocap_files, read_amc, read_bvh,
    read_mocap, read_mocap_folder, read_motion, read_rig, resample, split_of, subject_of)

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

# ---- rigs as people have them: one body, many ways to write it

def _t_pose():
    "The standing body with its arms out to the sides, its spine a little bent, on the floor."
    x = STAND.copy()
    x[[3,6,9,12,15],1] += [.01,.015,.01,.025,-.01]
    for side,sign in (('left',1),('right',-1)):
        shoulder,elbow,wrist = (JOINT_NAMES.index(f'{side}_{p}') for p in ('shoulder','elbow','wrist'))
        x[elbow] = x[shoulder]+[sign*.28,0,0]
        x[wrist] = x[elbow]+[sign*.25,0,0]
    return x-[0,0,x[:,2].min()]

T_POSE = _t_pose()
TIPS = dict(head=[0,0,.18], left_wrist=[.16,0,0], right_wrist=[-.16,0,0], left_foot=[0,-.07,0], right_foot=[0,-.07,0])

def axes_with(up):
    "A rotation that takes Z up to another axis up."
    angles = dict(zip(('z','y','-z','-y'), (0,-90,180,90)))
    if up in angles: return Rotation.from_euler('x', angles[up], degrees=True)
    return Rotation.from_euler('y', 90 if up=='x' else -90, degrees=True)

def rig_tree(names, inserted=(), added=()):
    """The joints of a rig, parents first: name, parent, offset (metres, Z up), our joint or None.

    names: one for each of our joints, None for one that the rig lacks; inserted: (name, our joint, share), between our
    joint and its parent; added: (name, parent, offset)."""
    rows,above = [],{}  # above: of each joint of ours, where its children hang and how far away it is from there
    for j,name in enumerate(names):
        parent,far = above[PARENTS[j]] if j else (None,np.zeros(3))
        offset = far+(T_POSE[j]-T_POSE[PARENTS[j]] if j else T_POSE[0])
        done = 0.
        for new,ours,share in inserted:
            if ours!=JOINT_NAMES[j]: continue
            rows.append((new, parent, offset*(share-done), None))
            parent,done = new,share
        if name is None: above[j] = parent,offset*(1-done)
        else:
            rows.append((name, parent, offset*(1-done), JOINT_NAMES[j]))
            above[j] = name,np.zeros(3)
    return rows+[(name, parent, np.array(offset, float), None) for name,parent,offset in added]

def own_capture(tree, up='y', metres=.01, n=8, seed=0, zero=False, rest_up=None, root=None, amount=12., tips=TIPS,
                extra=None):
    """Text of a BVH file of somebody who stands and moves, and where our joints are: (n, 22, 3), metres, Z up.

    rest_up: the axis along which the rest pose stands, if another; zero: OFFSET 0 and positions in the channels;
    root: the pelvis stays there (metres); amount: degrees; extra: our joint → further turn."""
    g = np.random.default_rng(seed)
    turn,rest_turn = axes_with(up),axes_with(rest_up or up)
    local,world,place = {},{},{}
    for name,parent,offset,ours in tree:
        wander = np.radians(amount)*np.cumsum(g.normal(size=(n,3))*.35, 0)
        local[name] = Rotation.from_rotvec(wander*(ours is not None))  # what is not ours does not turn
        if parent is None: local[name] = Rotation.from_rotvec(wander*.3)
        if extra and ours in extra: local[name] = local[name]*extra[ours]
        if parent is None:
            path = np.array(T_POSE[0]) if root is None else np.array(root, float)
            place[name],world[name] = path+np.linspace(0, .2, n)[:,None]*[1,-1,0]*(root is None), local[name]
        else:
            place[name] = place[parent]+world[parent].apply(offset)
            world[name] = world[parent]*local[name]
    truth = np.full((n,22,3), np.nan)
    for name,_,_,ours in tree:
        if ours: truth[:,JOINT_NAMES.index(ours)] = place[name]
    lines,order = ['HIERARCHY'],[]
    def channels(parent):
        positions = '6 Xposition Yposition Zposition' if zero or parent is None else '3'
        return f'CHANNELS {positions} Zrotation Xrotation Yrotation'
    def write(name, parent, offset, ours):
        order.append(name)
        written = 0*offset if zero else rest_turn.apply(offset)/metres
        lines.extend([f'{"ROOT" if parent is None else "JOINT"} {name}', '{', f'OFFSET {numbers(written, "{:.7g}")}',
                      channels(parent)])
        children = [row for row in tree if row[1]==name]
        for row in children: write(*row)
        if not children:
            tip = rest_turn.apply(np.array(tips.get(ours, [0,0,0]), float))/metres
            lines.extend(['End Site', '{', f'OFFSET {numbers(0*tip if zero else tip, "{:.7g}")}', '}'])
        lines.append('}')
    write(*tree[0])
    rows = {name:(parent,offset) for name,parent,offset,_ in tree}
    lines += ['MOTION', f'Frames: {n}', 'Frame Time: 0.05']
    for f in range(n):
        frame = []
        for name in order:
            parent,offset = rows[name]
            R = rest_turn*local[name][f]*rest_turn.inv()
            if parent is None:
                R = turn*local[name][f]*rest_turn.inv()
                frame += list(turn.apply(place[name][f])/metres)
            elif zero: frame += list(rest_turn.apply(offset)/metres)
            frame += list(R.as_euler('ZXY', degrees=True))
        lines.append(numbers(frame, '{:.7f}'))
    return '\n'.join(lines)+'\n', truth

def sided(trunk, limbs, sides=('Left','Right')):
    "22 names in our order, from those of the trunk and of a limb, where # is the side; - for none, ~ for a blank."
    pelvis,*spine,neck,head = trunk.split()
    found = dict(zip(('pelvis','spine1','spine2','spine3','neck','head'), (pelvis,*spine,neck,head)))
    for side,word in zip(('left','right'), sides):
        for part,name in zip('hip knee ankle foot collar shoulder elbow wrist'.split(), limbs.split()):
            found[f'{side}_{part}'] = name.replace('#', word)
    return [None if found[j]=='-' else found[j].replace('~', ' ') for j in JOINT_NAMES]

MIXAMO = sided('Hips Spine Spine1 Spine2 Neck Head', '#UpLeg #Leg #Foot #ToeBase #Shoulder #Arm #ForeArm #Hand')
def prefixed(prefix, names=MIXAMO, suffix=''): return [f'{prefix}{n}{suffix}' for n in names]
def both(name, joint, share):
    "A joint to be inserted on both sides."
    return [(name.replace('#', side[0].upper()), f'{side}_{joint}', share) for side in ('left','right')]

UNREAL = sided('pelvis spine_01 spine_02 spine_03 neck_01 head',
               'thigh_# calf_# foot_# ball_# clavicle_# upperarm_# lowerarm_# hand_#', 'lr')
RIGIFY = sided('DEF-spine DEF-spine.001 DEF-spine.002 DEF-spine.003 DEF-spine.004 DEF-spine.006',
               'DEF-thigh.# DEF-shin.# DEF-foot.# DEF-toe.# DEF-shoulder.# DEF-upper_arm.# DEF-forearm.# DEF-hand.#', 'LR')
DAZ = sided('hip abdomenLower abdomenUpper chestLower neckLower head',
            '#ThighBend #Shin #Foot #Toe #Collar #ShldrBend #ForearmBend #Hand', 'lr')
SCHEMES = dict( # name → names, inserted, added
    mixamo=(prefixed('mixamorig:'), (), ()),
    mixamo_armature=(prefixed('Armature|mixamorig9:'), (), ()),
    motionbuilder=(prefixed('Character1_'), (), [('Character1_LeftHandThumb1','Character1_LeftHand',[.03,-.03,0])]),
    dot_numbers=(prefixed('', suffix='.001'), (), ()),
    jnt=(prefixed('', suffix='_jnt'), (), ()),
    glued=([n.lower() for n in MIXAMO], (), ()),
    vroid=(sided('J_Bip_C_Hips J_Bip_C_Spine J_Bip_C_Chest J_Bip_C_UpperChest J_Bip_C_Neck J_Bip_C_Head',
                 'J_Bip_#_UpperLeg J_Bip_#_LowerLeg J_Bip_#_Foot J_Bip_#_ToeBase J_Bip_#_Shoulder J_Bip_#_UpperArm '
                 'J_Bip_#_LowerArm J_Bip_#_Hand', 'LR'), (),
           [('J_Sec_Hair1_01','J_Bip_C_Head',[0,.05,.1]), ('J_Adj_L_FaceEye','J_Bip_C_Head',[.03,-.08,.05]),
            ('J_Sec_L_Bust1','J_Bip_C_UpperChest',[.08,-.1,0]), ('J_Bip_L_Thumb1','J_Bip_L_Hand',[.03,-.03,0])]),
    rigify=(RIGIFY, both('DEF-thigh.#.001','knee',.5)+both('DEF-upper_arm.#.001','elbow',.5)
            +both('DEF-forearm.#.001','wrist',.5)+[('DEF-spine.005','head',.5)],
            [('DEF-pelvis.L','DEF-spine',[.09,0,.03]), ('DEF-breast.L','DEF-spine.003',[.08,-.1,0]),
             ('DEF-jaw','DEF-spine.006',[0,-.05,0])]),
    rigify_names=([n.removeprefix('DEF-') for n in RIGIFY], (), ()),
    daz8=(DAZ, [(f'{s[0]}{n}', f'{s}_{j}', .5) for s in ('left','right')
                for n,j in (('ThighTwist','knee'), ('ShldrTwist','elbow'), ('ForearmTwist','wrist'))], ()),
    arkit=(sided('hips_joint spine_1_joint spine_4_joint spine_7_joint neck_1_joint head_joint',
                 '#_upLeg_joint #_leg_joint #_foot_joint #_toes_joint #_shoulder_1_joint #_arm_joint #_forearm_joint '
                 '#_hand_joint', ('left','right')),
           [('spine_2_joint','spine2',1/3), ('spine_3_joint','spine2',2/3), ('spine_5_joint','spine3',1/3),
            ('spine_6_joint','spine3',2/3), ('neck_2_joint','head',.3), ('neck_3_joint','head',.6),
            ('neck_4_joint','head',.8)],
           [('left_toesEnd_joint','left_toes_joint',[0,-.06,0]), ('jaw_joint','head_joint',[0,-.05,0]),
            ('left_handIndexStart_joint','left_hand_joint',[.04,0,0])]),
    mmd=(sided('下半身 上半身 上半身2 上半身3 首 頭', '#足 #ひざ #足首 #つま先 #肩 #腕 #ひじ #手首', '左右'),
         [('左腕捩','left_elbow',.5), ('左手捩','left_wrist',.5)],
         [('左足IK','下半身',[.1,0,-.8]), ('両目','頭',[0,-.05,.1]), ('左足D','下半身',[.086,0,-.064])]),
    mmd_kanji=(sided('下半身 上半身 上半身2 上半身3 首 頭', '#足 #膝 #足首 #つま先 #肩 #腕 #肘 #手首', '左右'), (), ()),
    mmd_romanised=(sided('kahanshin jouhanshin jouhanshin2 jouhanshin3 kubi atama',
                         '#_ashi #_hiza #_ashikubi #_tsumasaki #_kata #_ude #_hiji #_tekubi', ('hidari','migi')), (), ()),
    mmd_english=(sided('lower~body upper~body upper~body2 upper~body3 neck head',
                       'leg_# knee_# ankle_# toe_# shoulder_# arm_# elbow_# wrist_#', 'LR'), (),
                 [('leg~IK_L'.replace('~', ' '),'lower body',[.1,0,-.8])]),
    unreal=(UNREAL, (), [('thigh_twist_01_l','thigh_l',[0,0,-.2]), ('lowerarm_twist_01_r','lowerarm_r',[-.1,0,0]),
                         ('ik_hand_l','pelvis',[.3,0,.3]), ('index_01_l','hand_l',[.08,0,0])]),
    unity=(sided('Hips Spine Chest UpperChest Neck Head',
                 '#UpperLeg #LowerLeg #Foot #Toes #Shoulder #UpperArm #LowerArm #Hand'), (), ()),
    character_creator=(sided('CC_Base_Hip CC_Base_Waist CC_Base_Spine01 CC_Base_Spine02 CC_Base_NeckTwist01 CC_Base_Head',
                             'CC_Base_#_Thigh CC_Base_#_Calf CC_Base_#_Foot CC_Base_#_ToeBase CC_Base_#_Clavicle '
                             'CC_Base_#_Upperarm CC_Base_#_Forearm CC_Base_#_Hand', 'LR'), [('CC_Base_NeckTwist02','head',.5)],
                       [('CC_Base_L_ThighTwist01','CC_Base_L_Thigh',[0,0,0]), ('CC_Base_L_Mid1','CC_Base_L_Hand',[.1,0,0])]),
    xsens=(sided('Pelvis L5 L3 T8 Neck Head',
                 '#UpperLeg #LowerLeg #Foot #Toe #Shoulder #UpperArm #ForeArm #Hand'), [('T12','spine3',.5)], ()),
    xsens_joints=(sided('Hips Chest Chest2 Chest4 Neck Head', '#Hip #Knee #Ankle #Toe #Collar #Shoulder #Elbow #Wrist'), (), ()),
    neuron=(prefixed('Robot_'), (), ()),
    rokoko=(sided('hip spine1 spine2 chest neck head',
                  '#UpLeg #Leg #Foot #Toe #Shoulder #UpperArm #LowerArm #Hand', ('left','right')), (), ()),
    smpl=(sided('Pelvis Spine1 Spine2 Spine3 Neck Head', '#_Hip #_Knee #_Ankle #_Foot #_Collar #_Shoulder #_Elbow #_Wrist', 'LR'), (), ()),
    biped=(prefixed('Bip001 ', sided('Pelvis Spine Spine1 Spine2 Neck Head',
                  '#~Thigh #~Calf #~Foot #~Toe0 #~Clavicle #~UpperArm #~Forearm #~Hand', 'LR')), (),
           [('Bip001 L Toe0Nub','Bip001 L Toe0',[0,-.06,0])]),
    optitrack=(prefixed('Skeleton_', sided('Hip Ab Ab2 Chest Neck Head', '#Thigh #Shin #Foot #Toe #Shoulder #UArm #FArm #Hand', 'LR')), (), ()),
    advanced_skeleton=(sided('Root_M Spine1_M Spine2_M Chest_M Neck_M Head_M',
                             'Hip_# Knee_# Ankle_# Toes_# Scapula_# Shoulder_# Elbow_# Wrist_#', 'LR'), (), ()),
    kinect=(sided('SpineBase SpineLow SpineMid SpineShoulder Neck Head',
                  'Hip# Knee# Ankle# Foot# Collar# Shoulder# Elbow# Wrist#'), (), [('HandLeft','WristLeft',[.08,0,0])]),
    maya=(sided('cn_hip_jnt cn_spine1_jnt cn_spine2_jnt cn_chest_jnt cn_neck_jnt cn_head_jnt',
                '#_leg_jnt #_knee_jnt #_ankle_jnt #_ball_jnt #_clav_jnt #_shoulder_jnt #_elbow_jnt #_wrist_jnt', ('lf','rt')), (), ()),
    makehuman=(sided('root spine05 spine03 spine01 neck01 head',
                     'upperleg01.# lowerleg01.# foot.# toe1-1.# clavicle.# upperarm01.# lowerarm01.# wrist.#', 'LR'),
               both('pelvis.#','hip',.5)+both('upperleg02.#','knee',.5)+both('lowerleg02.#','ankle',.5)+both('shoulder01.#','shoulder',.6)
               +both('upperarm02.#','elbow',.5)+both('lowerarm02.#','wrist',.5)+[('neck02','head',.3), ('neck03','head',.6)], ()),
)

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
    if unit=='cmu':  # only believed where the joints are called as at CMU
        with pytest.raises(ValueError, match='m if the unit is cmu or .* m if the unit is inch; say which with unit='):
            read_mocap(tmp_path/'s.bvh')
    c = read_mocap(tmp_path/'s.bvh', unit='cmu' if unit=='cmu' else None)
    np.testing.assert_allclose(canonical(c.joints), canonical(np.tile(STAND, (3,1,1))), atol=1e-5)
    assert c.joints[...,2].min()==0 and np.abs(c.joints[0,0,:2]).max()<1e-6
    assert abs(heading(c.joints[0]))<1e-5 and c.joints.dtype==np.float32
    assert c.captions==[] and (c.id,c.source,c.rig,c.fps)==('s','mocap','text2pose',20.)

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
    (dict(up='up'), 'up must be one of x, y, z, -x, -y, -z'),
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
            (text.replace('Frames: 3','Frames: 1000000000000'), '1,000,000,000,000 frames are too many'),
            (text.replace('Frames: 3','Frames: '+'9'*5000), 'Frames must be'),
            (endless, 'more than 10,000 joints'),
            (deep, '20,000 frames of 9,002 joints are too many'),
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
            (text.replace('Frames: 3','Frames: 5'), '5 frames declared, 3 present'),
            (text.replace('Frames: 3','Frames: 1'), '1 frames declared, 3 present'),
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
            (amc.replace('18\n','18\n'+amc.split('18\n')[1].split('\n')[0]+'\n'), 'occurs twice in a frame'),
            (amc.replace(amc.split('18\n')[0].split('17\n')[1].split('\n')[1]+'\n','',1), 'the frame before lacks'),
            (amc+'22\n', 'ends inside frame 22'),
            (amc.replace('root ','root x',1), 'expected a number'),
            (amc.replace('root','toor',1), "'toor' is not a bone")):
        (tmp_path/'s.amc').write_text(bad)
        with pytest.raises(ValueError, match=says) as e: read_amc(tmp_path/'s.amc')
        assert 's.amc' in str(e.value)

# ---- rigs as people have them

def centred(x): return x-x[:,:1]

def read_text(folder, text, name='own.bvh', **options):
    "A clip from the text of a file; bytes stay as they are."
    (folder/name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_mocap(folder/name, **options)

def assert_found(clip, truth, but=(), mm=1.):
    "The joints are where they were made, as canonical poses; `but` names joints that the rig does not have."
    truth = truth[len(truth)-len(clip.joints):]
    kept = [j for j,name in enumerate(JOINT_NAMES) if name not in but]
    assert not np.isnan(truth[:,kept]).any()
    ours = clip.joints.astype(float)
    a,b = centred(ours)[:,kept],centred(truth)[:,kept]
    turn,_ = Rotation.align_vectors(b[0], a[0])  # a clip is turned about the vertical so that it begins facing −Y
    np.testing.assert_allclose(turn.apply([0,0,1]), [0,0,1], atol=2e-3)
    off = 1000*np.abs(turn.apply(a.reshape(-1,3)).reshape(a.shape)-b)
    far = {JOINT_NAMES[j]:round(float(off[:,k].max()), 1) for k,j in enumerate(kept) if off[:,k].max()>=mm}
    assert not far, far

@pytest.mark.parametrize('scheme', SCHEMES)
def test_names(scheme, tmp_path):
    text,truth = own_capture(rig_tree(*SCHEMES[scheme]), seed=len(scheme))
    assert_found(read_text(tmp_path, text), truth)

@pytest.mark.parametrize('encoding', ['utf-8','utf-8-sig','cp932','utf-16'])
def test_japanese_encodings(encoding, tmp_path):
    text,truth = own_capture(rig_tree(*SCHEMES['mmd']))
    assert_found(read_text(tmp_path, text.encode(encoding)), truth)

@pytest.mark.parametrize('up', AXES)
@pytest.mark.parametrize('scheme,metres', [('mixamo',.01), ('xsens_joints',1.), ('unreal',.0254)])
def test_up(up, scheme, metres, tmp_path):
    text,truth = own_capture(rig_tree(*SCHEMES[scheme]), up=up, metres=metres, seed=3)
    assert_found(read_text(tmp_path, text), truth)

@pytest.mark.parametrize('up', AXES)
@pytest.mark.parametrize('rest_up', AXES)
def test_rest_pose_and_frames_disagree(up, rest_up, tmp_path):
    text,truth = own_capture(rig_tree(*SCHEMES['smpl']), up=up, rest_up=rest_up, metres=1.)
    assert_found(read_text(tmp_path, text), truth)

def test_up_that_cannot_be_decided(tmp_path):
    text,truth = own_capture(rig_tree(*SCHEMES['mixamo']), up='z', rest_up='y', root=(0,0,0))
    with pytest.raises(ValueError, match='stands along z in 100 % of the frames, along y in the rest pose.*up='):
        read_text(tmp_path, text)
    assert_found(read_mocap(tmp_path/'own.bvh', up='z'), truth)
    with pytest.warns(UserWarning, match='own.bvh: the body lies or hangs in all 8 frames, with y up'):
        assert np.ptp(read_mocap(tmp_path/'own.bvh', up='y').joints[0,:,2])<.5

@pytest.mark.parametrize('up', ['y','-z'])
def test_somebody_lies(up, tmp_path):
    rest = own_capture(rig_tree(*SCHEMES['mixamo']), up=up, n=1)[0].split('MOTION')[0]
    turn = axes_with(up)*Rotation.from_euler('x', -89, degrees=True)*axes_with(up).inv()  # onto the back
    place = numbers(axes_with(up).apply([.1,.2,.12])/.01)
    frame = f'{place} {numbers(turn.as_euler("ZXY", degrees=True))} '+'0 '*63
    text = f'{rest}MOTION\nFrames: 2\nFrame Time: 0.05\n{frame}\n{frame}\n'
    with pytest.warns(UserWarning, match=f'lies or hangs in all 2 frames, with {up} up'):
        assert np.ptp(read_text(tmp_path, text).joints[0,:,2])<.5

@pytest.mark.parametrize('unit', UNITS)
@pytest.mark.parametrize('size', [.95,1.,1.08])
def test_units_of_adults(unit, size, tmp_path):
    from_cmu = [('LHipJoint','left_hip',0.), ('LowerBack','spine1',0.)] if unit=='cmu' else []
    text,truth = own_capture(rig_tree(SCHEMES['unity'][0], from_cmu), metres=UNITS[unit]/size)
    assert_found(read_text(tmp_path, text), truth*size)

@pytest.mark.parametrize('unit,size', [
    ('inch',.6), ('inch',.75), ('dm',.75), ('cm',.7), ('m',.5), ('mm',.5), ('foot',.7)])
def test_children(unit, size, tmp_path):
    text,truth = own_capture(rig_tree(*SCHEMES['mixamo']), metres=UNITS[unit]/size)
    assert_found(read_text(tmp_path, text), truth*size)

@pytest.mark.parametrize('unit,size,others', [
    ('cm',.5,['inch']), ('cm',.46,['inch']), ('inch',1.2,['cm']), ('inch',.52,['cmu']), ('inch',.45,['cmu']),
    ('cmu',1.,['inch'])])
def test_units_that_cannot_be_decided(unit, size, others, tmp_path):
    text,truth = own_capture(rig_tree(*SCHEMES['mixamo']), metres=UNITS[unit]/size)
    with pytest.raises(ValueError) as e: read_text(tmp_path, text)
    said = str(e.value)
    metres = np.linalg.norm(np.diff(truth[:,[15,12,9,6,3,0,1,4,7]], axis=1), axis=-1).sum(-1).mean()*size
    for u in (unit,*others): assert f'{metres*UNITS[u]/UNITS[unit]:.2f} m if the unit is {u}' in said
    assert 'unit=' in said and '\n' not in said
    assert_found(read_mocap(tmp_path/'own.bvh', unit=unit), truth*size)
    comment = f'# units: {unit}\n'.replace('inch', 'inches')
    if unit!='cmu': assert_found(read_text(tmp_path, comment+text), truth*size)

def test_all_doubts_in_one_sentence(tmp_path):
    names = [n and n.replace('LeftHand', 'LeftQ').replace('RightToeBase', 'RightQ') for n in MIXAMO]
    text,_ = own_capture(rig_tree(names), up='z', rest_up='y', root=(0,0,0), metres=.02)
    with pytest.raises(ValueError) as e: read_text(tmp_path, text)
    said = str(e.value)
    assert 'no joint found for left_wrist among Hips' in said and said.count('own.bvh')==1
    assert 'm if the unit is cm or' in said and 'along y in the rest pose' in said
    for option in ('--joint-map','--unit','--up'): assert option in said
    joint_map = tmp_path/'map.json'
    joint_map.write_bytes(b'\xef\xbb\xbf'+json.dumps({'left_wrist':'LeftQ'}).encode())  # as Notepad saves it
    clip = read_mocap(tmp_path/'own.bvh', joint_map=joint_map, unit='cm', up='z')
    assert clip.rig=='by hand'

@pytest.mark.parametrize('up', AXES)
def test_offsets_of_zero(up, tmp_path):
    text,truth = own_capture(rig_tree(*SCHEMES['mixamo']), up=up, zero=True)
    assert 'OFFSET 0 0 0' in text or 'OFFSET -0' in text
    assert_found(read_text(tmp_path, text), truth)

@pytest.mark.parametrize('doubled,joint', [
    ('Neck','neck'), ('Head','head'), ('LeftUpLeg','left_hip'), ('RightLeg','right_knee'), ('LeftArm','left_shoulder'),
    ('RightForeArm','right_elbow'), ('LeftHand','left_wrist'), ('LeftToeBase','left_foot')])
def test_first_match_lies_on_its_parent(doubled, joint, tmp_path):
    names = [f'{n}1' if n==doubled else n for n in MIXAMO]
    text,truth = own_capture(rig_tree(names, [(doubled, joint, 0.)]), seed=5)
    assert_found(read_text(tmp_path, text), truth)

def test_cmu_for_motionbuilder(tmp_path):
    names = [f'{n}1' if n=='Neck' else n for n in MIXAMO]
    on_parent = dict(LHipJoint='left_hip', RHipJoint='right_hip', LowerBack='spine1', Neck='neck')
    inserted = [(name, joint, 0.) for name,joint in on_parent.items()]
    text,truth = own_capture(rig_tree(names, inserted), metres=UNITS['cmu'])
    assert_found(read_text(tmp_path, text), truth)

@pytest.mark.parametrize('lacking', [['neck'], ['spine2'], ['spine2','spine3'], ['spine1','spine2','spine3'],
                                     ['left_collar','right_collar'], ['neck','left_collar','right_collar']])
def test_joints_that_a_rig_lacks(lacking, tmp_path):
    names = [None if j in lacking else n for j,n in zip(JOINT_NAMES, MIXAMO)]
    text,truth = own_capture(rig_tree(names), amount=5.)
    whole = own_capture(rig_tree(MIXAMO), amount=0., n=1)[1]
    clip = read_text(tmp_path, text)
    assert_found(clip, truth, but=lacking, mm=2.)
    apart = np.abs(bone_lengths(clip.joints)-bone_lengths(whole)).max(0)  # a made joint is about where it should be
    assert apart.max()<.06, apart.round(3)

@pytest.mark.parametrize('suffix', ['ForeFoot','Toe','Ball'])
def test_forefoot_under_ankle(suffix, tmp_path):
    tree = []
    for name,parent,offset,ours in rig_tree(MIXAMO):
        if 'ToeBase' in name: name,offset,ours = name.replace('ToeBase', suffix),np.array([0,0,-.035]),f'tip of {ours}'
        tree.append((name, parent, offset, None if ours and 'tip' in ours else ours))
    text,_ = own_capture(tree, metres=.0254)
    text = text.replace('OFFSET 0 0 0', f'OFFSET {numbers(axes_with("y").apply([0,-.22,0])/.0254)}')
    x = read_text(tmp_path, text).joints[0]
    for ankle,foot in ((7,10),(8,11)):
        reach = x[foot]-x[ankle]
        assert .1<np.linalg.norm(reach)<.2 and reach[1]<-.1  # the ball of the foot, in front of the ankle

def test_toes_from_the_end_site(tmp_path):
    names = [None if j.endswith('foot') else n for j,n in zip(JOINT_NAMES, MIXAMO)]
    tips = {**TIPS, 'left_ankle':[.02,-.12,-.06], 'right_ankle':[-.02,-.12,-.06]}
    text,truth = own_capture(rig_tree(names), tips=tips)
    clip = read_text(tmp_path, text)
    assert_found(clip, truth, but=('left_foot','right_foot'))
    np.testing.assert_allclose(bone_lengths(clip.joints)[:,[9,10]], np.linalg.norm(tips['left_ankle']), atol=1e-3)
    with pytest.raises(ValueError, match='no joint found for left_foot, right_foot'):
        read_text(tmp_path, own_capture(rig_tree(names), zero=True)[0])

@pytest.mark.parametrize('upper,lower', [('UArm','FArm'), ('UA','FA'), ('Qx','Qy'), ('Arm1','Arm2')])
def test_arms_with_odd_names(upper, lower, tmp_path):
    names = sided('Hip Ab Ab2 Chest Neck Head', f'#Thigh #Shin #Foot #Toe #Shoulder #{upper} #{lower} #Hand', 'LR')
    text,truth = own_capture(rig_tree(names))
    assert_found(read_text(tmp_path, text), truth)
    elbows = dict(left_elbow=f'L{lower}', right_elbow=f'R{lower}')
    assert_found(read_mocap(tmp_path/'own.bvh', joint_map=elbows), truth)

def test_given_joints_win(tmp_path):
    text,_ = own_capture(rig_tree(MIXAMO))
    (tmp_path/'own.bvh').write_text(text)
    m = read_bvh(tmp_path/'own.bvh')
    given = dict(head='Neck', left_wrist=('LeftForeArm','LeftHand',.5))
    joints = read_rig(m, given).joints
    assert joints['head']=='Neck' and joints['left_wrist']==given['left_wrist'] and joints['left_elbow']=='LeftForeArm'
    assert (read_rig(m, unit='inch', up='-x').unit, read_rig(m, unit='inch', up='-x').up)==('inch','-x')

@pytest.mark.parametrize('declared', [7,9])
def test_one_frame_too_few_or_many(declared, tmp_path):
    text,truth = own_capture(rig_tree(MIXAMO))
    with pytest.warns(UserWarning, match=f'own.bvh, line .*: {declared} frames declared, 8 present; the 8 are read'):
        assert_found(read_text(tmp_path, text.replace('Frames: 8', f'Frames: {declared}')), truth)
    for more in (6,10,80):
        with pytest.raises(ValueError, match=f'{more} frames declared, 8 present'):
            read_text(tmp_path, text.replace('Frames: 8', f'Frames: {more}'))

def test_commas_and_missing_blanks(tmp_path):
    text,_ = own_capture(rig_tree(MIXAMO), metres=1.)
    with pytest.raises(ValueError, match="line 4: OFFSET needs 3 numbers, found '.*,"):
        read_text(tmp_path, text.replace('.', ','))
    head,rows = text.split('Frame Time: 0.05\n')
    words = rows.split(' ')
    glued = ' '.join([*words[:4], words[4].lstrip('-')+'-'+words[5].lstrip('-'), *words[6:]])
    with pytest.raises(ValueError, match='line .*: expected a number, found .*[0-9]-[0-9]'):
        read_text(tmp_path, f'{head}Frame Time: 0.05\n{glued}')

# ---- odd ASF and AMC

def amc_frame(values): return [f'{bone} {numbers(v, "{}")}' for bone,v in values.items()]

@pytest.mark.parametrize('seed', range(6))
def test_amc_in_any_order_and_one_child_a_line(seed, tmp_path):
    g = np.random.default_rng(seed)
    asf,amc,x = random_amc(g, n_bones=7)
    head,tree = asf.split(':hierarchy\n begin\n')
    children = [(row.split()[0],c) for row in tree.splitlines() if row!=' end' for c in row.split()[1:]]
    tree = '\n'.join(f'  {parent} {child}' for parent,child in children)
    lines = amc.splitlines()
    starts = [k for k,line in enumerate(lines) if line.isdigit()]+[len(lines)]
    shuffled = lines[:starts[0]]
    for a,b in zip(starts, starts[1:]): shuffled += [lines[a], *g.permutation(lines[a+1:b])]
    (tmp_path/'s.asf').write_text(f'{head}:hierarchy\n begin\n{tree}\n end\n')
    (tmp_path/'s_1.amc').write_text('\n'.join(shuffled)+'\n')
    same(read_amc(tmp_path/'s_1.amc'), x)

SLIDING_ASF = ''':units
 length 0.5
 angle deg
:root
 order TX TY TZ RX RY RZ
 axis XYZ
 position 0 0 0
 orientation 0 0 0
:bonedata
 begin
  id 1
  name arm
  direction 1 0 0
  length 15
  axis 0 0 0 XYZ
  dof rz
 end
 begin
  id 2
  name fore
  direction 0 1 0
  length 10
  axis 30 -40 50 XYZ
  dof DOF
 end
 begin
  id 3
  name hand
  direction 0 0 1
  length 5
  axis 0 0 0 XYZ
 end
:hierarchy
 begin
  root arm
  arm fore
  fore hand
 end
'''

@pytest.mark.parametrize('dof', ['tx ty tz','rz tx','l rx','ty l rx ry'])
def test_bones_that_slide_and_stretch(dof, tmp_path):
    g = np.random.default_rng(len(dof))
    values = g.uniform(-3, 3, (4,len(dof.split()))).round(3)
    turns = g.uniform(-90, 90, 4).round(3)
    (tmp_path/'s.asf').write_text(SLIDING_ASF.replace('DOF', dof))
    rows = [f'{f+1}\nroot 0 0 0 0 0 0\narm {turns[f]}\nfore {numbers(values[f], "{}")}' for f in range(4)]
    (tmp_path/'s_1.amc').write_text(':DEGREES\n'+'\n'.join(rows)+'\n')
    m = read_amc(tmp_path/'s_1.amc')
    C = Rotation.from_euler('xyz', [30,-40,50], degrees=True)
    for f in range(4):
        said = dict(zip(dof.split(), values[f]))
        arm = Rotation.from_euler('z', turns[f], degrees=True)
        slide = C.apply([said.get(f't{a}', 0) for a in 'xyz'])
        fore = arm.apply([15,0,0]+slide)/.5
        own = Rotation.from_euler('xyz', [said.get(f'r{a}', 0) for a in 'xyz'], degrees=True)
        hand = fore+(arm*C*own*C.inv()).apply([0,10+said.get('l', 0),0])/.5
        for name,place in (('fore',fore), ('hand',hand)):
            np.testing.assert_allclose(m.positions[f,m.names.index(name)], place, atol=1e-4)

def test_a_slide_without_numbers(tmp_path):
    (tmp_path/'s.asf').write_text(SLIDING_ASF.replace('DOF', 'tx rx rz'))
    (tmp_path/'s_1.amc').write_text('1\nroot 0 0 0 0 0 0\narm 0\nfore 10 20\n')
    with pytest.warns(UserWarning, match="'fore' has the degrees of freedom tx rx rz and 2 numbers in a frame"):
        m = read_amc(tmp_path/'s_1.amc')
    (tmp_path/'s.asf').write_text(SLIDING_ASF.replace('DOF', 'rx rz'))
    np.testing.assert_array_equal(m.positions, read_amc(tmp_path/'s_1.amc').positions)
    (tmp_path/'s_1.amc').write_text('1\nroot 0 0 0 0 0 0\narm 0\nfore 10\n')
    with pytest.raises(ValueError, match="line 4: 'fore' has 2 degrees of freedom, found 1 numbers"):
        read_amc(tmp_path/'s_1.amc')

# ---- what is said of folders

@pytest.mark.parametrize('encoding', ['utf-8','utf-8-sig','utf-16'])
def test_a_bad_caption_line_costs_the_line(encoding, tmp_path):
    text,_ = own_capture(rig_tree(MIXAMO))
    for name in ('a','b'): (tmp_path/f'{name}.bvh').write_text(text)
    lines = 'a man waves\na man waves#a/DET man/NOUN wave/VERB#0.0#0.0\n'
    (tmp_path/'a.txt').write_bytes(lines.encode(encoding))
    (tmp_path/'captions.jsonl').write_bytes('{"id":"b","text":"sits"}\n{"id":7}\n'.encode(encoding))
    said = []
    clips = {c.id:[t.text for t in c.captions] for c in read_mocap_folder(tmp_path, on_skip=said.append)}
    assert clips==dict(a=['a man waves'], b=['sits'])
    assert [s.split('/')[-1].split(':')[0] for s in said]==['captions.jsonl, line 2','a.txt, line 1']
    with pytest.raises(ValueError, match='captions.jsonl, line 2'): list(read_mocap_folder(tmp_path, strict=True))

def test_warnings_of_a_folder(tmp_path):
    text,_ = own_capture(rig_tree(MIXAMO))
    (tmp_path/'walk.bvh').write_text(text.replace('Frames: 8', 'Frames: 9'))
    said = []
    assert len(list(read_mocap_folder(tmp_path, on_warn=said.append)))==1
    assert len(said)==1 and 'walk.bvh' in said[0] and '9 frames declared, 8 present' in said[0]

def test_a_clip_that_loses_every_frame_is_named():
    x = np.repeat(STAND[None], 5, 0)
    x[:,15] = x[:,12]  # no neck
    report = Report()
    clip = Clip('walk', 'mocap', '', 'train', x, [Caption('walks', 'label')])
    assert clip_rows(clip, report=report)==[]
    assert report.skipped==['clip walk: all of its 5 frames are left out (spine 5)']

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
    (d/'captions.jsonl').write_text('{"id":"walk"}\n{"id":"walk","text":"walks"}\n')
    with pytest.raises(ValueError, match='captions.jsonl, line 1'): list(read_mocap_folder(d, strict=True))
    said = []
    assert [c.captions[0].text for c in read_mocap_folder(d, ids=['walk'], on_skip=said.append)]==['walks']
    assert 'captions.jsonl, line 1: expected a JSON object with id and text' in said[0]
    (tmp_path/'e').mkdir()
    with pytest.raises(ValueError, match='holds no .bvh or .amc'): list(read_mocap_folder(tmp_path/'e'))
    with pytest.raises(FileNotFoundError, match='expected a folder'): list(read_mocap_folder(tmp_path/'none'))

# ---- where the face looks

def about(axis, degrees): return Rotation.from_euler(axis, degrees, degrees=True)

def looks(faces):
    "Degrees to the left and up."
    assert faces.dtype==np.float32 and np.allclose(np.linalg.norm(faces, axis=1), 1, atol=1e-6)
    x,y,z = faces.T.astype(float)
    return np.degrees(np.arctan2(x, -y)), np.degrees(np.arcsin(z))

@pytest.mark.parametrize('up', AXES)
@pytest.mark.parametrize('rest_up', AXES)
@pytest.mark.parametrize('turn', [60,-60])
def test_face_of_bvh(up, rest_up, turn, tmp_path):
    "Positive X is the subject's left, whatever the heading, the axes of the file and those of its rest pose."
    heading = np.random.default_rng(turn+60).uniform(-180, 180)
    extra = dict(pelvis=about('z', heading), head=about('z', turn))
    text,_ = own_capture(rig_tree(*SCHEMES['smpl']), up, 1., rest_up=rest_up, amount=0, extra=extra)
    left,height = looks(read_text(tmp_path, text, up=up).faces)
    np.testing.assert_allclose(left, turn, atol=.1)
    np.testing.assert_allclose(height, 0, atol=.1)

@pytest.mark.parametrize('scheme', SCHEMES)
def test_face_of_any_rig(scheme, tmp_path):
    "Whoever moves: the face is where the rotation of the head takes it; a head without angles is unknown."
    extra = dict(head=about('zx', [30,-20]))
    text,_ = own_capture(rig_tree(*SCHEMES[scheme]), amount=0, extra=extra)
    clip = read_text(tmp_path, text)
    motion = read_motion(tmp_path/'own.bvh')
    source = read_rig(motion).joints['head']
    if not isinstance(source, str) or source.endswith('_end'):
        assert clip.faces is None
        return
    left,height = looks(clip.faces)
    expected = extra['head'].apply([0,-1,0])
    np.testing.assert_allclose(left, np.degrees(np.arctan2(expected[0], -expected[1])), atol=.1)
    np.testing.assert_allclose(height, np.degrees(np.arcsin(expected[2])), atol=.1)

def test_face_of_a_file_without_a_rest_pose(tmp_path):
    "A T-pose in the first frame does as well; without one the face is unknown. A T-pose later on does not count."
    tree = rig_tree(*SCHEMES['mixamo'])
    zero,_ = own_capture(tree, zero=True, amount=0, extra=dict(head=about('z', 45), pelvis=about('z', 70)))
    assert np.abs(looks(read_text(tmp_path, zero).faces)[0]).max()<.1   # all we can say: as in the first frame
    lines = zero.splitlines()
    still,_ = own_capture(tree, zero=True, amount=0, n=1)
    text = '\n'.join(lines[:-8]+still.splitlines()[-1:]+lines[-7:])
    np.testing.assert_allclose(looks(read_text(tmp_path, text).faces)[0], [0]+[45]*7, atol=.1)
    crouched = dict(left_hip=about('x', -80), left_shoulder=about('y', 70))
    text,_ = own_capture(tree, zero=True, amount=0, extra=crouched)
    assert read_text(tmp_path, text).faces is None
    assert read_text(tmp_path, '\n'.join(text.splitlines()[:-1]+still.splitlines()[-1:])).faces is None

def test_unknown_face(tmp_path):
    "An End Site has no angles, nor has a joint with positions only, nor a point between joints."
    text,_ = own_capture(rig_tree(*SCHEMES['mixamo']), amount=0)
    assert read_text(tmp_path, text).faces is not None
    joints = read_rig(read_motion(tmp_path/'own.bvh')).joints
    neck,head = joints['neck'],joints['head']
    assert read_mocap(tmp_path/'own.bvh', joint_map=dict(head=f'{head}_end')).faces is None
    assert read_mocap(tmp_path/'own.bvh', joint_map=dict(head=[neck,head,.9])).faces is None
    before,after = text.split(f'JOINT {head}\n')
    after = after.replace('CHANNELS 3 Zrotation Xrotation Yrotation', 'CHANNELS 3 Xposition Yposition Zposition', 1)
    assert read_text(tmp_path, f'{before}JOINT {head}\n{after}').faces is None

def test_face_of_options(tmp_path):
    "Faces keep step with the joints: another rate, a later start, an end."
    tree = rig_tree(*SCHEMES['mixamo'])
    extra = dict(head=about('z', np.arange(0, 48, 6)[:,None]))
    text,_ = own_capture(tree, amount=0, extra=extra)
    def left(**options):
        clip = read_text(tmp_path, text, **options)
        assert len(clip.faces)==len(clip.joints)
        return looks(clip.faces)[0]
    np.testing.assert_allclose(left(), np.arange(0, 48, 6), atol=.1)
    np.testing.assert_allclose(left(fps=40), np.arange(0, 43, 3), atol=.1)
    np.testing.assert_allclose(left(fps=10, first_frame=2), [12,24,36], atol=.1)
    np.testing.assert_allclose(left(seconds=.15), [0,6,12], atol=.1)

_VICON = [('lowerback','root','spine1'), ('upperback','lowerback','spine2'), ('thorax','upperback','spine3'),
          ('lowerneck','thorax','neck'), ('upperneck','lowerneck','head'), ('head','upperneck',None)]
for _s,_side in (('l','left'), ('r','right')):
    _VICON += [(f'{_s}{bone}', above if above in ('root','thorax') else f'{_s}{above}', end and f'{_side}_{end}')
               for bone,above,end in (('hipjoint','root','hip'), ('femur','hipjoint','knee'), ('tibia','femur','ankle'),
               ('foot','tibia','foot'), ('toes','foot',None), ('clavicle','thorax','shoulder'),
               ('humerus','clavicle','elbow'), ('radius','humerus','wrist'), ('wrist','radius',None))]

@pytest.mark.parametrize('turn', [60,-60])
@pytest.mark.parametrize('seed', range(4))
def test_face_of_amc(turn, seed, tmp_path):
    "The same for a skeleton of Vicon, whose bones have axes of their own."
    g = np.random.default_rng(seed)
    x = y_up_from_z_up(T_POSE)/.0254*.45
    ends = {'root':x[0]}
    asf = [':units', ' length 0.45', ' angle deg', ':root', ' order TX TY TZ RX RY RZ', ' axis XYZ', ' position 0 0 0',
           ' orientation 0 0 0', ':bonedata']
    axis = g.uniform(-180, 180, 3).round(4)
    for i,(name,above,end) in enumerate(_VICON, 1):
        ends[name] = x[JOINT_NAMES.index(end)] if end else ends[above]+[0,.5,.5]
        v = ends[name]-ends[above]
        length = np.linalg.norm(v)
        dof = ['rx','ry','rz'] if name=='head' else []
        asf += asf_bone(i, name, v/length, length, axis, 'xyz', dof)
    asf += [':hierarchy', ' begin']+[f'  {above} {name}' for name,above,_ in _VICON]+[' end']
    C = turned('xyz', axis, False)
    head = (C.inv()*about('y', turn)*C).as_euler('xyz', degrees=True).ravel()
    root = [0,*ends['root'][1:2],0,0,float(g.uniform(-180, 180)),0]
    amc = [':FULLY-SPECIFIED', ':DEGREES']
    for f in range(12): amc += [str(f+1), f'root {numbers(root)}', f'head {numbers(head)}']
    (tmp_path/'a.asf').write_text('\n'.join(asf)+'\n')
    (tmp_path/'a.amc').write_text('\n'.join(amc)+'\n')
    clip = read_mocap(tmp_path/'a.amc')
    assert clip.rig.startswith('Vicon')
    left,height = looks(clip.faces)
    np.testing.assert_allclose(left, turn, atol=.1)
    np.testing.assert_allclose(height, 0, atol=.1)

def test_faces_in_rows(tmp_path):
    text,_ = own_capture(rig_tree(*SCHEMES['mixamo']), n=40, extra=dict(head=about('z', 60)))
    clip = read_text(tmp_path, text, captions=[Caption('looks', 'label')])
    rows = clip_rows(clip)
    assert len(rows)>3
    for row in rows: np.testing.assert_array_equal(row['face'], clip.faces[row['frame']])

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
        unknown = ours.rig=='Bandai-Namco bvh' or id=='cmu_06_09'  # no rest pose that stands, no T-pose at the start
        assert (ours.faces is None)==unknown, path
        if not unknown: assert abs(np.median(looks(ours.faces)[0]))<25, path
        assert d.mean()<.002 and d.max()<.01, (path, d.mean(), d.max())
        motion = read_motion(path)
        auto,missing = auto_map(motion)
        assert list(auto)==JOINT_NAMES and missing==[]
        apart = np.linalg.norm(joints_22(motion)-joints_22(motion, auto), axis=-1).mean(0)>1e-3
        assert apart.sum()<=2, (find_rig(motion.names), apart)

# ---- files out of all proportion

def test_sizes_come_first(tmp_path):
    "Frames, points, numbers, lines and the length of a line are counted before anything is understood."
    path = tmp_path/'b.bvh'
    head = 'HIERARCHY\nROOT r\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n}\nMOTION\nFrames: %d\nFrame Time: 0.05\n'
    joints = 'JOINT j\n{\nOFFSET 0 1 0\nCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation\n}\n'*900
    wide = head.replace('}\nMOTION', joints+'}\nMOTION')
    for text,says in (
            (head%500_000+'10\n'*500_000, 'line 8: 500,000 frames are too many'),
            (wide%30_000+'0\n'*30_000, 'line 4508: 30,000 frames of 901 joints are too many'),
            (wide%6000+'0\n'*6000, 'line 4508: 6,000 frames of 5,401 numbers are too many'),
            (head%5+'1\n'*1_600_000, 'has 1,600,010 lines; at most 1,500,000'),
            (head%5+'\n'*4_000_000, 'has too many lines; at most 1,500,000'),
            (head%5+'1 '*700_000, 'line 10 has 1,400,000 characters; at most 1,048,576'),
            ('HIERARCHY ROOT r { OFFSET 0 0 0 CHANNELS 1 Xrotation '+'JOINT j { OFFSET 0 1 0 '*50_000,
             'line 1 has 1,150,053 characters')):
        path.write_text(text)
        tracemalloc.start()
        with pytest.raises(ValueError, match=says) as e: read_bvh(path)
        assert str(path) in str(e.value) and tracemalloc.get_traced_memory()[1]<300e6, says
        tracemalloc.stop()

def test_a_capture_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path/'pipe.bvh')
    os.mkfifo(tmp_path/'pipe.amc')
    (tmp_path/'folder.bvh').mkdir()
    for name,says in {'pipe.bvh':'is no regular file', 'pipe.amc':'is no regular file', 'folder.bvh':'is a folder',
                      'none.bvh':'is missing'}.items():
        with pytest.raises(FileNotFoundError, match=f'{name} {says}: expected an? '): read_mocap(tmp_path/name)
