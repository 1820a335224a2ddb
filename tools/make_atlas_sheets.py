"""Draw all poses of the atlas, one sheet a file: figures/atlas_NAME.png. Look at them after every change.

    python tools/make_atlas_sheets.py [FOLDER]
"""
import sys
from pathlib import Path

import numpy as np

from text2pose.atlas import atlas, atlas_joints
from text2pose.data import plot_bodies

def main(
    folder=None,                              # of YAML files; by default the package's own
    out=Path(__file__).parents[1]/'figures',  # where the pictures go
):
    "Poses as written by hand, on the floor; mirrored twins are left out."
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    from PIL import Image
    own = [p for p in atlas(folder=folder).values() if not p.twin_of]
    for file in sorted({p.file for p in own}):
        some = [p for p in own if p.file==file]
        path = out/f'atlas_{Path(file).stem}.png'
        joints = np.concatenate([atlas_joints(p.name, folder=folder) for p in some])
        titles = [p.name.replace('_',' ')+(' (val)' if p.split=='val' else '') for p in some]
        fig = plot_bodies(joints, titles, n_cols=6, size=1.7, dpi=80, suptitle=f'{file}: {len(some)} poses')
        fig.canvas.draw()
        Image.fromarray(np.asarray(fig.canvas.buffer_rgba())).convert('RGB').quantize(128).save(path, optimize=True)
        plt.close(fig)
        print(f'{path.name}: {len(some)} poses, {path.stat().st_size//1024} KB')

if __name__=='__main__': main(*sys.argv[1:])
