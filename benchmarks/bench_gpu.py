"""Everything worth doing on a borrowed GPU, in one call: release training, the ablation, timings. Needs no network there.

    python benchmarks/bench_gpu.py prepare DIR                     # here: the pose table and the text encoder in half precision, to be carried along
    python benchmarks/bench_gpu.py run DIR --out OUT               # there: OUT/weights, OUT/gpu.json; a second call resumes the training
    python benchmarks/bench_gpu.py run DIR --out OUT --tiny --cpu  # a try on a CPU
"""
import argparse, json, time
from pathlib import Path
import torch
from text2pose.core import atomic_path
from text2pose.data import read_pose_table, write_pose_table
from text2pose.text import load_text_encoder
from text2pose.dataset import TrainingSet, build_table, encode_captions
from text2pose.train import Trainer, phase_config, val_losses
from ablation import ablation

def prepare(folder, tiny):
    "Write DIR/open.parquet and DIR/encoder."
    small = dict(n_words=1, n_variations=1, n_compositions=0) if tiny else {}
    write_pose_table(build_table('open', **small), folder/'open.parquet')
    encoder = load_text_encoder()
    encoder.model.half().save_pretrained(folder/'encoder')
    encoder.tokenizer.save_pretrained(folder/'encoder')

def run(folder, out, steps, batch_size, precision, cpu, tiny):
    "Train, ablate, time; JSON after each part, so that a run that is cut off leaves what it has."
    table = read_pose_table(folder/'open.parquet')
    train = TrainingSet(table)
    held = TrainingSet(table, 'val') if 'val' in set(table['split'].to_pylist()) else train
    device = 'cpu' if cpu or not torch.cuda.is_available() else 'cuda'
    encoder = load_text_encoder('minilm', folder/'encoder')
    encoder.model.float()
    encoder.to(device)
    states,val_states = (encode_captions(s.captions, encoder, batch_size=64 if device=='cpu' else 1024, cache=out/'captions') for s in (train,held))
    res = dict(command='python benchmarks/bench_gpu.py run', device=device if device=='cpu' else torch.cuda.get_device_name(), torch=torch.__version__)
    def note(**k):
        res.update(k)
        with atomic_path(out/'gpu.json') as tmp: tmp.write_text(json.dumps(res, indent=1)+'\n')
    unet = dict(block_channels=[32,64], layers_per_block=1) if tiny else {}
    r = Trainer(phase_config('text', n_steps=max(1, steps//4), batch_size=batch_size, mixed_precision=precision, unet=unet, reading=True), train, states, cpu=cpu)
    (out/'reading').mkdir(parents=True, exist_ok=True)
    r.fit(out/'reading', checkpoint_every=max(1, steps//10))
    r.save(out/'reading', note='reading, preset open')
    t = Trainer(phase_config('text', n_steps=steps, batch_size=batch_size, noise_samples_per_caption=8, timestep_bias=1.5, mixed_precision=precision, unet=unet, freeze_reader=True), train, states, (held,val_states), cpu=cpu, start=out/'reading')
    start,first = time.perf_counter(),t.step
    t.fit(out, checkpoint_every=max(1, steps//10))
    seconds = time.perf_counter()-start
    t.save(out/'weights', note='text phase on the preset open')
    note(training=dict(steps=steps, batch_size=batch_size, precision=precision, seconds=round(seconds,1), samples_per_second=round((t.step-first)*batch_size/seconds), val=val_losses(t.averaged(), held, val_states)))
    note(ablation=ablation(train, states, held, val_states, steps=20 if tiny else 3000, cpu=cpu))
    model = t.averaged()
    dev = next(model.parameters()).device
    timings = {}
    for n in (2,8,512):                                                     # one network pass, guided: two rows a pose
        x = torch.randn(n,22,3, device=dev)
        tok,mask = (s[:1].expand(n,*s.shape[1:]) for s in states(torch.tensor([0]), dev))
        with torch.no_grad():
            for i in range(3 if tiny else 30):
                if i==1: start = time.perf_counter()                        # the first one warms up
                model(x, torch.full((n,), 500, device=dev), tok, mask)
                if dev.type=='cuda': torch.cuda.synchronize()
        timings[f'{n//2} poses, one guided step, ms'] = round(1000*(time.perf_counter()-start)/((3 if tiny else 30)-1), 2)
    note(timings=timings)
    print(json.dumps({k:v for k,v in res.items() if k!='ablation'}, indent=1))

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
