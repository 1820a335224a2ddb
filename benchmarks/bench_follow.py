"""How well words are followed: enforcement off, one pose per draw, nothing chosen. Prints a table and writes JSON.

    python benchmarks/bench_follow.py [--weights DIR] [--name after] [--code-guidance 0] [--captions 1000] [--poses 8] [--sheet FILE.png] [--out FILE]

Captions are made of held-out poses: of the captures where TEXT2POSE_DATA is set, of the atlas always. A file that exists keeps what it holds under other names.
"""
import argparse, json, time
from pathlib import Path
import numpy as np
from text2pose.atlas import atlas_rows, composition_rows
from text2pose.text import load_text_encoder
from text2pose.cfg import Text2PosePipeline
from text2pose.core import atomic_path, data_dir, read_json
from text2pose.data import table_joints
from text2pose.eval import (
    bone_length_error, caption_adherence, prompt_adherence, read_prompts, reading_accuracy, side_accuracy,
    story_effects)
from text2pose.dataset import build_table

def some(x, n, seed=0):
    x = np.unique(x, axis=0)
    return x[np.random.default_rng(seed).permutation(len(x))[:n]]

def val_poses(n):
    "Set → (m, 22, 3) poses that no weights were trained on."
    rows = lambda rs: np.stack([r['joints'] for r in rs if r['split']=='val']).reshape(-1,22,3)
    sets = {'atlas':some(rows(atlas_rows(4, split='val')), n), 'compositions':some(rows(composition_rows(n, split='val')), n)}
    if data_dir() is not None:
        t = build_table('open', n_words=0, n_variations=1, n_clusters=1)
        t = t.filter((np.array(t['split'].to_pylist())=='val')&(np.array(t['source'].to_pylist())!='atlas'))
        sets = {'captures':some(table_joints(t), n), **sets}
    return sets

def run(pipe, captions, poses, seed, **kw):
    t = time.perf_counter()
    sets = val_poses(captions)
    res = dict(captions={k:caption_adherence(pipe, x, seed=seed, **kw) for k,x in sets.items()})
    if pipe.model.config.get('posecodes'): res['reading'] = {k:reading_accuracy(pipe, x, seed) for k,x in sets.items()}
    made = {s:prompt_adherence(pipe, read_prompts(s), poses, seed=seed, **kw) for s in ('dev','val')}
    mean = lambda rs: dict(prompts=len(rs), followed=float(np.mean([r['followed'] for r in rs])), chance=float(np.mean([r['chance'] for r in rs])))
    res['prompts'] = {s:{'all':mean(rs), **{g:mean([r for r in rs if r['group']==g]) for g in dict.fromkeys(r['group'] for r in rs)}} for s,rs in made.items()}
    res['sides'] = {s:dict(zip(('side_asked_for','both_twins_right'), side_accuracy(rs))) for s,rs in made.items()}
    res['story'] = story_effects(pipe, seed=seed, **kw)
    every = np.concatenate([r['joints'] for rs in made.values() for r in rs])
    res['bone_length_error'] = float(bone_length_error(every).mean())
    res['each'] = {s:{r['prompt']:round(r['followed'], 3) for r in rs} for s,rs in made.items()}
    res['seconds'] = round(time.perf_counter()-t)
    return res, made

def sheet(made, path, per=40):
    "All prompts with their first four poses: a tick and green where everything asked for holds. One file for so many prompts."
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    from PIL import Image
    from text2pose.data import plot_poses
    from text2pose.posecodes import satisfies
    rows = [r for rs in made.values() for r in rs]
    for page in range(0, len(rows), per):
        some = rows[page:page+per]
        ok = [satisfies(r['statements'], r['joints'][:4]) for r in some]
        titles = [('✓ ' if o else '✗ ')+(r['prompt'] if i==0 else '') for r,os in zip(some, ok) for i,o in enumerate(os)]
        fig = plot_poses(np.concatenate([r['joints'][:4] for r in some]), titles, n_cols=12, size=1.35, dpi=75, lw=2.2)
        for ax,o in zip(fig.axes, np.concatenate(ok)):
            ax.title.set_color('#2a7f3f' if o else '#c0392b')
            ax.title.set_fontsize(7)
        fig.canvas.draw()
        to = path.with_name(f'{path.stem}_{page//per+1}{path.suffix}')
        Image.fromarray(np.asarray(fig.canvas.buffer_rgba())).convert('RGB').quantize(48).save(to, optimize=True)
        plt.close(fig)

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--weights', help='folder; those of the package by default')
    p.add_argument('--name', default='after')
    p.add_argument('--captions', type=int, default=1000)
    p.add_argument('--poses', type=int, default=8)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--guidance', type=float, nargs=2, help='first and last')
    p.add_argument('--steps', type=int)
    p.add_argument('--code-guidance', type=int, help='0 for none')
    p.add_argument('--sheet', type=Path)
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('follow.json'))
    a = p.parse_args()
    pipe = Text2PosePipeline.from_pretrained(a.weights)
    if pipe.model.config['text_dim']==384:
        pipe = Text2PosePipeline(pipe.model, last_layer_only(load_text_encoder(pipe.model.config['text_encoder'])), pipe.training)
    kw = dict(guidance_scale=tuple(a.guidance)) if a.guidance else {}
    if a.steps: kw['num_inference_steps'] = a.steps
    if a.code_guidance is not None: kw['code_guidance'] = a.code_guidance
    res,made = run(pipe, a.captions, a.poses, a.seed, **kw)
    if a.sheet: sheet(made, a.sheet)
    for k,c in res['captions'].items():
        print(f"stated codes, held-out {k:13} {100*c['hold']:5.1f} % of {c['statements']} (chance {100*c['chance']:.1f} %); whole captions {100*c['whole']:.1f} %; negations {100*c['negations_hold']:.1f} % of {c['negations']} (chance {100*c['negations_chance']:.1f} %)")
    for k,r in res.get('reading', {}).items():
        print(f"read off captions of held-out {k:13} {100*r['read']:5.1f} % of {r['statements']}; negations {100*r['negations_read']:.1f} % of {r['negations']}")
    for s,g in res['prompts'].items():
        for k,v in g.items():
            print(f"prompts, {s:4} {k:10} {100*v['followed']:5.1f} % of {v['prompts']:2} (chance {100*v['chance']:.1f} %)")
        print(f"sides, {s}: the side asked for {100*res['sides'][s]['side_asked_for']:.1f} %, both twins right {100*res['sides'][s]['both_twins_right']:.1f} %")
    for r in res['story']:
        print(f"{r['prompt']:12} {r['measure']:56} {r['mean']:7.2f}, neutral {r['neutral']:7.2f}; larger in {100*r['more']:.0f} % of pairs")
    print(f"bone-length error {100*res['bone_length_error']:.1f} %; {res['seconds']} s")
    old = read_json(a.out) if a.out.is_file() else {}
    res = dict(command=f'python benchmarks/bench_follow.py --name {a.name} --captions {a.captions}'+('' if a.code_guidance is None else f' --code-guidance {a.code_guidance}'), weights=a.weights and Path(a.weights).name, guidance=a.guidance, code_guidance=a.code_guidance, samples=pipe.training.get('samples'), **{k:v for k,v in res.items() if k!='seconds'})
    with atomic_path(a.out) as tmp:
        tmp.write_text(json.dumps({**old, a.name:json.loads(json.dumps(res), parse_float=lambda f: round(float(f), 4))}, indent=1)+'\n')

def last_layer_only(encoder):
    "For weights from before early layers were laid beside the last."
    encoder.early,encoder.dim = None,encoder.model.config.hidden_size
    return encoder

if __name__=='__main__': main()
