"""Measure how the code is written, as Markdown tables: all modules together, each module, each chapter.

    python tools/measure_tree.py [FOLDER]    # another tree of this project, for a comparison

Lines are those of the exported modules that are not blank; functions include nested ones.
"""
import ast, json, re, sys
from pathlib import Path
from statistics import median

from check_tree import _semicolons, _without_magics
from tree import ROOT, read_cells

def percentile(
    values, # numbers
    q:int,  # per cent
):          # the smallest value that at least q % of the values do not exceed
    "Nearest-rank percentile; 0 for none."
    return sorted(values)[-(-len(values)*q//100)-1] if values else 0

def public_functions(
    tree, # ast.Module
)->list:  # of ast.FunctionDef
    "Public functions of a module, and public methods and `__init__` of its public classes."
    def _functions(nodes): return [n for n in nodes if isinstance(n, ast.FunctionDef)]
    def _is_public(n): return not n.name.startswith('_')
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and _is_public(n)]
    methods = [m for c in classes for m in _functions(c.body) if _is_public(m) or m.name=='__init__']
    return [f for f in _functions(tree.body) if _is_public(f)] + methods

def measure_source(
    source:str, # Python
)->dict:        # name → number
    "Lines, functions, names and docments of one module."
    tree = ast.parse(source)
    lines = source.split('\n')
    nodes = list(ast.walk(tree))
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef)]
    public = public_functions(tree)
    arguments = [a for f in public for a in f.args.args+f.args.kwonlyargs if a.arg not in ('self', 'cls')]
    lambdas = [n for n in nodes if isinstance(n, ast.Assign) and isinstance(n.value, ast.Lambda)]
    top = [n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    return dict(
        lines=[len(l) for l in lines if l.strip()], functions=[f.end_lineno-f.body[0].lineno+1 for f in functions],
        semicolons=len(_semicolons(source)), lambdas=len(lambdas), private=sum(n.startswith('_') for n in top),
        public=sum(not n.startswith('_') for n in top), arguments=len(arguments),
        documented=sum('#' in lines[a.lineno-1] for a in arguments), public_functions=len(public),
        docstrings=sum(ast.get_docstring(f) is not None or f.name=='__init__' for f in public))

def module_row(name, m):
    "One row of the table of modules."
    n,f = len(m['lines']), m['functions']
    over = [f'{100*sum(l>k for l in m["lines"])/max(n,1):.1f}' for k in (120,160,200)]
    docs = f'{100*m["documented"]/max(m["arguments"],1):.0f} | {100*m["docstrings"]/max(m["public_functions"],1):.0f}'
    speed = f'{median(f) if f else 0:.0f} | {percentile(f, 90)}'
    return (f'| {name} | {n} | {len(f)} | {speed} | {" | ".join(over)} | {max(m["lines"], default=0)} | '
            f'{m["semicolons"]} | {1000*m["lambdas"]/max(n,1):.1f} | {m["private"]} : {m["public"]} | {docs} |')

def add(a, b): return {k:a[k]+b[k] for k in a}

def defined(cell):
    "Public functions and classes of an exported cell."
    body = ast.parse(_without_magics(cell)).body
    return [n.name for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith('_')]

def asserts(cell): return bool(re.search(r'\b(assert|test_\w+|expect_fail)\b', cell))

def chapter_row(path):
    "One row of the table of chapters."
    cells = read_cells(path)
    code = [s for t,s in cells if t=='code']
    text = [s for t,s in cells if t!='code']
    asserted = used = total = 0
    for i,cell in enumerate(code):
        if not re.match(r'#\|\s*export', cell): continue
        for name in defined(cell):
            total += 1
            near = [c for c in code[i+1:i+4] if re.search(rf'\b{name}\b', c)]
            asserted += any(map(asserts, near))
            used += i+1<len(code) and bool(re.search(rf'\b{name}\b', code[i+1]))
    words = sum(len(s.split()) for s in text)
    figures = json.loads(path.read_text(encoding='utf-8'))['cells']
    n_figures = sum('image/png' in o.get('data', {}) for c in figures for o in c.get('outputs', []))
    lines = [len(l) for c in code for l in c.split('\n')]
    over = 100*sum(l>120 for l in lines)/max(len(lines),1)
    shares = f'{100*asserted//max(total,1)} | {100*used//max(total,1)}'
    heads = sum(s.startswith('## ') for s in text)
    return (f'| {path.name} | {len(cells)} | {100*len(text)//len(cells)} | {words} | {n_figures} | '
            f'{path.stat().st_size//1024} | {over:.1f} | {total} | {shares} | {heads} |')

def main(folder=ROOT):
    folder = Path(folder)
    print('| module | lines | functions | length median | 90 % | >120 % | >160 % | >200 % | longest | ; | '
          'named lambdas per 1,000 | private : public | arguments documented % | docstrings % |')
    print('|'+' --- |'*14)
    paths = [p for p in sorted((folder/'text2pose').glob('*.py')) if not p.name.startswith('_')]
    modules = {p.name:measure_source(p.read_text(encoding='utf-8')) for p in paths}
    for name,m in modules.items(): print(module_row(name, m))
    total = next(iter(modules.values()))
    for m in list(modules.values())[1:]: total = add(total, m)
    print(module_row('**all**', total))
    print(f'\nlines of a module: median {median(len(m["lines"]) for m in modules.values()):.0f}\n')
    print('| chapter | cells | text % | words | figures | KB | code lines >120 % | public | '
          'asserted within 3 cells % | used in the next % | ## |')
    print('|'+' --- |'*11)
    for path in sorted((folder/'nbs').glob('*.ipynb')): print(chapter_row(path))

if __name__=='__main__': main(*sys.argv[1:])
