"The page in JavaScript for tests: its folder as `export_web` writes it, and Node with the packages of web/."
import json, os, shutil, subprocess, tempfile
from functools import cache
from pathlib import Path

from browser import missing, program
from text2pose.core import available
from tree import ROOT

SOURCES, CACHE = ROOT/'web', ROOT/'.cache/page'

@cache
def pipeline():
    "The pipeline of the package, with one thread."
    import torch
    from text2pose.cfg import Text2PosePipeline
    if not available('minilm', 'fast'): missing('the extras minilm and fast are not installed')
    torch.set_num_threads(1)
    return Text2PosePipeline.from_pretrained()

_KEPT = []  # what is to live as long as the tests do

@cache
def site(
)->Path: # folder
    "The page, exported once for all tests."
    from text2pose.web import export_web
    _KEPT.append(tempfile.TemporaryDirectory())
    folder = Path(_KEPT[-1].name)/'site'
    export_web(folder, pipeline())
    return folder

@cache
def web_modules(
)->Path: # node_modules, with exactly the packages of web/package-lock.json
    "Install the npm packages of web/ once, into an ignored folder."
    lock = CACHE/'package-lock.json'
    if not lock.is_file() or lock.read_bytes()!=(SOURCES/'package-lock.json').read_bytes():
        CACHE.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE.parent) as tmp:
            for f in ('package.json','package-lock.json'): shutil.copy(SOURCES/f, tmp)
            command = [program('npm'), 'ci', '--ignore-scripts', '--no-audit', '--no-fund']
            r = subprocess.run(command, cwd=tmp, capture_output=True, text=True, timeout=300)
            if r.returncode: missing(f'npm ci failed: {r.stderr.strip()[-300:]}')
            if lock.is_file() and lock.read_bytes()==(SOURCES/'package-lock.json').read_bytes():
                return CACHE/'node_modules'  # another process has been faster
            shutil.rmtree(CACHE, ignore_errors=True)
            os.rename(tmp, CACHE)
            Path(tmp).mkdir()  # which the context removes
    return CACHE/'node_modules'

@cache
def _numbers():
    from text2pose.web import page_numbers
    return page_numbers()

def node(
    stage:str, # a function of tests/web/stages.mjs
    given,     # what it is given, as JSON
    with_page:bool=False, # it needs the exported folder and ONNX Runtime
):             # what it returns
    "What our JavaScript makes of something, in Node."
    where = [site(), web_modules()] if with_page else []
    with tempfile.TemporaryDirectory() as tmp:
        given_path,found_path = Path(tmp)/'given.json', Path(tmp)/'found.json'
        given_path.write_text(json.dumps(dict(given=given, numbers=_numbers())))
        command = [program('node'), ROOT/'tests/web/stages.mjs', stage, given_path, found_path, *where]
        r = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert r.returncode==0, r.stderr[-2000:]
        return json.loads(found_path.read_text())
