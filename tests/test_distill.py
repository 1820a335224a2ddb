"Paths of a teacher and students that learn them: what is refused, what goes on."
import json
from pathlib import Path
import pytest
import torch
from safetensors.torch import save_file
from text2pose.data import N_JOINTS
from text2pose.student import teacher_name
from text2pose.distill import KEPT, Paths, StudentTrainer, draw_captions, jump_loss, make_paths, student_config
from text2pose.cfg import Text2PosePipeline
from text2pose.core import available

NOTES = dict(teacher='somebody', kept=[0,3,6], steps=6)

def path_file(file, n=8, **notes):
    "A file of random paths, two of each caption."
    g = torch.Generator().manual_seed(n)
    tensors = dict(
        words=torch.randn(n//2,10, generator=g).half(), mirrored_words=torch.randn(n//2,10, generator=g).half(),
        rows=torch.randint(5, (n,4), generator=g).int(), similarity=torch.rand(n,4, generator=g).half(),
        samples=torch.randn(n,len(notes.get('kept', NOTES['kept'])),N_JOINTS,3, generator=g).half())
    save_file(tensors, file, metadata=dict(notes=json.dumps({**NOTES, **notes})))
    return file

@pytest.fixture
def library(): return torch.randn(5,N_JOINTS,3, generator=torch.Generator().manual_seed(0))

def test_paths_of_files(tmp_path, library):
    paths = Paths([path_file(tmp_path/'a', 8), path_file(tmp_path/'b', 6)], library)
    assert len(paths)==14 and paths.summary['captions']==7 and paths.levels==[999,499,None]
    samples,(words,exemplars,similarity) = paths(torch.tensor([0,1,9]))
    assert samples.shape==(3,3,N_JOINTS,3) and torch.equal(words[0], words[1])
    assert torch.equal(exemplars[2], library[paths.rows[9]])
    assert Paths([tmp_path/'a'], library, (0,-1)).levels==[999,None]
    with pytest.raises(ValueError, match='made otherwise'):
        Paths([tmp_path/'a', path_file(tmp_path/'c', steps=8)], library)
    with pytest.raises(ValueError, match='no paths'): Paths([], library)

def test_mirrored_twice_is_the_same(tmp_path, library):
    paths = Paths([path_file(tmp_path/'a')], library)
    paths.words[1] = paths.words[0]
    idx,yes = torch.arange(8), torch.ones(8, dtype=torch.bool)
    once,_ = paths(idx, yes)
    paths.samples = once.half()
    torch.testing.assert_close(paths(idx, yes)[0], path_samples(tmp_path/'a'))

def path_samples(file): return Paths([file], torch.zeros(5,N_JOINTS,3))(torch.arange(8))[0]

class Captions:
    "Short captions and long ones, drawn evenly."
    captions = ['short', 'a caption that is long '*8]
    def draw(self, n, generator): return None, torch.randint(2, (n,), generator=generator), None

def test_long_captions_come_less_often():
    drawn = sum(draw_captions(Captions(), 50, 40, torch.Generator().manual_seed(0)), [])
    assert len(drawn)==2000 and .25<sum(len(c)>90 for c in drawn)/2000<.38
    assert all(len({len(c)>90 for c in batch})==1 for batch in draw_captions(
        Captions(), 5, 4, torch.Generator().manual_seed(1))[:1])

needs_minilm = pytest.mark.skipif(not available('minilm'), reason='MiniLM is not installed')

@pytest.fixture(scope='module')
def teacher(): return Text2PosePipeline.from_pretrained()

@pytest.fixture
def of_teacher(teacher): return dict(teacher=teacher_name(teacher.model, teacher.scorer))

def trainer(teacher, paths, n_steps=4, **kwargs):
    config = student_config(n_steps=n_steps, batch_size=8)
    return StudentTrainer(config, paths, teacher, net=dict(body_dim=16, n_steps=1, emb_dim=8), cpu=True, **kwargs)

@needs_minilm
def test_resumed_equals_uninterrupted(teacher, of_teacher, tmp_path, library):
    paths = Paths([path_file(tmp_path/'a', **of_teacher)], library)
    whole = trainer(teacher, paths).fit()
    trainer(teacher, paths).fit(tmp_path/'run', checkpoint_every=2, stop_at=2)
    rest = trainer(teacher, paths).fit(tmp_path/'run')
    for a,b in zip(whole.inner.parameters(), rest.inner.parameters()): assert torch.equal(a, b)
    other = Paths([path_file(tmp_path/'b', 6, **of_teacher)], library)
    with pytest.raises(ValueError, match='another pose table: 8 rows'): trainer(teacher, other).fit(tmp_path/'run')

@needs_minilm
def test_resumed_with_another_teacher(teacher, of_teacher, tmp_path, library):
    "Refused in a sentence, with its own paths too, and where new paths are allowed."
    paths = Paths([path_file(tmp_path/'a', **of_teacher)], library)
    trainer(teacher, paths).fit(tmp_path/'run', stop_at=2)
    before = teacher.model.mean.clone()
    try:
        teacher.model.mean += .1
        name = teacher_name(teacher.model, teacher.scorer)
        other = Paths([path_file(tmp_path/'b', teacher=name)], library)
        for new_data in (False,True):
            with pytest.raises(ValueError, match='step-00000002 belongs to another run: teacher was ') as e:
                trainer(teacher, other).fit(tmp_path/'run', new_data=new_data)
            assert '\n' not in str(e.value) and name in str(e.value)
    finally: teacher.model.mean.copy_(before)
    assert trainer(teacher, paths).fit(tmp_path/'run').step==4

@needs_minilm
def test_other_start_weights(teacher, of_teacher, tmp_path, library):
    paths = Paths([path_file(tmp_path/'a', **of_teacher)], library)
    for n,name in enumerate('bc'): trainer(teacher, paths, n_steps=2+n).fit().save(tmp_path/name)
    b,c = (tmp_path/name/'student.safetensors' for name in 'bc')
    trainer(teacher, paths, start=b).fit(tmp_path/'run', stop_at=2)
    for start in (None,c):
        with pytest.raises(ValueError, match='step-00000002 belongs to another run: start was ') as e:
            trainer(teacher, paths, start=start).fit(tmp_path/'run')
        assert '\n' not in str(e.value)
    assert trainer(teacher, paths, start=b).fit(tmp_path/'run').step==4

@needs_minilm
def test_last_jump_learns_from_own_middles(teacher, of_teacher, tmp_path, library):
    paths = Paths([path_file(tmp_path/'a', **of_teacher)], library)
    own = Paths([path_file(tmp_path/'o', kept=[3,6], **of_teacher)], library)
    run = trainer(teacher, paths, own=own)
    assert [(k,len(samples)) for k,samples,_ in run.draw_batch()]==[(0,4),(1,2),(1,2)]
    assert torch.isfinite(torch.tensor(run.train_step()['loss']))

@needs_minilm
def test_files_are_kept(teacher, tmp_path):
    class Few:
        captions = ['arms raised','kick']
        def draw(self, n, generator): return None, torch.randint(2, (n,), generator=generator), None
    make_paths(teacher, Few(), tmp_path, 1, batches=1, captions=2)
    first = (tmp_path/'0000.safetensors').read_bytes()
    made = []
    def told(numbers):
        made.extend(numbers)
        return numbers
    make_paths(teacher, Few(), tmp_path, 2, batches=1, captions=2, progress=told)
    assert made==[1] and (tmp_path/'0000.safetensors').read_bytes()==first
    make_paths(teacher, Few(), tmp_path/'again', 1, batches=1, captions=2)
    assert (tmp_path/'again/0000.safetensors').read_bytes()==first
    other = (tmp_path/'0000.safetensors').read_bytes()
    with pytest.raises(ValueError, match='was made otherwise'):
        make_paths(teacher, Few(), tmp_path, 1, batches=1, captions=2, kept=(0,6))
    assert (tmp_path/'0000.safetensors').read_bytes()==other
    with pytest.raises(ValueError, match='kept must be samples of 4 steps'):
        make_paths(teacher, Few(), tmp_path/'n', 1, num_inference_steps=4)

@needs_minilm
def test_refusals(teacher, of_teacher, tmp_path, library):
    foreign = Paths([path_file(tmp_path/'a')], library)
    with pytest.raises(ValueError, match='of another teacher: somebody'): trainer(teacher, foreign)
    paths = Paths([path_file(tmp_path/'b', **of_teacher)], library)
    for change in (dict(mixed_precision='bf16'), dict(micro_batch=2)):
        with pytest.raises(ValueError, match='in float32 and in whole batches'):
            StudentTrainer(student_config(n_steps=1, **change), paths, teacher, cpu=True)
    (tmp_path/'c').write_bytes((tmp_path/'a').read_bytes()[:200])
    with pytest.raises(ValueError, match='no readable file of paths'): Paths([tmp_path/'c'], library)
