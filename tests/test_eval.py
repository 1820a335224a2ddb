"The public prompts: whole, fair, and checked by statements that exist."
import json
import numpy as np
import pytest
from text2pose.core import asset
from text2pose.data import mirror, own_poses
from text2pose.captions import mirror_words
from text2pose.eval import prompt_adherence, read_prompts, side_accuracy
from text2pose.posecodes import check_statements, mirror_code, satisfies

ROWS = read_prompts()

def test_size_and_split():
    assert len(ROWS)>=120 and len({r['prompt'] for r in ROWS})==len(ROWS)
    assert abs(len(read_prompts('dev'))-len(read_prompts('val')))<=4
    assert {r['group'] for r in ROWS} >= {'arms','legs','trunk','posture','action','mood','compound','negation','story'}
    with pytest.raises(ValueError, match="'dev' or 'val'"): read_prompts('test')

@pytest.mark.parametrize('row', ROWS, ids=[r['prompt'][:40] for r in ROWS])
def test_statements_exist_and_can_be_met(row):
    check_statements(row['statements'])
    assert 0<=row['chance']<.5, 'what holds anyway proves nothing'

def test_twins_mirror_each_other():
    by = {r['prompt']:r for r in ROWS}
    poses = np.stack([p['joints'] for p in own_poses()])
    twins = [r for r in ROWS if 'twin' in r]
    assert len(twins)>=40
    for r in twins:
        other = by[r['twin']]
        assert other['twin']==r['prompt'] and other['split']==r['split'] and mirror_words(r['prompt'])==other['prompt']
        assert (satisfies(r['statements'], poses)==satisfies(other['statements'], mirror(poses))).all()
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
