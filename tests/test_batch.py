"""Batches of many prompts: files of prompts, a folder that is whole at any moment, resumes and never mixes, pages that
stay small. Where the network does not matter a pretended pipeline takes its place."""
import json, multiprocessing, os, re, signal, time, zlib
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np, pytest
from typer.testing import CliRunner

from text2pose import batch
from text2pose.batch import (
    BatchError, BatchPrompt, BatchSettings, body_svgs, folder_lock, numbered, page_html, parse_prompts, portions,
    read_prompts_file, run_batch)
from text2pose.cfg import PoseOutput, Text2PosePipeline
from text2pose.cli import app
from text2pose.core import available
from text2pose.data import canonical, own_poses
from text2pose.export import load_poses

POSES = np.stack([p['joints'] for p in own_poses()])

class Pretended:
    "A pipeline whose poses depend on prompt, seed and number alone, and take no time."
    text_encoder = SimpleNamespace()

    def _request(self, **asked): return SimpleNamespace(run=dict(sampler='pretended'))

    def __call__(self, prompts, n, seed, negative_prompt=None, **run):
        negatives = negative_prompt or [None]*len(prompts)
        keys = [zlib.crc32(repr(key).encode()) for key in zip(prompts, seed, negatives)]
        rows = [(key+j)%len(POSES) for key in keys for j in range(n)]
        joints,prompts = canonical(POSES[rows]), [p for p in prompts for _ in range(n)]
        scores = np.float32([.5+row%50/100 for row in rows])
        exemplars = [[(f'pose_{row}', .5)] for row in rows]
        run = dict(sampler='pretended')
        return PoseOutput(joints, scores, prompts, joints, scores, exemplars=exemplars, run=run)

def some_prompts(n): return [BatchPrompt(f'prompt {i}', numbered(i+1, f'prompt {i}')) for i in range(n)]

def make(folder, prompts, pipe=None, **settings):
    settings = BatchSettings(**{'n':2, 'formats':('json',), **settings})
    return run_batch(prompts, folder, settings, pipe=pipe or Pretended())

def content(folder):
    "Path → bytes of all files of a folder."
    return {str(p.relative_to(folder)):p.read_bytes() for p in sorted(Path(folder).rglob('*')) if p.is_file()}

def manifest(folder): return [json.loads(l) for l in Path(folder, 'manifest.jsonl').read_text('utf-8').splitlines()]

@pytest.fixture(autouse=True)
def small_portions(monkeypatch, tmp_path):
    monkeypatch.setattr(batch, 'PAGE_PROMPTS', 3)
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.chdir(tmp_path)

# files of prompts

@pytest.mark.parametrize('ending,text', [
    ('txt', 'wave\n# no prompt\n\n  sit   down\n'), ('txt', 'wave\r\n\r\nsit down'), ('txt', 'wave\rsit down\r'),
    ('csv', 'prompt\nwave\nsit down\n'), ('csv', 'Prompt ,id\r\n"wave",\r\n,\r\n"sit\r\ndown",\r\n'),
    ('csv', 'id;prompt\n;wave\n;sit down'), ('csv', '"prompt"\rwave\rsit down\r'),
    ('tsv', 'mood\tprompt\nglad\twave\n\tsit down\n'), ('jsonl', '"wave"\n\n{"prompt": "sit down"}\n'),
    ('ndjson', '{"prompt":"wave","seed":null}\r\n{"prompt":"sit\\ndown","mood":1}\r\n')])
@pytest.mark.parametrize('encoding', ['utf-8','utf-8-sig','utf-16'])
def test_kinds_of_files(ending, text, encoding):
    Path(f'p.{ending}').write_bytes(text.encode(encoding))
    prompts,_ = read_prompts_file(f'p.{ending}')
    assert [(p.prompt,p.id) for p in prompts]==[('wave','00001-wave'),('sit down','00002-sit-down')]

@pytest.mark.parametrize('kind,text,says', [
    ('text', '', 'holds no prompts'), ('text', '# a\n\n', 'holds no prompts'),
    ('text', 'wave\n走', "line 2: the prompt '走'"), ('text', 'wave\n\n12', 'line 3'),
    ('csv', 'words\nwave', 'no column prompt, it has words'), ('csv', 'prompt\n', 'holds no prompts'),
    ('csv', 'prompt,id\nsit, then stand,a,b\n', 'line 2: 4 cells'),
    ('csv', 'prompt\n"'+'a'*200_000, 'line 2: field larger'),
    ('text', 'wave\n'+'a'*1_000_000, "p, line 2: the prompt 'aaaa"),
    ('text', 'wa'+'v'*200+'e', 'a word of 203 letters'),
    ('csv', 'prompt,seed\nwave,1.5', 'line 2: seed must be'), ('csv', 'prompt,n\nwave,0', 'line 2: n must be'),
    ('csv', 'prompt,n\nwave,'+'9'*31, 'n must be'), ('csv', 'prompt,id\nwave,a/b', 'line 2: id must be'),
    ('csv', 'prompt,id\nwave,a\nsit,A', "line 3: the id 'A' is taken, on line 2"),
    ('csv', 'prompt,id\n,a', 'line 2: there is no prompt'), ('jsonl', '{"prompt":"wave"', 'line 1: not valid JSON'),
    ('jsonl', '['*100_000, 'line 1: not valid JSON'), ('jsonl', '7', 'line 1: expected a prompt in quotes'),
    ('jsonl', '{"prompt":["wave"]}', 'line 1: prompt must be words in quotes, got list'),
    ('jsonl', '{"prompt":"wave","seed":true}', 'seed must be'), ('jsonl', '{"prompt":"wave","n":"many"}', 'n must be'),
    ('jsonl', '{"prompt":"wave","id":".."}', 'id must be'), ('jsonl', '{"prompt":"wave","id":"COM1.x"}', 'id must be'),
    ('jsonl', '{"prompt":"wave","negative":""}', 'line 1'), ('jsonl', '{"prompt":"\\ud800"}', 'UTF-8')])
def test_bad_files(kind, text, says):
    with pytest.raises(ValueError, match=re.escape(says)) as e: parse_prompts(text, kind, 'p')
    assert '\n' not in str(e.value) and len(str(e.value))<400

@pytest.mark.parametrize('kind,text,says', [
    ('jsonl', '"wave"\n[1]\n"sit"\n{', 'line 2: expected a prompt in quotes or an object, found list; and 1 more line'),
    ('csv', 'prompt,n\nwave,0\nsit,1,2\njump,x\nrun,3\n,1\n', ', got 0; and 3 more lines'),
    ('text', 'wave\n1\n2\n3\n', 'such as "arms raised"; and 2 more lines'),
    ('csv', 'prompt,id\nwave,a\nsit,a\njump,a\n', "line 3: the id 'a' is taken, on line 2; and 1 more line"),
    ('text', '1\n'*5000, '; and at least 1,000 more lines')])
def test_how_many_lines_are_bad(kind, text, says):
    with pytest.raises(ValueError, match=re.escape(says)+'$'): parse_prompts(text, kind, 'p')

def test_too_many_and_too_large(monkeypatch):
    monkeypatch.setattr(batch, 'MAX_PROMPTS', 2)
    with pytest.raises(ValueError, match='line 3: a file holds at most 2 prompts'): parse_prompts('a\nb\nc')
    monkeypatch.setattr(batch, 'MAX_PROMPTS_BYTES', 4)
    Path('p.txt').write_text('wave\n')
    with pytest.raises(ValueError, match='p.txt has 0 MB'): read_prompts_file('p.txt')
    with pytest.raises(FileNotFoundError, match='none.txt is missing'): read_prompts_file('none.txt')

def test_every_byte_is_read_or_refused():
    rng = np.random.default_rng(0)
    seeds = [b'prompt,id\nwave,a\nsit,b\n', b'{"prompt":"wave","n":2}\n"sit"\n', b'wave\nsit\n',
             '\ufeffprompt\nwave'.encode('utf-16')]
    n_read = 0
    for k in range(600):
        raw = bytearray(seeds[k%4])
        for _ in range(rng.integers(1, 5)): raw[rng.integers(len(raw))] = rng.integers(256)
        path = Path(('p.csv','p.jsonl','p.txt','p.csv')[k%4])
        path.write_bytes(raw)
        try: prompts,_ = read_prompts_file(path)
        except ValueError as e: assert '\n' not in str(e)
        else:
            n_read += 1
            assert all(p.prompt and re.fullmatch(r'[\w-][\w.-]*', p.id) for p in prompts)
    assert n_read>30

# the folder

def test_a_batch():
    prompts,_ = parse_prompts('prompt,id,seed,n,negative\nwave,a,,,\nsit,,3,1,standing\nwave,c,3,,\njump,,,5,\n', 'csv')
    report = make('b', prompts, formats=('json','bvh'))
    assert (report.n_prompts,report.n_poses,report.n_made,report.n_pages)==(4,10,4,2)
    rows = manifest('b')
    assert [(r['number'],r['id'],r['seed'],r['n'],r['first']) for r in rows]==[
        (1,'a',0,2,0), (2,'00002-sit',3,1,2), (3,'c',3,2,3), (4,'00004-jump',0,5,5)]
    assert rows[1]['negative']=='standing' and rows[3]['files']['bvh']=='poses/00004-jump.bvh'
    whole,called = load_poses('b/poses.npz')
    assert called==['wave']*2+['sit']+['wave']*2+['jump']*5
    for r in rows:
        joints,names = load_poses(Path('b', r['files']['json']))
        np.testing.assert_allclose(whole[r['first']:r['first']+r['n']], joints, atol=1e-5)
        assert set(names)=={r['prompt']} and len(r['scores'])==len(r['exemplars'])==r['n']
    assert sorted(p.name for p in Path('b').iterdir())==[
        'batch.json','index.html','manifest.jsonl','page-0002.html','poses','poses.npz']

def test_neither_order_nor_neighbours_matter():
    prompts = some_prompts(8)
    make('all', prompts, seed=5)
    make('turned', prompts[::-1], seed=5)
    make('few', prompts[:4], seed=5)
    def of(folder): return {r['id']:content(folder)[r['files']['json']] for r in manifest(folder)}
    assert of('all')==of('turned') and of('few').items()<of('all').items()

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not installed')
def test_poses_are_those_of_generate():
    Path('p.jsonl').write_text('{"prompt":"a kick with the left leg"}\n{"prompt":"arms raised","seed":7,"n":1}\n'
                               '{"prompt":"sitting","negative":"standing"}\n"bow"\n')
    said = CliRunner().invoke(app, ['generate', '--prompts', 'p.jsonl', '-n', '2', '--steps', '3', '--out', 'b'])
    assert said.exit_code==0 and '7 poses for 4 prompts: b/index.html' in said.output, said.output
    joints,_ = load_poses('b/poses.npz')
    pipe = Text2PosePipeline.from_pretrained()
    for r in manifest('b'):
        alone = pipe(r['prompt'], r['n'], 3, seed=r['seed'], negative_prompt=r.get('negative'))
        np.testing.assert_allclose(joints[r['first']:r['first']+r['n']], alone.joints, atol=1e-5)
        names = [[e['name'] for e in pairs] for pairs in r['exemplars']]
        assert names==[[name for name,_ in pairs] for pairs in alone.exemplars]

# interruptions

def _in_child(folder, prompts, delay):
    pipe = Pretended()
    call = Pretended.__call__
    def slow(self, *args, **kwargs):
        time.sleep(delay)
        return call(self, *args, **kwargs)
    Pretended.__call__ = slow
    make(folder, prompts, pipe)

def assert_whole(folder):
    "What is there under its final name can be read; hidden files do not count."
    for path in Path(folder).rglob('*'):
        if path.is_dir() or any(part.startswith('.') for part in path.relative_to(folder).parts): continue
        if path.suffix in ('.json','.npz') and path.name!='batch.json': assert len(load_poses(path)[0])>0
        if path.suffix=='.html': assert path.read_text('utf-8').endswith('</html>\n')
        if path.suffix=='.jsonl': assert len(manifest(folder))==10

def test_killed_at_any_moment():
    "Twenty seeded moments: whole files only, and the run that goes on ends with the files of one never interrupted."
    prompts = some_prompts(10)
    make('whole', prompts)
    wanted,rng = content('whole'), np.random.default_rng(1)
    fork,n_killed = multiprocessing.get_context('fork'), 0
    for k in range(20):
        child = fork.Process(target=_in_child, args=(f'b{k//2}', prompts, .02))
        child.start()
        time.sleep(rng.uniform(.02, .6))
        if child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
            n_killed += 1
        child.join()
        if Path(f'b{k//2}').exists(): assert_whole(f'b{k//2}')
        if k%2:
            make(f'b{k//2}', prompts)
            assert content(f'b{k//2}')==wanted
    assert n_killed>5

def test_what_a_kill_left_behind_goes_and_nothing_else():
    "Hidden files of somebody else stay, whatever they are called."
    make('b', some_prompts(2))
    others = ['.my-settings.json', '.text2pose-notes', '.text2pose-12345678.txt', 'poses/.cache-abcdefgh',
              'poses/.text2pose-12345678']
    for name in others: Path('b', name).write_text('mine')
    for name in ('.text2pose-abcdefgh','poses/.text2pose-abcdefgh'): Path('b', name, 'new').mkdir(parents=True)
    make('b', some_prompts(2))
    assert sorted(str(p.relative_to('b')) for p in Path('b').rglob('.*'))==sorted(others)

def test_only_what_is_missing_is_made():
    prompts = some_prompts(8)
    make('b', prompts)
    before = content('b')
    assert make('b', prompts).n_made==0
    Path('b/poses', f'{prompts[4].id}.json').unlink()
    report = make('b', prompts)
    assert report.n_made==3 and content('b')==before
    for name in ('manifest.jsonl','poses.npz'):
        Path('b', name).unlink()
        make('b', prompts)
        assert content('b')==before

def test_another_batch_is_refused():
    prompts = some_prompts(4)
    make('b', prompts)
    before = content('b')
    for others,settings,says in (
            (prompts, dict(seed=1), '--seed differ: 0 there, 1 asked for'),
            (prompts, dict(n=3), '-n differ: 2 there'),
            (prompts[:3], {}, 'the numbers of prompts differ: 4 there'), (prompts[::-1], {}, 'the prompts differ'),
            (prompts, dict(formats=('bvh',)), '--formats differ'),
            (prompts, dict(run=dict(best_of=2)), '--best-of differ')):
        with pytest.raises(BatchError, match=says) as e: make('b', others, **settings)
        assert '\n' not in str(e.value)
    assert content('b')==before

@pytest.mark.parametrize('name', ['index.html','poses.npz','manifest.jsonl','poses'])
def test_other_files_are_not_replaced(name):
    Path('b').mkdir()
    Path('b', name).write_text('mine')
    with pytest.raises(BatchError, match='belongs to no batch'): make('b', some_prompts(2))
    assert content('b')=={name:b'mine'}

def test_a_second_process_is_refused():
    Path('b').mkdir()
    with folder_lock('b'):
        with pytest.raises(OSError, match='another text2pose is writing into b'): make('b', some_prompts(2))
        result = CliRunner().invoke(app, ['generate', 'wave', '--out', 'b'])
        assert result.exit_code==1 and 'another text2pose is writing into b' in result.stderr
    make('b', some_prompts(2))
    result = CliRunner().invoke(app, ['generate', 'wave', '--out', 'b'])
    assert result.exit_code==1 and 'b holds the poses of a file of prompts' in result.stderr

def test_two_at_once_do_not_mix():
    "One of them does it, the other says why it does not; or both, one after the other, with the same files."
    fork = multiprocessing.get_context('fork')
    pair = [fork.Process(target=_in_child, args=('b', some_prompts(6), .05)) for _ in range(2)]
    for p in pair: p.start()
    for p in pair: p.join()
    assert 0 in [p.exitcode for p in pair]
    make('alone', some_prompts(6))
    assert content('b')==content('alone')

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not installed')
def test_two_processes_make_what_one_does():
    prompts = [BatchPrompt(p, numbered(i, p)) for i,p in enumerate(['wave','sit','jump','bow','kick','stand','run'], 1)]
    settings = BatchSettings(n=1, formats=('json',), run=dict(num_inference_steps=2))
    for folder,jobs in (('one',1),('two',2)): run_batch(prompts, folder, settings, jobs)
    assert content('one')==content('two')
    with pytest.raises(ValueError, match='num_exemplars'):
        run_batch(prompts, 'bad', BatchSettings(run=dict(num_exemplars=99)), 2)

def test_a_long_prompt_is_named_before_anything_is_made():
    class Short:
        def tokenize(self, prompts):
            if any(len(p)>20 for p in prompts): raise ValueError('too many tokens')
    pipe = Pretended()
    pipe.text_encoder = Short()
    prompts,_ = parse_prompts('wave\nsit down and stand up again\n', name='p.txt')
    with pytest.raises(BatchError, match='p.txt, line 2: too many tokens'): make('b', prompts, pipe)
    assert not Path('b').exists()

# pages

class Page(HTMLParser):
    "Links, words and tags of a page."
    def __init__(self, text):
        super().__init__()
        self.links,self.words,self.tags = [],[],[]
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k,v in attrs if k in ('href','src')]
    def handle_data(self, data): self.words.append(data)

def test_pages_link_to_what_is_there():
    make('b', some_prompts(10), formats=('json','bvh'))
    for path in Path('b').glob('*.html'):
        links = Page(path.read_text('utf-8')).links
        assert links and all(Path('b', link).is_file() for link in links)
        assert '://' not in path.read_text('utf-8')
    assert Page(Path('b/index.html').read_text('utf-8')).tags.count('svg')==6

def test_a_prompt_is_text_on_its_page():
    evil = '</h2><script>alert(1)</script><img src=http://x onerror="alert(1)"> \x1b[31m \u202e'
    make('b', [BatchPrompt(evil, 'a', negative=evil)])
    page = Page(Path('b/index.html').read_text('utf-8'))
    shown = evil.replace('\x1b', '\ufffd').replace('\u202e', '\ufffd')
    assert shown in page.words and page.tags.count('script')==1 and 'img' not in page.tags

def test_pages_of_10000_prompts_stay_small():
    cut = portions(some_prompts(10_000), 4)
    assert len(cut)==3334
    row = dict(number=1, id='a'*80, prompt='arms raised '*80, seed=0, n=4, files={}, scores=[1.]*4, exemplars=[[]]*4)
    pictures = body_svgs(POSES[:4])
    page = page_html([row]*100, [pictures]*100, 50, 100, 10_000, 'about')
    assert len(page)<2_500_000 and len(Page(page).links)==10

@pytest.mark.parametrize('joints', [np.zeros((1,22,3)), POSES[:1]*0+1e-9, POSES[:1]*50, POSES[:1]*[1,1,0]])
def test_pictures_of_odd_bodies(joints):
    svg = body_svgs(joints)[0]
    assert 'nan' not in svg and 'inf' not in svg and len(svg)<9000

def test_limits_of_portions():
    assert [c.stop-c.start for c in portions(some_prompts(7), 1)]==[3,3,1]
    assert [c.stop-c.start for c in portions(some_prompts(5), 600)]==[1]*5
