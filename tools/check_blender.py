"""What Blender makes of exported files: print how far its bones are from the joints, in every pose.

Needs Blender's Python module, in an environment of its own:
    python tools/check_blender.py write DIR
    python -m venv /tmp/blender && /tmp/blender/bin/pip install bpy
    /tmp/blender/bin/python tools/check_blender.py read DIR
"""
import json, sys
from pathlib import Path

import numpy as np

def write(
    folder, # for the files and what is in them
):
    "Own poses, and the same on a smaller body with heads turned, as BVH and GLB."
    from text2pose.data import JOINT_NAMES, own_poses
    from text2pose.export import export, on_floor
    folder.mkdir(parents=True, exist_ok=True)
    own = np.stack([p['joints'] for p in own_poses()])
    faces = np.random.default_rng(0).normal(size=(len(own),3))
    for name,(x,looking) in dict(own=(own,None), small=(.8*own,faces)).items():
        for f in ('bvh','glb'): export(x, folder/f'{name}.{f}', faces=looking)
        placed = on_floor(x.astype(np.float32)).tolist()
        (folder/f'{name}.json').write_text(json.dumps(dict(names=JOINT_NAMES, joints=placed)))

def farthest_bone(
    path,   # a file that `write` made
    names,  # of the joints
    joints, # (poses, 22, 3), metres, Z up, where they should be
)->float:   # metres
    "Import a file as Blender's menu does; how far the farthest bone is from its joint in any pose."
    import bpy
    bpy.ops.wm.read_factory_settings(use_empty=True)
    load = bpy.ops.import_anim.bvh if path.suffix=='.bvh' else bpy.ops.import_scene.gltf
    load(filepath=str(path))
    body = next(o for o in bpy.data.objects if o.type=='ARMATURE')
    scene = bpy.context.scene
    worst = 0
    for i,x in enumerate(joints):
        scene.frame_set(i+1 if path.suffix=='.bvh' else round((i+.5)*scene.render.fps))
        bpy.context.view_layer.update()
        heads = [(body.matrix_world@body.pose.bones[n].head)[:] for n in names]
        worst = max(worst, np.abs(np.array(heads)-x).max())
    return worst

def read(
    folder, # what `write` made
):
    "Import each file and compare; Blender is Z up, and who looks from the front looks along +Y."
    import bpy
    for path in sorted([*folder.glob('*.bvh'), *folder.glob('*.glb')]):
        want = json.loads(path.with_suffix('.json').read_text())
        worst = farthest_bone(path, want['names'], want['joints'])
        print(f'Blender {bpy.app.version_string}, {path.name}: {len(want["joints"])} poses, '
              f'bones at most {1e3*worst:.3f} mm from the joints')

if __name__=='__main__': dict(write=write, read=read)[sys.argv[1]](Path(sys.argv[2]))
