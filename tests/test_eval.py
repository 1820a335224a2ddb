"The public prompts (whole, fair, checked by statements that exist) and the measures on pipelines that are known."
import numpy as np
import pytest
from text2pose import eval
from text2pose.data import mirror, own_poses
from text2pose.captions import mirror_words
from text2pose.posecodes import check_statements, satisfies
from text2pose.eval import (
    NEUTRAL, STORY, nearest_poses, prompt_adherence, rate, read_prompts, side_accuracy, story_effects)

ROWS = read_prompts()
OWN = np.stack([p['joints'] for p in own_poses()])

def test_size_and_split():
    assert len(ROWS)>=400 and len({r['prompt'] for r in ROWS})==len(ROWS)
    assert len(read_prompts('dev'))+len(read_prompts('val'))==len(ROWS)
    assert len(read_prompts('val'))>=200
    assert {r['group'] for r in ROWS} >= {'arms','legs','trunk','posture','action','mood','compound','negation','story'}
    with pytest.raises(ValueError, match="'dev' or 'val'"): read_prompts('test')

@pytest.mark.parametrize('row', ROWS, ids=[r['prompt'][:40] for r in ROWS])
def test_statements_exist_and_can_be_met(row):
    check_statements(row['statements'])
    assert 0<=row['chance']<.5, 'what holds anyway proves nothing'

def test_twins_mirror_each_other():
    by = {r['prompt']:r for r in ROWS}
    twins = [r for r in ROWS if 'twin' in r]
    assert len(twins)>=40
    for r in twins:
        other = by[r['twin']]
        assert other['twin']==r['prompt'] and other['split']==r['split'] and mirror_words(r['prompt'])==other['prompt']
        assert (satisfies(r['statements'], OWN)==satisfies(other['statements'], mirror(OWN))).all()
    for r in ROWS: assert ('twin' in r)==(mirror_words(r['prompt'])!=r['prompt'])

class Puppet:
    "Gives the left arm raised, whatever is asked."
    def __call__(self, prompts, n, **kwargs):
        x = next(p['joints'] for p in own_poses() if p['name']=='left_arm_raised')
        return type('Out', (), dict(joints=np.repeat(x[None], len(prompts)*n, 0)))

def test_a_puppet_is_found_out():
    rows = [r for r in ROWS if 'raise your' in r['prompt']]
    res = {r['prompt']:r for r in prompt_adherence(Puppet(), rows, 3)}
    assert res['raise your left hand']['followed']==1 and res['raise your right hand']['followed']==0
    assert side_accuracy(list(res.values()))==(.5, 0.)
    with pytest.raises(ValueError, match='twin'):
        side_accuracy(prompt_adherence(Puppet(), [r for r in ROWS if r['prompt']=='squat'], 1))

def test_rate():
    assert rate([True,False])==.5 and rate(np.array([1,1,0,0],bool), among=np.array([1,0,1,0],bool))==.5
    assert np.isnan(rate([])) and np.isnan(rate([True,True], among=[False,False]))
    assert type(rate(np.ones(3, bool))) is float  # JSON takes it

def test_side_accuracy_counts_only_poses_with_one_side():
    twins = [dict(prompt='l', statements=['left_arm_raised'], twin='r', joints=OWN),
             dict(prompt='r', statements=['right_arm_raised'], twin='l', joints=mirror(OWN))]
    left,right = satisfies(['left_arm_raised'], OWN), satisfies(['right_arm_raised'], OWN)
    one,both = side_accuracy(twins)
    assert one==pytest.approx(left[left!=right].mean()) and both==pytest.approx(left.mean())
    never = [{**r, 'joints':OWN[[p['name']=='standing' for p in own_poses()]]} for r in twins]
    assert np.isnan(side_accuracy(never)[0]) and side_accuracy(never)[1]==0

def test_no_effect_is_no_effect():
    "The same poses for every prompt: half of the pairs are larger, or fewer where there are ties."
    class Same:
        def __call__(self, prompts, n, **kwargs):
            return type('Out', (), dict(joints=np.concatenate([OWN[:n]]*len(prompts))))
    rows = story_effects(Same(), len(OWN))
    assert [(r['prompt'],r['measure']) for r in rows]==[(p,m) for p,m,_ in STORY]
    assert NEUTRAL not in [p for p,_,_ in STORY]
    for r in rows:
        assert r['mean']==r['neutral'] and 0<r['more']<=.5

@pytest.mark.parametrize('chunk', [1,7,1000])
def test_nearest_poses_does_not_depend_on_the_chunk(chunk):
    noisy = OWN+np.float32(.05)*np.random.default_rng(0).standard_normal(OWN.shape).astype(np.float32)
    idx,distance = nearest_poses(noisy, OWN, chunk)
    every = np.linalg.norm(noisy[:,None]-OWN[None], axis=-1).mean(-1)
    np.testing.assert_array_equal(idx, every.argmin(1))
    np.testing.assert_allclose(distance, every.min(1), atol=1e-6)

def test_a_report_that_was_killed_at_its_beginning(tmp_path):
    "What a kill left behind before the settings were there is in nobody's way; files of somebody else are."
    out = tmp_path/'report'
    (out/'.text2pose-abcdefgh'/'new').mkdir(parents=True)
    assert eval._begin_report(out, dict(n=1))==out/'parts'
    assert sorted(p.name for p in out.iterdir())==['parts','settings.json']
    (tmp_path/'other').mkdir()
    (tmp_path/'other'/'.text2pose-notes').write_text('mine')
    with pytest.raises(ValueError, match='other is not empty and holds no report'):
        eval._begin_report(tmp_path/'other', dict(n=1))
    assert [p.name for p in tmp_path.glob('other/.*')]==['.text2pose-notes']
