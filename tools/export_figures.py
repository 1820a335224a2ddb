"Draw figures/export_glb.png: six own poses as three.js shows them in Chromium."
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT/'tests'))
from browser import chromium
from text2pose.data import own_poses
from text2pose.export import to_glb

NAMES = ('standing', 'left_arm_raised', 'golf_follow_through', 'tree_pose', 'deep_squat', 'left_kick')

def main(
    path=ROOT/'figures/export_glb.png', # where to write
):
    "The picture of chapter 02d and of the README."
    poses = {p['name']:p['joints'] for p in own_poses()}
    row = to_glb(np.stack([poses[n] for n in NAMES]), 'row')
    with chromium(1080, 380) as show: picture,_ = show(row, azim=15, elev=8)
    Image.fromarray(picture).save(path, optimize=True)

if __name__=='__main__': main()
