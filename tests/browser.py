"""A browser and npm packages for tests: Chromium draws what three.js makes of a file, Node runs Khronos' validator.
Where CI or TEXT2POSE_REQUIRE_BROWSER=1 is set a missing one is a failure, elsewhere the test says so and is skipped."""
import io, json, os, shutil, subprocess, tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np, pytest

from tree import ROOT

WEB, CACHE = ROOT/'tests/web', ROOT/'.cache/web'
FLAGS = '''--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync
--disable-component-update --use-angle=swiftshader --enable-unsafe-swiftshader --ignore-gpu-blocklist'''

def missing(
    what:str, # that is not here
):
    "Fail where a browser is required, else say so and skip."
    required = os.environ.get('CI') or os.environ.get('TEXT2POSE_REQUIRE_BROWSER')=='1'
    if required: pytest.fail(f'{what}: required here')
    print(f'skipped: {what}')
    pytest.skip(what)

def program(
    *names:str, # any of these will do
)->str:         # its path
    "A program that is installed."
    found = [p for p in map(shutil.which, names) if p]
    return found[0] if found else missing(f'{names[0]} is not installed')

def _install(
    folder:Path, # where node_modules goes
):
    "Install the packages of tests/web with npm."
    for f in ('package.json','package-lock.json'): shutil.copy(WEB/f, folder)
    command = [program('npm'), 'ci', '--ignore-scripts', '--no-audit', '--no-fund']
    r = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if r.returncode: missing(f'npm ci failed: {r.stderr.strip()[-300:]}')

def node_modules(
)->Path: # the folder, with exactly the packages of tests/web/package-lock.json
    "Install the npm packages once, into an ignored folder."
    lock = CACHE/'package-lock.json'
    if not lock.is_file() or lock.read_bytes()!=(WEB/'package-lock.json').read_bytes():
        CACHE.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE.parent) as tmp:
            _install(Path(tmp))
            if lock.is_file() and lock.read_bytes()==(WEB/'package-lock.json').read_bytes():
                return CACHE/'node_modules'  # another process has been faster
            shutil.rmtree(CACHE, ignore_errors=True)
            os.rename(tmp, CACHE)
            Path(tmp).mkdir()  # which the context removes
    return CACHE/'node_modules'

def validate(
    glb:Path, # a file
)->list:      # of issues: code, message, pointer, severity 0 (error) to 3 (hint)
    "What Khronos' glTF validator says about a file."
    command = [program('node'), WEB/'validate.cjs', node_modules(), glb]
    r = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert r.returncode==0, r.stderr
    return json.loads(r.stdout)['issues']['messages']

def three_nodes(
    path:Path, # a .bvh or .glb file
    times,     # seconds
)->list:       # for each time, name of a node → its position, three numbers in the file's axes
    "Where three.js' loaders, run by Node, have the nodes of a file."
    command = [program('node'), WEB/'nodes.mjs', node_modules(), path, *map(str, times)]
    r = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert r.returncode==0, r.stderr
    return json.loads(r.stdout)

@contextmanager
def chromium(
    width:int=400,  # of the page, pixels
    height:int=500, # of the page, pixels
): # yields show(glb, page_name, files, **query): the picture (height, width, 3) uint8, what the page found out
    "A headless browser with three.js in it, cut off from the network; a page finds model.glb and other files by name."
    from PIL import Image
    from playwright.sync_api import sync_playwright
    path,modules = program('chromium','chromium-browser','google-chrome'),node_modules()
    given = {}
    def answer(route):
        url = route.request.url.split('?')[0].removeprefix('http://test.invalid/')
        file = modules/url.removeprefix('node_modules/') if url.startswith('node_modules/') else WEB/url
        if url in given: route.fulfill(body=given[url], content_type='model/gltf-binary')
        elif url.startswith(('node_modules/','viewer.html','avatar.html')) and file.is_file(): route.fulfill(path=file)
        else: route.abort()
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=FLAGS.split())
        try:
            page = browser.new_page(viewport=dict(width=width, height=height))
            page.route('**/*', answer)
            def show(glb=None, page_name='viewer.html', files=None, **query):
                given.clear()
                given.update(files or {'model.glb':glb})
                page.goto(f'http://test.invalid/{page_name}?'+'&'.join(f'{k}={v}' for k,v in query.items()))
                page.wait_for_function('window.result', timeout=60_000)
                result = page.evaluate('window.result')
                assert 'error' not in result, result['error']
                return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert('RGB')), result
            yield show
        finally: browser.close()
