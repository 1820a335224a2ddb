"""Everything worth doing on a borrowed GPU, in one call: release training, the ablation, timings.

    python benchmarks/bench_gpu.py prepare DIR                     # here: pose table and text encoder, to carry along
    python benchmarks/bench_gpu.py run DIR --out OUT               # there: OUT/weights and OUT/gpu.json; resumes
    python benchmarks/bench_gpu.py run DIR --out OUT --tiny --cpu  # a try on a CPU

The GPU's machine needs no network.
"""
import argparse, json, time
from pathlib import Path
import torch
from text2pose.core import atomic_path
from text2pose.data import read_pose_table, write_pose_table
from text2pose.dataset import build_table
from text2pose.text import load_text_encoder
from text2pose.train import make_trainer, phase_config, val_losses
from bench_ablation import ablation, train_and_val

def prepare(folder, tiny):
    "Write DIR/open.parquet and DIR/encoder."
    small = dict(n_words=1, n_variations=1, n_compositions=0) if tiny else {}
    write_pose_table(build_table('open', **small), folder/'open.parquet')
    encoder = load_text_encoder()
    encoder.model.half().save_pretrained(folder/'encoder')
    encoder.tokenizer.save_pretrained(folder/'encoder')

class Results(dict):
    "Results, written after each part, so that a run that is cut off leaves what it has."
    def __init__(self, path, **kwargs):
        super().__init__(kwargs)
        self.path = path

    def note(self, **kwargs):
        self.update(kwargs)
        with atomic_path(self.path) as tmp: tmp.write_text(json.dumps(self, indent=1)+'\n')

def release_training(train, val, out, steps, cpu, **kwargs):
    "The phases reader and text, as for the weights of the package; trainer, seconds and steps a second of the latter."
    every = max(1, steps//10)
    reader = make_trainer(phase_config('reader', n_steps=max(1, steps//4), **kwargs), *train, cpu=cpu)
    reader.fit(out/'reader', checkpoint_every=every)
    reader.save(out/'reader', note='reader phase on the preset open')
    config = phase_config('text', n_steps=steps, noise_samples_per_caption=8, timestep_bias=1.5, freeze_reader=True,
                          **kwargs)
    trainer = make_trainer(config, *train, val=val, cpu=cpu, start=out/'reader')
    if (out/'checkpoint.safetensors').is_file(): trainer.load_checkpoint(out/'checkpoint.safetensors')
    start,first = time.perf_counter(),trainer.step
    trainer.fit(out, checkpoint_every=every)
    seconds = time.perf_counter()-start
    trainer.save(out/'weights', note='text phase on the preset open')
    return trainer, seconds, (trainer.step-first)/seconds

def step_milliseconds(model, states, n_poses, repeat):
    "One guided network pass: two rows a pose."
    device = next(model.parameters()).device
    n = 2*n_poses
    x_t,timestep = torch.randn(n, 22, 3, device=device), torch.full((n,), 500, device=device)
    tokens,mask = (s[:1].expand(n, *s.shape[1:]) for s in states(torch.tensor([0]), device))
    for i in range(repeat+1):
        if i==1: start = time.perf_counter()  # the first one warms up
        with torch.no_grad(): model(x_t, timestep, tokens, mask)
        if device.type=='cuda': torch.cuda.synchronize()
    return round(1000*(time.perf_counter()-start)/repeat, 2)

def run(folder, out, steps, batch_size, precision, cpu, tiny):
    "Train, ablate, time."
    device = 'cpu' if cpu or not torch.cuda.is_available() else 'cuda'
    encoder = load_text_encoder('minilm', folder/'encoder')
    encoder.model.float()
    encoder.to(device)
    table = read_pose_table(folder/'open.parquet')
    train,val = train_and_val(table, encoder, batch_size=64 if device=='cpu' else 1024, cache=out/'captions')
    results = Results(out/'gpu.json', command='python benchmarks/bench_gpu.py run', torch=torch.__version__,
                      device=device if device=='cpu' else torch.cuda.get_device_name())
    unet = dict(block_channels=[32,64], layers_per_block=1) if tiny else {}
    how = dict(batch_size=batch_size, mixed_precision=precision, unet=unet)
    trainer,seconds,steps_per_second = release_training(train, val, out, steps, cpu, **how)
    model = trainer.averaged()
    results.note(training=dict(steps=steps, batch_size=batch_size, precision=precision, seconds=round(seconds,1),
                               samples_per_second=round(steps_per_second*batch_size), val=val_losses(model, *val)))
    results.note(ablation=ablation(train, val, steps=20 if tiny else 3000, cpu=cpu))
    repeat = 2 if tiny else 29
    timings = {n:step_milliseconds(model, train[1], n, repeat) for n in (1,4,256)}
    results.note(timings={f'{n} poses, one guided step, ms':ms for n,ms in timings.items()})
    print(json.dumps({k:v for k,v in results.items() if k!='ablation'}, indent=1))

if __name__=='__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('what', choices=('prepare','run'))
    p.add_argument('folder', type=Path)
    p.add_argument('--out', type=Path, default=Path('runs/gpu'))
    p.add_argument('--steps', type=int, default=20000)
    p.add_argument('--batch-size', type=int, default=512)
    p.add_argument('--precision', default='bf16', choices=('no','fp16','bf16'))
    p.add_argument('--cpu', action='store_true')
    p.add_argument('--tiny', action='store_true')
    a = p.parse_args()
    if a.what=='prepare': prepare(a.folder, a.tiny)
    else: run(a.folder, a.out, 20 if a.tiny else a.steps, 16 if a.tiny else a.batch_size, a.precision, a.cpu, a.tiny)
