"""How well words are followed: enforcement off, one pose per draw, nothing chosen. Prints a table and writes JSON.

    python benchmarks/bench_follow.py [--weights DIR] [--name default] [--captions 1000] [--poses 8] [--seed 0]
        [--guidance FIRST LAST] [--steps N] [--exemplars N] [--look-up] [--keep-exemplars]
        [--out FILE]

Captions are made of held-out poses: of the captures where TEXT2POSE_DATA is set, of the atlas always. A file that
exists keeps what it holds under other names. With --captions 0 only prompts are asked. benchmarks/follow.json has
`default`, `words` (--exemplars 0, the network without exemplars) and `look_up` (--look-up, exemplars without the
network), each made with --captions 500, and of prompts only (--captions 0) `ramp` (--guidance 2 7) and `apart`
(--keep-exemplars: guidance away from exemplars without words, not from nothing). Prompts are checked once more after
enforcement, as `enforced`.
"""
import argparse, json
from pathlib import Path
import numpy as np
from text2pose.core import atomic_path, available, read_json
from text2pose.data import table_joints
from text2pose.skeleton import enforce_skeleton
from text2pose.posecodes import satisfies
from text2pose.atlas import atlas_rows, composition_rows
from text2pose.cfg import Text2PosePipeline
from text2pose.dataset import build_table
from text2pose.eval import (
    LookUp, atlas_recall, caption_adherence, naturalness, prompt_adherence, rate, read_prompts, reading_accuracy,
    side_accuracy, story_effects)

SPLITS = ('dev','val')

class Apart(Text2PosePipeline):
    "Guidance drops the words and keeps the exemplars."
    def _conditions(self, batch, r, cond, uncond):
        with_words,without,named = super()._conditions(batch, r, cond, uncond)
        without.exemplars = with_words.exemplars
        return with_words, without, named

def some_poses(joints, n, seed=0):
    "Up to n different poses, drawn at random."
    joints = np.unique(joints, axis=0)
    return joints[np.random.default_rng(seed).permutation(len(joints))[:n]]

def joints_of_rows(rows):
    "Poses of those rows that are held out, (n, 22, 3)."
    return np.stack([r['joints'] for r in rows if r['split']=='val']).reshape(-1,22,3)

def capture_val_poses():
    "Held-out poses of the captures, (n, 22, 3)."
    table = build_table('open', n_words=0, n_variations=1, n_clusters=1)
    split,source = np.array(table['split'].to_pylist()), np.array(table['source'].to_pylist())
    return table_joints(table.filter((split=='val')&(source!='atlas')))

def val_poses(n):
    "Set → up to n poses that no weights were trained on, (m, 22, 3)."
    if n==0: return {}
    sets = {}
    if available('realmocap22'): sets['captures'] = capture_val_poses()
    sets['atlas'] = joints_of_rows(atlas_rows(4, split='val'))
    sets['compositions'] = joints_of_rows(composition_rows(n, split='val'))
    return {name:some_poses(joints, n) for name,joints in sets.items()}

def mean_of(results):
    "How many prompts, the share followed and its chance."
    followed,chance = ([r[k] for r in results] for k in ('followed','chance'))
    return dict(prompts=len(results), followed=float(np.mean(followed)), chance=float(np.mean(chance)))

def enforced(results):
    "The same results, of poses whose skeleton was enforced afterwards."
    joints = enforce_skeleton(np.concatenate([r['joints'] for r in results])).reshape(len(results), -1, 22, 3)
    return [{**r, 'followed':rate(satisfies(r['statements'], x))} for r,x in zip(results, joints)]

def by_group(results):
    "`mean_of` for all prompts and for every group of them."
    groups = dict.fromkeys(r['group'] for r in results)
    return {'all':mean_of(results), **{g:mean_of([r for r in results if r['group']==g]) for g in groups}}

def measure_all(pipe, n_captions, n_poses, seed, **kwargs):
    "All measures as a dict."
    sets = val_poses(n_captions)
    res = dict(captions={k:caption_adherence(pipe, x, seed=seed, **kwargs) for k,x in sets.items()})
    if pipe.model.config.get('posecodes') and not isinstance(pipe, LookUp):
        res['reading'] = {k:reading_accuracy(pipe, x, seed) for k,x in sets.items()}
    made = {s:prompt_adherence(pipe, read_prompts(s), n_poses, seed=seed, **kwargs) for s in SPLITS}
    res['prompts'] = {s:by_group(rs) for s,rs in made.items()}
    res['enforced'] = {s:mean_of(enforced(rs)) for s,rs in made.items()}
    sides = {s:side_accuracy(rs) for s,rs in made.items()}
    res['sides'] = {s:dict(side_asked_for=one, both_twins_right=both) for s,(one,both) in sides.items()}
    res['story'] = story_effects(pipe, seed=seed, **kwargs)
    res['natural'] = {s:naturalness(np.stack([r['joints'][:4] for r in rs])) for s,rs in made.items()}
    res['recall'] = {s:atlas_recall(pipe, split=s, seed=seed, **kwargs) for s in ('train','val')}
    res['each'] = {s:{r['prompt']:r['followed'] for r in rs} for s,rs in made.items()}
    return res

def print_measures(res):
    "One line per measure."
    def percent(x): return f'{100*x:5.1f} %'
    for k,c in res['captions'].items():
        print(f"stated codes, held-out {k:13} {percent(c['hold'])} of {c['statements']} "
              f"(chance {percent(c['chance'])}); "
              f"whole captions {percent(c['whole'])}; negations {percent(c['negations_hold'])} of {c['negations']} "
              f"(chance {percent(c['negations_chance'])})")
    for k,r in res.get('reading', {}).items():
        print(f"read off captions of held-out {k:13} {percent(r['read'])} of {r['statements']}; "
              f"negations {percent(r['negations_read'])} of {r['negations']}")
    for s,groups in res['prompts'].items():
        for g,v in groups.items():
            print(f"prompts, {s:4} {g:10} {percent(v['followed'])} of {v['prompts']:2} (chance {percent(v['chance'])})")
        print(f"prompts, {s:4} after enforcement {percent(res['enforced'][s]['followed'])}")
        sides = res['sides'][s]
        print(f"sides, {s}: the side asked for {percent(sides['side_asked_for'])}, "
              f"both twins right {percent(sides['both_twins_right'])}")
    for r in res['story']:
        print(f"{r['prompt']:12} {r['measure']:56} {r['mean']:7.2f}, neutral {r['neutral']:7.2f}; "
              f"larger in {100*r['more']:.0f} % of pairs")
    for s,v in res['natural'].items():
        print(f"as sampled, {s:4} spine bend {v['spine_bend']:.1f}° (95 %: {v['spine_bend_95']:.1f}°), "
              f"tipped feet {percent(v['tipped_feet'])}, bone error {percent(v['bone_error'])}, "
              f"plausibility {v['plausibility']:.2f}, spread of four poses {100*v['spread']:.1f} cm")
    for s,v in res['recall'].items():
        print(f"phrases of the atlas, {s:5} intended pose nearest {percent(v['nearest'])} of {v['phrases']}, "
              f"among the five nearest {percent(v['among_five'])}; {100*v['distance']:.1f} cm away (median)")

def rounded(res):
    "Floats with four digits."
    return json.loads(json.dumps(res), parse_float=lambda f: round(float(f), 4))

def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--weights', help='folder; those of the package by default')
    p.add_argument('--name', default='default', help='key in the file')
    p.add_argument('--captions', type=int, default=1000)
    p.add_argument('--poses', type=int, default=8)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--guidance', type=float, nargs=2, help='first and last')
    p.add_argument('--steps', type=int)
    p.add_argument('--exemplars', type=int, help='0 for none')
    p.add_argument('--look-up', action='store_true', help='poses of the library, without the network')
    p.add_argument('--keep-exemplars', action='store_true', help='guidance drops the words only')
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('follow.json'))
    return p.parse_args()

def pipeline_arguments(a):
    "What the command line says about the pipeline."
    kwargs = dict(num_inference_steps=a.steps, num_exemplars=a.exemplars)
    if a.guidance: kwargs['guidance_scale'] = tuple(a.guidance)
    return {k:v for k,v in kwargs.items() if v is not None}

def command(a):
    "The command line again, without paths."
    line = f'python benchmarks/bench_follow.py --name {a.name} --captions {a.captions}'
    if a.guidance: line += ' --guidance '+' '.join(f'{g:g}' for g in a.guidance)
    for option in ('steps','exemplars'):
        value = getattr(a, option)
        if value is not None: line += f' --{option.replace("_","-")} {value}'
    return line+' --look-up'*a.look_up+' --keep-exemplars'*a.keep_exemplars

def main():
    a = arguments()
    pipe = (Apart if a.keep_exemplars else Text2PosePipeline).from_pretrained(a.weights)
    asked = LookUp(pipe) if a.look_up else pipe
    res = measure_all(asked, a.captions, a.poses, a.seed, **pipeline_arguments(a))
    print_measures(res)
    settings = dict(
        command=command(a), weights=a.weights and Path(a.weights).name, guidance=a.guidance, steps=a.steps,
        exemplars=a.exemplars, look_up=a.look_up, samples=pipe.training.get('samples'))
    old = read_json(a.out) if a.out.is_file() else {}
    with atomic_path(a.out) as tmp:
        tmp.write_text(json.dumps({**old, a.name:rounded({**settings, **res})}, indent=1)+'\n')

if __name__=='__main__': main()
