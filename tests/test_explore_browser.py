"`text2pose explore` in a real browser: a server of Voila, Debian's Chromium, and nothing from elsewhere."
import importlib.util, io, os, signal, socket, subprocess, sys, threading, zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np, pytest

from browser import FLAGS, missing, program
from text2pose.data import bone_lengths, joint_idx
from text2pose.export import FORMATS, load_poses
from tree import ROOT, offline_env

SECONDS = 240 # that anything may take, on a busy machine
START = [sys.executable, '-c', 'from text2pose.cli import main; main()', 'explore']

def _free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

@contextmanager
def _server(log):
    "The page; its address, which the command prints."
    with log.open('wb') as errors:
        server = subprocess.Popen(START+['--port', str(_free_port())], cwd=log.parent, stdout=subprocess.PIPE,
            env=offline_env(PYTHONPATH=str(ROOT)), stderr=errors)
    stop = threading.Timer(SECONDS, server.kill)
    stop.start()
    try:
        line = server.stdout.readline().decode()
        stop.cancel()
        assert line.startswith('http://127.0.0.1:'), line+log.read_text(errors='replace')
        yield line.split()[0], server.pid
    finally:
        stop.cancel()
        server.terminate()
        server.wait(30)

class Page:
    "A page of explorers in a browser."
    def __init__(self, context, url):
        self.errors,self.elsewhere = [],[]
        self.page = context.new_page()
        self.page.set_default_timeout(SECONDS*1000)
        self.page.on('console', lambda m: m.type=='error' and self.errors.append(m.text))
        self.page.on('pageerror', lambda e: self.errors.append(str(e)))
        self.page.route('**/*', self._only_local)
        self.page.goto(url, wait_until='domcontentloaded')
        self.page.locator('canvas').first.wait_for()
        self.until(lambda: self.joints().size>0)

    def _only_local(self, route):
        if route.request.url.startswith(('http://127.0.0.1','data:','blob:')): return route.continue_()
        self.elsewhere.append(route.request.url)  # is never answered, as behind a firewall

    def open(self, name):
        "Go to a tab, and wait until its panel is there."
        self.page.get_by_role('tab', name=name, exact=True).click()
        self.panel.locator('.t2x-said').first.wait_for()

    @property
    def panel(self): return self.page.locator('.t2x-columns').locator('visible=true').first

    @property
    def said(self): return self.panel.locator('.t2x-said').first.inner_text()

    def field(self, label): return self.panel.get_by_label(label, exact=True).first

    def _editor(self, expression):
        "Ask the view of the panel."
        found = 'let e = el.closest(".t2p-view"); while (!e.editor) e = e.parentElement; const editor = e.editor'
        return self.panel.locator('canvas').evaluate(f'el => {{ {found}; return {expression} }}')

    def joints(self):
        "The poses that the view has, (n, 22, 3)."
        return np.float32(self._editor('Array.from(editor.poses)')).reshape(-1,22,3)

    def at(self, joint):
        "Where a joint of the first pose is on the page, pixels."
        x,y = self._editor(f'(s => [s.x, s.y])(editor.scene.toScreen(0, {joint_idx(joint)}))')
        box = self.panel.locator('canvas').bounding_box()
        return x+box['x'], y+box['y']

    def picture(self):
        from PIL import Image
        canvas = self.panel.locator('canvas')
        canvas.scroll_into_view_if_needed()
        return np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert('RGB')).astype(int)

    def until(self, condition):
        "Wait until something holds."
        for _ in range(5*SECONDS):
            if condition(): return
            self.page.wait_for_timeout(200)
        raise AssertionError('it did not happen: '+self.said)

    def ask(self, words):
        "Type a prompt and press the button."
        self.field('prompt').fill(words)
        self.panel.get_by_role('button', name='Generate', exact=True).click()
        self.until(lambda: words[:30] in self.said)

def _moved(a, b): return a.shape!=b.shape or (np.abs(a-b).max(-1)>8).mean()>.01

@pytest.fixture(scope='module')
def server(tmp_path_factory):
    for package in ('voila','playwright'):
        if importlib.util.find_spec(package) is None: missing(f'{package} is not installed')
    with _server(tmp_path_factory.mktemp('explore')/'log.txt') as found: yield found

@pytest.fixture(scope='module')
def browser(server):
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program('chromium','chromium-browser'), args=FLAGS.split())
        yield browser
        browser.close()

@pytest.fixture(scope='module')
def shared(browser, server):
    "One page for most tests."
    page = Page(browser.new_context(viewport=dict(width=1280, height=1000)), server[0])
    yield page
    page.page.context.close()

@pytest.fixture
def page(shared):
    "The shared page with the first panel open; no test may leave an error behind."
    shared.open('Prompt')
    yield shared
    assert (shared.errors,shared.elsewhere)==([],[])

def test_prompt_changes_the_canvas(page):
    before = page.picture()
    assert (before.std((0,1))>5).all()  # something is drawn
    page.ask('arms raised')
    page.until(lambda: _moved(before, page.picture()))

def test_slider_changes_the_canvas(page):
    page.ask('crouching')
    before = page.picture()
    page.panel.locator('.widget-hslider', has_text='poses').locator('.noUi-handle').focus()
    page.page.keyboard.press('ArrowLeft')
    page.until(lambda: len(page.joints())==3)
    page.until(lambda: _moved(before, page.picture()))
    page.page.keyboard.press('ArrowRight')
    page.until(lambda: len(page.joints())==4)

def test_wrong_words_are_a_sentence(page):
    page.ask('arms raised')
    before = page.joints()
    for words,sentence in (('走る','Latin'), ('word '*200,'takes at most'), ('word '*10_000,'at most 2,000')):
        page.field('prompt').fill(words)
        page.field('prompt').press('Enter')
        page.until(lambda: sentence in page.said)
        np.testing.assert_array_equal(page.joints(), before)

def test_markup_is_text(page):
    page.ask('<script>window.hit = 1</script><img src=x onerror="window.hit = 1">')
    assert page.page.evaluate('window.hit')is None
    assert '<script>' in page.said

def test_drag_pin_and_regenerate(page):
    "The wrist follows the pointer; pinned, it stays while the rest is made anew."
    page.ask('standing relaxed')
    before = page.joints()
    x,y = page.at('left_wrist')
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    for i in range(1, 6): page.page.mouse.move(x+8*i, y-12*i)
    page.page.wait_for_timeout(100)
    page.page.mouse.up()
    page.until(lambda: np.abs(page.joints()[0,20]-before[0,20]).max()>.05)
    dragged = page.joints()
    np.testing.assert_allclose(bone_lengths(dragged), bone_lengths(before), atol=1e-3)
    np.testing.assert_array_equal(dragged[1:], before[1:])
    page.panel.get_by_role('button', name='Pin', exact=True).click()
    page.panel.get_by_role('button', name='Regenerate the rest').click()
    page.until(lambda: np.abs(page.joints()[0]-dragged[0]).max()>.03)
    after = page.joints()
    assert np.linalg.norm(after[0,20]-dragged[0,20])<.02
    np.testing.assert_array_equal(after[1:], dragged[1:])

def _open(path, format, tmp_path):
    "The poses of a downloaded file, or None after it was looked at."
    from PIL import Image
    if path.suffix=='.zip':
        names = zipfile.ZipFile(path).namelist()
        assert any(n.endswith('.png') for n in names) or any(n.endswith('.json') for n in names)
        assert zipfile.ZipFile(path).testzip() is None
    elif path.suffix=='.png': assert Image.open(path).convert('RGB').size[0]>100
    elif path.suffix in ('.json','.npz','.bvh','.glb'): return load_poses(path)[0]
    else: assert path.stat().st_size>100

def test_every_format_downloads_and_opens(page, tmp_path):
    page.ask('a boxer in guard')
    x = page.joints()
    for format in FORMATS:
        with page.page.expect_download() as info: page.panel.get_by_title(f'download as {format}', exact=True).click()
        path = tmp_path/info.value.suggested_filename
        info.value.save_as(path)
        found = _open(path, format, tmp_path)
        if found is not None: np.testing.assert_allclose(found, x, atol=5e-3)

def test_denoising_steps(page):
    page.open('Denoising')
    slider = page.panel.get_by_label('denoising step')
    before = page.picture()
    slider.focus()
    page.page.keyboard.press('Home')
    page.until(lambda: _moved(before, page.picture()))
    page.until(lambda: 'step 1 of 20' in page.said)

def test_attention_words(page):
    page.open('Attention')
    page.panel.get_by_role('button', name='left', exact=True).click()
    page.panel.get_by_text('joints that look at "left"').wait_for()

def test_clusters_map(page):
    page.open('Clusters')
    before = page.joints()
    page.panel.locator('[data-point="20"]').click(force=True)
    page.until(lambda: page.joints().shape!=before.shape or np.abs(page.joints()-before).max()>.05)

@pytest.mark.parametrize('name', ['Guidance','Atlas','Edit','Ablation'])
def test_other_panels_show_bodies(page, name):
    page.open(name)
    page.until(lambda: page.joints().size>0)
    assert page.panel.locator('.t2x-wrong').count()==0
    assert (page.picture().std((0,1))>3).all()

def test_two_browsers_and_a_lost_kernel(page, browser, server):
    "Another browser, with a narrow screen, has a kernel of its own; without it the page says so and keeps its bodies."
    page.ask('arms raised')
    mine = page.joints()
    context = browser.new_context(viewport=dict(width=390, height=844), has_touch=True, is_mobile=True)
    other = Page(context, server[0])
    other.ask('lying on the back')
    np.testing.assert_array_equal(page.joints(), mine)
    assert np.abs(other.joints()-mine).max()>.3
    assert other.page.evaluate('document.documentElement.scrollWidth')<=390
    box = other.panel.locator('canvas').bounding_box()
    assert box['x']>=0 and box['x']+box['width']<=390
    kernel = other.page.evaluate('JSON.parse(document.getElementById("jupyter-config-data").textContent).kernelId')
    shown = other.joints()
    os.kill(_process_with(f'kernel-{kernel}'), signal.SIGKILL)
    other.page.get_by_text('The kernel of this page is gone').wait_for()
    np.testing.assert_array_equal(other.joints(), shown)
    assert other.elsewhere==[]
    context.close()
    page.ask('crouching')  # this one goes on

def _process_with(text):
    "The process whose command line has a text."
    found = [int(p.parent.name) for p in Path('/proc').glob('[0-9]*/cmdline') if text.encode() in _read(p)]
    assert len(found)==1, found
    return found[0]

def _read(path):
    try: return path.read_bytes()
    except OSError: return b''  # it ended

def test_port_in_use(server):
    port = server[0].split(':')[-1].strip('/')
    env = offline_env(PYTHONPATH=str(ROOT))
    r = subprocess.run(START+['--port', port], capture_output=True, text=True, env=env, timeout=SECONDS)
    assert r.returncode==1 and r.stdout==''
    assert r.stderr.strip()==(f'text2pose: port {port} cannot be used (Address already in use); '
                              'choose another one with --port')
