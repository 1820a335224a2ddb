"""How long the page of explorers takes to come, and to change. Prints and writes benchmarks/explore.json.

    OMP_NUM_THREADS=1 python benchmarks/bench_explore.py             # the times
    OMP_NUM_THREADS=1 python benchmarks/bench_explore.py --figures   # only figures/explore_*.png

From the start of `text2pose explore` until its address is printed, and until headless Chromium without a graphics card
has the first poses on the page; the same for a second browser. Then changes of one control, from the key until the page
has other poses, and what of that Python computes. By the clock, on two cores that others use: the load is noted; and in
processor time of a kernel, which others disturb less.
"""
import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT/'tests'), str(ROOT/'tools')]

from browser import FLAGS, program
from test_explore_browser import Page, _process_with, _server
from text2pose.core import atomic_path

COMMAND = 'OMP_NUM_THREADS=1 python benchmarks/bench_explore.py'
WIDE = dict(width=1280, height=930)
CHANGES = {'4 poses, 6 steps':{}, '1 pose, 6 steps':dict(poses=1), '4 poses, 2 steps (student)':dict(steps=2),
           '1 pose, 2 steps (student)':dict(poses=1, steps=2)}
CHANGED = '''el => new Promise(done => {
    let e = el.closest('.t2p-view')
    while (!e.editor) e = e.parentElement
    const before = e.editor.poses, start = performance.now()
    const look = () => e.editor.poses === before || e.editor.poses.every((v, i) => v === before[i])
        ? setTimeout(look, 5) : done(performance.now()-start)
    look()
})'''

def _set(page, label, number):
    "Move a slider to a number by its readout."
    readout = page.panel.locator('.widget-hslider', has_text=label).locator('.widget-readout')
    readout.click()
    page.page.keyboard.press('Control+A')
    page.page.keyboard.type(str(number))
    page.page.keyboard.press('Enter')
    page.page.wait_for_timeout(1500)

def changes(page, n=12):
    "Milliseconds from a new seed until the page has other poses, for each setting; and what Python takes of them."
    found = {}
    for name,values in CHANGES.items():
        for label,number in dict(dict(poses=4, steps=6), **values).items(): _set(page, label, number)
        seed,times,python = page.field('seed'),[],[]
        for i in range(n):
            seed.fill(str(100+i))
            wait = page.panel.locator('canvas').evaluate_handle(f'el => ({{done: ({CHANGED})(el)}})')
            seed.press('Enter')
            times.append(wait.evaluate('w => w.done'))
            page.until(lambda: f'seed {100+i}:' in page.said)
            python.append(float(page.said.split(' in ')[-1].split()[0]))
        found[name] = dict(page=round(np.median(times)), python=round(np.median(python)))
        print(name, found[name])
    return found

def _memory(pid):
    "Megabytes that a process holds."
    status = Path(f'/proc/{pid}/status').read_text()
    return round(int(status.split('VmRSS:')[1].split()[0])/1024)

def _kernel_of(page):
    config = page.page.evaluate('JSON.parse(document.getElementById("jupyter-config-data").textContent)')
    return _process_with(f'kernel-{config["kernelId"]}')

def _cpu(pid):
    "Seconds of processor time of a process so far."
    fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11])+int(fields[12]))/os.sysconf('SC_CLK_TCK')

def measure(playwright, log):
    results = dict(command=COMMAND, cores=os.cpu_count(), load=[round(v, 1) for v in os.getloadavg()])
    start = time.monotonic()
    def since(): return round(time.monotonic()-start, 1)
    with _server(log) as (url,pid):
        results['address'] = since()
        browser = playwright.chromium.launch(executable_path=program('chromium','chromium-browser'), args=FLAGS.split())
        page = Page(browser.new_context(viewport=WIDE), url)
        results['first_poses'] = since()
        kernel = _kernel_of(page)
        results |= dict(cpu_server=_cpu(pid), cpu_kernel=_cpu(kernel))
        page.page.wait_for_timeout(15_000)  # until the next kernel is ready
        start = time.monotonic()
        other = Page(browser.new_context(viewport=WIDE), url)
        results['second_browser'] = since()
        other.page.context.close()
        page.page.wait_for_timeout(15_000)
        results['changes_ms'] = changes(page)
        results['memory_mb'] = dict(server=_memory(pid), kernel=_memory(kernel))
        results['load_at_end'] = [round(v, 1) for v in os.getloadavg()]
        browser.close()
    return results

def draw(playwright, log):
    "Screenshots of panels, in 256 colours."
    from PIL import Image
    with _server(log) as (url,_):
        browser = playwright.chromium.launch(executable_path=program('chromium','chromium-browser'), args=FLAGS.split())
        page = Page(browser.new_context(viewport=WIDE), url)
        for name in ('Prompt','Clusters'):
            page.open(name)
            if name=='Prompt': page.ask('a boxer in guard')
            page.page.wait_for_timeout(3000)
            path = ROOT/f'figures/explore_{name.lower()}.png'
            page.page.screenshot(path=path)
            Image.open(path).convert('RGB').quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
            print(path, path.stat().st_size)
        browser.close()

if __name__=='__main__':
    p = argparse.ArgumentParser(description='Times of the page of explorers.')
    p.add_argument('--figures', action='store_true', help='only draw the figures')
    from playwright.sync_api import sync_playwright
    with tempfile.TemporaryDirectory() as tmp, sync_playwright() as playwright:
        if p.parse_args().figures: draw(playwright, Path(tmp)/'log.txt')
        else:
            results = measure(playwright, Path(tmp)/'log.txt')
            print(json.dumps(results, indent=1))
            with atomic_path(ROOT/'benchmarks/explore.json') as path:
                path.write_text(json.dumps(results, indent=1)+'\n')
