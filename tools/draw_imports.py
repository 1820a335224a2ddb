"""Draw who imports whom: figures/imports.png. A chapter that imports a later one would be a red dot above the diagonal.

    python tools/draw_imports.py
"""
import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt

from check_tree import imports
from tree import ROOT, chapters

BACK,FORWARD,GRID = '#2a6fbb', '#d1495b', '#e6e6e6'

def draw_imports(
    path=ROOT/'figures/imports.png', # where to write
):
    "A row for each chapter, a dot under every chapter that it imports."
    names = list(chapters())
    labels = [f'{notebook.stem.split("_")[0]} {module}' for module,notebook in chapters().items()]
    fig,ax = plt.subplots(figsize=(6.5,6), dpi=80, layout='constrained')
    ax.grid(color=GRID, lw=.8)
    ax.plot([-.5,len(names)-.5], [-.5,len(names)-.5], color=GRID, lw=1.5)
    for row,module in enumerate(names):
        columns = [names.index(other) for other in imports()[module]-{module}]
        colors = [BACK if column<row else FORWARD for column in columns]
        ax.scatter(columns, [row]*len(columns), c=colors, s=42, zorder=3)
    ax.set_xticks(range(len(names)), labels, rotation=90, fontsize=8)
    ax.set_yticks(range(len(names)), labels, fontsize=8)
    ax.set(ylim=(len(names)-.5,-.5), xlabel='is imported by the chapter of the row', xlim=(-.5,len(names)-.5))
    ax.tick_params(length=0)
    for side in ax.spines.values(): side.set_visible(False)
    fig.savefig(path, metadata={'Software':None})

if __name__=='__main__': draw_imports()
