"""Write README.md from nbs/index.ipynb (with nbconvert, so that Quarto is not needed).

    python tools/make_readme.py [--check]    # --check only says whether README.md is in step
"""
import posixpath, re, sys

import nbformat
from nbconvert import MarkdownExporter

from tree import ROOT

INDEX = 'nbs/index.ipynb'
_HEADER = f'<!-- Made from {INDEX} by tools/make_readme.py: edit the notebook. -->\n\n'
_directive = re.compile(r'^#\s*\|.*\n?', re.MULTILINE)
_hidden = re.compile(r'^#\s*\|\s*hide\s*$')
_link = re.compile(r'(\]\(|src="|href=")(?!\w+:|#|/)([^)"\s]+)') # relative links and images, Markdown or HTML

def _from_root(m): return m[1] + posixpath.normpath(posixpath.join(posixpath.dirname(INDEX), m[2]))

def make_readme(
)->dict: # path from the root -> content
    "README.md and the images that the notebook's cells drew."
    nb = nbformat.read(ROOT/INDEX, as_version=4)
    nb.cells = [c for c in nb.cells if not (c.cell_type=='code' and _hidden.match(c.source.partition('\n')[0]))]
    for c in nb.cells:
        if c.cell_type=='markdown': c.source = _link.sub(_from_root, c.source)
        else: c.source = _directive.sub('', c.source)
    nb.metadata.language_info = {'name':'python'} # nbdev_clean drops it; fenced blocks are named after it
    body,resources = MarkdownExporter().from_notebook_node(nb)
    files = {}
    for n,(name,data) in enumerate(resources['outputs'].items(), 1):
        path = f'figures/readme_{n}{posixpath.splitext(name)[1]}'
        body = body.replace(f']({name})', f']({path})')
        files[path] = data
    body = re.sub(r'\n\s*\n', '\n\n', body).strip() + '\n'
    return {'README.md': (_HEADER+body).encode()} | files

def readme_differences(
)->list: # paths from the root
    "Which files are not what `make_readme` would write."
    made = make_readme()
    old = {f'figures/{p.name}' for p in (ROOT/'figures').glob('readme_*')}
    def _same(path, content): return (ROOT/path).exists() and (ROOT/path).read_bytes()==content
    return sorted((old - made.keys()) | {p for p,b in made.items() if not _same(p, b)})

def write_readme():
    "Write what `make_readme` made, and remove images that are no longer shown."
    for p in readme_differences(): (ROOT/p).unlink(missing_ok=True)
    for p,b in make_readme().items():
        (ROOT/p).parent.mkdir(exist_ok=True)
        (ROOT/p).write_bytes(b)

if __name__=='__main__':
    if sys.argv[1:]==['--check']:
        if names := readme_differences(): sys.exit(f"Out of step with {INDEX} (run make readme): {', '.join(names)}")
    else: write_readme()
