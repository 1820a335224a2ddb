"""How long it takes: import, help, a cold `text2pose generate`, a warm prompt and its parts, a batch of 256, looking
poses up; beside it networks of other shapes with random weights: MDM's, and a UNet of diffusers.

    python benchmarks/bench_latency.py [--repeat 5] [--out FILE]

Prints a table and writes benchmarks/latency.json.
"""
import argparse, json, os, platform, statistics, subprocess, sys, tempfile, time
from pathlib import Path
from text2pose.core import atomic_path

# seconds on 2 CPU cores
TARGETS = {
    'import text2pose':.3, 'text2pose --help':1., 'cold generate, 1 prompt, 4 poses':4.,
    'eager, 1 pose':.06, 'eager, 4 poses':.08, 'eager, 256 poses':256/300,
    'fast, 1 pose':.035, 'fast, 4 poses':.045, 'fast, 256 poses':256/300,
    'eager, two jumps, 1 pose':.03, 'eager, two jumps, 256 poses':.256,
    'fast, two jumps, 1 pose':.02, 'fast, two jumps, 256 poses':.256,
    'look up, 1 prompt in 5,000 poses':.005, 'look up, the same with 5,000 phrases':.005}
PROMPT = 'a person raises both arms'
LIBRARY = 5000  # poses that are looked through

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

def warm_times(pipe, name, repeat, **kwargs):
    "A pipeline that is loaded already, by name."
    def ask(prompt, n): return pipe(prompt, n, **kwargs)
    ask('a warm up', 4)
    many = [f'a person raises arm {i}' for i in range(64)]
    return {
        f'{name}, 1 pose':timed(lambda: ask(PROMPT, 1), 4*repeat),
        f'{name}, 4 poses':timed(lambda: ask(PROMPT, 4), 4*repeat),
        f'{name}, 256 poses':timed(lambda: ask(many, 4), max(2, repeat//2))}

class Watched:
    "Anything that is called, with the seconds that it took."
    def __init__(self, inner): self.inner,self.seconds = inner,0.
    def __getattr__(self, name): return getattr(self.inner, name)
    def __call__(self, *args, **kwargs):
        start = time.perf_counter()
        try: return self.inner(*args, **kwargs)
        finally: self.seconds += time.perf_counter()-start

def parts(pipe, name, n, repeat):
    "Where the time of n poses goes, by name."
    from text2pose import cfg
    places = {
        'text':(pipe,'_encoder'), 'look up':(pipe.memory,'similarity'), 'prepare':(pipe.denoiser,'prepare'),
        'passes':(pipe.denoiser,'denoise'), 'enforcement':(cfg,'on_skeleton'), 'scores':(cfg,'plausibility')}
    rows = {f'{name}, {n} poses: {part}':[] for part in [*places,'rest']}
    for _ in range(4*repeat):
        before = {part:getattr(*place) for part,place in places.items()}
        watched = {part:Watched(inner) for part,inner in before.items()}
        for part,(owner,attribute) in places.items(): setattr(owner, attribute, watched[part])
        try: whole = timed(lambda: pipe(PROMPT, n), 1)[0]
        finally:
            for part,(owner,attribute) in places.items(): setattr(owner, attribute, before[part])
        for part,w in watched.items(): rows[f'{name}, {n} poses: {part}'].append(w.seconds)
        rows[f'{name}, {n} poses: rest'].append(whole-sum(w.seconds for w in watched.values()))
    return rows

def other_shapes(repeat):
    "A guided pass, two rows, of networks that others use, with random weights, and the runs that they are used for."
    import torch
    from diffusers import UNet1DModel
    from torch import nn
    layer = nn.TransformerEncoderLayer(512, 4, 1024, batch_first=True)  # MDM (Tevet et al. 2023), 196 frames, a token
    mdm = nn.TransformerEncoder(layer, 8).eval()
    frames = torch.randn(2, 197, 512)
    unet = UNet1DModel(
        sample_size=64, in_channels=3, out_channels=3, block_out_channels=(128,256,384), norm_num_groups=8,
        down_block_types=('DownBlock1D',)*3, up_block_types=('UpBlock1D',)*3).eval()
    joints,t = torch.randn(2, 3, 64), torch.tensor([500,500])  # 64: its convolutions need room
    with torch.inference_mode():
        a,b = timed(lambda: mdm(frames), 2*repeat), timed(lambda: unet(joints, t), 4*repeat)
    n_weights = sum(p.numel() for p in unet.parameters())/1e6
    return {
        "MDM's shape, a guided pass":a, "MDM's shape, 50 steps":[50*v for v in a],
        "MDM's shape, 1000 steps":[1000*v for v in a], f'UNet1D of diffusers, {n_weights:.0f} M, a guided pass':b}

def peak_memory():
    "The most that a process which generates four poses takes, MiB."
    # Linux tells of the process itself; its ru_maxrss is at least that of the process that started it, which is larger
    code = ('import re; from pathlib import Path; from text2pose.cfg import Text2PosePipeline; '
            'Text2PosePipeline.from_pretrained()("arms raised", 4); '
            'print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])')
    said = subprocess.run([sys.executable,'-c',code], check=True, capture_output=True, text=True).stdout
    return int(said)/1024

def library_of(n, source):
    "n poses of the atlas, each as often as needed."
    import numpy as np
    from text2pose.library import PoseLibrary, atlas_library
    atlas = atlas_library()
    rows = np.arange(n)%len(atlas)
    phrases = [atlas.phrases[i][:1] for i in rows]
    return PoseLibrary([f'pose {i}' for i in range(n)], atlas.joints[rows], phrases, [source]*n, ['train']*n)

def look_up_times(pipe, repeat):
    "One encoded prompt against a library, its best four poses, by name; without phrases and with one of each pose."
    from text2pose.text import PoseMemory
    text = pipe.text_encoder(PROMPT)
    by_looks = PoseMemory(library_of(LIBRARY, 'atlas'), pipe.scorer)
    by_both = PoseMemory(library_of(LIBRARY, 'own.yaml'), pipe.scorer, pipe.text_encoder)
    def look_up(memory): return timed(lambda: memory.similarity(text).topk(4, 1), 20*repeat)
    return {
        'look up, 1 prompt in 5,000 poses':look_up(by_looks),
        'look up, the same with 5,000 phrases':look_up(by_both)}

def summary(seconds):
    return dict(median=round(statistics.median(seconds), 4), best=round(min(seconds), 4), runs=len(seconds))

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
    rows |= warm_times(pipe, 'eager', a.repeat)|parts(pipe, 'eager', 4, a.repeat)
    rows |= warm_times(pipe, 'eager, two jumps', a.repeat, num_inference_steps=2)
    fast = Text2PosePipeline.from_pretrained(fast=True)
    rows |= warm_times(fast, 'fast', a.repeat)|parts(fast, 'fast', 4, a.repeat)
    rows |= warm_times(fast, 'fast, two jumps', a.repeat, num_inference_steps=2)
    rows |= look_up_times(pipe, a.repeat)|other_shapes(a.repeat)
    res = dict(
        command='python benchmarks/bench_latency.py', cpus=os.cpu_count(), threads=torch.get_num_threads(),
        machine=platform.machine(), python=platform.python_version(), torch=torch.__version__,
        num_inference_steps=pipe.model.config['num_inference_steps'], peak_memory_mib=round(peak_memory()),
        seconds={k:summary(v) for k,v in rows.items()})
    print(f'{"":37} {"median":>8} {"best":>8}   to reach')
    for k,v in res['seconds'].items():
        print(f'{k:37} {v["median"]:7.4f}s {v["best"]:7.4f}s   {verdict(k, v["median"])}')
    with atomic_path(a.out) as tmp:
        tmp.write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
