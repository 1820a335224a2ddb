"PoseView in a real browser: a stand-in for a notebook on one side, the real widget of Python on the other."
import base64, importlib.util, io, json, socket, subprocess, sys, time

import numpy as np, pytest

from browser import FLAGS, WEB, missing, program
from text2pose.data import bone_lengths, joint_idx
from text2pose.library import atlas_library
from text2pose.skeleton import limit_violations
from text2pose.view import PoseView
from tree import ROOT, offline_env

ASSETS = ROOT/'text2pose/assets/web'
TYPES = dict(html='text/html', js='text/javascript', css='text/css')
LIBRARY = atlas_library()
POSES = dict(zip(LIBRARY.names, LIBRARY.joints))
STANDING,WARRIOR,SITTING = (POSES[n] for n in ('standing','warrior_two','sitting_chin_on_hands'))

PLACE = '''(editor, pose, joint) => {
    const at = editor.scene.toScreen(pose, joint), box = editor.scene.canvas.getBoundingClientRect()
    return [at.x+box.left, at.y+box.top]
}'''

def _encode(value):
    if isinstance(value, (bytes, bytearray, memoryview)): return {'$bytes':base64.b64encode(value).decode()}
    return value

def _decode(value):
    if isinstance(value, dict) and '$bytes' in value: return memoryview(base64.b64decode(value['$bytes']))
    return value

class Host:
    "A page with a view in it, and what passes between the two."
    def __init__(self, page, view):
        self.page,self.view = page,view
        self.errors,self.changed,self.messages = [],set(),[]
        page.on('console', lambda m: m.type=='error' and self.errors.append(m.text))
        page.on('pageerror', lambda e: self.errors.append(str(e)))
        page.route('**/*', self._answer)
        page.goto('http://test.invalid/view.html')
        page.wait_for_function('window.ready')
        page.evaluate('state => window.start(state)', self._state())
        view.observe(lambda change: self.changed.add(change['name']))
        view.send = lambda content, buffers=None: self.messages.append(content)

    def _answer(self, route):
        name = route.request.url.split('/')[-1]
        file = next((f for f in (WEB/name, ASSETS/name) if f.is_file()), None)
        if file: route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix[1:]])
        else: route.abort()

    def _state(self, names=None):
        hidden = ('_esm','_css','layout','tabbable','tooltip')
        state = self.view.get_state(names)
        return {k:_encode(v) for k,v in state.items() if k not in hidden and not k.startswith(('_model','_view'))}

    def to_page(self):
        "Pass on what Python has changed, and its messages."
        names = [n for n in self.changed if n in self.view.keys]
        self.changed.clear()
        if names: self.page.evaluate('state => window.update(state)', self._state(names))
        for content in self.messages: self.page.evaluate('c => window.model.trigger("msg:custom", c)', content)
        self.messages.clear()

    def to_python(self):
        "Pass on what the widget has sent; the messages among it."
        self.page.wait_for_timeout(120)
        sent = self.page.evaluate('() => window.sent.splice(0)')
        for one in sent:
            if 'changes' in one: self.view.set_state({k:_decode(v) for k,v in one['changes'].items()})
            else: self.view._handle_custom_msg(one['content'], [_decode(b) for b in one['buffers']])
        self.to_page()
        return [one['content'] for one in sent if 'content' in one]

    def picture(self):
        from PIL import Image
        drawn = 'new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))'  # what is coarse
        self.page.evaluate(f'{drawn}.then(() => window.editor.scene.draw())')
        png = self.page.locator('canvas').screenshot()
        return np.asarray(Image.open(io.BytesIO(png)).convert('RGB')).astype(int)

    def at(self, joint, pose=0):
        "Where a joint is on the page, pixels."
        return np.array(self.page.evaluate(f'i => ({PLACE})(editor, i, {joint_idx(joint)})', pose))

    def drag(self, joint, right, down, pose=0, steps=5):
        "Drag a joint by pixels."
        x,y = self.at(joint, pose)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for i in range(1, steps+1): self.page.mouse.move(x+right*i/steps, y+down*i/steps)
        self.page.wait_for_timeout(80)
        self.page.mouse.up()
        self.to_python()

    def key(self, *keys):
        self.page.locator('canvas').focus()
        for key in keys: self.page.keyboard.press(key)
        self.to_python()

def _moved(a, b): return (np.abs(a-b).max(-1)>8).mean()

@pytest.fixture(scope='module')
def browser():
    path = program('chromium','chromium-browser','google-chrome')
    try: from playwright.sync_api import sync_playwright
    except ImportError: missing('playwright is not installed')
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=FLAGS.split())
        yield browser
        browser.close()

@pytest.fixture
def host(browser):
    "Makes pages with a view; afterwards none of them may have logged an error."
    hosts = []
    def make(joints=STANDING, names=('standing',), width=700, height=760, touch=False, **traits):
        context = browser.new_context(viewport=dict(width=width, height=height), has_touch=touch)
        view = PoseView(joints, names, **traits)
        hosts.append(Host(context.new_page(), view))
        return hosts[-1]
    yield make
    for h in hosts:
        h.page.context.close()
        assert h.errors==[]

def test_update_changes_the_canvas(host):
    h = host()
    before = h.picture()
    assert (before.std((0,1))>5).all()  # something is there
    h.view.joints = WARRIOR
    h.to_page()
    after = h.picture()
    assert _moved(before, after)>.02
    h.view.joints = STANDING
    h.to_page()
    assert _moved(before, h.picture())<.001

def test_sides_have_their_colours(host):
    "From the front the subject's left, blue, is on the right of the picture."
    h = host()
    h.page.get_by_title('front view').click()
    picture = h.picture()
    middle = picture.shape[1]//2
    blue = (picture[...,2]-picture[...,0])>60
    red = (picture[...,0]-picture[...,1])>75  # skin is not as red
    assert blue[:,middle:].sum()>50*max(blue[:,:middle].sum(), 1)
    assert red[:,:middle].sum()>50*max(red[:,middle:].sum(), 1)

def test_orbit_zoom_and_views(host):
    h = host()
    before = h.picture()
    box = h.page.locator('canvas').bounding_box()
    h.page.mouse.move(box['x']+30, box['y']+60)
    h.page.mouse.down()
    h.page.mouse.move(box['x']+160, box['y']+80, steps=4)
    h.page.mouse.up()
    h.to_python()
    assert _moved(before, h.picture())>.02
    assert h.view.camera['azimuth']!=35
    h.page.mouse.wheel(0, -400)  # the canvas has the focus now
    h.to_python()
    assert h.view.camera['zoom']>1.2
    for key,azimuth in (('1',0),('2',90),('4',180),('0',35)):
        h.key(key)
        assert (h.view.camera['azimuth'],h.view.camera['zoom'])==(azimuth,1)
    assert _moved(before, h.picture())<.001
    h.view.camera = dict(azimuth=90, elevation=0, zoom=1, pan=[0,0])
    h.to_page()
    assert _moved(before, h.picture())>.02

def test_drag_wrist(host):
    "The wrist follows the pointer, every bone keeps its length, the legs stay, Python has the pose."
    h = host(editable=True)
    h.page.get_by_title('front view').click()
    wanted = h.at('left_wrist')+[60,-120]
    h.drag('left_wrist', 60, -120)
    y = h.view.joints[0]
    assert np.abs(y[20]-STANDING[20]).max()>.1
    assert np.linalg.norm(h.at('left_wrist')-wanted)<25  # the body may settle on the floor afterwards
    np.testing.assert_allclose(bone_lengths(y), bone_lengths(STANDING), atol=2e-4)
    np.testing.assert_allclose(y[[4,5,7,8,10,11]], STANDING[[4,5,7,8,10,11]], atol=1e-4)
    assert max(limit_violations(y).values())<1
    assert (h.view.selected, h.view.joint)==(0, 'left_wrist')

def test_every_handle_moves(host):
    h = host(editable=True)
    for joint in ('head','left_elbow','right_knee','right_ankle','left_foot','right_wrist'):
        before = h.view.joints[0].copy()
        h.drag(joint, 14, -22)
        j = joint_idx(joint)
        assert np.linalg.norm(h.view.joints[0][j]-before[j])>.01, joint
        np.testing.assert_allclose(bone_lengths(h.view.joints[0]), bone_lengths(STANDING), atol=3e-4)

def test_drag_pelvis_crouches(host):
    "The pelvis goes down and the feet stay where they are beneath it."
    h = host(editable=True)
    h.page.get_by_title('front view').click()
    h.drag('pelvis', 0, 50)
    y = h.view.joints[0]
    assert np.abs(y[0]).max()<1e-6
    lower = y[[7,8],2]-STANDING[[7,8],2]
    assert (lower>.05).all()
    np.testing.assert_allclose(y[7]-y[8], STANDING[7]-STANDING[8], atol=.01)

def test_pinned_joint_stays(host):
    h = host(editable=True, pinned=['right_wrist','left_ankle'])
    h.drag('head', 25, 30)
    y = h.view.joints[0]
    np.testing.assert_allclose(y[[21,7]], STANDING[[21,7]], atol=5e-3)
    assert np.linalg.norm(y[15]-STANDING[15])>.03

def test_undo_and_redo(host):
    h = host(editable=True)
    undo = h.page.get_by_title('Undo')
    assert undo.is_disabled()
    h.drag('left_wrist', 50, -60)
    moved = h.view.joints[0].copy()
    h.drag('head', 20, 30)
    undo.click()
    h.to_python()
    np.testing.assert_allclose(h.view.joints[0], moved, atol=1e-6)
    h.key('Control+z')
    np.testing.assert_allclose(h.view.joints[0], STANDING, atol=1e-6)
    h.key('Control+Shift+Z')
    np.testing.assert_allclose(h.view.joints[0], moved, atol=1e-6)

def test_a_click_is_no_edit(host):
    h = host(editable=True)
    h.page.mouse.click(*h.at('left_wrist'))
    h.to_python()
    assert h.view.joint=='left_wrist'
    np.testing.assert_array_equal(h.view.joints[0], STANDING)
    assert h.page.get_by_title('Undo').is_disabled()

def test_keyboard_moves_and_pins(host):
    h = host(editable=True)
    h.key('n','n')
    assert h.view.joint=='left_knee'
    h.view.joint = 'right_wrist'
    h.to_page()
    h.key('1','ArrowUp','ArrowUp')  # from the front
    np.testing.assert_allclose(h.view.joints[0][21,2]-STANDING[21,2], .02, atol=3e-3)
    h.key('p')
    assert h.view.pinned==['right_wrist']
    h.key('p')
    assert h.view.pinned==[]
    h.key('Escape')
    assert h.view.joint==''
    azimuth = h.view.camera['azimuth']
    h.key('ArrowRight')  # nothing is selected: the camera turns
    assert h.view.camera['azimuth']!=azimuth

def test_sliders_and_numbers(host):
    h = host(editable=True, joint='left_wrist')
    before = h.picture()
    number = h.page.get_by_label('left elbow flexion (°), number')
    number.fill('90')
    number.press('Enter')
    h.to_python()
    y = h.view.joints[0]
    upper,lower = y[18]-y[16],y[20]-y[18]
    angle = np.degrees(np.arccos(upper@lower/np.linalg.norm(upper)/np.linalg.norm(lower)))
    assert abs(angle-90)<1
    assert _moved(before, h.picture())>.002
    slider = h.page.get_by_label('left shoulder flexion (°)', exact=True)
    slider.focus()
    for _ in range(5): h.page.keyboard.press('ArrowRight')
    h.to_python()
    assert np.linalg.norm(h.view.joints[0][18]-y[18])>.01
    np.testing.assert_allclose(bone_lengths(h.view.joints[0]), bone_lengths(STANDING), atol=3e-4)
    h.page.get_by_role('button', name='position').click()
    z = h.page.get_by_label('z (m), number')
    wanted = float(z.input_value())+.05
    z.fill(f'{wanted:.3f}')
    z.press('Enter')
    h.to_python()
    np.testing.assert_allclose(h.view.joints[0][20,2], wanted, atol=3e-3)

def test_copy_and_paste(host):
    h = host(editable=True)
    h.page.locator('canvas').focus()
    text = h.page.evaluate('''() => { const data = new DataTransfer()
        document.dispatchEvent(new ClipboardEvent('copy', {clipboardData: data, cancelable: true}))
        return data.getData('text/plain') }''')
    copied = json.loads(text)['poses'][0]
    np.testing.assert_allclose(copied['joints'], STANDING, atol=1e-5)
    def paste(text):
        h.page.evaluate('''text => { const data = new DataTransfer()
            data.setData('text/plain', text)
            document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, cancelable: true})) }''', text)
        h.to_python()
    paste(json.dumps(dict(poses=[dict(joints=WARRIOR.tolist())])))
    np.testing.assert_allclose(h.view.joints[0], WARRIOR, atol=1e-6)
    for bad in ('hello', '{"poses": []}', '{"poses": [{"joints": [[1, 2, 3]]}]}', '[1, 2', '{"joints": [null]}'):
        paste(bad)
        assert h.page.get_by_role('status').inner_text().endswith('.')
        np.testing.assert_allclose(h.view.joints[0], WARRIOR, atol=1e-6)

NASTY = '<script>window.hit = 1</script><img src=x onerror="window.hit = 1">'

def test_names_are_text(host):
    h = host(np.stack([STANDING, WARRIOR]), [NASTY, 'two'], message=NASTY)
    assert h.page.locator('.t2p-title').first.inner_text()==NASTY
    assert h.page.get_by_role('status').inner_text()==NASTY
    assert h.page.locator('img').count()==0
    assert h.page.evaluate('window.hit === undefined')

DROP = '''([name, body]) => {
    const data = new DataTransfer()
    data.items.add(new File([typeof body === 'number' ? new ArrayBuffer(body) : body], name))
    document.querySelector('.t2p-view').dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true}))
}'''

def _drop(h, name, body):
    h.page.evaluate(DROP, [name, body])
    read = 'sent.length || document.querySelector(".t2p-status").textContent.includes("at most")'
    h.page.wait_for_function(read)
    h.to_python()
    return h.page.get_by_role('status').inner_text()

def test_files_are_dropped(host):
    h = host(editable=True)
    ours = json.dumps(dict(poses=[dict(joints=p.tolist(), prompt=n) for n,p in (('a',WARRIOR),('b',SITTING))]))
    assert _drop(h, 'my.json', ours)=='2 poses from my.json'
    np.testing.assert_allclose(h.view.joints, np.stack([WARRIOR,SITTING]), atol=1e-6)
    assert [t.inner_text() for t in h.page.locator('.t2p-title').all()]==['a','b']
    kept = h.view.joints
    for name,body in (('x.txt','hello'), ('x.json','{'), ('x.bvh','HIERARCHY'), ('x.json','{"people": []}')):
        assert len(_drop(h, name, body))>10
        assert h.view.joints is kept
    assert _drop(h, 'big.json', 21_000_000)=='big.json has 21 MB; files of at most 20 MB are read.'

def test_requests(host):
    h = host(editable=True, pinned=['left_wrist'])
    button = h.page.get_by_role('button', name='Regenerate the rest')
    assert not button.is_visible()
    asked = []
    def regenerate(request):
        asked.append(request)
        return WARRIOR
    def fail(request): raise RuntimeError('out of memory')
    h.view.on_request('regenerate', regenerate)
    h.view.on_request('words', fail)
    h.to_page()
    button.click()
    h.to_python()
    assert (asked[0].kind, asked[0].pinned)==('regenerate', ['left_wrist'])
    np.testing.assert_allclose(h.view.joints[0], WARRIOR, atol=1e-6)
    h.page.get_by_label('words').fill('lower the left arm')
    sent = None
    h.page.get_by_role('button', name='Change by words').click()
    sent = h.to_python()
    assert (sent[0]['words'], sent[0]['strength'])==('lower the left arm', .5)
    assert h.page.get_by_role('status').inner_text()=='RuntimeError: out of memory'
    np.testing.assert_allclose(h.view.joints[0], WARRIOR, atol=1e-6)
    h.page.get_by_title('Undo').click()
    h.to_python()
    np.testing.assert_allclose(h.view.joints[0], STANDING, atol=1e-6)

def test_lost_kernel(host):
    h = host(editable=True)
    h.view.on_request('regenerate', lambda request: None)
    h.to_page()
    h.page.evaluate('window.model.alive = false')
    h.page.get_by_role('button', name='Regenerate the rest').click()
    assert 'kernel' in h.page.get_by_role('status').inner_text()
    h.page.evaluate('() => { model.alive = true; model.comm_live = false; model.trigger("comm_live_update") }')
    assert 'kernel' in h.page.get_by_role('status').inner_text()
    h.drag('left_wrist', 30, -30)  # the view still works
    assert np.linalg.norm(h.view.joints[0][20]-STANDING[20])>.02

def test_ghosts_and_frames(host):
    h = host()
    plain = h.picture()
    h.view.ghosts = WARRIOR
    h.to_page()
    assert _moved(plain, h.picture())>.01
    h.view.ghosts = np.zeros((0,22,3))
    h.view.frames = np.stack([WARRIOR, SITTING, STANDING])
    h.view.fps = 30
    h.to_page()
    assert _moved(plain, h.picture())<.001
    slider = h.page.get_by_label('denoising step')
    slider.focus()
    h.page.keyboard.press('Home')
    h.to_python()
    assert h.view.frame==0
    first = h.picture()
    assert _moved(plain, first)>.02
    h.key(' ')
    h.page.wait_for_function('() => editor.timer === null', timeout=10_000)
    h.to_python()
    assert h.view.frame==-1
    assert _moved(plain, h.picture())<.001
    h.view.frame = 0
    h.to_page()
    assert _moved(first, h.picture())<.001

def test_grid_and_selection(host):
    h = host(np.stack([STANDING, WARRIOR, SITTING, STANDING]), ['a','b','c','d'])
    picture = h.picture()
    height,width = picture.shape[:2]
    cells = [h.page.evaluate('i => editor.scene.cell(i)', i) for i in range(4)]
    assert len({(c['x'],c['y']) for c in cells})==4
    for c in cells:
        part = picture[int(c['y']):int(c['y']+c['height']), int(c['x']):int(c['x']+c['width'])]
        assert part.std()>10
    h.page.mouse.click(*h.at('head', 2))
    h.to_python()
    assert (h.view.selected, h.view.joint)==(2, 'head')

def test_joint_names_on_hover(host):
    h = host()
    h.page.mouse.move(*h.at('right_elbow'))
    tip = h.page.locator('.t2p-tip')
    assert tip.inner_text().startswith('right elbow')
    h.page.mouse.move(4, h.page.locator('canvas').bounding_box()['y']+4)
    assert not tip.is_visible()

def test_narrow_screen(host):
    h = host(width=320, height=640, editable=True, joint='left_wrist')
    h.view.on_request('words', lambda request: None)
    h.to_page()
    assert h.page.evaluate('document.documentElement.scrollWidth')<=320
    assert h.page.evaluate('[...document.querySelectorAll(".t2p-button, .t2p-number, .t2p-text")]'
        '.filter(e => e.offsetParent).every(e => e.getBoundingClientRect().right <= 320)')
    assert h.picture().shape[1]<=320

def test_resize(host):
    h = host()
    before = h.page.locator('canvas').bounding_box()['width']
    h.page.set_viewport_size(dict(width=500, height=760))
    h.page.wait_for_timeout(200)
    assert h.page.evaluate('editor.scene.size.width')<=500<before
    assert h.picture().std()>5

def test_touch(host):
    "A finger drags a wrist, two fingers zoom."
    h = host(editable=True, touch=True)
    x,y = h.at('left_wrist')
    touch = h.page.context.new_cdp_session(h.page)
    def send(kind, *points):
        points = [dict(x=float(px), y=float(py), id=i) for i,(px,py) in enumerate(points)]
        touch.send('Input.dispatchTouchEvent', dict(type=kind, touchPoints=points))
    send('touchStart', (x,y))
    for i in range(1, 5): send('touchMove', (x+10*i, y-15*i))
    h.page.wait_for_timeout(80)
    send('touchEnd')
    h.to_python()
    assert np.linalg.norm(h.view.joints[0][20]-STANDING[20])>.1
    box = h.page.locator('canvas').bounding_box()
    a,b = np.array([box['x']+40, box['y']+60]),np.array([box['x']+80, box['y']+60])
    send('touchStart', a, b)
    for i in range(1, 5): send('touchMove', a-[6*i,0], b+[10*i,0])
    send('touchEnd')
    h.to_python()
    assert h.view.camera['zoom']>1.3

def test_stopped_view_leaves_nothing(host):
    h = host()
    h.page.evaluate('window.stop()')
    assert h.page.locator('canvas').count()==0
    h.view.joints = WARRIOR
    h.to_page()

LIVE = '''
import ipywidgets as W
from text2pose.data import own_poses
from text2pose.view import PoseView
view,label = PoseView(own_poses()[0]['joints'], ['mine'], editable=True),W.Label('not moved')
def moved(change): label.value = 'moved by %.2f' % abs(change['new'][0,20]-change['old'][0,20]).max()
view.observe(moved, 'joints')
W.VBox([view, label])
'''

def test_live_in_voila(browser, tmp_path):
    "The real thing: a kernel, Voila's page, a drag that Python hears of."
    import nbformat
    if importlib.util.find_spec('voila') is None: missing('voila is not installed')
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(LIVE)]), tmp_path/'live.ipynb')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    command = [sys.executable, '-m', 'voila', 'live.ipynb', f'--port={port}', '--no-browser', '--Voila.ip=127.0.0.1']
    with (tmp_path/'log').open('wb') as log:
        env = offline_env(PYTHONPATH=str(ROOT))
        server = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=subprocess.STDOUT)
    page = browser.new_page(viewport=dict(width=800, height=800))
    try:
        local = (f'http://127.0.0.1:{port}','data:','blob:')
        page.route('**/*', lambda r: r.continue_() if r.request.url.startswith(local) else r.abort())
        for _ in range(300):
            if server.poll() is not None: pytest.fail((tmp_path/'log').read_text(errors='replace'))
            try: socket.create_connection(('127.0.0.1', port), timeout=2).close()
            except OSError: time.sleep(.2)
            else: break
        page.goto(f'http://127.0.0.1:{port}', timeout=240_000, wait_until='domcontentloaded')
        page.locator('.t2p-canvas').wait_for(timeout=240_000)
        page.get_by_text('mine').wait_for()
        x,y = page.evaluate(f"() => ({PLACE})(document.querySelector('.t2p-view').parentElement.editor, 0, 20)")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x+60, y-80, steps=4)
        page.mouse.up()
        page.get_by_text('moved by 0.').wait_for(timeout=60_000)
    finally:
        page.close()
        server.terminate()
        server.wait(30)
