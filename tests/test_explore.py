"Voila makes a page of the chapter: it shows the panel, and a slider that moves changes the picture."
import importlib.util, io, json, socket, subprocess, sys, time
from contextlib import contextmanager

import numpy as np, pytest

from browser import FLAGS, missing, program
from tree import ROOT, copy_tree, offline_env

CHAPTER = 'nbs/06a_explore.ipynb'
START_SECONDS = 240 # for the page to run the chapter, on a busy machine

def _free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def _listens(port):
    try: socket.create_connection(('127.0.0.1', port), timeout=2).close()
    except OSError: return False
    return True

@contextmanager
def _voila(folder):
    "Serve the chapter in a copy of the project, since its last cell exports; the address."
    port,log = _free_port(),folder/'voila.log'
    options = [f'--port={port}', '--no-browser', '--Voila.ip=127.0.0.1']
    with log.open('wb') as f:
        server = subprocess.Popen([sys.executable, '-m', 'voila', CHAPTER, *options], cwd=folder,
            env=offline_env(PYTHONPATH=str(folder)), stdout=f, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic()+60
        while server.poll() is None and not _listens(port) and time.monotonic()<deadline: time.sleep(.2)
        assert _listens(port), log.read_text(errors='replace')
        yield f'http://127.0.0.1:{port}'
    finally:
        server.terminate()
        server.wait(30)

def _only_local(route):
    "Let the page load nothing from elsewhere."
    if route.request.url.startswith(('http://127.0.0.1','data:','blob:')): route.continue_()
    else: route.abort()

@pytest.fixture(scope='module')
def page(tmp_path_factory):
    "The chapter in a browser, when the panel has its picture."
    for package in ('voila','playwright'):
        if importlib.util.find_spec(package) is None: missing(f'{package} is not installed')
    chromium = program('chromium','chromium-browser','google-chrome')
    from playwright.sync_api import sync_playwright
    with _voila(copy_tree(tmp_path_factory.mktemp('voila')/'tree')) as url, sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=FLAGS.split())
        try:
            page = browser.new_page(viewport=dict(width=1200, height=1600))
            page.route('**/*', _only_local)
            page.goto(url, timeout=START_SECONDS*1000, wait_until='domcontentloaded')
            page.locator('.widget-image').wait_for(timeout=START_SECONDS*1000)
            yield page
        finally: browser.close()

def _picture(page):
    from PIL import Image
    picture = page.locator('.widget-image')
    picture.scroll_into_view_if_needed()
    return np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert('RGB'))

def _until(page, condition, seconds=90):
    "Wait until the page is as it should be; whether it is."
    for _ in range(5*seconds):
        if condition(): return True
        page.wait_for_timeout(200)
    return False

def _source(page): return page.locator('.widget-image').get_attribute('src')

def test_panel_is_shown(page):
    assert page.locator('.widget-text input').input_value()=='a person waves'
    assert page.locator('.widget-slider').count()==4
    assert page.locator('.widget-checkbox').count()==1
    picture = _picture(page)
    assert picture.shape[1]>300 and (picture<200).mean()>.005 # lines of bodies on white

def test_slider_changes_the_picture(page):
    before,source = _picture(page),_source(page)
    seed = page.locator('.widget-slider').filter(has_text='seed')
    seed.locator('.noUi-handle').focus()
    page.keyboard.press('ArrowRight')
    assert _until(page, lambda: _source(page)!=source)
    after = _picture(page)
    assert after.shape!=before.shape or (after!=before).mean()>.001
    assert page.get_by_text('seed 1', exact=False).count()

def test_errors_are_sentences(page):
    source = _source(page)
    prompt = page.locator('.widget-text input')
    prompt.fill('走る')
    prompt.press('Enter')
    page.get_by_text('which is not a Latin letter').wait_for(timeout=60_000)
    assert _source(page)==source

def test_no_widget_is_stored():
    "A stored widget shows nothing without its kernel, and has another number every time."
    cells = json.loads((ROOT/CHAPTER).read_text(encoding='utf-8'))['cells']
    kinds = {kind for c in cells for o in c.get('outputs', ()) for kind in o.get('data', {})}
    assert not [k for k in kinds if 'widget' in k], 'clear the output of the cell that displays the panel'
