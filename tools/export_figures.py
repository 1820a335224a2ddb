"Draw figures/export_glb.png, six own poses as three.js shows them with either body, and figures/enforcement.png."
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT/'tests'))
from browser import chromium
from text2pose.data import own_poses, plot_bodies
from text2pose.export import BODIES, to_glb
from text2pose.skeleton import enforce_skeleton

NAMES = ('standing', 'left_arm_raised', 'golf_follow_through', 'tree_pose', 'deep_squat', 'left_kick')

def main(
    path=ROOT/'figures/export_glb.png', # where to write
):
    "The picture of chapter 02d and of the README."
    poses = {p['name']:p['joints'] for p in own_poses()}
    x = np.stack([poses[n] for n in NAMES])
    with chromium(1080, 380) as show: rows = [show(to_glb(x, 'row', body=body), azim=15, elev=8)[0] for body in BODIES]
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True)

def draw_enforcement(
    path=ROOT/'figures/enforcement.png', # where to write
):
    "Poses whose spines are folded, and what enforcement makes of them."
    poses = {p['name']:p['joints'] for p in own_poses()}
    folded = np.stack([poses[n] for n in ('standing', 'archery', 'tennis_serve', 'warrior_two', 'punch_right')])
    folded[:,[3,9]] += [0,-.05,0]
    folded[:,6] += [0,.05,0]
    both = np.stack([folded, enforce_skeleton(folded)], 1).reshape(-1,22,3)
    fig = plot_bodies(both, ['before','after']*len(folded), views=('side',), n_cols=10, size=1.2)
    fig.savefig(path, metadata={'Software':None})

if __name__=='__main__':
    main()
    draw_enforcement()
