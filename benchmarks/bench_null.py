"""No words, in two ways: the learned null embedding, and the states of an empty prompt. Prompts of chapter 06 followed,
spine, feet and spread with each, and what is drawn without words.

    python benchmarks/bench_null.py [--split dev] [--poses 8] [--guidance 2] [--seed 0] [--out FILE]

Enforcement is off. Prints a table and writes benchmarks/null.json.
"""
import argparse, json
from pathlib import Path
import numpy as np
from text2pose.core import atomic_path
from text2pose.skeleton import plausibility
from text2pose.cfg import Text2PosePipeline
from text2pose.eval import naturalness, prompt_adherence, read_prompts

class EmptyPromptPipeline(Text2PosePipeline):
    "Guided away from the states of an empty prompt in place of the null embedding."
    def _negative_states(self, r):
        states,mask,_ = self._project(self.text_encoder.empty(len(r.prompts)))
        return states, mask, None

def measure(pipe, prompts, n_poses, seed, guidance):
    "Share of poses that follow their prompt, how natural they are, and how far poses without words are spread."
    res = prompt_adherence(pipe, prompts, n_poses, seed=seed, guidance_scale=guidance)
    joints = np.stack([r['joints'] for r in res])
    wordless = pipe('a person', 64, seed=seed, guidance_scale=0., enforce_skeleton=False).joints
    spread = np.linalg.norm(wordless[:,None]-wordless[None], axis=-1).mean()
    return dict(followed=float(np.mean([r['followed'] for r in res])), **naturalness(joints),
                spread_without_words=float(spread), plausible_without_words=float(plausibility(wordless).mean()))

def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--split', default='dev', choices=('dev','val'))
    p.add_argument('--poses', type=int, default=8, help='of each prompt')
    p.add_argument('--guidance', type=float, default=2.)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('null.json'))
    return p.parse_args()

def main():
    a = arguments()
    prompts = read_prompts(a.split)
    ways = dict(learned_null=Text2PosePipeline, empty_prompt=EmptyPromptPipeline)
    res = {k:measure(way.from_pretrained(), prompts, a.poses, a.seed, a.guidance) for k,way in ways.items()}
    for k,r in res.items():
        print(f"{k:13} followed {100*r['followed']:.1f} % of {len(prompts)} prompts, "
              f"spine bend {r['spine_bend']:.1f}°, tipped feet {100*r['tipped_feet']:.1f} %; "
              f"without words: spread {100*r['spread_without_words']:.1f} cm, "
              f"plausibility {r['plausible_without_words']:.2f}")
    command = (f'python benchmarks/bench_null.py --split {a.split} --poses {a.poses} --guidance {a.guidance:g} '
               f'--seed {a.seed}')
    with atomic_path(a.out) as tmp:
        tmp.write_text(json.dumps({'command':command, **res}, indent=1)+'\n')

if __name__=='__main__': main()
