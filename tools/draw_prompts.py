"""Draw four poses of every prompt of a text file as bodies, from two sides, ten prompts a sheet: to be looked at.

    python tools/draw_prompts.py [PROMPTS.txt] [OUT] [WEIGHTS]

By default the hundred prompts of benchmarks/fresh_prompts.txt, figures/fresh_0.png to fresh_9.png and the weights of
the package. Nothing is chosen: seed 0, everything else as the pipeline does it. benchmarks/fresh_judged.csv has what
readers who did not build this saw on these sheets.
"""
import sys
from pathlib import Path
import numpy as np
from text2pose.core import atomic_path
from text2pose.data import plot_bodies
from text2pose.cfg import Text2PosePipeline

ROOT = Path(__file__).parents[1]
PER_SHEET,PER_PROMPT = 10,4

def draw(
    joints, # (prompts, PER_PROMPT, 22, 3)
    titles, # one per prompt
    path,   # .png file
):
    "One sheet, in 96 colours."
    import matplotlib.pyplot as plt
    from PIL import Image
    flat = joints.reshape(-1, *joints.shape[2:])
    names = [titles[i//PER_PROMPT] if i%PER_PROMPT==0 else '' for i in range(len(flat))]
    fig = plot_bodies(flat, names, n_cols=PER_PROMPT, size=1.5, dpi=80)
    fig.canvas.draw()
    with atomic_path(path) as tmp:
        image = Image.fromarray(np.asarray(fig.canvas.buffer_rgba())).convert('RGB').quantize(96)
        image.save(tmp, format='png', optimize=True)
    plt.close(fig)

def main():
    prompts_file = Path(sys.argv[1]) if len(sys.argv)>1 else ROOT/'benchmarks/fresh_prompts.txt'
    out = Path(sys.argv[2]) if len(sys.argv)>2 else ROOT/'figures'
    weights = sys.argv[3] if len(sys.argv)>3 else None
    prompts = [line.strip() for line in prompts_file.read_text(encoding='utf-8').splitlines() if line.strip()]
    joints = Text2PosePipeline.from_pretrained(weights)(prompts, PER_PROMPT, seed=0).joints
    joints = joints.reshape(len(prompts), PER_PROMPT, *joints.shape[1:])
    for i in range(0, len(prompts), PER_SHEET):
        some = slice(i, i+PER_SHEET)
        titles = [f'{k+1}. {p}' for k,p in enumerate(prompts)][some]
        draw(joints[some], titles, out/f'fresh_{i//PER_SHEET}.png')
        print(out/f'fresh_{i//PER_SHEET}.png')

if __name__=='__main__': main()
