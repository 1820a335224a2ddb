"""What a step of the denoiser costs: called whole, with everything prepared, and taken by ONNX Runtime; and its memory.

    python benchmarks/bench_passes.py [--repeat 100] [--out FILE]

Prints a table and writes benchmarks/passes.json. Two rows are one pose with guidance. The ways take turns, so that a
busy machine disturbs all of them alike. Seconds of the clock are the best of all runs, those of the processor (all
threads together) the median.
"""
import argparse, json, multiprocessing, os, platform, resource, statistics, time
from pathlib import Path
import torch
from text2pose.cfg import load_model
from text2pose.core import asset, atomic_path
from text2pose.data import N_JOINTS
from text2pose.fast import OnnxDenoiser

ROWS = (2,8,512)
THREADS = (1,2)
TIMESTEPS = [999,899,799,699,599,499,399,299,199,99]
N_WORDS, N_EXEMPLARS = 9, 4

def condition(
    n:int,   # rows
    dim:int, # width of the text states
)->tuple:   # text states, mask and exemplars, all rows different
    "What a step is told beside the poses."
    similarity = torch.ones(n,N_EXEMPLARS)
    exemplars = torch.randn(n,N_EXEMPLARS,N_JOINTS,3), similarity, similarity.bool()
    return torch.randn(n,N_WORDS,dim), torch.ones(n,N_WORDS).bool(), exemplars

def ways(unet, fast, n):
    "Name → function, for n rows."
    x,told = torch.randn(n,N_JOINTS,3), condition(n, unet.config.cross_attention_dim)
    prepared,prepared_fast = unet.prepare(TIMESTEPS, *told), fast.prepare(TIMESTEPS, *told)
    return {
        'called whole':lambda: unet(x, TIMESTEPS[3], *told),
        'prepare ten steps':lambda: unet.prepare(TIMESTEPS, *told),
        'denoise':lambda: unet.denoise(x, prepared, 3),
        'denoise, ONNX Runtime':lambda: fast.denoise(x, prepared_fast, 3)}

def take_turns(functions, repeat):
    "Best seconds of the clock and median seconds of the processor, by name."
    clock,processor = ({name:[] for name in functions} for _ in range(2))
    for i in range(repeat+1):
        for name,f in functions.items():
            start,start_cpu = time.perf_counter(), time.process_time()
            f()
            if i==0: continue  # to warm up
            clock[name].append(time.perf_counter()-start)
            processor[name].append(time.process_time()-start_cpu)
    return {name:dict(best=round(min(clock[name]), 5), processor=round(statistics.median(processor[name]), 5))
            for name in functions}

def load_unet():
    "The denoiser of the package."
    return load_model(asset('weights')).unet.eval().requires_grad_(False)

def peak_megabytes(kind):
    "How much a step of 512 rows adds to the largest memory of a process, with what was prepared for it."
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    unet = load_unet()
    denoiser = OnnxDenoiser(unet) if kind=='ONNX Runtime' else unet
    x,told = torch.randn(max(ROWS),N_JOINTS,3), condition(max(ROWS), unet.config.cross_attention_dim)
    def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e3
    start = peak()
    prepared = denoiser.prepare(TIMESTEPS, *told)
    after_prepare = peak()
    denoiser.denoise(x, prepared, 3)
    return dict(prepare=round(after_prepare-start), all=round(peak()-start))

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--repeat', type=int, default=100, help='runs of two rows; of more rows fewer, but two at least')
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('passes.json'))
    a = p.parse_args()
    with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as pool:
        memory = dict(zip(('PyTorch','ONNX Runtime'), pool.map(peak_megabytes, ('PyTorch','ONNX Runtime'), 1)))
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    unet = load_unet()
    print(f'{"":20} {"":22} {"best ms":>9} {"processor ms":>13}')
    res = dict(
        command='python benchmarks/bench_passes.py', cpus=os.cpu_count(), load=os.getloadavg()[0],
        machine=platform.machine(), python=platform.python_version(), torch=torch.__version__,
        seconds={}, megabytes_512_rows=memory)
    for n_threads in THREADS:
        torch.set_num_threads(n_threads)
        start = time.process_time()
        fast = OnnxDenoiser(unet)
        res.setdefault('make_seconds', round(time.process_time()-start, 2))
        for n in ROWS:
            case = f'{n} rows, {n_threads} threads'
            res['seconds'][case] = take_turns(ways(unet, fast, n), max(2, a.repeat*2//n))
            for name,v in res['seconds'][case].items():
                print(f'{case:20} {name:22} {1e3*v["best"]:9.2f} {1e3*v["processor"]:13.2f}', flush=True)
    print(f'making the graph: {res["make_seconds"]} s of the processor; MB of 512 rows: {memory}')
    with atomic_path(a.out) as tmp:
        tmp.write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
