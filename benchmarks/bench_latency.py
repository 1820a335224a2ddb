"""How long it takes: import, help, a cold `text2pose generate`, a warm prompt, a batch of 256. Prints a table and writes benchmarks/latency.json.

    python benchmarks/bench_latency.py [--repeat 5] [--out FILE]
"""
import argparse, json, os, platform, statistics, subprocess, sys, tempfile, time
from pathlib import Path

# seconds on 2 CPU cores
TARGETS = {'import text2pose':.3, 'text2pose --help':1., 'cold generate, 1 prompt, 4 poses':15., 'warm, 1 prompt, 1 pose':1.}

def timed(f, repeat):
    "Seconds of each run."
    out = []
    for _ in range(repeat):
        t = time.perf_counter()
        f()
        out.append(time.perf_counter()-t)
    return out

def command(*args):
    return lambda: subprocess.run(args, check=True, stdout=subprocess.DEVNULL, env={**os.environ, 'HF_HUB_OFFLINE':'1'})

def import_time(module):
    "Seconds of an import in a fresh process, without what Python itself takes to start."
    code = f'import time; t = time.perf_counter(); import {module}; print(time.perf_counter()-t)'
    return float(subprocess.run([sys.executable,'-c',code], check=True, capture_output=True, text=True).stdout)

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--repeat', type=int, default=5)
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('latency.json'))
    a = p.parse_args()
    rows = {}
    exe = str(Path(sys.executable).parent/'text2pose')
    for module in ('text2pose','text2pose.cfg'):
        rows[f'import {module}'] = [import_time(module) for _ in range(a.repeat)]
    rows['text2pose --help'] = timed(command(exe, '--help'), a.repeat)
    with tempfile.TemporaryDirectory() as d:
        rows['cold generate, 1 prompt, 4 poses'] = timed(command(exe, 'generate', 'a person raises both arms', '-n', '4', '--out', d), max(2, a.repeat//2))
    os.environ['HF_HUB_OFFLINE'] = '1'
    import torch
    from text2pose.cfg import Text2PosePipeline
    pipe = Text2PosePipeline.from_pretrained()
    pipe('a warm up', 1)
    rows['warm, 1 prompt, 1 pose'] = timed(lambda: pipe('a person raises both arms', 1), a.repeat)
    rows['warm, 1 prompt, 4 poses'] = timed(lambda: pipe('a person raises both arms', 4), a.repeat)
    rows['warm, 64 prompts, 4 poses: 256'] = timed(lambda: pipe([f'a person raises arm {i}' for i in range(64)], 4), max(2, a.repeat//2))
    res = dict(command='python benchmarks/bench_latency.py', cpus=os.cpu_count(), threads=torch.get_num_threads(), machine=platform.machine(), python=platform.python_version(), torch=torch.__version__,
               num_inference_steps=pipe.model.config.get('num_inference_steps'), seconds={k:dict(median=round(statistics.median(v),3), best=round(min(v),3), runs=len(v)) for k,v in rows.items()})
    print(f'{"":34} {"median":>8} {"best":>8}   to reach')
    for k,v in res['seconds'].items():
        print(f'{k:34} {v["median"]:7.3f}s {v["best"]:7.3f}s   ' + (f'≤ {TARGETS[k]} s: {"yes" if v["median"]<=TARGETS[k] else "NO"}' if k in TARGETS else ''))
    a.out.write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
