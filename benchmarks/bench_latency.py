"""How long it takes: import, help, a cold `text2pose generate`, a warm prompt, a batch of 256.

    python benchmarks/bench_latency.py [--repeat 5] [--out FILE]

Prints a table and writes benchmarks/latency.json.
"""
import argparse, json, os, platform, statistics, subprocess, sys, tempfile, time
from pathlib import Path
from text2pose.core import atomic_path

# seconds on 2 CPU cores
TARGETS = {
    'import text2pose':.3, 'text2pose --help':1., 'cold generate, 1 prompt, 4 poses':15., 'warm, 1 prompt, 1 pose':1.}
PROMPT = 'a person raises both arms'

def timed(f, repeat):
    "Seconds of each run."
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        f()
        seconds.append(time.perf_counter()-start)
    return seconds

def run_text2pose(*args):
    "Run the command line in a process of its own, offline."
    exe = str(Path(sys.executable).parent/'text2pose')
    subprocess.run([exe, *args], check=True, stdout=subprocess.DEVNULL, env={**os.environ, 'HF_HUB_OFFLINE':'1'})

def import_time(module):
    "Seconds of an import in a fresh process, without what Python itself takes to start."
    code = f'import time; t = time.perf_counter(); import {module}; print(time.perf_counter()-t)'
    return float(subprocess.run([sys.executable,'-c',code], check=True, capture_output=True, text=True).stdout)

def cold_times(repeat):
    "Everything that starts a process, by name."
    rows = {f'import {m}':[import_time(m) for _ in range(repeat)] for m in ('text2pose','text2pose.cfg')}
    rows['text2pose --help'] = timed(lambda: run_text2pose('--help'), repeat)
    with tempfile.TemporaryDirectory() as d:
        def generate(): run_text2pose('generate', PROMPT, '-n', '4', '--out', d)
        rows['cold generate, 1 prompt, 4 poses'] = timed(generate, max(2, repeat//2))
    return rows

def warm_times(pipe, repeat):
    "A pipeline that is loaded already, by name."
    pipe('a warm up', 1)
    many = [f'a person raises arm {i}' for i in range(64)]
    return {
        'warm, 1 prompt, 1 pose':timed(lambda: pipe(PROMPT, 1), repeat),
        'warm, 1 prompt, 4 poses':timed(lambda: pipe(PROMPT, 4), repeat),
        'warm, 64 prompts, 4 poses: 256':timed(lambda: pipe(many, 4), max(2, repeat//2))}

def summary(seconds):
    return dict(median=round(statistics.median(seconds), 3), best=round(min(seconds), 3), runs=len(seconds))

def verdict(name, median):
    "Whether the target is reached, where there is one."
    if name not in TARGETS: return ''
    return f'≤ {TARGETS[name]} s: {"yes" if median<=TARGETS[name] else "NO"}'

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--repeat', type=int, default=5)
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('latency.json'))
    a = p.parse_args()
    rows = cold_times(a.repeat)
    os.environ['HF_HUB_OFFLINE'] = '1'
    import torch
    from text2pose.cfg import Text2PosePipeline
    pipe = Text2PosePipeline.from_pretrained()
    rows |= warm_times(pipe, a.repeat)
    res = dict(
        command='python benchmarks/bench_latency.py', cpus=os.cpu_count(), threads=torch.get_num_threads(),
        machine=platform.machine(), python=platform.python_version(), torch=torch.__version__,
        num_inference_steps=pipe.model.config['num_inference_steps'],
        seconds={k:summary(v) for k,v in rows.items()})
    print(f'{"":34} {"median":>8} {"best":>8}   to reach')
    for k,v in res['seconds'].items():
        print(f'{k:34} {v["median"]:7.3f}s {v["best"]:7.3f}s   {verdict(k, v["median"])}')
    with atomic_path(a.out) as tmp:
        tmp.write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
