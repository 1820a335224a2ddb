"""The page without a server: sizes, agreement with Python, and times of its stages: writes benchmarks/web.json.

    python benchmarks/bench_web.py  # needs the extras minilm and fast, Node and npm, and Chromium
    python benchmarks/bench_web.py --picture figures/web_page.png

Every prompt of the public list is asked for in Node, one WebAssembly thread, and of the pipeline, with the same seed.
"""
import argparse, json, platform, statistics, sys, time
from contextlib import contextmanager
from pathlib import Path
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT/'tests'), str(ROOT/'tools')]
from webpage import node, pipeline, site
from text2pose.core import atomic_path
from text2pose.eval import read_prompts
from text2pose.train import _commit

def agreement(prompts, n):
    "How near the page's poses are to Python's, and how often the same exemplars were looked up."
    requests = [dict(prompt=p, n=n, seed=str(i)) for i,p in enumerate(prompts)]
    same,errors,scores = [],[],[]
    for r,poses in zip(requests, node('generate', requests, with_page=True)):
        want = pipeline()(r['prompt'], n, seed=int(r['seed']))
        for k,pose in enumerate(poses):
            same.append({name for name,_ in pose['exemplars']}=={name for name,_ in want.exemplars[k]})
            errors.append(1000*np.abs(np.reshape(pose['joints'], (22,3))-want.joints[k]).max())
            scores.append(abs(pose['score']-want.scores[k]))
    errors,same = np.array(errors),np.array(same)
    def mm(x, q): return round(float(np.quantile(x, q)), 3)
    return dict(
        poses=len(errors), same_exemplars=round(float(same.mean()), 4), within_1_mm=round(float((errors<1).mean()), 4),
        mm=dict(median=mm(errors, .5), p99=mm(errors, .99), largest=mm(errors, 1)),
        mm_same_exemplars=dict(median=mm(errors[same], .5), p99=mm(errors[same], .99), largest=mm(errors[same], 1)),
        largest_score_difference=round(float(max(scores)), 5))

@contextmanager
def opened():
    "The page in Chromium, and after how many seconds it was ready."
    from browser import FLAGS, program
    from playwright.sync_api import sync_playwright
    from test_web_browser import served
    path = program('chromium','chromium-browser','google-chrome')
    with served(site()) as url, sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=FLAGS.split())
        page,start = browser.new_page(viewport=dict(width=1280, height=800)), time.perf_counter()
        page.goto(url)
        page.wait_for_function('window.text2pose?.state.ready', timeout=300_000)
        yield page, time.perf_counter()-start
        browser.close()

def ask(page, prompts, n):
    "Type prompts, n poses each; the seconds that the page says."
    page.fill('#n', str(n))
    page.fill('#prompt', prompts)
    page.click('#go')
    page.wait_for_function('!text2pose.state.busy', timeout=300_000)
    return float(page.inner_text('#status').split(' in ')[1].split()[0])

def in_chromium(prompts):
    "Seconds until the page is ready, and for one pose and four (median), in Chromium."
    with opened() as (page,ready):
        one,four = (statistics.median(ask(page, prompt, n) for prompt in prompts) for n in (1,4))
        version = page.context.browser.version
    return dict(version=version, ready=round(ready, 1), one_pose=one, four_poses=four)

def draw(path):
    "A picture of the page."
    with opened() as (page,_):
        ask(page, 'a person waves with the left hand\ngolf swing\nsitting cross-legged\nkneeling on one knee', 2)
        page.wait_for_timeout(2000)  # the view draws finely at rest
        page.screenshot(path=path)

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--poses', type=int, default=2, help='of each prompt')
    p.add_argument('--every', type=int, default=1, help='take every n-th prompt')
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('web.json'))
    p.add_argument('--picture', type=Path, help='only draw the page into this PNG')
    a = p.parse_args()
    if a.picture: return draw(a.picture)
    prompts = [r['prompt'] for r in read_prompts()]
    milliseconds = node('times', prompts[:12], with_page=True)
    result = dict(
        commit=_commit(), machine=platform.processor() or platform.machine(),
        bytes={f.name:f.stat().st_size for f in sorted(site().iterdir())},
        node_milliseconds={k:round(v, 1) for k,v in milliseconds.items()}, chromium_seconds=in_chromium(prompts[:9]),
        agreement=agreement(prompts[::a.every], a.poses))
    print(json.dumps(result, indent=1))
    with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(result, indent=1)+'\n')

if __name__=='__main__': main()
