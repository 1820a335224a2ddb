"""Does it matter who else is in the batch? Every public prompt alone and among all, in float32 and in half precisions.

    python benchmarks/bench_company.py [--threads 1 2] [--precisions float32 bfloat16] [--out FILE]

Prints and writes to benchmarks/company.json how far a joint of any of the 400 prompts is from where it is in the batch,
before enforcement and after: the most, and the share of prompts beyond 0.1 mm.
"""
import argparse, json
from pathlib import Path
import numpy as np
import torch
from text2pose.core import atomic_path
from text2pose.cfg import Text2PosePipeline
from text2pose.eval import read_prompts

def apart(pipe, prompts):
    "Metres between the joints of prompts alone and in company, (prompts,), of raw and of final poses."
    together = pipe(prompts, 1)
    alone = [pipe(p, 1) for p in prompts]
    def farthest(name):
        joints = np.concatenate([getattr(out, name) for out in alone])
        return np.linalg.norm(joints-getattr(together, name), axis=-1).max(1)
    return {name:farthest(name) for name in ('raw_joints','joints')}

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--threads', type=int, nargs='+', default=[1,2])
    p.add_argument('--precisions', nargs='+', default=['float32'])
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('company.json'))
    a = p.parse_args()
    prompts,rows = [r['prompt'] for r in read_prompts()], {}
    for precision in a.precisions:
        pipe = Text2PosePipeline.from_pretrained(torch_dtype=getattr(torch, precision))
        for n in a.threads:
            torch.set_num_threads(n)
            for name,far in apart(pipe, prompts).items():
                row = dict(most_metres=float(far.max()), beyond_a_tenth_of_a_millimetre=float((far>1e-4).mean()))
                rows[f'{precision}, {n} threads, {name}'] = row
                print(f'{precision}, {n} threads, {name:10} at most {1000*far.max():.4f} mm, '
                      f'{100*(far>1e-4).mean():.1f} % of prompts beyond 0.1 mm', flush=True)
    with atomic_path(a.out) as tmp:
        about = dict(command='python benchmarks/bench_company.py', prompts=len(prompts))
        tmp.write_text(json.dumps(about|rows, indent=1)+'\n')

if __name__=='__main__': main()
