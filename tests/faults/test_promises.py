"The promises of SECURITY.md: each names a test that is there; those that no other test keeps are kept here."
import json, os, pickle, re, subprocess, sys, zipfile
from pathlib import Path

import numpy as np, pytest

from tree import ROOT
from text2pose.export import load_poses

def test_every_promise_has_its_test():
    table = re.findall(r'^\|.*\| (`test_.*`) \|$', (ROOT/'SECURITY.md').read_text(encoding='utf-8'), re.M)
    named = [t for cell in table for t in re.findall(r'`(test_\w+)`', cell)]
    files = (ROOT/'tests').rglob('test_*.py')
    defined = {t for file in files for t in re.findall(r'^def (test_\w+)', file.read_text(encoding='utf-8'), re.M)}
    assert len(named)>=10 and set(named)<=defined, sorted(set(named)-defined)

class Trace:
    "Leaves a file behind if anybody unpickles it."
    def __init__(self, path): self.path = path
    def __reduce__(self): return Path.touch, (self.path,)

def test_nothing_is_unpickled(tmp_path):
    "Neither by a reader, nor anywhere in the code: no module names pickle, torch.load or allow_pickle=True."
    trace = tmp_path/'unpickled'
    objects = np.array([Trace(trace)], dtype=object)
    np.save(tmp_path/'a.npy', objects, allow_pickle=True)
    np.savez(tmp_path/'a.npz', joints=objects)
    for name in ('b.npy','b.npz','b.json','b.glb'): (tmp_path/name).write_bytes(pickle.dumps(Trace(trace)))
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ValueError, match=path.name): load_poses(path)
    from text2pose.cfg import load_model
    from text2pose.train import Checkpoints
    for name in ('model.safetensors','config.json','checkpoint.safetensors','manifest.json'):
        (tmp_path/name).write_bytes(pickle.dumps(Trace(trace)))
    for read in (load_model, Checkpoints.read):
        with pytest.raises(ValueError): read(tmp_path)
    assert not trace.exists()
    forbidden = re.compile(r'\bpickle\.|import pickle|torch\.load\(|allow_pickle=True|joblib|\beval\(["\']|\bexec\(')
    code = {f.name:forbidden.findall(f.read_text()) for f in (ROOT/'text2pose').glob('*.py')}
    assert not any(code.values()), {k:v for k,v in code.items() if v}

def test_weights_bring_no_code(tmp_path):
    "Files of code beside the weights are not looked at; nothing asks for code of a model; a name is none of a class."
    from readers import _model_folder
    from text2pose.cfg import load_model
    for name,content in _model_folder().items():
        (tmp_path/name).parent.mkdir(exist_ok=True)
        (tmp_path/name).write_bytes(content)
    folder,trace = tmp_path/'w',tmp_path/'ran'
    for name in ('__init__.py','modeling.py','sitecustomize.py'): (folder/name).write_text(f'open({str(trace)!r}, "w")')
    load_model(folder)
    config = json.loads((folder/'config.json').read_text())
    for key in ('schedule','prediction_type','representation','text_encoder'):
        (folder/'config.json').write_text(json.dumps({**config, key:'os.system'}))
        with pytest.raises(ValueError, match='config.json'): load_model(folder)
    assert not trace.exists()
    for file in (ROOT/'text2pose').glob('*.py'):
        assert 'trust_remote_code=True' not in file.read_text(), file.name

@pytest.mark.parametrize('text', ['!!python/object/apply:os.system ["touch ran"]', '!!python/name:os.system',
                                  '- !!python/object:builtins.set {}', '!!bool "x"', '!!timestamp "x"', '!!binary "*"'])
def test_yaml_makes_no_objects(tmp_path, monkeypatch, text):
    from text2pose.atlas import atlas
    monkeypatch.chdir(tmp_path)
    (tmp_path/'mine.yaml').write_text(text)
    with pytest.raises(ValueError, match='mine.yaml') as e: atlas(folder=tmp_path)
    assert '\n' not in str(e.value) and not (tmp_path/'ran').exists()

NO_SOCKETS = """
import socket, sys
def refuse(self, address, *args):
    if self.family!=socket.AF_UNIX: raise SystemExit(f'CONNECTED {address}')
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = lambda *args, **kwargs: refuse(socket.socket(), args)
from text2pose.cli import app
app(sys.argv[1:])
"""

@pytest.mark.parametrize('args', [['info'], ['describe','--prompt','arms raised'], ['atlas','list'], ['--version']])
def test_no_connection(tmp_path, args):
    "With the hub's offline switch off."
    from text2pose.core import available
    if not available('minilm'): pytest.skip('MiniLM is not installed')
    env = {k:v for k,v in os.environ.items() if k not in ('HF_HUB_OFFLINE','TRANSFORMERS_OFFLINE','TEXT2POSE_DATA')}
    env |= {'PYTHONPATH':str(ROOT), 'HF_HOME':str(tmp_path), 'OMP_NUM_THREADS':'1'}
    r = subprocess.run([sys.executable, '-c', NO_SOCKETS, *args], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode==0 and 'CONNECTED' not in r.stderr, r.stderr

def _npz_bomb(path):
    "4 GB of zeros in 4 MB, in pieces."
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (15151515, 22, 3), }".ljust(117)+b'\n'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z, z.open('joints.npy', 'w', force_zip64=True) as f:
        f.write(b'\x93NUMPY\x01\0'+len(header).to_bytes(2, 'little')+header)
        for _ in range(150): f.write(b'\0'*2**20)

def _text(text): return lambda path: path.write_text(text)

LAUGHS = 'a: &a [x,x,x,x,x,x,x,x,x]\n'
for a,b in zip('abcdefgh', 'bcdefghi'): LAUGHS += f'{b}: &{b} [{",".join([f"*{a}"]*9)}]\n'
BOMBS = {'bomb.npz':_npz_bomb, 'deep.yaml':_text('['*100_000), 'laughs.yaml':_text(LAUGHS),
         'deep.json':_text('['*10**6)}

@pytest.mark.parametrize('name', BOMBS)
def test_bombs(tmp_path, name):
    "Refused before memory is taken: with 300 MB beyond what the process has, in a process of its own."
    import campaign
    from text2pose.library import read_library
    path = tmp_path/name
    BOMBS[name](path)
    read = read_library if path.suffix=='.yaml' else load_poses
    reader = reader_of(path, read)()
    rows = campaign.run(reader, campaign.spoiling(reader, 1))
    assert rows[0]['verdict']=='refused' and rows[0]['memory']<300e6 and rows[0]['seconds']<5, rows

def reader_of(path, read):
    "A reader of the campaign, of one file that is as it is."
    class One:
        name,kinds,names,weight,paths = path.name,{'note':'bytes'},(path.name,),1,False
        def make(self): return [{'note':b'0123456789'}]
        def read(self, folder, said):
            if (folder/'note').read_bytes()==b'0123456789': return 'well'
            return read(path)
        def check(self, found): assert isinstance(found, str)
    return One

@pytest.mark.parametrize('name', ['../x.bvh','/x.bvh','a/../../x.bvh','C:\\x.bvh','link.bvh'])
def test_archive_stays_in_its_folder(tmp_path, name):
    from text2pose.mocap import unpack
    (tmp_path/'in').mkdir()
    with zipfile.ZipFile(tmp_path/'in'/'a.zip', 'w') as z:
        info = zipfile.ZipInfo(name)
        if name=='link.bvh': info.external_attr = 0o120777<<16
        z.writestr(info, '/etc/passwd')
    with pytest.raises(ValueError, match='a.zip: refused to unpack'): unpack(tmp_path/'in'/'a.zip', tmp_path/'in'/'out')
    assert sorted(p.name for p in tmp_path.rglob('*'))==['a.zip','in']
