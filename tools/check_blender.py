"""What Blender makes of exported files: print how far its bones are from the joints, in every pose. Needs Blender's Python module:
    python tools/check_blender.py write DIR && python -m venv /tmp/blender && /tmp/blender/bin/pip install bpy && /tmp/blender/bin/python tools/check_blender.py read DIR"""
import json, sys
from pathlib import Path

import numpy as np

def write(
    folder, # for the files and what is in them
):
    "Own poses, and the same with every joint moved by 2 cm, as BVH and GLB."
    from text2pose.data import JOINT_NAMES, own_poses
    from text2pose.export import export, on_floor
    folder.mkdir(parents=True, exist_ok=True)
    own = np.stack([p['joints'] for p in own_poses()])
    moved = own+np.random.default_rng(0).normal(0, .02, own.shape)
    moved -= moved[:,:1]
    for name,x in dict(own=own, moved=moved).items():
        for f in ('bvh','glb'): export(x, folder/f'{name}.{f}')
        (folder/f'{name}.json').write_text(json.dumps(dict(names=JOINT_NAMES, joints=on_floor(x.astype(np.float32)).tolist())))

def read(
    folder, # what `write` made
):
    "Import each file as Blender's menu does and compare; Blender is Z up, and who looks from the front looks along +Y."
    import bpy
    for path in sorted([*folder.glob('*.bvh'), *folder.glob('*.glb')]):
        want = json.loads(path.with_suffix('.json').read_text())
        bpy.ops.wm.read_factory_settings(use_empty=True)
        (bpy.ops.import_anim.bvh if path.suffix=='.bvh' else bpy.ops.import_scene.gltf)(filepath=str(path))
        body = next(o for o in bpy.data.objects if o.type=='ARMATURE')
        scene = bpy.context.scene
        worst = 0
        for i,x in enumerate(want['joints']):
            scene.frame_set(i+1 if path.suffix=='.bvh' else round((i+.5)*scene.render.fps))
            bpy.context.view_layer.update()
            worst = max(worst, np.abs(np.array([(body.matrix_world@body.pose.bones[n].head)[:] for n in want['names']])-x).max())
        print(f'Blender {bpy.app.version_string}, {path.name}: {len(want["joints"])} poses, bones at most {1e3*worst:.3f} mm from the joints')

if __name__=='__main__': dict(write=write, read=read)[sys.argv[1]](Path(sys.argv[2]))
