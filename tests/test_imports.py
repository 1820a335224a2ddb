"A chapter imports only earlier chapters, importing stays light, and nothing is unpickled."
import ast, subprocess, sys

import pytest

from tree import ROOT

CHAPTERS = 'data mocap clustering skeleton words atlas export unet cfg train eval explore cli'.split()
MODULES = sorted(p for p in (ROOT/'text2pose').glob('*.py') if not p.name.startswith('_'))
UNPICKLERS = {'pickle', 'cloudpickle', 'dill', 'joblib', 'shelve'}

def _nodes(path): return ast.walk(ast.parse(path.read_text(encoding='utf-8')))

def _own_imports(node):
    "Modules of this package that an import statement names."
    if isinstance(node, ast.Import): names = [a.name for a in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = '.'.join(o for o in ('text2pose' if node.level else '', node.module) if o)
        names = [f'{base}.{a.name}' for a in node.names]
    else: names = []
    return {n.split('.')[1] for n in names if n.startswith('text2pose.')}

@pytest.mark.parametrize('path', MODULES, ids=lambda p: p.stem)
def test_imports_earlier_chapters(path):
    assert path.stem in CHAPTERS, 'a module that DESIGN.md does not place'
    earlier = CHAPTERS[:CHAPTERS.index(path.stem)]
    later = {n for node in _nodes(path) for n in _own_imports(node) if n in CHAPTERS and n not in earlier}
    assert not later

@pytest.mark.parametrize('module', ['text2pose', 'text2pose.data', 'text2pose.mocap', 'text2pose.clustering', 'text2pose.cli'])
def test_import_is_light(module):
    code = f'import sys, {module}; print(*({{"torch","diffusers","transformers","sklearn","scipy","nltk","pooch","pyarrow","matplotlib"}} & sys.modules.keys()))'
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert r.returncode==0, r.stderr
    assert r.stdout.split()==[]

def _unpickles(node):
    "Whether a node could unpickle something."
    if isinstance(node, ast.Import): return any(a.name.split('.')[0] in UNPICKLERS for a in node.names)
    if isinstance(node, ast.ImportFrom):
        return (node.module or '').split('.')[0] in UNPICKLERS or (node.module=='torch' and any(a.name=='load' for a in node.names))
    if isinstance(node, ast.Attribute): return node.attr=='load' and getattr(node.value, 'id', '')=='torch'
    if isinstance(node, ast.keyword):
        return node.arg=='allow_pickle' and getattr(node.value, 'value', True) is not False
    return False

@pytest.mark.parametrize('path', sorted((ROOT/'text2pose').glob('*.py')), ids=lambda p: p.stem)
def test_nothing_unpickled(path):
    assert [n.lineno for n in _nodes(path) if _unpickles(n)]==[]
