"""Ways to guide, samplers and numbers of steps: prompts followed, naturalness, spread, raw bones, and what they cost.

    python benchmarks/bench_guidance.py [--split dev] [--poses 4] [--only NAME …] [--out FILE]

Enforcement off, seed 0, nothing chosen. The cost of a pose is counted in passes of the network, one for a prediction
with words and one for a prediction without; how long one takes is in bench_latency.py. Prints a table and writes
benchmarks/guidance.json; a setting that the file holds already for these prompts is not measured again.
"""
import argparse, json
from pathlib import Path
import numpy as np
from text2pose.core import atomic_path, read_json
from text2pose.cfg import Text2PosePipeline, guidance_ramp
from text2pose.eval import naturalness, prompt_adherence, read_prompts

MEAN_2 = {
    'constant 2':dict(guidance_scale=2.),
    'ramp 1 → 3':dict(guidance_scale=(1.,3.)),
    'falling 3 → 1':dict(guidance_scale=(3.,1.)),
    'interval 0.3 to 1, 2.43':dict(guidance_scale=1+1/.7, guidance_interval=(.3,1.)),
    'interval 0 to 0.7, 2.43':dict(guidance_scale=1+1/.7, guidance_interval=(0.,.7)),
    'interval 0.2 to 0.8, 2.67':dict(guidance_scale=1+1/.6, guidance_interval=(.2,.8)),
    'apg 2':dict(guidance_scale=2., guidance_method='apg'),
    'rescale 2':dict(guidance_scale=2., guidance_method='rescale'),
    'renorm 2':dict(guidance_scale=2., guidance_method='renorm')}
MEAN_4_5 = {
    'constant 4.5':dict(guidance_scale=4.5),
    'ramp 2 → 7':dict(guidance_scale=(2.,7.)),
    'ramp 2 → 7, apg':dict(guidance_scale=(2.,7.), guidance_method='apg'),
    'ramp 2 → 7, rescale':dict(guidance_scale=(2.,7.), guidance_method='rescale'),
    'ramp 2 → 7, renorm':dict(guidance_scale=(2.,7.), guidance_method='renorm')}
OTHERS = {
    'none':dict(guidance_scale=1.),
    'constant 1.5':dict(guidance_scale=1.5),
    'constant 3':dict(guidance_scale=3.),
    'cfg++ 0.6':dict(guidance_scale=.6, guidance_method='cfg++'),
    'cfg++ 1':dict(guidance_scale=1., guidance_method='cfg++'),
    'interval 0 to 0.5, 2':dict(guidance_scale=2., guidance_interval=(0.,.5)),
    'interval 0.5 to 1, 2':dict(guidance_scale=2., guidance_interval=(.5,1.))}
SAMPLERS = {
    f'{sampler} {n}':dict(sampler=sampler, num_inference_steps=n)
    for sampler,counts in (('ddim',(3,4,5,6,8,20,50)), ('dpm++',(4,5,6,8,10,20)), ('unipc',(5,6,8,10,20)),
                           ('ddpm',(10,20,50,100)))
    for n in counts}
EARLY = {  # guidance in the first half of the run only, in few steps
    f'first half, {g}, {n} steps':dict(guidance_scale=float(g), guidance_interval=(0.,.5), num_inference_steps=n)
    for g,n in (('2',4),('2',5),('2',6),('2',8),('2.5',6))}
THOUSAND = {'ddpm 1000':dict(sampler='ddpm', num_inference_steps=1000)}
SETTINGS = MEAN_2|MEAN_4_5|OTHERS|EARLY|SAMPLERS|THOUSAND
STEPS = 10  # where nothing else is said

def measure(pipe, prompts, n_poses, **settings):
    "One row of the table."
    results = prompt_adherence(pipe, prompts, n_poses, **settings)
    natural = naturalness(np.stack([r['joints'][:4] for r in results]))
    return dict(followed=float(np.mean([r['followed'] for r in results])), **natural, passes=passes(pipe, **settings))

def passes(pipe, guidance_scale=2., guidance_interval=(0.,1.), num_inference_steps=None, **_):
    "Passes of the network for a pose; where guidance has a scale of 1 one prediction does."
    scales = guidance_ramp(guidance_scale, num_inference_steps or STEPS, guidance_interval)
    return int(sum(1 if g in (0,1) else 2 for g in scales))

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--split', default='dev', choices=('dev','val'))
    p.add_argument('--poses', type=int, default=4)
    p.add_argument('--only', nargs='*', help='names of settings; by default all but ddpm 1000')
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('guidance.json'))
    a = p.parse_args()
    pipe,prompts = Text2PosePipeline.from_pretrained(),read_prompts(a.split)
    key = f'{a.split}, {a.poses} poses each'
    print(f'{key:28} followed  spine  95 %  tipped  spread  bones  passes')
    for name in a.only or [s for s in SETTINGS if s not in THOUSAND]:
        results = read_json(a.out) if a.out.is_file() else {}
        rows = results.setdefault(key, {})
        if name not in rows:
            settings = {'num_inference_steps':STEPS, 'guidance_scale':2., **SETTINGS[name]}
            row = measure(pipe, prompts, a.poses, **settings)
            rows[name] = {k:round(v, 4) for k,v in row.items() if v is not None}
            with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(results, indent=1, ensure_ascii=False)+'\n')
        r = rows[name]
        print(f'{name:28} {100*r["followed"]:6.1f} % {r["spine_bend"]:5.1f}° {r["spine_bend_95"]:4.1f}° '
              f'{100*r["tipped_feet"]:5.1f} % {100*r.get("spread", np.nan):4.1f} cm {100*r["bone_error"]:4.1f} % '
              f'{r["passes"]:6}', flush=True)

if __name__=='__main__': main()
