"""Fail if the tree is not as it should be; changes nothing.

    python tools/check_tree.py            # everything
    python tools/check_tree.py FILE...    # only the style of these notebooks and scripts

Modules, notebooks and README.md are what nbdev and make_readme.py would write; a chapter imports only earlier ones;
one statement a line, at most 120 characters (tables and word lists may be longer); a cell that needs data asks for it
first, and cells that run everywhere need nothing that it defined.
"""
import ast, io, re, subprocess, sys, tempfile, tokenize
from functools import lru_cache
from pathlib import Path

from make_readme import readme_differences
from tree import ROOT, chapters, copy_tree, read_cells

MAX_LINE = 120
_GUARD = re.compile(r'(if|assert|.* = )\s*(not )?available\(')

def _without_magics(source):
    return '\n'.join('pass' if l.startswith(('%','!')) else l for l in source.split('\n'))

def _table_lines(tree):
    "Numbers of the lines of tables: constants in capitals, made of literals, and YAML or word lists in a string."
    lines = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign): continue
        names = [n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        if names and all(n.upper()==n for n in names): lines |= set(range(node.lineno, node.end_lineno+1))
    return lines

def _semicolons(source):
    "Numbers of the lines with a `;` outside strings and comments."
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [t.start[0] for t in tokens if t.type==tokenize.OP and t.string==';']

def _nested_ternaries(tree):
    "Numbers of the lines of f-strings in which one ternary holds another."
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr): continue
        outer = [n for n in ast.walk(node) if isinstance(n, ast.IfExp)]
        inner = [m for n in outer for m in ast.walk(n) if isinstance(m, ast.IfExp) and m is not n]
        if inner: yield node.lineno

def style_faults(
    source:str, # Python, of one cell or file
    where:str,  # name for the messages
)->list:        # one sentence per fault
    "One statement a line, at most 120 characters, no ternary inside a ternary in an f-string."
    source = _without_magics(source)
    tree = ast.parse(source)
    table = _table_lines(tree)
    long = [i for i,l in enumerate(source.split('\n'), 1) if len(l)>MAX_LINE and i not in table]
    faults = [f'{where}, line {i}: more than {MAX_LINE} characters' for i in long]
    faults += [f'{where}, line {i}: two statements on a line' for i in _semicolons(source)]
    return faults + [f'{where}, line {i}: a ternary inside a ternary, in an f-string' for i in _nested_ternaries(tree)]

def _names(source):
    "Names that a cell defines, and names that it reads, at its top level or in functions."
    nodes = list(ast.walk(ast.parse(_without_magics(source))))
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    stored |= {n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    stored |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    stored |= {a.asname or a.name for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names}
    return stored, {n.id for n in nodes if isinstance(n, ast.Name)}

def _flagged(source): return {'data','cuda','slow'} & set(re.findall(r'^#\|\s*(\w+)', source, re.MULTILINE))

def flag_faults(
    path:Path, # a notebook
)->list:       # one sentence per fault
    "Cells that run everywhere but use a name that only a flagged cell before them defines."
    faults,everywhere,only_flagged = [], set(), set()
    for i,(kind,source) in enumerate(read_cells(path)):
        if kind!='code': continue
        stored,read = _names(source)
        if _flagged(source):
            only_flagged |= stored-everywhere
            continue
        missing = sorted((read-stored) & only_flagged)
        faults += [f'{path.name}, cell {i}: {n} comes from a flagged cell' for n in missing]
        everywhere |= stored
        only_flagged -= stored
    return faults

def notebook_faults(
    path:Path, # a notebook
)->list:       # one sentence per fault
    "Style of every code cell; cells that need data or a GPU ask for it in their first statement."
    faults = []
    for i,(kind,source) in enumerate(read_cells(path)):
        if kind!='code': continue
        where = f'{path.name}, cell {i}'
        faults += style_faults(source, where)
        code = [l for l in source.split('\n') if l and not l.startswith('#')]
        if _flagged(source)-{'slow'} and not (code and _GUARD.match(code[0])):
            faults.append(f'{where}: must begin with `if available(…):`')
    return faults + flag_faults(path)

def _own_imports(node):
    "Modules of this package that an import statement names."
    if isinstance(node, ast.Import): names = [a.name for a in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = '.'.join(o for o in ('text2pose' if node.level else '', node.module) if o)
        names = [f'{base}.{a.name}' for a in node.names]
    else: names = []
    return {n.split('.')[1] for n in names if n.startswith('text2pose.')}

@lru_cache
def imports(
)->dict: # module → set of modules of this package that it imports anywhere, functions included
    "Who imports whom."
    out = {}
    for module in chapters():
        tree = ast.parse((ROOT/f'text2pose/{module}.py').read_text(encoding='utf-8'))
        out[module] = {n for node in ast.walk(tree) for n in _own_imports(node)} & set(chapters())
    return out

def import_faults(
)->list: # one sentence per fault
    "Imports that point forward, in modules and in the cells of notebooks."
    order,faults = list(chapters()),[]
    for module,path in chapters().items():
        earlier = {*order[:order.index(module)+1]}
        cells = [ast.parse(_without_magics(s)) for t,s in read_cells(path) if t=='code']
        named = imports()[module] | {n for c in cells for node in ast.walk(c) for n in _own_imports(node)} & set(order)
        faults += [f'{path.name} imports {n}, a later chapter' for n in sorted(named-earlier)]
    return faults

def differences(
    a:Path,      # a folder
    b:Path,      # the other one
    pattern:str, # which files to compare
)->list:         # names of the files that differ or exist on one side only
    "Compare two folders, contents only."
    names = sorted({p.name for d in (a,b) for p in d.glob(pattern)})
    def _read(p): return p.read_bytes() if p.exists() else None
    return [n for n in names if _read(a/n)!=_read(b/n)]

def run_in(
    folder:Path, # where
    *args:str,   # command and arguments
):
    "Run a command and show what it said only if it fails."
    r = subprocess.run(args, cwd=folder, capture_output=True, text=True)
    if r.returncode: sys.exit(f"{' '.join(args)} failed:\n{r.stdout}{r.stderr}")

def step_faults(
)->list: # one sentence per fault
    "Export and clean in a copy, and compare."
    faults = []
    with tempfile.TemporaryDirectory() as tmp:
        tree = copy_tree(Path(tmp)/'tree')
        for p in (tree/'text2pose').glob('*.py'):  # so that a module whose notebook is gone shows too
            if '# AUTOGENERATED! DO NOT EDIT!' in p.read_text(encoding='utf-8'): p.unlink()
        run_in(tree, 'nbdev_export')
        run_in(tree, 'nbdev_clean')
        if names := differences(ROOT/'text2pose', tree/'text2pose', '*.py'):
            faults.append(f"Modules out of step with the notebooks (run nbdev_export): {', '.join(names)}")
        if names := differences(ROOT/'nbs', tree/'nbs', '*.ipynb'):
            faults.append(f"Notebooks not clean (run nbdev_clean): {', '.join(names)}")
    if names := readme_differences():
        faults.append(f"Out of step with nbs/index.ipynb (run make readme): {', '.join(names)}")
    r = subprocess.run([sys.executable, '-m', 'pyflakes', 'text2pose'], cwd=ROOT, capture_output=True, text=True)
    if r.returncode: faults.append(f"pyflakes:\n{r.stdout}{r.stderr}".rstrip())
    return faults

def check_style(
    paths, # notebooks and Python files
)->list:   # one sentence per fault
    "Style of files."
    faults = []
    for p in map(Path, paths):
        if p.suffix=='.ipynb': faults += notebook_faults(p)
        else: faults += style_faults(p.read_text(encoding='utf-8'), p.name)
    return faults

def all_sources(
)->list: # paths
    "Every notebook and every script of the project."
    folders = ('nbs/*.ipynb', 'tests/*.py', 'tools/*.py', 'benchmarks/*.py')
    return [p for f in folders for p in sorted(ROOT.glob(f))] + [ROOT/'setup.py', ROOT/'text2pose/__init__.py']

def main():
    if sys.argv[1:]: faults = check_style(sys.argv[1:])
    else: faults = step_faults() + import_faults() + check_style(all_sources())
    if faults: sys.exit('\n'.join(faults))
    print('The tree is in order.')

if __name__=='__main__': main()
