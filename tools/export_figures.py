"Draw figures/export_glb.png, six own poses as three.js shows them in Chromium, and figures/export_openpose.png, an OpenPose sheet."
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT/'tests'))
from browser import chromium
from text2pose.data import own_poses
from text2pose.export import draw_openpose, openpose_people, to_glb

def main(
    folder=ROOT/'figures', # where to write
    names=('standing','left_arm_raised','golf_follow_through','tree_pose','deep_squat','left_kick'), # of own poses
):
    "The two pictures of chapter 02d."
    poses = {p['name']:p['joints'] for p in own_poses()}
    x = np.stack([poses[n] for n in names])
    with chromium(1080, 380) as show:
        Image.fromarray(show(to_glb(x, 'row'), azim=15, elev=8)[0]).save(folder/'export_glb.png', optimize=True)
    sheet = [np.concatenate([draw_openpose(openpose_people(p[None], azim, 5, 4., 180, 260), 180, 260, 2.5) for p in x], 1) for azim in (0,60,180)]
    Image.fromarray(np.concatenate(sheet)).save(folder/'export_openpose.png', optimize=True)

if __name__=='__main__': main()
