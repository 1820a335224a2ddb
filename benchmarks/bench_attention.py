"""Left and right in the attention maps, where the side comes from, and when a pose is decided. Writes attention.json.

    python benchmarks/bench_attention.py [--poses 2] [--seed 0] [--out FILE]

Sides: the sign-flip test of chapter 04c on sentences of our own and on the public prompts. Exchanged: the twins among
the public prompts, parts of their conditions taken from the mirrored prompt. Settled: for every public prompt the step
from which on all its statements hold, in runs of 6 and 20 steps. Enforcement off. What the file already has from the
same poses and seed is kept.
"""
import argparse, json
from pathlib import Path
import numpy as np
from text2pose.core import asset, atomic_path, read_json
from text2pose.cfg import MAX_BATCH, Text2PosePipeline
from text2pose.attention import SIDE_PROMPTS, attention_effect, settled, side_followed, track_run

EXCHANGED = (
    (), ('keys','values','summary','exemplars'), ('keys',), ('values',), ('keys','values'), ('summary',),
    ('exemplars',), ('keys','values','summary'), ('keys','values','exemplars'), ('codes',), ('words',), ('codes','words'))

def sides(pipe, prompts, n, seed):
    "What the sign-flip test found: the whole, the layers, and every cell."
    cells,whole,maps = attention_effect(pipe, prompts, n, seed)
    found = cells.significant()
    return dict(
        pairs=cells.pairs, permutations=cells.permutations, layers=maps.layers,
        mean=float(whole.mean), low=float(whole.low), high=float(whole.high), p=float(whole.p),
        more=int((found&(cells.mean>0)).sum()), less=int((found&(cells.mean<0)).sum()), cells=int(found.size),
        **{f'cells_{k}':np.round(getattr(cells, k), 4).tolist() for k in ('mean','low','high','p_corrected')})

def settling(pipe, rows, n, seed, n_steps):
    "For every group of prompts: poses that do what is asked, and steps from which on they do, in quartiles."
    at_once,steps,distances = MAX_BATCH//n, {}, []
    for first in range(0, len(rows), at_once):
        some = rows[first:first+at_once]
        track = track_run(pipe, [row['prompt'] for row in some], n, seed, enforced=False, num_inference_steps=n_steps)
        distances.append(track.distance)
        for i,row in enumerate(some):
            all_hold = track.holds(row['statements'], range(i*n, (i+1)*n)).all(-1)
            for group in (row['group'],'all'): steps.setdefault(group, []).extend(settled(all_hold).tolist())
    out = {}
    for group,values in steps.items():
        done = np.array([v+1 for v in values if v>=0])
        quartiles = np.quantile(done, [.25,.5,.75,.95]).tolist() if len(done) else None
        out[group] = dict(poses=len(values), followed=len(done)/len(values), quartiles_and_95=quartiles,
                          at_first_step=float((done==1).mean()) if len(done) else None)
    distance = np.concatenate(distances, 1)
    return dict(groups=out, distance_median=np.median(distance, 1).round(4).tolist(),
                distance_90=np.quantile(distance, .9, axis=1).round(4).tolist())

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--poses', type=int, default=2, help='of each prompt')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('attention.json'))
    a = p.parse_args()
    pipe = Text2PosePipeline.from_pretrained()
    rows = [json.loads(line) for line in asset('prompts.jsonl').read_text(encoding='utf-8').splitlines()]
    result = dict(poses=a.poses, seed=a.seed, sides={}, exchanged=[], settled={})
    before = read_json(a.out) if a.out.is_file() else {}
    if (before.get('poses'),before.get('seed'))==(a.poses,a.seed): result |= before
    done = [r['parts'] for r in result['exchanged']]
    def save():
        with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(result, indent=1)+'\n')
    for name,prompts in (('own',SIDE_PROMPTS), ('public',[row['prompt'] for row in rows])):
        if name in result['sides']: continue
        r = result['sides'][name] = sides(pipe, prompts, a.poses, a.seed)
        print(f'{name}: {r["pairs"]} pairs, {np.exp(r["mean"]):.2f} times, p {r["p"]:.4f}, {r["more"]} cells more, '
              f'{r["less"]} less', flush=True)
        save()
    for parts in EXCHANGED:
        if list(parts) in done: continue
        own,mirrored = side_followed(pipe, rows, parts, a.poses, a.seed)
        result['exchanged'].append(dict(parts=parts, own=own, mirrored=mirrored))
        print(f'{" + ".join(parts) or "nothing":38} own {100*own:5.1f} %, mirrored {100*mirrored:5.1f} %', flush=True)
        save()
    for n_steps in (6,20):
        if str(n_steps) in result['settled']: continue
        r = result['settled'][str(n_steps)] = settling(pipe, rows, a.poses, a.seed, n_steps)
        print(n_steps, 'steps:', json.dumps(r['groups']['all']), flush=True)
        save()

if __name__=='__main__': main()
