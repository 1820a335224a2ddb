"Importing stays light, and nothing is unpickled. (tools/check_tree.py sees that chapters import only earlier ones.)"
import ast, subprocess, sys

import pytest

from tree import ROOT

UNPICKLERS = {'pickle', 'cloudpickle', 'dill', 'joblib', 'shelve'}

def _nodes(path): return ast.walk(ast.parse(path.read_text(encoding='utf-8')))

HEAVY = {'torch', 'diffusers', 'transformers', 'sklearn', 'scipy', 'nltk', 'pyarrow', 'matplotlib', 'yaml'}
LIGHT = 'core data captions humanml3d mocap clustering cli'.split()  # chapters that import no heavy library

@pytest.mark.parametrize('module', ['text2pose', *(f'text2pose.{m}' for m in LIGHT)])
def test_import_is_light(module):
    code = f'import sys, {module}; print(*({HEAVY} & sys.modules.keys()))'
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert r.returncode==0, r.stderr
    assert r.stdout.split()==[]

def _unpickles(node):
    "Whether a node could unpickle something."
    if isinstance(node, ast.Import): return any(a.name.split('.')[0] in UNPICKLERS for a in node.names)
    if isinstance(node, ast.ImportFrom):
        torch_load = node.module=='torch' and any(a.name=='load' for a in node.names)
        return torch_load or (node.module or '').split('.')[0] in UNPICKLERS
    if isinstance(node, ast.Attribute): return node.attr=='load' and getattr(node.value, 'id', '')=='torch'
    if isinstance(node, ast.keyword):
        return node.arg=='allow_pickle' and getattr(node.value, 'value', True) is not False
    return False

@pytest.mark.parametrize('path', sorted((ROOT/'text2pose').glob('*.py')), ids=lambda p: p.stem)
def test_nothing_unpickled(path):
    assert [n.lineno for n in _nodes(path) if _unpickles(n)]==[]

def test_pipeline_from_the_package():
    code = 'import sys, text2pose; assert "torch" not in sys.modules; print(text2pose.Text2PosePipeline.__module__)'
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert r.stdout.strip()=='text2pose.cfg', r.stderr
    with pytest.raises(ImportError, match='cannot import name'): exec('from text2pose import no_such_name')
