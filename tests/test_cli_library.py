"""Poses that are looked up: `--library` and `--exemplars` of `generate`, the command `look-up`, and what is said of the
library elsewhere. Weights are random and the encoder hashes words; where a test needs a look-up that understands words,
poses are ranked by the words that their phrases share with the prompt. Only the last tests ask the weights of the
package."""
import json
from pathlib import Path

import numpy as np, pytest, torch

from test_cfg import TINY, HashEncoder
from test_cli import offline, run
from test_cli_faults import fails

from text2pose import cfg
from text2pose.cfg import NUM_EXEMPLARS, Text2PoseModel, Text2PosePipeline
from text2pose.core import available
from text2pose.export import export
from text2pose.library import atlas_library, read_library
from text2pose.text import PoseMemory, PoseTextScorer

OWN = """- name: our_team_cheer
  phrases: [the cheer of our team, cheer like our team, our team's cheer]
  contact: left_foot
  angles: {left_shoulder: {flexion: 165}, right_hip: {flexion: 85}, right_knee: {flexion: 95}}
  expects: [left_hand_overhead, right_knee_bent]
"""
DESCRIBED = 'stand on the left leg with the right knee raised and the left hand overhead'
FAST = ('-n','1', '--steps','2', '--format','json')
N_ATLAS = len(atlas_library())

class Hashed(HashEncoder):
    "As the encoder of chapter 03a, it refuses too many words."
    def __call__(self, prompts):
        if max(len(p.split()) for p in prompts)>128: raise ValueError('the prompt has too many words: at most 128')
        return super().__call__(prompts)

@pytest.fixture
def tiny(monkeypatch):
    "A function that writes random weights, with a scorer and an own library if wanted."
    monkeypatch.setattr(cfg, 'load_text_encoder', lambda name: Hashed())
    def write(folder, scorer=True, library=None):
        torch.manual_seed(0)
        model = Text2PoseModel(TINY)
        scorer = PoseTextScorer(HashEncoder.dim, 32, 1, 16, 32) if scorer else None
        Text2PosePipeline(model, HashEncoder(), scorer=scorer, library=library).save_pretrained(folder)
    return write

def own_pose(folder='mine'):
    Path(folder).mkdir()
    Path(folder, 'own.yaml').write_text(OWN)

@pytest.fixture
def weights(tiny):
    "The options that name random weights with a scorer; the own pose lies in the folder `mine`."
    tiny('w')
    own_pose()
    return '--weights','w'

@pytest.fixture
def by_words(monkeypatch):
    "Rank poses by how many words of the prompt their phrases share; of equal ones the first in the library is nearer."
    def similarity(memory, text):
        said = [{w for p in phrases for w in p.split()} for phrases in memory.library.phrases]
        shared = torch.tensor([[len(words&set(w))/len(w) for words in said] for w in text.words])
        return shared-1e-7*torch.arange(len(said))
    monkeypatch.setattr(PoseMemory, 'similarity', similarity)

def about(path='out/poses.json'): return json.loads(Path(path).read_text())

def names(noted): return [e['name'] for e in noted]

# generate

def test_own_pose_is_an_exemplar(weights, by_words):
    said = run('generate', "our team's cheer", *FAST, *weights, '--library', 'mine').stdout
    assert 'looked up for "our team\'s cheer": our_team_cheer 1.00' in said
    noted = about()['exemplars']
    assert about()['num_exemplars']==NUM_EXEMPLARS and len(noted)==1 and len(noted[0])==NUM_EXEMPLARS
    assert noted[0][0]=={'name':'our_team_cheer', 'similarity':1.}

@pytest.mark.parametrize('path', ['mine', 'mine/own.yaml'])
def test_folder_or_file(weights, by_words, path):
    run('generate', "our team's cheer", *FAST, *weights, '--library', path, '--exemplars', '2')
    assert names(about()['exemplars'][0])[0]=='our_team_cheer'

def test_own_poses_of_every_kind(weights, by_words):
    joints = read_library('mine').joints[:1]
    Path('more').mkdir()
    export(joints, 'more/a.json', prompts=['quirky hop'])
    export(joints, 'more/b.npz', prompts=['zany leap'])
    export(joints, 'more/odd_bounce.bvh')
    prompts = ['quirky hop','zany leap','odd bounce']
    run('generate', *prompts, *FAST, *weights, '--library', 'more', '--exemplars', '2')
    for prompt,noted in zip(prompts, about()['exemplars']): assert prompt in names(noted)

def test_exemplars_of_every_pose_are_noted(weights):
    options = ('-n','3', '--steps','2', '--exemplars','5', '--format','json,npz,glb')
    run('generate', 'wave', 'sit down', *options, *weights)
    noted = about()['exemplars']
    assert [len(e) for e in noted]==[5]*6 and about()['num_exemplars']==5
    for pose in noted:
        values = [e['similarity'] for e in pose]
        assert values==sorted(values, reverse=True) and values==[round(v, 3) for v in values]
        assert len(set(names(pose)))==5 and set(names(pose))<=set(atlas_library().names)
    assert len({tuple(names(e)) for e in noted[:3]})>1, 'poses of one prompt look at different exemplars'
    with np.load('out/poses.npz') as f: assert json.loads(str(f['about']))['exemplars']==noted
    glb = Path('out/poses.glb').read_bytes()
    assert noted[0][0]['name'].encode() in glb and b'"exemplars"' in glb

def test_what_is_noted_is_what_the_pipeline_looked_up(weights):
    run('generate', 'wave', '-n','2', '--steps','2', '--seed','7', '--format','json', *weights, '--library','mine')
    out = Text2PosePipeline.from_pretrained('w', library='mine')('wave', 2, num_inference_steps=2, seed=7)
    for noted,pairs in zip(about()['exemplars'], out.exemplars):
        assert names(noted)==[name for name,_ in pairs]
        assert [e['similarity'] for e in noted]==pytest.approx([s for _,s in pairs], abs=.001)
    made = np.array([p['joints'] for p in about()['poses']])
    np.testing.assert_allclose(made, out.joints, atol=1e-4)

def test_no_exemplars(weights):
    said = run('generate', 'wave', *FAST, *weights, '--exemplars', '0').stdout
    assert 'looked up' not in said and about()['num_exemplars']==0 and 'exemplars' not in about()

def test_four_by_default(weights):
    run('generate', 'wave', *FAST, *weights, '--out', 'a')
    run('generate', 'wave', *FAST, *weights, '--out', 'b', '--exemplars', '4')
    assert Path('a/poses.json').read_bytes()==Path('b/poses.json').read_bytes()

def test_weights_without_scorer_generate_without_exemplars(tiny):
    tiny('w', scorer=False)
    said = run('generate', 'wave', *FAST, '--weights', 'w').stdout
    assert 'looked up' not in said and about()['num_exemplars']==0
    run('generate', 'wave', *FAST, '--weights', 'w', '--exemplars', '0')

def test_one_line_a_prompt_up_to_ten(weights):
    lines = run('generate', *(f'wave {word}' for word in 'abcdefghijkl'), *FAST, *weights).stdout.splitlines()
    assert sum(l.startswith('looked up for "wave ') for l in lines)==10
    assert lines[-1]=='and for 2 more prompts' and len(about()['exemplars'])==12

# look-up

def test_look_up(weights, by_words):
    lines = run('look-up', "our team's cheer", 'wave', '-n', '2', '--library', 'mine', *weights).stdout.splitlines()
    assert lines[0]=="our team's cheer" and lines[3]=='wave' and len(lines)==6
    assert lines[1].split()[:2]==['1.000','our_team_cheer']
    assert lines[1].endswith('mine/own.yaml: the cheer of our team')
    assert ' atlas: ' in lines[4]

def test_look_up_as_json(weights):
    args = ('look-up', 'wave', 'sit', *weights, '--library', 'mine')
    prompts = json.loads(run(*args, '--json').stdout)['prompts']
    assert [(p['prompt'],len(p['found'])) for p in prompts]==[('wave',4),('sit',4)]
    rows = [r for p in prompts for r in p['found']]
    assert all(set(r)=={'name','similarity','source','phrase'} for r in rows)
    found = Text2PosePipeline.from_pretrained('w', library='mine').look_up(['wave','sit'])
    assert [(r['name'],r['similarity']) for r in rows]==[(name,round(s, 3)) for pairs in found for name,s in pairs]
    everything = json.loads(run(*args[:2], *args[3:], '--json', '-n', N_ATLAS+2).stdout)['prompts'][0]['found']
    assert len(everything)==N_ATLAS+2  # the own pose and its twin

def test_look_up_prompts_from_elsewhere(weights):
    plain = run('look-up', 'wave', 'sit  down', *weights).stdout
    Path('p.txt').write_text('# two\nwave\n\nsit down\n')
    assert run('look-up', '--prompts', 'p.txt', *weights).stdout==plain
    assert run('look-up', '--prompts', '-', *weights, typed='wave\nsit down\n').stdout==plain

def test_look_up_writes_nothing(weights):
    before = sorted(Path('.').rglob('*'))
    run('look-up', 'wave', *weights)
    assert sorted(Path('.').rglob('*'))==before

# elsewhere

def test_info(tiny, weights):
    assert f'library: {N_ATLAS} poses with ' in run('info', *weights).stdout
    assert 'M parameters' in run('info', *weights).stdout.split('library: ')[1].splitlines()[0]
    tiny('own', library=read_library('mine'))
    assert 'library: 2 poses with 6 phrases; scorer of ' in run('info', '--weights', 'own').stdout
    tiny('none', scorer=False)
    assert f'library: {N_ATLAS} poses, but no scorer: none is looked up' in run('info', '--weights', 'none').stdout

def test_a_new_pose_from_template_to_exemplar(weights, by_words):
    "As the commands say it themselves: new, filled in, checked, looked up."
    said = run('atlas', 'new', 'our_team_bow', '--folder', 'new').stdout
    assert 'text2pose atlas check new' in said and '--library new' in said
    Path('new/our_team_bow.yaml').write_text(OWN.replace('cheer', 'bow'))
    said = run('atlas', 'check', 'new').stdout
    assert 'nothing wrong' in said and 'text2pose generate "…" --library new' in said
    run('generate', "our team's bow", *FAST, *weights, '--library', 'new')
    assert names(about()['exemplars'][0])[0]=='our_team_bow'

# bad input

@pytest.mark.parametrize('args,says', [
    (['generate','a','--exemplars','-1'], '--exemplars must be a whole number of at least 0 and at most 32, got -1'),
    (['generate','a','--exemplars','33'], '--exemplars must be a whole number of at least 0 and at most 32, got 33'),
    (['generate','a','--exemplars','many'], 'valid integer'),
    (['generate','a','--exemplars','0','--library','mine'], '--library goes with --exemplars of at least 1'),
    (['look-up'], 'no prompt given; for example: text2pose look-up "arms raised"'),
    (['look-up','12'], 'no words'),
    (['look-up','a','-n','0'], '-n must be'),
    (['look-up','a','-n','-3'], '-n must be'),
    (['look-up','a','-n','99999999'], '-n must be'),
    (['look-up','a','-n','2301','--library','mine'], '-n must be a whole number of at least 1 and at most 2300'),
    (['look-up','a '*129], 'at most 128')])
def test_wrong_use(weights, args, says):
    Path('out').mkdir()
    fails(2, says, *args, *weights)

def test_more_exemplars_than_the_library_has(tiny):
    tiny('own', library=atlas_library()[:3])
    fails(2, '--exemplars is 4, but the library has 3 poses', 'generate', 'a', '--weights', 'own', '--exemplars', '4')
    run('generate', 'wave', *FAST, '--weights', 'own')
    assert about()['num_exemplars']==3

def test_weights_without_scorer(tiny):
    tiny('w', scorer=False)
    Path('own.yaml').write_text(OWN)
    weights = ('--weights','w')
    fails(1, 'these weights hold no scorer', 'generate', 'a', *weights, '--library', 'own.yaml')
    fails(2, '--exemplars must be 0: these weights hold no scorer', 'generate', 'a', *weights, '--exemplars', '2')
    fails(1, 'w holds no scorer.safetensors', 'look-up', 'a', *weights)
    fails(1, 'these weights hold no scorer', 'look-up', 'a', *weights, '--library', 'own.yaml')

def test_a_broken_scorer(weights):
    Path('w/scorer.safetensors').write_bytes(b'0')
    says = 'w/scorer.safetensors holds no usable scorer'
    for args in (['generate','a'], ['look-up','a'], ['info']): fails(1, says, *args, *weights)

def _bad_libraries():
    "Folders and files that hold no library, each in its own way; path → what is said about it."
    def file(path, text):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_bytes(text if isinstance(text, bytes) else text.encode())
    file('yaml/own.yaml', '- name: [\n')
    file('angle/own.yaml', OWN.replace('flexion: 85', 'bend: 85'))
    file('foreign/own.yaml', OWN.replace('the cheer', 'привет'))
    file('twice/own.yaml', OWN+OWN)
    file('atlas/own.yaml', OWN.replace('our_team_cheer', 'saluting'))
    file('notes/notes.txt', 'x')
    file('json/own.json', '{"name": "x"}')
    file('bvh/own.bvh', 'HIERARCHY')
    file('npz/own.npz', b'PK')
    file('own.fbx', 'x')
    Path('empty').mkdir()
    return {
        'nowhere':'nowhere is missing: expected a folder of poses', 'empty':'empty holds no poses: there is nothing',
        'notes':'there is only notes.txt', 'own.fbx':"own.fbx has an unknown ending '.fbx'",
        'yaml':'own.yaml is not valid YAML: line 2',
        'angle':"right_hip has no angle 'bend'", 'foreign':'which is not Latin', 'twice':"'our_team_cheer' is taken",
        'atlas':"two poses are called 'saluting', one in atlas, one in atlas/own.yaml", 'json':'not a pose file',
        'bvh':'bvh/own.bvh', 'npz':'npz/own.npz', 'w/model.safetensors':'not a readable library'}

def test_bad_libraries(weights):
    Path('out').mkdir()
    for path,says in _bad_libraries().items():
        fails(1, says, 'generate', 'a', *weights, '--library', path)
        fails(1, says, 'look-up', 'a', *weights, '--library', path)

# the weights of the package

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not installed')
@pytest.mark.parametrize('prompt', ["our team's cheer", DESCRIBED], ids=['its own phrase','described'])
def test_own_pose_is_found_by_the_weights_of_the_package(prompt):
    "Five lines of YAML in a folder: without training, the network looks at that pose when the words fit."
    own_pose()
    said = run('generate', prompt, '-n', '2', '--format', 'json', '--library', 'mine').stdout
    for noted in about()['exemplars']: assert 'our_team_cheer' in names(noted), said
    assert 'our_team_cheer' in run('look-up', prompt, '--library', 'mine').stdout.splitlines()[1]

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not installed')
def test_the_package_has_a_scorer():
    assert f'library: {N_ATLAS} poses' in run('info').stdout and 'but no scorer' not in run('info').stdout
