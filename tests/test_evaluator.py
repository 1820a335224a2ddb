"The evaluator and the report: numbers by hand, the same numbers again, and what is refused or interrupted."
import json
import shutil
import numpy as np
import pytest
import torch
from text2pose.batch import folder_lock
from text2pose.core import available, read_json
from text2pose.data import own_poses
from text2pose.evaluator import (
    PoseTextEvaluator, bootstrap, bootstrap_ratio, expected_hits, frechet_distance, learned_recall, load_evaluator,
    prdc, r_precision)
from text2pose.eval import SYSTEMS, evaluate, report_tables, two_sample_test

OWN = np.stack([p['joints'] for p in own_poses()])
PARTS = ('atlas/real', 'atlas/mean pose', 'atlas/look-up')

def test_ties_share_the_places():
    similarity = torch.tensor([[1.,1,0],[0,1,2],[1,1,1]])
    assert expected_hits(similarity, 1).tolist()==pytest.approx([.5, 0., 1/3])
    assert expected_hits(similarity, 2).tolist()==pytest.approx([1., 1., 2/3])

def test_intervals_by_hand():
    assert bootstrap([1.,1,1])==dict(value=1., low=1., high=1.)
    assert np.isnan(bootstrap([])['value'])
    half = bootstrap_ratio([1]*50+[0]*50, [1]*100)
    assert half['value']==.5 and .35<half['low']<.5<half['high']<.65
    assert np.isnan(bootstrap_ratio([0], [0])['value'])
    assert bootstrap_ratio([3,0], [4,0])['value']==.75

@pytest.mark.parametrize('n', [32,33,95])
def test_every_pair_can_come_into_a_pool(n):
    g = torch.Generator().manual_seed(n)
    vectors = torch.nn.functional.normalize(torch.randn(n, 8, generator=g), dim=1)
    assert r_precision(vectors, vectors)['R@1']['value']==1.

def test_frechet_distance_by_hand():
    a = np.random.default_rng(0).normal(size=(4000,3))*[1,2,3]
    b = np.random.default_rng(1).normal(size=(4000,3))*[2,2,1]+[0,1,0]
    assert frechet_distance(a, b)==pytest.approx(1+(1-2)**2+(3-1)**2, rel=.1)

def test_prdc_of_half_the_modes():
    "Real poses have two modes; generated ones fill one of them."
    g = torch.Generator().manual_seed(0)
    real = torch.randn(400, 2, generator=g)
    real[200:] += 50
    found = prdc(real, torch.randn(400, 2, generator=g))
    assert found['precision']>.9 and found['density']>.8
    assert found['recall']==pytest.approx(.5, abs=.05) and found['coverage']<.55

def test_learned_recall_asks_what_was_not_learned():
    g = torch.Generator().manual_seed(0)
    text = torch.nn.functional.normalize(torch.randn(80, 16, generator=g), dim=1)
    joints = np.random.default_rng(0).normal(size=(80,22,3)).astype(np.float32)
    seen = learned_recall((text,joints), (text,joints))['value']
    unseen = learned_recall((text[:40],joints[:40]), (text[40:],joints[40:]))['value']
    assert seen>.9>.35>unseen

def test_two_samples_same_seed_same_answer():
    first,second = OWN[:40],OWN[40:80]
    assert two_sample_test(first, second, seed=3)==two_sample_test(first, second, seed=3)

def test_the_evaluator_reads_captions_in_any_order():
    class Encoder:
        def __call__(self, texts):
            width = max(len(t.split()) for t in texts)
            tokens,mask = torch.zeros(len(texts), width, 8), torch.zeros(len(texts), width, dtype=torch.bool)
            for i,t in enumerate(texts):
                words = t.split()
                mask[i,:len(words)] = True
                tokens[i,:len(words)] = torch.tensor([[float(len(w))]*8 for w in words])+torch.arange(8)
            return type('Read', (), dict(tokens=tokens, mask=mask))
    torch.manual_seed(0)
    evaluator = PoseTextEvaluator(8, dim=16, pose_dim=16, embed_dim=4).eval()
    said = ['a', 'a longer caption', 'two words', 'the longest caption of all']
    vectors = evaluator.texts(said, Encoder())
    again = evaluator.texts(said[::-1], Encoder()).flip(0)
    assert torch.allclose(vectors, again, atol=1e-6)

def test_evaluators_that_are_none_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='evaluator'): load_evaluator(tmp_path/'no.safetensors')
    (tmp_path/'text.safetensors').write_text('nothing')
    with pytest.raises(ValueError, match='no usable evaluator'): load_evaluator(tmp_path/'text.safetensors')

@pytest.fixture(scope='module')
def pipe():
    if not available('minilm'): pytest.skip('needs the extra minilm')
    from text2pose.cfg import Text2PosePipeline
    return Text2PosePipeline.from_pretrained()

@pytest.fixture(scope='module')
def report(pipe, tmp_path_factory):
    out = tmp_path_factory.mktemp('report')/'r'
    return out, evaluate(pipe, out, n=40, only=PARTS)

def test_the_report_and_its_files(report):
    out,found = report
    assert set(found['results'])==set(PARTS) and not found['skipped']
    assert read_json(out/'report.json')==json.loads(json.dumps(found))
    tables = (out/'report.md').read_text()
    assert tables==report_tables(found) and '| mean pose |' in tables and (out/'atlas.png').is_file()
    real,mean,look_up = (found['results'][p] for p in PARTS)
    assert real['codes']['value']>.9>mean['codes']['value']
    assert real['r_precision']['R@1']['value']>3*mean['r_precision']['R@1']['value']
    assert mean['r_precision']['R@1']['low']<=.06  # chance is 1/32
    assert look_up['codes']['value']>mean['codes']['value']

def test_same_seed_same_numbers_and_an_interrupted_report_goes_on(report, pipe, tmp_path):
    out,found = report
    def stop_after_one(names):
        yield names[0]
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): evaluate(pipe, tmp_path/'r', n=40, only=PARTS, progress=stop_after_one)
    assert not (tmp_path/'r'/'report.json').exists()
    first, = (tmp_path/'r'/'parts').iterdir()
    written = first.stat().st_mtime_ns
    assert evaluate(pipe, tmp_path/'r', n=40, only=PARTS)==found
    assert first.stat().st_mtime_ns==written
    assert (tmp_path/'r'/'report.json').read_bytes()==(out/'report.json').read_bytes()

def test_reports_are_not_mixed(report, pipe, tmp_path):
    out,_ = report
    before = (out/'report.json').read_bytes()
    with pytest.raises(ValueError, match='other settings .seed was 0, now 1.'):
        evaluate(pipe, out, n=40, seed=1, only=PARTS)
    assert (out/'report.json').read_bytes()==before
    (tmp_path/'mine.txt').write_text('a file of mine')
    with pytest.raises(ValueError, match='not empty and holds no report'): evaluate(pipe, tmp_path, n=40, only=PARTS)
    assert [f.name for f in tmp_path.iterdir()]==['mine.txt']
    with pytest.raises(NotADirectoryError, match='is a file, not a folder'):
        evaluate(pipe, tmp_path/'mine.txt', n=40, only=PARTS)

def test_two_reports_at_once(pipe, tmp_path):
    with folder_lock(tmp_path):
        with pytest.raises(OSError, match='another text2pose is writing into'): evaluate(pipe, tmp_path, 40, only=PARTS)
    assert list(tmp_path.iterdir())==[]

@pytest.mark.parametrize('content', ['{}', '[]', '{', '{"captions":1}', '{"captions":[],"r_precision":3}'])
def test_a_damaged_part(report, pipe, tmp_path, content):
    shutil.copytree(report[0], tmp_path/'r')
    part = sorted((tmp_path/'r'/'parts').iterdir())[0]
    part.write_text(content)
    with pytest.raises(ValueError, match=part.name): evaluate(pipe, tmp_path/'r', n=40, only=PARTS)

def test_without_data_the_atlas_stands_in(pipe, tmp_path, monkeypatch):
    monkeypatch.delenv('TEXT2POSE_DATA', raising=False)
    found = evaluate(pipe, tmp_path/'r', n=8, only=('captures/real','bandai/real','nearest','atlas/mean'))
    assert set(found['skipped'])=={'captures/real','bandai/real','nearest training pose'}
    assert all('realmocap22' in why for why in found['skipped'].values())
    assert '## Skipped' in (tmp_path/'r'/'report.md').read_text() and list(found['results'])==['atlas/mean pose']

def test_parts_that_are_asked_for_later_join_the_report(pipe, tmp_path):
    evaluate(pipe, tmp_path/'r', n=24, only=['atlas/real'])
    picture = (tmp_path/'r'/'atlas.png').read_bytes()
    found = evaluate(pipe, tmp_path/'r', n=24, only=['atlas/look-up'])
    assert list(found['results'])==['atlas/real','atlas/look-up']
    assert (tmp_path/'r'/'atlas.png').read_bytes()!=picture

def test_another_evaluator_is_another_report(pipe, tmp_path):
    evaluate(pipe, tmp_path/'r', n=24, only=['atlas/mean'])
    other = load_evaluator()
    other.log_scale.data += 1
    with pytest.raises(ValueError, match='other settings .evaluator'):
        evaluate(pipe, tmp_path/'r', n=24, evaluator=other, only=['atlas/mean'])

def test_systems_are_arguments_of_the_pipeline():
    assert SYSTEMS['model']=={} and SYSTEMS['look-up'] is None
