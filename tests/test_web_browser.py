"The exported folder behind a plain web server, in Chromium without a network: words in, the poses of Python out."
import functools, http.server, importlib.util, io, json, threading
from contextlib import contextmanager

import numpy as np, pytest

from browser import FLAGS, missing, program
from text2pose.data import own_poses
from text2pose.export import export, load_poses
from webpage import pipeline, site

SECONDS = 240  # for the page to load or to answer, on a busy machine
PROMPT = 'a person waves with the left hand'

class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass

@contextmanager
def served(folder):
    "A folder behind Python's own web server; its address."
    server = http.server.ThreadingHTTPServer(('127.0.0.1',0), functools.partial(_Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try: yield f'http://127.0.0.1:{server.server_port}/'
    finally: server.shutdown()

@pytest.fixture(scope='module')
def world():
    "A browser in which every request to elsewhere, and every message of an error, is written down."
    if importlib.util.find_spec('playwright') is None: missing('playwright is not installed')
    chromium = program('chromium','chromium-browser','google-chrome')
    from playwright.sync_api import sync_playwright
    with served(site()) as url, sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=FLAGS.split())
        try:
            context = browser.new_context(viewport=dict(width=1200, height=800), accept_downloads=True)
            faults = []
            def answer(route):
                if route.request.url.startswith((url,'data:','blob:')): return route.continue_()
                faults.append(f'asked for {route.request.url}')
                route.abort()
            context.route('**/*', answer)
            yield context,url,faults
        finally: browser.close()

def opened(world, fragment=''):
    "A new page, when it is ready."
    context,url,faults = world
    page = context.new_page()
    page.on('console', lambda m: m.type=='error' and faults.append(m.text))
    page.on('pageerror', lambda e: faults.append(str(e)))
    page.goto(url+fragment)
    page.wait_for_function('window.text2pose?.state.ready', timeout=1000*SECONDS)
    return page

@pytest.fixture(scope='module')
def page(world): return opened(world)

def poses_of(page):
    return np.array(page.evaluate('text2pose.state.poses.map(p => Array.from(p.joints))')).reshape(-1,22,3)

def canvas(page):
    from PIL import Image
    return np.asarray(Image.open(io.BytesIO(page.locator('canvas').screenshot())).convert('RGB')).astype(int)

def finish(page, n):
    "Wait until n poses are there."
    status = "document.getElementById('status').textContent"
    page.wait_for_function(f'{status}.match(/^{n} poses? in/)', timeout=1000*SECONDS)

def ask(page, prompt, n=1, seed=0):
    page.fill('#prompt', prompt)
    page.fill('#n', str(n))
    page.fill('#seed', str(seed))
    page.click('#go')

def error_of(page):
    page.wait_for_function("document.getElementById('error').textContent", timeout=1000*SECONDS)
    return page.inner_text('#error')

def saved(page, selector):
    "What a button downloads: name and content."
    with page.expect_download() as info: page.click(selector)
    return info.value.suggested_filename, info.value.path()

def drop(page, name, text):
    page.set_input_files('#file', dict(name=name, mimeType='text/plain', buffer=text.encode()))

@pytest.fixture(scope='module')
def generated(page):
    "After a prompt: the picture before and after."
    before = canvas(page)
    ask(page, PROMPT, 2, 7)
    finish(page, 2)
    return before,canvas(page)

def blue_and_red(picture):
    "Shares of the picture that have the colours of the left and of the right side."
    r,g,b = (picture[...,k] for k in range(3))
    return (b>r+50).mean(), (r>b+50).mean()

def test_words_in_bodies_out(page, generated):
    before,after = generated
    assert min(blue_and_red(before))>.005 and min(blue_and_red(after))>.01  # a pose of the library comes first
    want = pipeline()(PROMPT, 2, seed=7)
    assert np.abs(poses_of(page)-want.joints).max()<1e-3
    assert 'Plausibility' in page.inner_text('#score') and 'Looked at: ' in page.inner_text('#exemplars')
    assert page.inner_text('#title')==PROMPT

def test_the_link_makes_the_same_poses(world, page, generated):
    fragment = page.evaluate('location.hash')
    assert 'p=a+person+waves' in fragment and 's=7' in fragment
    other = opened(world, fragment)
    finish(other, 2)
    assert np.abs(poses_of(other)-poses_of(page)).max()<1e-6
    other.close()

def test_turning_and_keys(page, generated):
    start = canvas(page)
    box = page.locator('canvas').bounding_box()
    page.mouse.move(box['x']+300, box['y']+300)
    page.mouse.down()
    page.mouse.move(box['x']+420, box['y']+310, steps=4)
    page.mouse.up()
    turned = canvas(page)
    page.click('[data-view=side]')
    side = canvas(page)
    page.locator('canvas').focus()
    for _ in range(4): page.keyboard.press('ArrowLeft')
    keyed = canvas(page)
    for a,b in ((start,turned), (turned,side), (side,keyed)): assert (np.abs(a-b).max(-1)>40).mean()>.005
    page.keyboard.press('PageDown')
    assert 'Pose 2 of 2' in page.inner_text('#score')
    page.keyboard.press('PageUp')

def test_downloads_open(page, generated, tmp_path):
    x = poses_of(page)
    for button,ending in (('[data-format=json]','.json'), ('[data-format=bvh]','.bvh'), ('#all','.json')):
        name,path = saved(page, button)
        assert name.endswith(ending)
        (tmp_path/name).write_bytes(path.read_bytes())
        joints = load_poses(tmp_path/name)[0]
        assert np.abs(joints-x[:len(joints)]).max()<1e-4
    assert len(joints)==2
    name,path = saved(page, '[data-format=openpose]')
    assert len(json.loads(path.read_text())['people'][0]['pose_keypoints_2d'])==54
    name,path = saved(page, '[data-format=png]')
    assert path.read_bytes()[:8]==b'\x89PNG\r\n\x1a\n'

def test_several_prompts(page):
    ask(page, 'arms raised\nsitting cross-legged', 2, 3)
    page.wait_for_function("document.getElementById('progress').hidden===false", timeout=1000*SECONDS)
    finish(page, 4)
    want = pipeline()(['arms raised','sitting cross-legged'], 2, seed=3)
    assert np.abs(poses_of(page)-want.joints).max()<1e-3

def test_examples(page):
    page.fill('#n', '1')
    page.click('#examples button:first-child')
    finish(page, 1)
    assert page.input_value('#prompt')==page.inner_text('#examples button:first-child')==page.inner_text('#title')

def test_rows_hold_whole_prompts(page):
    "Sixteen poses of four prompts; titles are below the bodies."
    page.evaluate("""() => {
        const [pose] = text2pose.state.poses, flat = new Float32Array(66*16)
        for (let i = 0; i < 16; i++) flat.set(pose.joints, 66*i)
        text2pose.scene.setPoses(flat, Array(16).fill('a title'), {group: 4})
    }""")
    assert page.evaluate('text2pose.scene.columns')%4==0
    bottom = page.evaluate('(c => c.y+c.height)(text2pose.scene.cell(0))')
    tops = page.evaluate("[...document.querySelectorAll('.t2p-title')].map(t => parseFloat(t.style.top))")
    assert tops[0]>=bottom
    page.evaluate('text2pose.scene.setPoses(text2pose.state.poses[0].joints, ["one"])')

def test_page_from_a_file(world):
    "Opened without a server it says what to do."
    context,_,_ = world
    page = context.browser.new_page()
    page.goto((site()/'index.html').as_uri())
    assert 'python -m http.server' in page.inner_text('#error')
    assert page.inner_text('#status')==''
    page.close()

def test_text_stays_text(page):
    "A tag as a prompt is shown as it was typed."
    ask(page, '<script>window.hit=1</script> <img src=x onerror="window.hit=1">')
    finish(page, 1)
    assert page.inner_text('#title').startswith('<script>window.hit=1</script>')
    assert page.evaluate('window.hit')is None and page.locator('main img').count()==0

def test_wrong_requests(page):
    wrong = [('word '*200,1,0,'tokens'), ('word '*10_000,1,0,'at most 2,000'), ('',1,0,'type what'),
             ('!?',1,0,'no words'), ('человек',1,0,'Latin'),
             ('wave',0,0,'number of poses'), ('wave',1,'x','seed'), ('\n'.join(['wave']*17),1,0,'more than 16')]
    for prompt,n,seed,message in wrong:
        ask(page, prompt, n, seed)
        assert message in error_of(page), prompt
    ask(page, 'wave')
    finish(page, 1)
    assert page.inner_text('#error')==''

def test_files_that_are_opened(page, tmp_path):
    x = np.stack([p['joints'] for p in own_poses()])[:3]
    for ending in ('json','bvh'):
        export(x, tmp_path/f'a.{ending}')
        drop(page, f'a.{ending}', (tmp_path/f'a.{ending}').read_text())
        page.wait_for_function(f"document.body.innerText.includes('3 poses of a.{ending}.')", timeout=30_000)
        assert np.abs(poses_of(page)-load_poses(tmp_path/f'a.{ending}')[0]).max()<1e-4
    page.evaluate("""text => {
        const data = new DataTransfer()
        data.setData('text', text)
        document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}))
    }""", json.dumps(x[0].tolist()))
    page.wait_for_function("text2pose.state.poses.length===1", timeout=30_000)
    assert np.abs(poses_of(page)[0]-x[0]).max()<1e-4

def test_wrong_files(page):
    before = poses_of(page)
    wrong = [('a.json','{"poses": [{"joints": [[NaN, 0, 0]]}]}','NaN'), ('a.png','\x89PNG','neither JSON'),
             ('a.bvh','HIERARCHY ROOT','BVH')]
    for name,text,message in wrong:
        drop(page, name, text)
        assert message in error_of(page) and name in error_of(page)
    page.evaluate("""() => {  // a file of 200 MB that nobody may read
        const file = new File(['x'], 'big.json')
        Object.defineProperty(file, 'size', {value: 2e8})
        Object.defineProperty(file, 'text', {value: () => { window.wasRead = true }})
        const data = {files: [file]}, event = new Event('drop', {bubbles: true, cancelable: true})
        Object.defineProperty(event, 'dataTransfer', {value: data})
        document.dispatchEvent(event)
    }""")
    page.wait_for_function("document.getElementById('error').textContent.includes('200.0 MB')", timeout=30_000)
    assert page.evaluate('window.wasRead') is None
    assert (poses_of(page)==before).all()

def test_narrow_screen(page):
    page.set_viewport_size(dict(width=360, height=740))
    page.wait_for_timeout(300)
    assert page.evaluate('document.documentElement.scrollWidth')<=360
    for selector in ('#prompt','#go','canvas','[data-format=bvh]'):
        box = page.locator(selector).bounding_box()
        assert box['x']>=0 and box['x']+box['width']<=360 and box['height']>=20, selector
    picture = canvas(page)
    assert picture.std()>10
    page.set_viewport_size(dict(width=1200, height=800))

def test_by_keyboard_alone(page):
    page.locator('#prompt').focus()
    page.keyboard.press('Control+A')
    page.keyboard.type('kneeling on one knee')
    page.keyboard.press('Enter')
    is_there = "text2pose.state.poses[0]?.prompt==='kneeling on one knee' && !text2pose.state.busy"
    page.wait_for_function(is_there, timeout=1000*SECONDS)

def test_no_complaints(world, page):
    "Last: nothing was asked of another server, and the console shows no error."
    assert world[2]==[]
    assert page.evaluate('window.crossOriginIsolated')==False  # one thread is enough: no special headers

def test_incomplete_folder(world, tmp_path):
    "A file that is missing is named."
    import shutil
    shutil.copytree(site(), tmp_path/'site')
    (tmp_path/'site/denoise.bin').unlink()
    with served(tmp_path/'site') as url:
        context = world[0].browser.new_context()
        page = context.new_page()
        page.goto(url)
        assert 'denoise.bin could not be loaded' in error_of(page)
        context.close()
