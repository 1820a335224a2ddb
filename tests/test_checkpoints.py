"Checkpoints: killed at any moment, damaged, no room, other tables, other shapes, the last and the best."
import errno, hashlib, json, os, resource, shutil, signal, subprocess, sys, types
from pathlib import Path

import pytest, torch
from safetensors.torch import load_file, save
from typer.testing import CliRunner

from text2pose import train
from text2pose.cli import app
from text2pose.data import own_rows, pose_table, write_pose_table
from text2pose.dataset import CaptionStates, TrainingSet
from text2pose.train import CHECKPOINT_FILE, MANIFEST, Checkpoints, make_trainer, phase_config
from text2pose.unet import SIZES

TINY = dict(SIZES['tiny'], block_channels=[16,32], body_channels=32, cross_attention_dim=32)

def sets_of(rows):
    data = TrainingSet(pose_table(rows))
    g = torch.Generator().manual_seed(0)
    return data, CaptionStates.of([torch.randn(2+i%5, 32, generator=g) for i in range(len(data.captions))])

@pytest.fixture(scope='module')
def data(): return sets_of(own_rows()[:40])

@pytest.fixture
def run(data):
    def make(phase='text', val=None, given=None, start=None, **kwargs):
        config = phase_config(phase, **{**dict(n_steps=6, batch_size=8, unet=TINY, text_layers=1), **kwargs})
        return make_trainer(config, *(given or data), val, cpu=True, start=start)
    return make

def same(a, b):
    a,b = a.inner.state_dict(), b.inner.state_dict()
    return all(torch.equal(a[k], b[k]) for k in a)

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_killed_at_fifty_moments(tmp_path):
    "SIGKILL at any line, in the middle of a save, from outside: the weights and the log of an uninterrupted run."
    sys.path.insert(0, str(Path(__file__).parent))
    import killed
    env = {**os.environ, 'OMP_NUM_THREADS':'1', 'PYTHONPATH':str(Path(__file__).parents[1])}
    r = subprocess.run([sys.executable, killed.__file__, str(tmp_path), '50'], env=env, capture_output=True, text=True,
                       timeout=900)
    assert r.returncode==0, r.stderr[-2000:]
    runs = [json.loads(line) for line in r.stdout.splitlines()]
    assert sum(one['kills'] for one in runs)>=50 and sum(one['half_saves'] for one in runs)>=5, runs
    whole = tmp_path/'whole'
    last = Checkpoints(whole).path(killed.STEPS)
    wanted = load_file(last/CHECKPOINT_FILE)
    for one in runs:
        folder = Path(one['folder'])
        found = load_file(Checkpoints(folder).path(killed.STEPS)/CHECKPOINT_FILE)
        assert found.keys()==wanted.keys() and all(torch.equal(v, found[k]) for k,v in wanted.items())
        for name in ('scorer.safetensors','metrics.jsonl'):
            assert (folder/name).read_bytes()==(whole/name).read_bytes(), name
        assert [p.name for p in Checkpoints(folder).paths()]==[p.name for p in Checkpoints(whole).paths()]

def test_the_last_and_the_best(run, data, tmp_path):
    "So many stay as asked, and the one with the lowest loss on held-out poses."
    t = run('baseline', val=data, n_steps=40)
    losses = iter([.5,.2,.4,.3])
    t.held_out_loss = lambda val: next(losses)
    t.validate = lambda: dict(val={})
    t.fit(tmp_path/'b', log_every=1, checkpoint_every=8, keep_last=2)
    assert t.best==dict(step=20, loss=.2)
    assert [p.name[-2:] for p in Checkpoints(tmp_path/'b').paths()]==['20','32','40']
    again = run('baseline', val=data, n_steps=40)
    again.load_checkpoint(Checkpoints(tmp_path/'b').path(20))
    assert again.step==20 and again.best['step']==20

def test_a_damaged_checkpoint_is_passed_over(run, tmp_path):
    "Whatever is wrong with the newest: it is named, the one before it is used, and the end is the same."
    whole = run('baseline').fit()
    for i,damage in enumerate(('cut','flip','manifest','no manifest','no file','other format')):
        folder = tmp_path/str(i)
        run('baseline').fit(folder, stop_at=4, checkpoint_every=2)
        path = Checkpoints(folder).path(4)
        file,manifest = path/CHECKPOINT_FILE, path/MANIFEST
        content = bytearray(file.read_bytes())
        if damage=='cut': file.write_bytes(content[:-1])
        if damage=='flip':
            content[len(content)//2] ^= 4
            file.write_bytes(content)
        if damage=='manifest': manifest.write_text('{"files": []}')
        if damage=='no manifest': manifest.unlink()
        if damage=='no file': file.unlink()
        if damage=='other format': manifest.write_text(manifest.read_text().replace('checkpoint 1', 'checkpoint 9'))
        said = []
        t = run('baseline').fit(folder, checkpoint_every=2, tell=said.append)
        assert len(said)==1 and 'step-00000004 is not a readable checkpoint' in said[0], said
        assert said[0].endswith('going on from step-00000002') and '\n' not in said[0]
        assert same(t, whole) and (folder/'checkpoints'/'damaged-step-00000004').is_dir()

def rewritten(path, tensors, state):
    "Put other tensors into a checkpoint, with a manifest that fits."
    folder = path.parents[1]
    shutil.rmtree(path)
    Checkpoints(folder).save(tensors, state)

@pytest.mark.parametrize('name,change,says', [
    ('optimizer.3.exp_avg', lambda v: v.flatten()[:1], r'optimizer.3.exp_avg is \(1,\) float32, wanted'),
    ('optimizer.3.exp_avg_sq', lambda v: v.double(), 'optimizer.3.exp_avg_sq is .* float64, wanted .* float32'),
    ('optimizer.0.step', lambda v: v[None], r'optimizer.0.step is \(1,\) float32, wanted \(\)'),
    ('model.mean', lambda v: v.T, 'model.mean is'),
    ('ema.unet.joints_out.weight', None, 'lacks the tensor ema.unet.joints_out.weight'),
    ('optimizer.3.exp_avg', None, 'lacks the tensor optimizer.3.exp_avg'),
    ('optimizer.9999.exp_avg', lambda v: torch.zeros(1), 'unknown tensor optimizer.9999.exp_avg'),
    ('optimizer.x', lambda v: torch.zeros(1), 'unknown tensor optimizer.x'),
    ('extra', lambda v: torch.zeros(1), 'unknown tensor extra')])
def test_every_tensor_is_compared(run, tmp_path, name, change, says):
    "Before anything is loaded: nothing of the run has moved."
    run().fit(tmp_path, stop_at=2)
    path = Checkpoints(tmp_path).path(2)
    tensors,state = Checkpoints.read(path)
    if name.startswith('ema.') and name not in tensors:
        name = next(k for k in tensors if k.startswith('ema.'))
        says = f'lacks the tensor {name}'
    if change is None: del tensors[name]
    else: tensors[name] = change(tensors.get(name)).contiguous()
    rewritten(path, tensors, state)
    t = run()
    before = {k:v.clone() for k,v in t.inner.state_dict().items()}
    with pytest.raises(ValueError, match=says) as e: t.fit(tmp_path)
    assert '\n' not in str(e.value) and t.step==0
    assert all(torch.equal(v, before[k]) for k,v in t.inner.state_dict().items())

@pytest.mark.parametrize('key,value', [('step','2'), ('log',None), ('settings',[]), ('lr_schedule',3), ('data','x'),
    ('step',-1), ('step',10**9), ('step',True), ('log',[3]), ('log',[{}]), ('running',[{'loss':'x'}]), ('running',[1]),
    ('data',[]), ('data',[3]), ('best','x'), ('best',{'step':[],'loss':1}), ('lr_schedule',{'last_epoch':'x'}),
    ('lr_schedule',{'evil':1}), ('lr_schedule',{'_last_lr':[[1]]})])
def test_a_state_of_another_kind(run, tmp_path, key, value):
    run().fit(tmp_path, stop_at=2)
    path = Checkpoints(tmp_path).path(2)
    tensors,state = Checkpoints.read(path)
    t = run()
    target = tmp_path/'checkpoints'/'step-00000009'
    target.mkdir()
    data = save(tensors, metadata={'state':json.dumps({**state, key:value})})
    entry = dict(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    (target/CHECKPOINT_FILE).write_bytes(data)
    manifest = dict(format=train.CHECKPOINT_FORMAT, step=9, files={CHECKPOINT_FILE:entry})
    (target/MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=f'is not a readable checkpoint: no {key}'): t.load_checkpoint(target)

def test_no_room_on_the_disk(run, tmp_path, monkeypatch):
    "One sentence, nothing half-written, and the checkpoint before it is used."
    whole = run().fit()
    run().fit(tmp_path, stop_at=2)
    limit,hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match='cannot write the checkpoint .*step-00000003: File too large') as e:
            run().fit(tmp_path, checkpoint_every=1)
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, (limit,hard))
    assert str(e.value).endswith('training can go on from step-00000002')
    def full(path, data): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    with monkeypatch.context() as m:
        m.setattr(train, '_write_synced', full)
        with pytest.raises(OSError, match='No space left on device; training can go on from step-00000002'):
            run().fit(tmp_path, checkpoint_every=1)
        with pytest.raises(OSError, match='No space left on device; there is no earlier one'):
            run().fit(tmp_path/'new', checkpoint_every=1)
    assert os.listdir(tmp_path/'checkpoints')==['step-00000002'] and not os.listdir(tmp_path/'new'/'checkpoints')
    assert same(run().fit(tmp_path), whole)

def test_another_pose_table(run, data, tmp_path):
    "Refused, unless asked for; then both are in training.json, with their licences."
    rows = [{**r, 'licence':'CC0'} for r in own_rows()[:40]]
    other = sets_of(rows)
    assert other[0].summary['fingerprint']!=data[0].summary['fingerprint']
    run().fit(tmp_path, stop_at=2)
    with pytest.raises(ValueError, match='belongs to a run on another pose table: 40 rows with fingerprint'):
        run(given=other).fit(tmp_path)
    t = run(given=other).fit(tmp_path, stop_at=4, new_data=True)
    t = run(given=other).fit(tmp_path)  # the new table is the run's own by now
    t.save(tmp_path)
    made = json.loads((tmp_path/'training.json').read_text())
    assert made['data']['licences']=={'atlas':'CC0'} and made['data']['fingerprint']==other[0].summary['fingerprint']
    before, = made['data_before']
    assert before['licences']=={'atlas':'Apache-2.0'} and before['until_step']==2
    with pytest.raises(ValueError, match='another pose table'): run().fit(tmp_path)

def test_new_data_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name,n in (('a.parquet',40), ('b.parquet',30)): write_pose_table(pose_table(own_rows()[:n]), name)
    def trained(table, *args):
        tiny = ('train','--steps','2','--batch-size','4','--phase','baseline','--size','tiny','--cpu','--out','w')
        return CliRunner().invoke(app, [*tiny, '--data', table, *args])
    assert trained('a.parquet').exit_code==0
    Path('w/model.safetensors').unlink()
    Path('w/training.json').unlink()
    r = trained('b.parquet')
    assert r.exit_code==1 and '--new-data goes on with the new one' in r.stderr and len(r.stderr.splitlines())==1
    assert trained('b.parquet', '--new-data').exit_code==0
    assert len(json.loads(Path('w/training.json').read_text())['data_before'])==1

@pytest.mark.parametrize('phase', ['text','scorer'])
def test_precision_that_is_not_here(run, phase):
    "Not a silent float32."
    for name,says in (('fp16','fp16 cannot be had on cpu'), ('int8','int8 cannot be had here')):
        with pytest.raises(ValueError, match=f'mixed_precision {says}'): run(phase, mixed_precision=name)

def scaled(t):
    "A run with the scaler of fp16, which works on a CPU too."
    from accelerate.optimizer import AcceleratedOptimizer
    t.acc.scaler = torch.amp.GradScaler('cpu', init_scale=2.**10, growth_interval=2)
    t.acc.native_amp = True
    t.opt = AcceleratedOptimizer(t.opt.optimizer, scaler=t.acc.scaler)
    t.acc._optimizers = [t.opt]
    return t

def test_the_scaler_is_in_the_checkpoint(run, tmp_path):
    whole = scaled(run()).fit()
    scaled(run()).fit(tmp_path, stop_at=3)
    t = scaled(run())
    t.fit(tmp_path, stop_at=3)
    assert t.acc.scaler.get_scale()>2**10  # it has grown
    t = scaled(run()).fit(tmp_path)
    assert same(t, whole) and t.acc.scaler.state_dict()==whole.acc.scaler.state_dict()

def test_not_a_number(run, tmp_path, monkeypatch):
    "The step and the tensor are named, the weights are as they were, and no checkpoint is written."
    t = run()
    t.fit(tmp_path, stop_at=2, checkpoint_every=1)
    original = train.losses
    def broken(*args, **kwargs):
        parts = original(*args, **kwargs)
        return {**parts, 'code':parts['code']*torch.nan}
    monkeypatch.setattr(train, 'losses', broken)
    before = {k:v.clone() for k,v in t.inner.state_dict().items()}
    with pytest.raises(RuntimeError, match="the loss '(loss|code)' is not finite at step 3: training diverged"):
        t.fit(tmp_path, checkpoint_every=1)
    assert all(torch.equal(v, before[k]) for k,v in t.inner.state_dict().items())
    assert [p.name for p in Checkpoints(tmp_path).paths()][-1]=='step-00000002'
    monkeypatch.undo()
    name,weight = next(iter(t.inner.named_parameters()))
    weight.register_hook(lambda grad: grad*torch.inf)
    with pytest.raises(RuntimeError, match=f"the gradient of '{name}' is not finite at step 3"): t.train_step()

@pytest.mark.parametrize('number,error', [(signal.SIGTERM,RuntimeError), (signal.SIGINT,KeyboardInterrupt)])
def test_told_to_stop(run, tmp_path, number, error):
    "The step goes on to its end and a checkpoint is written: a second run ends with the weights and log of one run."
    t = run(n_steps=6)
    step = t.train_step
    def told():
        if t.step==2: os.kill(os.getpid(), number)
        return step()
    t.train_step = told
    before = signal.getsignal(number)
    with pytest.raises(error) as e: t.fit(tmp_path/'told', checkpoint_every=500, log_every=2)
    if error is RuntimeError:
        assert str(e.value).startswith('training was told to stop (SIGTERM) after step 3; the same command goes on')
    assert signal.getsignal(number)==before
    assert [p.name for p in Checkpoints(tmp_path/'told').paths()]==['step-00000003']
    again = run(n_steps=6).fit(tmp_path/'told', log_every=2)
    whole = run(n_steps=6).fit(tmp_path/'whole', log_every=2)
    assert same(again, whole) and again.log==whole.log
    assert (tmp_path/'told'/'metrics.jsonl').read_bytes()==(tmp_path/'whole'/'metrics.jsonl').read_bytes()

def test_a_second_time_ends_at_once(run, tmp_path):
    t = run(n_steps=6)
    def told():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError('still there')
    t.train_step = told
    with pytest.raises(KeyboardInterrupt): t.fit(tmp_path)

def test_other_start_weights(run, tmp_path):
    "A run that goes on must have begun from the same weights."
    for name,seed in (('a',1),('b',2)): run(n_steps=1, seed=seed).fit().save(tmp_path/name)
    first = run(start=tmp_path/'a')
    first.fit(tmp_path/'run', stop_at=2)
    for start in (None,tmp_path/'b'):
        with pytest.raises(ValueError, match='step-00000002 belongs to another run: start was ') as e:
            run(start=start).fit(tmp_path/'run')
        assert '\n' not in str(e.value)
    assert run(start=tmp_path/'a').fit(tmp_path/'run').step==6

def test_another_number_of_processes_is_told(run, tmp_path):
    run().fit(tmp_path, stop_at=2)
    path = Checkpoints(tmp_path).path(2)
    tensors,state = Checkpoints.read(path)
    rewritten(path, tensors, {**state, 'processes':2})
    said = []
    assert run().fit(tmp_path, tell=said.append).step==6
    assert len(said)==1 and 'was written by a run of 2 processes, this one has 1' in said[0]

def test_metrics(run, data, tmp_path, monkeypatch):
    "Each entry of the log is a line; TensorBoard, where it is installed, gets the same numbers; a bar gets the loss."
    scalars,shown = [],[]
    class Writer:
        def __init__(self, folder): self.folder = folder
        def add_scalar(self, *args): scalars.append(args)
        def close(self): scalars.append('closed')
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', types.SimpleNamespace(SummaryWriter=Writer))
    class Bar(list):
        def set_postfix(self, **kwargs): shown.append(kwargs['loss'])
    t = run(val=data)
    t.n_val = 20
    t.fit(tmp_path, log_every=2, progress=Bar)
    lines = [json.loads(line) for line in (tmp_path/'metrics.jsonl').read_text().splitlines()]
    assert lines==t.log and [e['step'] for e in lines]==[2,4,6] and 'val' in lines[-1]
    assert ('loss', lines[0]['loss'], 2) in scalars and ('val/gap', lines[-1]['val']['gap'], 6) in scalars
    assert scalars[-1]=='closed' and len(shown)==6 and float(shown[0])>0

def test_min_snr_trains(run):
    t = run(min_snr_gamma=5., n_steps=2).fit(log_every=1)
    plain = run(n_steps=2).fit(log_every=1)
    assert t.log[0]['prediction']==plain.log[0]['prediction'] and t.log[0]['loss']<plain.log[0]['loss']
    with pytest.raises(ValueError, match='min_snr_gamma must not be negative'): run(min_snr_gamma=-1.)
