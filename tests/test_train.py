"Both trainers: from words to poses, resumed to the bit, exemplars as promised, what does not fit, losses by hand."
import json, shutil
from pathlib import Path

import pytest, torch
from typer.testing import CliRunner

from text2pose.diffusion import alphas_cumprod, training_target
from text2pose.cfg import Text2PosePipeline
from text2pose.cli import app
from text2pose.core import available
from text2pose.data import own_rows, pose_table, write_pose_table
from text2pose.dataset import CaptionStates, TrainingSet, encode_captions, words_rows
from text2pose.export import load_poses
from text2pose.library import atlas_library, twin_name
from text2pose.posecodes import POSECODES, posecode_margins
from text2pose.skeleton import reference_bone_lengths
from text2pose.text import PoseTextScorer, load_scorer, load_text_encoder
from text2pose.train import (
    CHECKPOINT_FILE, PHASES, BaseTrainer, Checkpoints, Exemplars, SampleRandom, ScorerTrainer, Trainer, draw_exemplars,
    dual_losses, losses, make_trainer, phase_config, same_pairs, sample_keys, scorer_recall, training_loss, val_losses)
from text2pose.unet import SIZES

TINY = dict(SIZES['tiny'], block_channels=[32,64], cross_attention_dim=32)
TOWERS = dict(embed_dim=16, pose_dim=32)

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

def library_rows(names, n_phrases=2):
    "Rows of the pose table from entries of the library: two variations each, alike."
    library,rows = atlas_library(), []
    for name in names:
        i = library.names.index(name)
        for k in range(2):
            pose = dict(pose_id=f'atlas:{name}~{k}', source='atlas', licence='Apache-2.0', split='train', clip=name,
                        frame=k, cluster=None, joints=library.joints[i].reshape(-1))
            for text in library.phrases[i][:n_phrases]:
                rows.append({**pose, 'caption':text, 'caption_kind':'atlas', 'first_action':text})
    return rows

NAMES = ['left_arm_raised','right_arm_raised','arms_raised','t_pose','deep_squat','golf_address',
         'golf_address_mirrored']

@pytest.fixture(scope='module')
def data():
    "A tiny training set with made-up states of 2 to 6 tokens: our own poses and some of the atlas."
    rows = own_rows()[:40]+library_rows(NAMES)
    ts = TrainingSet(pose_table(rows+words_rows(rows)))
    return ts, made_up_states(ts, 32)

def made_up_states(ts, dim):
    g = torch.Generator().manual_seed(0)
    return CaptionStates.of([torch.randn(2+i%5, dim, generator=g) for i in range(len(ts.captions))])

def tiny(phase, **kwargs):
    return phase_config(phase, **{**dict(n_steps=4, batch_size=16, unet=TINY, towers=TOWERS), **kwargs})

@pytest.fixture
def trainer(data):
    def make(phase, start=None, val=None, scorer=None, **kwargs):
        return make_trainer(tiny(phase, **kwargs), *data, val, cpu=True, start=start, scorer=scorer)
    return make

@pytest.fixture(scope='module')
def scorer(data, tmp_path_factory):
    "Folder of a tiny scorer."
    folder = tmp_path_factory.mktemp('scorer')
    make_trainer(tiny('scorer'), *data, cpu=True).fit().save(folder)
    return folder

def same_weights(a, b):
    a,b = a.averaged().state_dict(), b.averaged().state_dict()
    return a.keys()==b.keys() and all(torch.equal(a[k], b[k]) for k in a)

RUNS = [
    ('scorer', {}), ('scorer', dict(token_drop_prob=.3, token_noise=.1)),
    ('baseline', {}), ('anatomical', dict(noise_samples_per_caption=4)),
    ('text', {}), ('text', dict(noise_samples_per_caption=2, micro_batch=6, timestep_bias=1.5, token_noise=.1)),
    ('text', dict(code_loss_weight=0., unet=dict(TINY, dropout=.2))), ('text', dict(representation='positions', follow_every=2))]

@pytest.mark.parametrize('phase,kwargs', RUNS)
def test_resumed_equals_uninterrupted(trainer, tmp_path, phase, kwargs):
    "Stopped twice, once between two entries of the log's rhythm; weights to the bit."
    whole = trainer(phase, **kwargs).fit(log_every=2)
    for stop in (2,3): trainer(phase, **kwargs).fit(tmp_path, stop_at=stop, log_every=2)
    resumed = trainer(phase, **kwargs).fit(tmp_path, log_every=2)
    assert resumed.step==4 and same_weights(whole, resumed)
    assert resumed.log[0]==whole.log[0]
    assert resumed.log==whole.log or len(resumed.log)>len(whole.log)  # a stop is an entry too
    assert sorted(p.name for p in tmp_path.iterdir())==['checkpoints','metrics.jsonl']

WITH_SCORER = [
    {}, dict(noise_samples_per_caption=4, micro_batch=8, follow_every=3), dict(num_exemplars=1), dict(num_exemplars=7),
    dict(freeze_reader=True), dict(code_loss_weight=0.), dict(unet=dict(SIZES['small'], cross_attention_dim=32)),
    dict(representation='positions'), dict(num_exemplars=0), dict(cond_drop_prob=0.)]

@pytest.mark.parametrize('kwargs', WITH_SCORER)
def test_resumed_with_exemplars(trainer, scorer, tmp_path, kwargs):
    "The same with a scorer, for networks and numbers of exemplars of several sizes."
    whole = trainer('text', scorer=scorer, **kwargs).fit()
    trainer('text', scorer=scorer, **kwargs).fit(tmp_path, stop_at=3)
    assert same_weights(whole, trainer('text', scorer=scorer, **kwargs).fit(tmp_path))

def test_resumed_from_weights(trainer, scorer, tmp_path):
    "The same for a run that goes on from weights, and for a scorer that does."
    trainer('text', scorer=scorer).fit().save(tmp_path/'text')
    for phase,start,given in (('text',tmp_path/'text',tmp_path/'text'), ('scorer',scorer,None)):
        kwargs = dict(start=start, scorer=given, n_steps=3)
        whole = trainer(phase, **kwargs).fit()
        trainer(phase, **kwargs).fit(tmp_path/phase, stop_at=2)
        assert same_weights(whole, trainer(phase, **kwargs).fit(tmp_path/phase))

def test_what_a_run_was_made_from(trainer, scorer, tmp_path):
    "training.json names scorer and start, also where the scorer lies beside the weights of a text phase."
    trainer('text', scorer=scorer).fit().save(tmp_path/'a')
    trainer('text', scorer=tmp_path/'a', start=tmp_path/'a', n_steps=1).fit().save(tmp_path/'b')
    first,second = (json.loads(Path(tmp_path, name, 'training.json').read_text()) for name in 'ab')
    assert first['scorer']['config']['phase']=='scorer' and first['scorer']['samples']==64 and first['start'] is None
    assert second['scorer']==first['scorer'] and second['start']['config']['phase']=='text'
    assert 'losses' not in second['start']
    assert Path(tmp_path,'a','scorer.safetensors').read_bytes()==Path(tmp_path,'b','scorer.safetensors').read_bytes()
    trainer('text', scorer=tmp_path/'a'/'scorer.safetensors', num_exemplars=0).save(tmp_path/'c')
    assert not (tmp_path/'c'/'scorer.safetensors').exists()  # the pipeline must not show exemplars to such a network

def test_a_scorer_goes_on_where_it_was(trainer, scorer):
    again = trainer('scorer', start=scorer)
    stored = load_scorer(scorer/'scorer.safetensors').state_dict()
    assert all(torch.equal(v, stored[k]) for k,v in again.inner.state_dict().items())
    assert again.origins['start']['steps']==4

def test_scorer_learns(trainer, data):
    "The loss falls, and captions find their poses."
    t = trainer('scorer', n_steps=60, batch_size=32, lr=3e-3)
    before = scorer_recall(t.averaged(), *data)
    log = t.fit(log_every=10).log
    after = scorer_recall(t.averaged(), *data)
    assert log[-1]['match']<.85*log[0]['match'] and log[-1]['code']<.8*log[0]['code']
    assert after['R@1']>2*before['R@1'] and after['R@1']<=after['R@2']<=after['R@3']

def test_no_counterexamples(data):
    "Same caption, or the same pose of the atlas; mirrored it is its twin, which is another one."
    ts,_ = data
    joints,captions,atlas_idx = ts.draw(300, torch.Generator().manual_seed(0))
    same = same_pairs(captions, atlas_idx)
    names = [ts.atlas_names[i] if i>=0 else None for i in atlas_idx.tolist()]
    for i in range(0, 300, 7):
        for j in range(300):
            alike = names[i] is not None and names[i]==names[j]
            assert same[i,j]==(alike or captions[i]==captions[j])
    raised = posecode_margins(joints)[:,list(POSECODES).index('left_arm_raised')]>0
    for name,wanted in (('left_arm_raised',True), ('right_arm_raised',False)):
        some = [bool(r) for r,n in zip(raised, names) if n==name]
        assert len(some)>3 and set(some)=={wanted}

def test_frozen_reader_stays(trainer, scorer):
    "The reader is the scorer's at first; frozen, it stays so to the bit."
    stored = load_scorer(scorer/'scorer.safetensors').reader.state_dict()
    def same_reader(t): return all(torch.equal(stored[k], v) for k,v in t.inner.projection.reader.state_dict().items())
    for frozen in (True,False):
        text = trainer('text', scorer=scorer, freeze_reader=frozen)
        assert same_reader(text)
        text.fit()
        assert same_reader(text)==frozen

def test_scorer_of_exemplars_stays(trainer, scorer):
    t = trainer('text', scorer=scorer)
    before = t.exemplars.fingerprint()
    t.fit()
    assert t.exemplars.fingerprint()==before

def test_exemplar_tokens_learn_from_exemplars_only(trainer, scorer):
    for given in (None,scorer):
        t = trainer('text', scorer=given)
        before = {k:v.clone() for k,v in t.inner.unet.exemplar_tokens.state_dict().items()}
        t.fit()
        moved = [not torch.equal(before[k], v) for k,v in t.inner.unet.exemplar_tokens.state_dict().items()]
        assert any(moved)==(given is not None)

def test_exemplars_as_promised():
    "Shares of what is left out, replaced and hidden, each alone, then all together."
    n,n_poses,k = 20_000,40,4
    g = SampleRandom(sample_keys(0, 0, torch.arange(n)))
    similarity = .05*g.rand(n_poses)
    similarity[:,:8] += .8
    own = torch.zeros(n, n_poses, dtype=torch.bool)
    own[:,0] = True
    similarity[:,0] = 2.
    drop = torch.arange(n)%2==0
    none = dict(leave_out_own=0., any_pose=0., hide_one=0., hide_all=0., hide_dropped=0.)
    def share(v): return v.float().mean().item()
    def draw(**kwargs): return draw_exemplars(similarity, own, drop, k, g, **{**none, **kwargs})
    rows,shown = draw()
    assert (rows<8).all() and (rows[:,0]==0).all() and shown.all()
    assert all(len(set(r))==k for r in rows[:200].tolist())
    assert len({tuple(r) for r in rows[:50].tolist()})>10  # near ones in turn, by noise
    rows,_ = draw(leave_out_own=.5)
    assert share((rows==0).any(1))==pytest.approx(.5, abs=.015)
    rows,_ = draw(any_pose=.08)
    assert share(rows>=8)==pytest.approx(.08*32/40, abs=.005)
    _,shown = draw(hide_one=.15)
    assert share(~shown)==pytest.approx(.15, abs=.006) and share(~shown.any(1))<.002
    _,shown = draw(hide_all=.2)
    assert share(~shown.any(1))==pytest.approx(.2, abs=.01) and (shown.all(1)|~shown.any(1)).all()
    _,shown = draw(hide_dropped=.7)
    assert shown[~drop].all() and share(~shown[drop].any(1))==pytest.approx(.7, abs=.015)
    rows,shown = draw_exemplars(similarity, own, drop, k, g)  # the defaults
    assert share((rows==0).any(1))==pytest.approx(.5*.92, abs=.02)
    assert share(shown[~drop])==pytest.approx(.8*.85, abs=.015)
    assert share(shown[drop])==pytest.approx(.3*.8*.85, abs=.015)

def test_own_pose_and_twin_are_left_out(data):
    "By name: golf_address leaves out golf_address_mirrored too; captures and our own poses have no entry."
    ts,states = data
    exemplars = Exemplars(PoseTextScorer(32, 32, 1, **TOWERS).eval(), ts.atlas_names)
    names = exemplars.memory.library.names
    assert set(exemplars.memory.library.splits)=={'train'} and len(names)==len(atlas_library().of_split('train'))
    def own_of(i): return {n for n,f in zip(names, exemplars.family) if f==exemplars.own_family[i]}
    for i,name in enumerate(ts.atlas_names): assert {name}<=own_of(i)<={name, twin_name(name)}
    assert own_of(-1)==set() and own_of(ts.atlas_names.index('golf_address'))=={'golf_address','golf_address_mirrored'}
    # as if the own pose and its twin were always by far the nearest
    random = SampleRandom(sample_keys(1, 0, torch.arange(4000)))
    _,captions,atlas_idx = ts.take(random.rand(), random.rand())
    own = exemplars.family==exemplars.own_family[atlas_idx][:,None]
    exemplars.similarity = lambda tokens,mask: own.float()
    poses,similarity,_ = exemplars.draw(None, None, atlas_idx, atlas_idx<-1, random)
    assert poses.shape==(4000,4,22,3) and similarity.shape==(4000,4)
    of_atlas = (similarity[atlas_idx>=0]>0).any(1).float().mean().item()
    assert of_atlas==pytest.approx(.5, abs=.04) and not (similarity[atlas_idx<0]>0).any()

def test_exemplars_of_a_batch(trainer, scorer):
    "z-scored as the network sees poses, with their true similarity, and with their captions when a batch is cut."
    t = trainer('text', scorer=scorer, noise_samples_per_caption=2, micro_batch=6)
    batch = t.draw_batch()
    assert batch.exemplars.shape==(8,4,22,3) and batch.shown.dtype==torch.bool
    joints = t.inner.denormalize(batch.exemplars)
    vectors = t.exemplars.memory.scorer.embed_poses(joints.flatten(0,1)).view(8,4,-1)
    text,_ = t.exemplars.memory.scorer.embed_text(batch.tokens, batch.mask)
    assert torch.allclose((vectors*text[:,None]).sum(-1), batch.similarity, atol=1e-3)
    by_length = batch.mask.sum(1).argsort(stable=True)
    pieces = t.pieces(batch)
    for name in ('exemplars','similarity','shown','drop'):
        assert torch.equal(torch.cat([getattr(p, name) for p in pieces]), getattr(batch, name)[by_length])

def test_exemplars_change_nothing_else(trainer, scorer):
    "Poses, noise and captions of a run are the same with a scorer and without."
    a,b = trainer('text').draw_batch(), trainer('text', scorer=scorer).draw_batch()
    assert a.exemplars is None and b.exemplars is not None
    for name in ('tokens','mask','x_0','eps','timestep','drop'): assert torch.equal(getattr(a, name), getattr(b, name))

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not here')
def test_text_encoder_is_never_trained(tmp_path):
    "From words to poses with the frozen encoder: neither its weights nor its states change."
    encoder = load_text_encoder()
    assert not any(p.requires_grad for p in encoder.model.parameters())
    before = {k:v.clone() for k,v in encoder.model.state_dict().items()}
    ts = TrainingSet(pose_table(library_rows(NAMES[:4], 1)))
    states = encode_captions(ts.captions, encoder)
    tokens = states.tokens.clone()
    make_trainer(tiny('scorer'), ts, states, cpu=True).fit().save(tmp_path/'s')
    text = make_trainer(tiny('text'), ts, states, cpu=True, scorer=tmp_path/'s').fit()
    text.save(tmp_path/'t')
    pipe = Text2PosePipeline.from_pretrained(tmp_path/'t', encoder)
    out = pipe('arms raised', 2, num_inference_steps=2)
    assert out.joints.shape==(2,22,3) and len(out.exemplars[0])==4
    assert torch.equal(states.tokens, tokens)
    after = encoder.model.state_dict()
    assert all(torch.equal(v, after[k]) for k,v in before.items())

@pytest.mark.parametrize('made,used', [('scorer','text'), ('text','scorer'), ('text','anatomical')])
def test_checkpoint_of_another_phase(trainer, tmp_path, made, used):
    trainer(made).fit(tmp_path, stop_at=1)
    with pytest.raises(ValueError, match=f"belongs to another run: phase was '{made}', now '{used}'"):
        trainer(used).fit(tmp_path)

def test_checkpoint_of_another_scorer(trainer, scorer, tmp_path):
    trainer('text', scorer=scorer).fit(tmp_path/'run', stop_at=1)
    trainer('scorer', seed=1).save(tmp_path/'other')
    for given in (None, tmp_path/'other'):
        with pytest.raises(ValueError, match='belongs to another run: scorer was'):
            trainer('text', scorer=given).fit(tmp_path/'run')

def test_damaged_checkpoints(trainer, tmp_path):
    trainer('scorer').fit(tmp_path, stop_at=1)
    file = Checkpoints(tmp_path).path(1)/CHECKPOINT_FILE
    whole = file.read_bytes()
    for damaged in (b'', b'{}', whole[:1000], whole[:-1]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match='step-00000001 is not a readable checkpoint'):
            trainer('scorer').fit(tmp_path)

def test_refusals(trainer, data, scorer, tmp_path):
    with pytest.raises(ValueError, match="unknown phase 'dream'"): phase_config('dream')
    for cls,phase in ((Trainer,'scorer'), (ScorerTrainer,'text')):
        with pytest.raises(ValueError, match=f'{cls.__name__} trains .*, not {phase!r}'):
            cls(phase_config(phase), *data)
    with pytest.raises(ValueError, match='batch_size must be a multiple of noise_samples_per_caption, got 16 and 3'):
        trainer('text', noise_samples_per_caption=3)
    for bad in (-1,33,2.5):
        with pytest.raises(ValueError, match='num_exemplars must be a whole number'): trainer('text', num_exemplars=bad)
    with pytest.raises(ValueError, match='follow_every must be a whole number'): trainer('text', follow_every=0)
    with pytest.raises(ValueError, match='freeze_reader needs a scorer'): trainer('text', freeze_reader=True)
    with pytest.raises(ValueError, match='freeze_reader must be False'): trainer('scorer', freeze_reader=True)
    with pytest.raises(ValueError, match='code_loss_weight must not be 0'): trainer('scorer', code_loss_weight=0.)
    with pytest.raises(ValueError, match='micro_batch must be None'): trainer('scorer', micro_batch=8)
    with pytest.raises(ValueError, match='name one to go on from as the start'): trainer('scorer', scorer=scorer)
    for phase in ('baseline','anatomical'):
        with pytest.raises(ValueError, match=f'the phase {phase} trains without words'): trainer(phase, scorer=scorer)
    trainer('text', representation='directions').save(tmp_path)
    with pytest.raises(ValueError, match="training cannot go on from .*: its schedule is 'squaredcos', wanted"):
        trainer('anatomical', start=tmp_path)
    with pytest.raises(ValueError, match="training cannot go on from .*: its representation is 'directions', wanted"):
        trainer('text', start=tmp_path, representation='positions')

def one_line(e): return '\n' not in str(e.value)

def test_scorers_that_do_not_fit(trainer, data, scorer, tmp_path):
    "One sentence that names the file and what differs."
    wide = dict(TINY, cross_attention_dim=48)
    cases = [(dict(unet=wide), 'dim is 32, wanted 48'), (dict(text_layers=1), 'n_layers is 2, wanted 1')]
    for kwargs,message in cases:
        with pytest.raises(ValueError, match=f'the scorer .*safetensors does not fit this run: its {message}') as e:
            trainer('text', scorer=scorer, **kwargs)
        assert one_line(e)
    ts,_ = data
    other = made_up_states(ts, 24)
    with pytest.raises(ValueError, match='does not fit this run: its text_dim is 32, wanted 24') as e:
        make_trainer(tiny('text'), ts, other, cpu=True, scorer=scorer)
    assert one_line(e)
    with pytest.raises(ValueError, match='training cannot go on from .*: its text_dim is 32, wanted 24'):
        make_trainer(tiny('scorer'), ts, other, cpu=True, start=scorer)
    with pytest.raises(FileNotFoundError, match='nowhere is missing'): trainer('text', scorer=tmp_path/'nowhere')
    for phase,name in (('text','scorer'), ('scorer','start')):
        with pytest.raises(FileNotFoundError, match='scorer.safetensors is missing'): trainer(phase, **{name:tmp_path})
    shutil.copytree(scorer, tmp_path/'broken')
    file = tmp_path/'broken'/'scorer.safetensors'
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ValueError, match='holds no usable scorer') as e: trainer('text', scorer=tmp_path/'broken')
    assert one_line(e)

def test_every_phase_has_one_trainer(trainer):
    assert sorted(PHASES)==sorted(Trainer.phases+ScorerTrainer.phases)
    for phase in PHASES:
        t = trainer(phase)
        assert isinstance(t, BaseTrainer) and phase in t.phases

def test_divergence_is_an_error(trainer):
    with pytest.raises(RuntimeError, match='training diverged'): trainer('baseline', lr=1e6, n_steps=40).fit()

MEASURED = {'prediction','diffusion','anatomy','naive','total','naive_last'}
DUAL = {'conditional','unconditional','gap'}

def test_val_losses_in_the_log(trainer, data, scorer):
    for phase,given,names in (('baseline',None,MEASURED), ('text',None,MEASURED|DUAL),
                              ('text',scorer,MEASURED|DUAL|{'with_exemplars'}), ('scorer',None,{'R@1','R@2','R@3'})):
        log = trainer(phase, val=data, scorer=given, n_steps=2).fit(log_every=1).log
        assert 'val' not in log[0] and set(log[1]['val'])==names
    assert 'follow' not in trainer('text', n_steps=1, follow_every=2).fit().log[0]

def test_dual_losses(trainer, data, scorer):
    "Both predictions are of the same poses and noise; an untrained network makes no difference between them."
    t = trainer('text', scorer=scorer)
    dual = dual_losses(t.averaged(), *data, 40, 3, t.exemplars)
    assert dual['gap']==0 and dual['with_exemplars']==dual['conditional']
    model = t.fit().averaged()
    dual = dual_losses(model, *data, 40, 3, t.exemplars)
    asked = dict(conditional={}, unconditional=dict(with_text=False), with_exemplars=dict(exemplars=t.exemplars))
    for name,kwargs in asked.items():
        assert dual[name]==val_losses(model, *data, 40, seed=3, **kwargs)['prediction']
    assert dual['gap']==dual['unconditional']-dual['conditional']!=0

def test_directions_have_bones(trainer):
    log = trainer('text', representation='directions').fit(log_every=1).log
    assert max(e['anatomy'] for e in log)<1e-3 and max(e['position'] for e in log)>.01

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
