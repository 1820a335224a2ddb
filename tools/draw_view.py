"""Photograph PoseView in headless Chromium: figures/view_edit.png and figures/view_grid.png."""
import sys

import numpy as np

from tree import ROOT

sys.path.insert(0, str(ROOT/'tests'))

from browser import FLAGS, program
from test_view_browser import POSES, STANDING, WARRIOR, Host
from text2pose.editing import interpolate_poses
from text2pose.view import PoseView

GRID = ['standing','warrior_two','sitting_chin_on_hands','golf_address_mirrored','standing_on_right_leg','drinking_mirrored']

def photograph(
    browser,
    name:str,      # of the figure
    view:PoseView, # what is in the page
    size:tuple,    # of the page, pixels
):
    "A page with a view in it, as a PNG in figures/."
    page = browser.new_page(viewport=dict(zip(('width','height'), size)))
    host = Host(page, view)
    page.wait_for_timeout(1000)
    page.locator('.t2p-view').screenshot(path=ROOT/'figures'/f'{name}.png')
    page.close()
    if host.errors: raise RuntimeError(host.errors[0])

def main():
    from playwright.sync_api import sync_playwright
    edit = PoseView(WARRIOR, ['warrior two'], STANDING, interpolate_poses(STANDING, WARRIOR, 8), editable=True,
                    joint='left_wrist', pinned=['right_ankle'], height=420)
    for kind in ('regenerate','words'): edit.on_request(kind, lambda request: None)
    grid = PoseView(np.stack([POSES[n] for n in GRID]), [n.replace('_',' ') for n in GRID], height=500)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program('chromium','chromium-browser'), args=FLAGS.split())
        photograph(browser, 'view_edit', edit, (760,720))
        photograph(browser, 'view_grid', grid, (900,600))
        browser.close()

if __name__=='__main__': main()
