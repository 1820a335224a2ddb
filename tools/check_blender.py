"""What Blender makes of exported files: print how far its bones are from the joints, in every pose and in the T-pose.

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
    "Own poses, and the same on a smaller body with heads turned, as BVH and GLB with all names and both bodies."
    from text2pose.data import bone_lengths, own_poses
    from text2pose.export import BVH_UNITS, SKELETON_NAMES, export, on_floor
    from text2pose.skeleton import rest_offsets
    folder.mkdir(parents=True, exist_ok=True)
    own = np.stack([p['joints'] for p in own_poses()])
    faces = np.random.default_rng(0).normal(size=(len(own),3))
    files = {'bvh':dict(), 'mixamo_cm.bvh':dict(names='mixamo', unit='cm'), 'glb':dict(),
             'parts.glb':dict(names='text2pose', body='parts'), 'vrm.glb':dict(names='vrm', interpolation='LINEAR')}
    for name,(x,looking) in dict(own=(own,None), small=(.8*own,faces)).items():
        placed = on_floor(x.astype(np.float32)).tolist()
        offsets = rest_offsets(bone_lengths(x[0]), 't_pose').numpy()
        for ending,options in files.items():
            export(x, folder/f'{name}.{ending}', faces=looking, options=options)
            default = 'mixamo' if ending=='glb' else 'text2pose'
            names = SKELETON_NAMES[options.get('names', default)]
            if ending.endswith('bvh'): names = [n.split(':')[-1] for n in names]
            content = dict(names=names, joints=placed, offsets=offsets.tolist(),
                           scale=1/BVH_UNITS[options.get('unit', 'm')], moves='interpolation' in options)
            (folder/f'{name}.{ending}.json').write_text(json.dumps(content))

def farthest_bone(
    path, # a file that `write` made
    want, # what is in it
)->tuple: # metres in the poses; metres in the T-pose, from the parent
    "Import a file as Blender's menu does; how far the farthest bone is from its joint in any pose."
    import bpy
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if path.suffix=='.bvh': bpy.ops.import_anim.bvh(filepath=str(path), global_scale=want['scale'])
    else: bpy.ops.import_scene.gltf(filepath=str(path))
    body = next(o for o in bpy.data.objects if o.type=='ARMATURE')
    scene = bpy.context.scene
    def heads(bones, at): return np.array([(body.matrix_world@at(bones[n]))[:] for n in want['names']])
    rest = heads(body.data.bones, lambda bone: bone.head_local)
    parents = [0 if bone.parent is None else want['names'].index(bone.parent.name)
               for bone in (body.data.bones[n] for n in want['names'])]
    apart = np.abs((rest-rest[parents]-want['offsets'])[1:]).max()
    worst = 0
    for i,x in enumerate(want['joints']):
        second = i if want['moves'] else i+.5
        scene.frame_set(i+1 if path.suffix=='.bvh' else round(second*scene.render.fps))
        bpy.context.view_layer.update()
        worst = max(worst, np.abs(heads(body.pose.bones, lambda bone: bone.head)-x).max())
    return worst, apart

def read(
    folder, # what `write` made
):
    "Import each file and compare; Blender is Z up, and who looks from the front looks along +Y."
    import bpy
    for path in sorted([*folder.glob('*.bvh'), *folder.glob('*.glb')]):
        want = json.loads((folder/f'{path.name}.json').read_text())
        worst,apart = farthest_bone(path, want)
        print(f'Blender {bpy.app.version_string}, {path.name}: {len(want["joints"])} poses, bones at most '
              f'{1e3*worst:.3f} mm from the joints, at rest {1e3*apart:.3f} mm from the T-pose')

if __name__=='__main__': dict(write=write, read=read)[sys.argv[1]](Path(sys.argv[2]))
