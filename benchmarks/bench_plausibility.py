"""Whether the score can say no: held-out real poses against generated ones and against folded heaps, rule by rule.

python benchmarks/bench_plausibility.py [--heaps RUN]     needs TEXT2POSE_DATA; writes plausibility.json

RUN is a folder of weights that were trained for twenty steps (README, "Your own data"); without it heaps are left out.
"""
import argparse
import json
from pathlib import Path
import numpy as np
import torch
from text2pose.cfg import Text2PosePipeline
from text2pose.core import asset, data_dir
from text2pose.humanml3d import OPEN_SOURCES
from text2pose.skeleton import _costs, capture_poses, plausibility

HERE = Path(__file__).parent

def costs(x):
    "Rule → (n,) cost."
    return {rule:c.sum(-1).numpy() for rule,c in _costs(torch.from_numpy(np.asarray(x, np.float64))).items()}

def auc(good, bad):
    "How often a good pose scores above a bad one; ties count half."
    return float(np.mean(good[:,None]>bad)+.5*np.mean(good[:,None]==bad))

def compared(real, other):
    "Scores of poses, and how well real ones are told from them: by the whole score, and by each rule alone."
    scores = plausibility(other)
    a,b = costs(real), costs(other)
    rules = {rule:auc(-a[rule], -b[rule]) for rule in a}
    return dict(poses=len(other), median=np.median(scores), percentile_5=np.quantile(scores, .05),
                below_20=np.mean(scores<.2), auc=auc(plausibility(real), scores), auc_of_rules=rules)

def hips_apart(x):
    "Smallest and largest distance between the hips, metres."
    distance = np.linalg.norm(x[:,1]-x[:,2], axis=-1)
    return [distance.min(), distance.max()]

def main():
    "Generate, compare, write."
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--heaps', help='folder of weights trained for twenty steps')
    parser.add_argument('-n', type=int, default=7, help='poses for each prompt of assets/prompts.jsonl')
    args = parser.parse_args()
    prompts = [json.loads(line)['prompt'] for line in asset('prompts.jsonl').read_text(encoding='utf-8').splitlines()]
    folder = data_dir()/'realmocap22'
    held_out = {s:capture_poses(folder, s, 'val') for s in OPEN_SOURCES}
    real = np.concatenate([x for x in held_out.values() if len(x)])
    result = dict(real=dict(poses=len(real), percentile_5=np.quantile(plausibility(real), .05)))
    pipe = Text2PosePipeline.from_pretrained()
    ways = {'default':{}, 'ramp 2 to 7, 20 steps':dict(guidance_scale=(2.,7.), num_inference_steps=20)}
    for way,settings in ways.items():
        n = args.n if way=='default' else 2
        for kind,enforce in (('raw',False), ('final',True)):
            joints = pipe(prompts, n, seed=0, enforce_skeleton=enforce, **settings).joints
            result[f'{way}, {kind}'] = dict(compared(real, joints), hips_apart=hips_apart(joints))
    if args.heaps:
        pipe = Text2PosePipeline.from_pretrained(args.heaps)
        for kind,enforce in (('raw',False), ('final',True)):
            result[f'heaps, {kind}'] = compared(real, pipe(prompts[:40], 4, seed=0, enforce_skeleton=enforce).joints)
    rounded = json.loads(json.dumps(result, default=float), parse_float=lambda v: round(float(v), 4))
    (HERE/'plausibility.json').write_text(json.dumps(rounded, indent=1)+'\n')
    for name,r in rounded.items(): print(name, r)

if __name__=='__main__': main()
