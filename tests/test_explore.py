"The explorers without a browser: their controls are driven in Python."
import asyncio, json, sys

import numpy as np, pytest

from text2pose import Text2PosePipeline, cli, explore
from text2pose.core import available
from text2pose.data import own_poses
from text2pose.export import export
from tree import ROOT

CHAPTER = 'nbs/06a_explore.ipynb'
STANDING = own_poses()[0]['joints']
NASTY = '<script>alert("1")</script>'

def _texts(panel):
    "Everything of a panel that is shown as HTML."
    return panel.status.value+panel.report.value

@pytest.fixture(scope='module')
def page():
    if not available('minilm'): pytest.skip('minilm is not installed')
    return explore.ExplorerPage(Text2PosePipeline.from_pretrained())

def _panel(page, name):
    page.tabs.selected_index = list(page.makers).index(name)
    return page.panels[name]

@pytest.mark.parametrize('name', 'Prompt Denoising Attention Guidance Clusters Atlas Edit Ablation Results'.split())
def test_panel_opens_and_survives_nonsense(page, name):
    "Nothing is wrong at first; nonsense in any text is one sentence, and the poses stay."
    panel = _panel(page, name)
    assert not panel.status.value or 't2x-wrong' not in panel.status.value, panel.sentence
    assert len(panel.view.joints) or name=='Results'
    for key,control in panel.controls.items():
        if not isinstance(control, explore.W.Text) or key in ('words','negative'): continue
        if (name,key)==('Edit','prompt'): continue  # is read when a button of the view is pressed
        before,text = panel.view.joints,control.value
        for nonsense in ('走る','word '*10_000,'\0'):
            control.value = nonsense
            if (name,key)==('Atlas','prompt'): panel.use.click()
            assert 't2x-wrong' in panel.status.value, (key, panel.sentence)
            assert len(panel.sentence)<=explore._MOST_SAID+2
            assert panel.view.joints is before
        control.value = text
        if (name,key)==('Atlas','prompt'): panel.use.click()
        assert 't2x-wrong' not in panel.status.value, panel.sentence

@pytest.mark.parametrize('name', 'Prompt Denoising Attention Guidance Atlas'.split())
def test_markup_is_text(page, name):
    panel = _panel(page, name)
    control = panel.controls['prompt' if name!='Atlas' else 'search']
    control.value = NASTY
    assert '<script' not in _texts(panel) and '&lt;script&gt;' in panel.status.value

def test_same_noise_same_poses(page):
    "A panel that is set back shows what it showed."
    panel = _panel(page, 'Prompt')
    panel.controls['prompt'].value = 'arms raised'
    first = panel.view.joints
    panel.controls['seed'].value = 3
    assert np.abs(panel.view.joints-first).max()>.01
    panel.controls['seed'].value = 0
    np.testing.assert_array_equal(panel.view.joints, first)

def test_guided_differs_and_words_are_read(page):
    panel = _panel(page, 'Prompt')
    panel.controls['prompt'].value = 'both arms raised'
    assert 'left hand above shoulder' in panel.report.value
    assert all(s>.5 for s in explore.plausibility(panel.view.joints))

def test_pinned_change_is_on_top_of_the_dragged_pose(page):
    "A pinned joint stays where it was dragged to, also when the pelvis was moved."
    panel = _panel(page, 'Edit')
    x = STANDING+np.float32([.1,-.2,.05])
    panel.view.joints,panel.view.pinned = x[None],['left_wrist','right_ankle']
    panel.view._heard(panel.view, dict(type='request', kind='regenerate', pose=0), [])
    assert panel.view.message==''
    y = panel.view.joints[0]
    assert np.abs(y[[20,8]]-x[[20,8]]).max()<.02 and np.abs(y-x).max()>.02
    np.testing.assert_allclose(y[0], x[0], atol=1e-5)

def test_downloads_have_the_shown_poses(page):
    panel = _panel(page, 'Edit')
    panel.controls['prompt'].value = NASTY
    panel.view.joints = STANDING[None]
    name,data = panel.file('json')
    pose, = json.loads(data)['poses']
    assert (name,pose['prompt'])==('poses.json',NASTY)
    np.testing.assert_allclose(pose['joints'], STANDING, atol=1e-5)

def test_missing_model_is_a_sentence(tmp_path):
    (tmp_path/'config.json').write_text('{"format": "<b>"}')
    box = explore.explorer_page(str(tmp_path))
    assert 'config.json is not a text2pose configuration' in box.value and '<b>' not in box.value

def test_panel_that_cannot_be_built_is_a_sentence(page):
    broken = explore.ExplorerPage(page.pipe, ablation='nowhere.json')
    broken.tabs.selected_index = list(broken.makers).index('Ablation')
    assert 'nowhere.json is missing' in broken.tabs.children[broken.tabs.selected_index].children[0].value
    broken.tabs.selected_index = list(broken.makers).index('Results')
    assert 'Results' in broken.panels

NO_RESULTS = ['[]', '{', '3', '{"a": [1]}', '{"poses": 3}', '{"poses": [{"joints": "NaN"}]}', 'null', '\0']

@pytest.mark.parametrize('content', NO_RESULTS)
def test_results_of_other_kinds(tmp_path, content):
    (tmp_path/'x.json').write_text(content)
    panel = explore.ResultsExplorer(path=tmp_path/'x.json')
    assert 'x.json' in panel.sentence and 't2x-wrong' in panel.status.value
    (tmp_path/'x.json').unlink()
    export(STANDING, tmp_path/'good.npz', prompts=[NASTY])
    panel.controls['path'].value = str(tmp_path)
    assert panel.sentence=='1 of 1 poses; 0 numbers' and '<script' not in _texts(panel)

def test_folder_names_the_broken_file(tmp_path):
    export(STANDING, tmp_path/'good.json')
    (tmp_path/'bad.json').write_text('{"poses": [{"joints": [1]}]}')
    assert 'bad.json' in explore.ResultsExplorer(path=tmp_path).sentence

def test_debounce():
    "Many calls are one, the last, and a little later."
    heard = []
    async def run():
        f = explore._debounced(heard.append, .05)
        for i in range(5): f(i)
        assert heard==[]
        await asyncio.sleep(.2)
    asyncio.run(run())
    assert heard==[4]
    explore._debounced(heard.append)(7)
    assert heard==[4,7]

def test_no_voila_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'voila.app', None)
    with pytest.raises(ImportError, match='pip install'): cli._page_server(tmp_path, 8866, False)

def test_no_widget_is_stored():
    "A stored widget shows nothing without its kernel, and has another number every time."
    notebook = json.loads((ROOT/CHAPTER).read_text(encoding='utf-8'))
    assert 'widgets' not in notebook['metadata'], 'execute with store_widget_state=False'
    kinds = {kind for c in notebook['cells'] for o in c.get('outputs', ()) for kind in o.get('data', {})}
    assert not [k for k in kinds if 'widget' in k], 'clear the output of the cell that displays the panel'

def test_a_large_tree_is_looked_at_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(explore, '_MOST_ENTRIES', 5)
    for i in range(9): (tmp_path/f'{i}').mkdir()
    deep = tmp_path/'0/1/2'
    deep.mkdir(parents=True)
    (deep/'report.json').write_text('{"spine": 3.5}')
    with pytest.raises(ValueError, match='neither poses nor numbers'): explore.read_results(tmp_path)
    assert explore.read_results(deep).numbers=={'report: spine':3.5}

@pytest.fixture
def many(tmp_path, monkeypatch):
    "A batch of three prompts with two poses each, every pose in poses.npz and in a file of its prompt."
    from test_batch import make, some_prompts
    from text2pose import batch
    monkeypatch.setattr(batch, 'PAGE_PROMPTS', 2)
    make(tmp_path/'many', some_prompts(3), formats=('json','npz','openpose'))
    return tmp_path/'many'

@pytest.mark.parametrize('path', ['many','.'])
def test_a_batch_is_read_once(many, path):
    "Its settings are no numbers of an evaluation."
    found = explore.read_results(many.parent/path)
    assert [r['prompt'] for r in found.rows]==[f'prompt {i}' for i in (0,0,1,1,2,2)]
    assert {r['file'] for r in found.rows}=={'poses.npz'} and found.numbers=={} and found.faults==[]

def test_what_is_there_of_an_interrupted_batch(many):
    for name in ('poses.npz','manifest.jsonl'): (many/name).unlink()
    (many/'.parts').mkdir()
    np.savez(many/'.parts'/'00000.npz', joints=np.zeros((2,22,3), np.float32))
    next((many/'poses').glob('*3*.json')).unlink()
    found = explore.read_results(many)
    assert [r['prompt'] for r in found.rows]==[f'prompt {i}' for i in (0,0,1,1,2,2)] and found.faults==[]
    assert {r['file'].split('.')[-1] for r in found.rows}=={'json','npz'}

def test_a_folder_called_poses_of_somebody_else(many):
    "It is read wherever it is not a batch's own."
    (many/'batch.json').unlink()
    assert len(explore.read_results(many).rows)==12

def test_one_bad_file_does_not_hide_the_others(tmp_path):
    (tmp_path/'bad.json').write_text('{"poses": 3}')
    (tmp_path/'frame.json').write_text('{"version": 1.3, "people": []}')
    (tmp_path/'report.json').write_text('{"spine": 3.5}')
    found = explore.read_results(tmp_path)
    assert found.numbers=={'report: spine':3.5} and len(found.faults)==1 and 'bad.json' in found.faults[0]
    with pytest.raises(ValueError, match='bad.json'): explore.read_results(tmp_path/'bad.json')
