"Tables larger than memory: windows, an interrupted run, the command."
import json
from pathlib import Path

import numpy as np, pytest, torch
from typer.testing import CliRunner

from text2pose.cli import app
from text2pose.core import available
from text2pose.data import own_rows, pose_table, read_pose_table, write_pose_table
from text2pose.dataset import PoseStream, StatesAtOnce
from text2pose.text import TextStates
from text2pose.train import make_trainer, phase_config
from text2pose.unet import SIZES

TINY = dict(SIZES['tiny'], block_channels=[16,32], body_channels=32, cross_attention_dim=32)

class Letters:
    "An encoder that makes a state of every letter."
    dim = 32

    def __call__(self, captions):
        codes = [torch.tensor([ord(letter) for letter in c]).float() for c in captions]
        tokens = torch.nn.utils.rnn.pad_sequence([torch.sin(c[:,None]*torch.arange(1,33)/9) for c in codes], True)
        mask = torch.arange(tokens.shape[1])<torch.tensor([len(c) for c in codes])[:,None]
        return TextStates(tokens, mask, None, None)

@pytest.fixture(scope='module')
def path(tmp_path_factory):
    rows = own_rows()
    file = tmp_path_factory.mktemp('stream')/'t.parquet'
    table = pose_table([{**r, 'split':'val' if i%10==0 else 'train'} for i,r in enumerate(rows)])
    write_pose_table([table.slice(i, 16) for i in range(0, table.num_rows, 16)], file)
    return file

def trainer(path, **window):
    stream = PoseStream(path, **{**dict(rows=32, steps=3), **window})
    config = phase_config('text', n_steps=8, batch_size=8, unet=TINY, text_layers=1)
    return make_trainer(config, stream, StatesAtOnce(stream, Letters()), cpu=True)

def test_interrupted(path, tmp_path):
    "A run over three windows that stops in the second ends where an uninterrupted one does, bit for bit."
    whole = trainer(path).fit(tmp_path/'whole', log_every=1)
    trainer(path).fit(tmp_path/'parts', log_every=1, stop_at=4)
    again = trainer(path).fit(tmp_path/'parts', log_every=1)
    assert again.step==8 and again.log==whole.log
    a,b = whole.inner.state_dict(), again.inner.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    again.save(tmp_path/'weights')
    made = json.loads((tmp_path/'weights'/'training.json').read_text())
    assert made['data']['window']==dict(rows=32, steps=3, seed=0) and made['data']['licences']=={'atlas':'Apache-2.0'}

def test_other_windows_are_other_data(path, tmp_path):
    trainer(path).fit(tmp_path, stop_at=2)
    with pytest.raises(ValueError, match='another pose table'): trainer(path, steps=2).fit(tmp_path)

def test_every_row_is_drawn_in_a_round(path):
    stream = PoseStream(path, rows=32, steps=1)
    table = read_pose_table(path)
    wanted = {i for i,s in zip(table['pose_id'].to_pylist(), table['split'].to_pylist()) if s=='train'}
    n_windows = round(len(stream)/32)
    seen = set()
    for w in range(n_windows):
        assert len(stream.at(w))<=3*32
        seen |= set(read_pose_table(path, stream.groups(w))['pose_id'].to_pylist())
    assert wanted<=seen

def test_joints_that_are_no_numbers(tmp_path):
    "What the short columns cannot show is refused when the window is opened."
    import pyarrow as pa
    table = pose_table(own_rows()[:8])
    joints = np.full((8,66), np.nan, np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(joints.reshape(-1)), 66)
    bad = table.set_column(table.column_names.index('joints'), table.schema.field('joints'), column)
    write_pose_table(bad, tmp_path/'t.parquet')
    stream = PoseStream(tmp_path/'t.parquet')
    with pytest.raises(ValueError, match='t.parquet, column joints'): stream.at(0)

@pytest.mark.parametrize('content', [b'', b'PAR1 no table'])
def test_no_parquet(tmp_path, content):
    (tmp_path/'t.parquet').write_bytes(content)
    with pytest.raises(ValueError, match='not a readable Parquet file'): PoseStream(tmp_path/'t.parquet')
    with pytest.raises(FileNotFoundError, match='is missing'): PoseStream(tmp_path/'other.parquet')

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not here')
def test_command(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args = ['train','--steps','2','--batch-size','8','--size','tiny','--cpu','--stream','--out','w']
    r = CliRunner().invoke(app, [*args, '--data', str(path)])
    assert r.exit_code==0, r.output
    made = json.loads(Path('w/training.json').read_text())
    assert 'rows, 65536 at a time' in r.stdout and 'val' in made['losses'][-1]
    assert made['data']['window']['rows']==65_536

@pytest.mark.parametrize('more', [[], ['--data','t.parquet','--cache','c']])
def test_stream_needs_a_table(tmp_path, monkeypatch, more):
    monkeypatch.chdir(tmp_path)
    r = CliRunner().invoke(app, ['train','--out','w','--stream',*more])
    assert r.exit_code==2 and '--stream goes with --data' in r.output
