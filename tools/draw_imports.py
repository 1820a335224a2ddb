"""Draw who imports whom: figures/imports.png. Arcs go back to earlier chapters; one that points forward is red.

    python tools/draw_imports.py
"""
import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np

from check_tree import imports
from tree import ROOT, chapters

BACK,FORWARD = '#2a6fbb', '#d1495b'

def draw_imports(
    path=ROOT/'figures/imports.png', # where to write
):
    "Chapters from left to right, an arc from each to every chapter that it imports."
    names = list(chapters())
    fig,ax = plt.subplots(figsize=(10,4.2), dpi=80)
    angle = np.linspace(0, np.pi, 60)
    for a,module in enumerate(names):
        for other in sorted(imports()[module]-{module}):
            b = names.index(other)
            x,r = (a+b)/2, abs(a-b)/2
            side = 1 if b<a else -1
            ax.plot(x+r*np.cos(angle), side*.55*r*np.sin(angle), color=BACK if b<a else FORWARD, lw=.9, alpha=.6)
    ax.scatter(range(len(names)), np.zeros(len(names)), s=26, color='#4a4e57', zorder=3)
    for i,(module,notebook) in enumerate(chapters().items()):
        ax.text(i, -.35, f'{notebook.stem.split("_")[0]} {module}', rotation=60, ha='right', va='top', fontsize=8)
    ax.set(xlim=(-1.5,len(names)-.5), ylim=(-2.6,.28*len(names)))
    ax.axis('off')
    fig.tight_layout()
    fig.savefig(path, metadata={'Software':None})

if __name__=='__main__': draw_imports()
