"""What an update of a view costs. Prints a table and writes benchmarks/view.json.

    OMP_NUM_THREADS=1 python benchmarks/bench_view.py

Python: `view.joints = x` in a running kernel, until it has been sent. Browser: headless Chromium without a graphics
card (SwiftShader draws on the processor); an update is done when its pixels can be read. It is drawn as while something
moves, not as finely as at rest. A drag is the inverse kinematics alone. Best of three, on a machine that others use.
"""
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT/'tests'), str(ROOT/'tools')]

from browser import FLAGS, program
from test_view_browser import LIBRARY, Host
from text2pose.core import atomic_path
from text2pose.view import PoseView

COMMAND = 'OMP_NUM_THREADS=1 python benchmarks/bench_view.py'
IN_KERNEL = '''
import numpy as np
import time
from text2pose.library import atlas_library
from text2pose.view import PoseView
poses = atlas_library().joints
view = PoseView(poses[:{n}])
times = []
for i in range(200):
    start = time.process_time()
    view.joints = poses[i:i+{n}]
    times.append(time.process_time()-start)
print(1000*float(np.median(times)))
'''
UPDATES = '''([poses, n]) => {
    const size = 66*n, scene = editor.scene, gl = scene.renderer.getContext(), pixel = new Uint8Array(4), cpu = []
    const start = performance.now()
    for (let i = 0; i < 40; i++) {
        const before = performance.now()
        const flat = Float32Array.from(poses.slice(size*(i%8), size*(i%8)+size))
        update({joints: new DataView(flat.buffer)})
        cpu.push(performance.now()-before)
        scene.draw(false)
        gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel)
    }
    return {all: (performance.now()-start)/40, cpu: cpu.sort((a, b) => a-b)[20]}
}'''
DRAGS = '''async poses => {
    const {skeleton} = await import('./widget.js'), times = []
    for (let i = 0; i < 60; i++) {
        const pose = poses.slice(66*i, 66*i+66), to = [pose[60]+.1, pose[61]-.1, pose[62]+.1], before = performance.now()
        skeleton.drag(pose, 20, to)
        times.push(performance.now()-before)
    }
    return times.sort((a, b) => a-b)[30]
}'''

def in_kernel(
    n:int, # poses
)->float:  # milliseconds of processor time, median
    "An update in a kernel, as a notebook makes it."
    from jupyter_client.manager import start_new_kernel
    manager,client = start_new_kernel(kernel_name='python3', cwd=str(ROOT), env={**os.environ, 'PYTHONPATH':str(ROOT)})
    printed = []
    def heard(message):
        if message['msg_type']=='stream': printed.append(message['content']['text'])
    try: reply = client.execute_interactive(IN_KERNEL.format(n=n), output_hook=heard, timeout=300)
    finally: manager.shutdown_kernel(now=True)
    if reply['content']['status']!='ok': raise RuntimeError(reply['content']['evalue'])
    return round(float(''.join(printed)), 2)

def in_browser(browser, n, width, height):
    "Milliseconds of an update of n poses on a canvas, and of these in JavaScript."
    page = browser.new_page(viewport=dict(width=width, height=height+80))
    host = Host(page, PoseView(LIBRARY.joints[:n], height=height))
    found = page.evaluate(UPDATES, [LIBRARY.joints[:8*n].ravel().tolist(), n])
    drag = page.evaluate(DRAGS, LIBRARY.joints[:60].ravel().tolist())
    page.close()
    assert host.errors==[]
    return dict(ms_drawn=round(found['all'], 1), updates_per_second=round(1000/found['all'], 1),
                ms_javascript=round(found['cpu'], 2), ms_drag=round(drag, 1))

def main():
    from playwright.sync_api import sync_playwright
    out = dict(command=COMMAND, load_before=round(os.getloadavg()[0], 1))
    for n in (1,8): out[f'python, {n} poses'] = dict(ms=in_kernel(n))
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program('chromium'), args=FLAGS.split())
        for n,width,height in ((1,480,360), (1,800,600), (8,800,600)):
            runs = [in_browser(browser, n, width, height) for _ in range(3)]
            best = min(runs, key=lambda r: r['ms_drawn'])
            out[f'browser, {n} poses, {width} x {height}'] = best
        browser.close()
    for name,row in out.items(): print(name, row)
    with atomic_path(ROOT/'benchmarks/view.json') as tmp: tmp.write_text(json.dumps(out, indent=1)+'\n')

if __name__=='__main__': main()
