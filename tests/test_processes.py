"Two processes started by torchrun learn what one would; one that is killed ends the run with a sentence."
import json, os, re, signal, subprocess, sys
from pathlib import Path

import pytest, torch

from text2pose.data import own_rows, pose_table
from text2pose.dataset import CaptionStates, TrainingSet, words_rows
from text2pose.train import make_trainer, phase_config
from text2pose.unet import SIZES

TINY = dict(SIZES['tiny'], block_channels=[32,64], cross_attention_dim=32, dropout=.1)
RUNS = {
    'scorer':dict(token_drop_prob=.2, token_noise=.1, towers=dict(embed_dim=16, pose_dim=32)),
    'text':dict(noise_samples_per_caption=2, micro_batch=6, timestep_bias=1.5, token_drop_prob=.2, token_noise=.1,
                follow_every=2)}

def tiny_run(phase, scorer=None, **kwargs):
    "A run with everything random that there is: dropout, dropped tokens and captions, exemplars."
    rows = own_rows()[:40]
    data = TrainingSet(pose_table(rows+words_rows(rows)))
    g = torch.Generator().manual_seed(0)
    states = CaptionStates.of([torch.randn(2+i%5, 32, generator=g) for i in range(len(data.captions))])
    config = phase_config(phase, **{**dict(n_steps=20, batch_size=16, unet=TINY), **RUNS[phase], **kwargs})
    run = make_trainer(config, data, states, (data,states), cpu=True, scorer=scorer)
    run.n_val = 50
    return run

def train_all(folder, scorer):
    "What each process does: a scorer, and a denoiser with one; weights and processes as files."
    folder = Path(folder)
    for phase in RUNS:
        run = tiny_run(phase, scorer if phase=='text' else None)
        run.fit(folder/f'{phase}_run', log_every=5)
        run.save(folder/phase)
        if not run.acc.is_main_process: continue
        torch.save(run.inner.state_dict(), folder/f'{phase}.pt')
        (folder/f'{phase}.json').write_text(json.dumps(dict(processes=run.acc.num_processes, log=run.log)))

def train_long(folder):
    "A long run; the second process kills itself at its seventh step."
    run = tiny_run('text', n_steps=100_000)
    step = run.train_step
    def step_or_die():
        if run.step==6 and run.acc.process_index==1: os.kill(os.getpid(), signal.SIGKILL)
        return step()
    run.train_step = step_or_die
    try: run.fit(folder, checkpoint_every=3)
    except RuntimeError as e: sys.exit(f'SENTENCE {e}')

def torchrun(job, *args):
    "Run a job of this file in two processes."
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node', '2', '--master_port', '0',
               '--rdzv_backend', 'c10d', '--rdzv_endpoint', 'localhost:0', __file__, job, *map(str, args)]
    env = {**os.environ, 'OMP_NUM_THREADS':'1', 'PYTHONPATH':str(Path(__file__).parents[1])}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=900)

@pytest.fixture(scope='module')
def both(tmp_path_factory):
    "Folders of what one process and two processes made."
    one,two = (tmp_path_factory.mktemp(name) for name in ('one','two'))
    train_all(one, one/'scorer')
    r = torchrun('train_all', two, one/'scorer')  # weights are stored in halves, so their own would differ by rounding
    assert r.returncode==0, r.stderr[-3000:]
    return one,two

@pytest.mark.parametrize('phase', RUNS)
def test_two_processes_learn_what_one_does(both, phase):
    one,two = (json.loads((folder/f'{phase}.json').read_text()) for folder in both)
    assert (one['processes'],two['processes'])==(1,2)
    a,b = (torch.load(folder/f'{phase}.pt', weights_only=True) for folder in both)
    assert a.keys()==b.keys()
    difference = {k:(a[k]-b[k]).abs().max().item() for k in a}
    worst = max(difference, key=difference.get)
    assert difference[worst]<1e-5, f'{worst}: {difference[worst]}'
    untrained = tiny_run(phase, both[0]/'scorer' if phase=='text' else None).inner.state_dict()
    assert max((a[k]-untrained[k]).abs().max().item() for k in a)>1e-3
    for x,y in zip(one['log'], two['log']):
        assert x.keys()==y.keys() and x['loss']==pytest.approx(y['loss'], rel=1e-4), (x, y)
        assert x['val']==pytest.approx(y['val'], rel=1e-2, abs=1e-4) if 'val' in x else True
    said = [json.loads((folder/phase/'training.json').read_text()) for folder in both]
    assert [how['samples'] for how in said]==[320,320] and [how['processes'] for how in said]==[1,2]

def test_a_killed_process_ends_the_run(tmp_path):
    "The other one says so, in one sentence, and its checkpoints are there; one process can go on with them."
    r = torchrun('train_long', tmp_path)
    assert r.returncode!=0
    said = re.findall(r'SENTENCE (.*)', r.stderr)
    assert len(said)==1, r.stderr[-3000:]
    assert 'another process of this run ended, at step 7' in said[0] or 'SIGTERM' in said[0], said
    assert 'the same command goes on from the last checkpoint' in said[0]
    own = [line for line in r.stderr.splitlines() if 'text2pose' in line and 'File' in line]
    assert not own, own  # no traceback of ours
    run = tiny_run('text', n_steps=100_000).fit(tmp_path, stop_at=7)
    assert run.step==7 and run.log

def test_a_batch_that_cannot_be_shared(monkeypatch):
    run = tiny_run('text')
    monkeypatch.setattr(type(run.acc), 'num_processes', 3)
    with pytest.raises(ValueError, match='batch_size has 8 captions, which 3 processes cannot share'):
        run._check_shares()

if __name__=='__main__': globals()[sys.argv[1]](*sys.argv[2:])
