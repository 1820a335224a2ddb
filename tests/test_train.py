"Both trainers: from command line to poses, resumed to the bit, foreign and damaged checkpoints, losses by hand."
import json
from pathlib import Path

import pytest, torch
from typer.testing import CliRunner

from text2pose.cfg import alphas_cumprod, training_target
from text2pose.cli import app
from text2pose.data import own_rows, pose_table, write_pose_table
from text2pose.dataset import CaptionStates, TrainingSet, words_rows
from text2pose.export import load_poses
from text2pose.posecodes import posecode_margins
from text2pose.skeleton import reference_bone_lengths
from text2pose.train import (
    PHASES, BaseTrainer, ReaderTrainer, Trainer, losses, make_trainer, phase_config, training_loss)

TINY = dict(block_channels=[32,64], layers_per_block=1, n_heads=2, cross_attention_dim=32)

def run(*args, code=0):
    r = CliRunner().invoke(app, [str(a) for a in args])
    assert r.exit_code==code, f'{r.output}\n{r.exception!r}'
    return r.output

@pytest.fixture
def table(tmp_path, monkeypatch):
    "A pose table of our own poses, in a folder of its own."
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    write_pose_table(pose_table(own_rows()), 't.parquet')
    return 't.parquet'

def test_from_table_to_poses(table):
    args = ('train', '--data', table, '--steps', '3', '--batch-size', '4', '--cpu', '--out', 'w')
    run(*args)
    weights = Path('w/model.safetensors').read_bytes()
    run(*args)
    assert Path('w/model.safetensors').read_bytes()==weights  # already at its end
    run('generate', 'a person waves', '-n', '2', '--weights', 'w', '--out', 'o', '--format', 'npz')
    assert load_poses('o/poses.npz')[0].shape==(2,22,3)
    assert 'made from: 12 samples' in run('info', '--weights', 'w')

def test_reader_then_text(table):
    args = ('train', '--data', table, '--steps', '2', '--cpu')
    run(*args, '--phase', 'reader', '--batch-size', '4', '--out', 'r')
    run(*args, '--from', 'r', '--freeze-reader', '--batch-size', '8', '--noise-samples', '4', '--out', 'f')
    reader,text = (json.loads(Path(folder, 'training.json').read_text()) for folder in 'rf')
    assert reader['config']['phase']=='reader' and reader['samples']==8
    assert text['config']['phase']=='text' and text['samples']==16
    assert text['start']['samples']==8 and text['start']['config']['phase']=='reader'

@pytest.fixture(scope='module')
def data():
    "A tiny training set with made-up states."
    rows = own_rows()[:60]
    ts = TrainingSet(pose_table(rows+words_rows(rows)))
    g = torch.Generator().manual_seed(0)
    return ts, CaptionStates.of([torch.randn(2+i%5, 32, generator=g) for i in range(len(ts.captions))])

@pytest.fixture
def trainer(data):
    def make(phase, start=None, val=None, **kwargs):
        config = phase_config(phase, **{**dict(n_steps=4, batch_size=16, unet=TINY), **kwargs})
        return make_trainer(config, *data, val, cpu=True, start=start)
    return make

def same_weights(a, b):
    a,b = a.averaged().state_dict(), b.averaged().state_dict()
    return a.keys()==b.keys() and all(torch.equal(a[k], b[k]) for k in a)

RUNS = [
    ('reader', {}), ('reader', dict(micro_batch=5, token_drop_prob=.3, token_noise=.1)),
    ('baseline', {}), ('anatomical', dict(noise_samples_per_caption=4)),
    ('text', {}), ('text', dict(noise_samples_per_caption=2, micro_batch=6, timestep_bias=1.5, token_noise=.1)),
    ('text', dict(code_loss_weight=0.))]

@pytest.mark.parametrize('phase,kwargs', RUNS)
def test_resumed_equals_uninterrupted(trainer, tmp_path, phase, kwargs):
    "Stopped twice, once between two entries of the log's rhythm; weights to the bit."
    whole = trainer(phase, **kwargs).fit(log_every=2)
    for stop in (2,3): trainer(phase, **kwargs).fit(tmp_path, stop_at=stop, log_every=2)
    resumed = trainer(phase, **kwargs).fit(tmp_path, log_every=2)
    assert resumed.step==4 and same_weights(whole, resumed)
    assert resumed.log[0]==whole.log[0]
    assert [p.name for p in tmp_path.iterdir()]==['checkpoint.safetensors']

def test_resumed_from_weights(trainer, tmp_path):
    "The same for a text phase that goes on from a reader and leaves it as it is."
    trainer('reader').fit().save(tmp_path/'reader')
    kwargs = dict(start=tmp_path/'reader', freeze_reader=True)
    whole = trainer('text', **kwargs).fit()
    trainer('text', **kwargs).fit(tmp_path/'run', stop_at=3)
    assert same_weights(whole, trainer('text', **kwargs).fit(tmp_path/'run'))

def test_frozen_reader_stays(trainer, tmp_path):
    trainer('reader').fit().save(tmp_path)
    def reader_of(t): return {k:v.clone() for k,v in t.inner.projection.reader.state_dict().items()}
    for frozen in (True,False):
        text = trainer('text', start=tmp_path, freeze_reader=frozen)
        before = reader_of(text)
        text.fit()
        assert all(torch.equal(before[k], v) for k,v in reader_of(text).items())==frozen

def test_reader_phase_moves_nothing_else(trainer):
    first,last = trainer('reader').averaged().state_dict(), trainer('reader').fit().averaged().state_dict()
    moved = {k for k in first if not torch.equal(first[k], last[k])}
    assert moved and all(k.startswith('projection.reader.') for k in moved)

@pytest.mark.parametrize('made,used', [('reader','text'), ('text','reader'), ('text','anatomical')])
def test_checkpoint_of_another_phase(trainer, tmp_path, made, used):
    trainer(made).fit(tmp_path, stop_at=1)
    with pytest.raises(ValueError, match=f"belongs to another run: phase was '{made}', now '{used}'"):
        trainer(used).fit(tmp_path)

def test_damaged_checkpoints(trainer, tmp_path):
    trainer('reader').fit(tmp_path, stop_at=1)
    file = tmp_path/'checkpoint.safetensors'
    whole = file.read_bytes()
    for damaged in (b'', b'{}', whole[:1000], whole[:-1]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match='checkpoint.safetensors is not a readable checkpoint'):
            trainer('reader').fit(tmp_path)

def test_refusals(trainer, data, tmp_path):
    with pytest.raises(ValueError, match="unknown phase 'dream'"): phase_config('dream')
    for cls,phase in ((Trainer,'reader'), (ReaderTrainer,'text')):
        with pytest.raises(ValueError, match=f'{cls.__name__} trains .*, not {phase!r}'):
            cls(phase_config(phase), *data)
    with pytest.raises(ValueError, match='batch_size must be a multiple of noise_samples_per_caption, got 16 and 3'):
        trainer('text', noise_samples_per_caption=3)
    with pytest.raises(ValueError, match='freeze_reader needs weights'): trainer('text', freeze_reader=True)
    with pytest.raises(ValueError, match='freeze_reader must be False'): trainer('reader', freeze_reader=True)
    with pytest.raises(ValueError, match='code_loss_weight is 0'): trainer('reader', code_loss_weight=0.)
    trainer('reader').save(tmp_path)
    with pytest.raises(ValueError, match="training cannot go on from .*: its schedule is 'squaredcos', wanted"):
        trainer('anatomical', start=tmp_path)

def test_every_phase_has_one_trainer(trainer):
    assert sorted(PHASES)==sorted(Trainer.phases+ReaderTrainer.phases)
    for phase in PHASES:
        t = trainer(phase)
        assert isinstance(t, BaseTrainer) and phase in t.phases

def test_divergence_is_an_error(trainer):
    with pytest.raises(RuntimeError, match='training diverged'): trainer('baseline', lr=1e6, n_steps=40).fit()

def test_val_losses_in_the_log(trainer, data):
    log = trainer('text', val=data, n_steps=2).fit(log_every=1).log
    assert 'val' not in log[0] and set(log[1]['val'])=={'diffusion','anatomy','naive','total','naive_last'}
    assert 'val' not in trainer('reader', val=data, n_steps=2).fit(log_every=1).log[1]

@pytest.mark.parametrize('phase', ['anatomical','text'])
def test_perfect_prediction_costs_nothing(trainer, phase):
    "A network that knows the answer has no loss but that of the reader; dropped captions have no follow loss."
    t = trainer(phase)
    batch = t.draw_batch()
    logits = None if batch.margins is None else torch.where(batch.margins>0, 9., -9.)
    cfg = t.inner.config
    alphas = alphas_cumprod(cfg['schedule'], cfg['num_train_timesteps'])
    def perfect(x_t, *args):
        return training_target(batch.x_0, batch.eps, batch.timestep, alphas, cfg['prediction_type']), logits
    lengths = torch.from_numpy(reference_bone_lengths())
    parts = losses(t.inner, batch, lengths, perfect)
    signal = alphas[batch.timestep]
    assert parts['prediction'].max()==0 and parts['diffusion'].max()<1e-8
    for name in {'anatomy','naive','follow'}&set(parts): assert (signal*parts[name]).max()<1e-6
    assert training_loss(parts, batch.timestep, t.config).shape==(16,)
    if logits is None: return
    def mirrored(x_t, *args): return -perfect(x_t)[0], logits
    batch.drop[:8],batch.drop[8:] = True,False
    follow = losses(t.inner, batch, lengths, mirrored)['follow']
    assert follow[:8].max()==0 and follow[8:].max()>0

def test_noisy_poses_of_a_caption(trainer):
    "The poses of a caption are the same pose at rising timesteps; margins are those of the pose."
    t = trainer('text', noise_samples_per_caption=4)
    batch = t.draw_batch()
    x_0,timestep = batch.x_0.unflatten(0, (4,4)), batch.timestep.unflatten(0, (4,4))
    assert len(batch)==4 and torch.equal(x_0, x_0[:,:1].expand_as(x_0))
    assert (timestep.diff(dim=1)>0).all()
    assert torch.allclose(posecode_margins(t.inner.denormalize(x_0[:,0])), batch.margins, atol=1e-2)

def test_pieces_cover_the_batch(trainer):
    t = trainer('text', noise_samples_per_caption=2, micro_batch=6)
    batch = t.draw_batch()
    pieces = t.pieces(batch)
    assert [len(p) for p in pieces]==[3,3,2] and [len(p.x_0) for p in pieces]==[6,6,4]
    widths = [p.mask.shape[1] for p in pieces]
    assert widths==sorted(widths) and all(p.mask[:,-1].any() for p in pieces)
    timesteps = torch.cat([p.timestep for p in pieces])
    assert sorted(timesteps.tolist())==sorted(batch.timestep.tolist())
