"Presets end to end at tiny size: the release recipe, CLIP's text encoder, a user's HumanML3D, pictures on the way."
import json, shutil
from pathlib import Path

import numpy as np, pytest, torch
from typer.testing import CliRunner

from text2pose import dataset, train
from text2pose.cfg import Text2PosePipeline
from text2pose.cli import app
from text2pose.core import available, data_dir
from text2pose.data import own_poses, own_rows, plot_bodies, pose_table, write_pose_table
from text2pose.export import load_poses
from text2pose.text import load_text_encoder

TINY = ('train', '--steps', '2', '--batch-size', '8', '--size', 'tiny', '--cpu')

def run(*args, code=0):
    r = CliRunner().invoke(app, [str(a) for a in args])
    assert r.exit_code==code, f'{r.output}\n{r.exception!r}'
    return r.stdout

@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')

@pytest.fixture(scope='module')
def clip_folder(tmp_path_factory):
    "CLIP's architecture with two small layers, as wide as the real one, from random weights; only letters are words."
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    folder = tmp_path_factory.mktemp('clip')
    letters = [chr(c) for c in range(97,123)]
    words = letters+[c+'</w>' for c in letters]
    words += [f'<unused{i}>' for i in range(49406-len(words))]+['<|startoftext|>','<|endoftext|>']
    CLIPTokenizer(vocab={w:i for i,w in enumerate(words)}, merges=[], model_max_length=77).save_pretrained(folder)
    torch.manual_seed(0)
    config = CLIPTextConfig(num_hidden_layers=2, intermediate_size=64)
    CLIPTextModel(config).save_pretrained(folder)
    return folder

def test_clip(clip_folder):
    "States of 512 numbers are projected to the 256 of the network; the weights say which encoder they want."
    write_pose_table(pose_table(own_rows()[:20]), 't.parquet')
    args = ('--text-encoder', 'clip', '--encoder-folder', clip_folder, '--data', 't.parquet')
    run(*TINY, *args, '--phase', 'scorer', '--out', 's')
    run(*TINY, *args, '--scorer', 's', '--out', 'w')
    config = json.loads(Path('w/config.json').read_text())
    assert (config['text_encoder'],config['text_dim'])==('clip',512)
    pipe = Text2PosePipeline.from_pretrained('w', load_text_encoder('clip', clip_folder))
    projection = pipe.model.projection.reader.proj
    assert (projection.in_features,projection.out_features)==(512,256)
    out = pipe('arms raised', 2, num_inference_steps=2)
    assert out.joints.shape==(2,22,3) and np.isfinite(out.joints).all() and len(out.exemplars[0])==4

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not here')
def test_release():
    "The scorer comes first, in the run's own folder; the recipe is kept but for what was asked; all of it resumes."
    write_pose_table(pose_table(own_rows()[:20]), 't.parquet')
    args = (*TINY, '--phase', 'release', '--scorer-steps', '2', '--data', 't.parquet', '--out', 'w')
    said = run(*args)
    assert said.count('2 steps; loss')==2 and 'training on 20 rows: atlas 20' in said
    made = json.loads(Path('w/training.json').read_text())
    recipe = train.phase_config('release')
    assert {k for k,v in made['config'].items() if v!=json.loads(json.dumps(getattr(recipe, k)))}=={
        'n_steps','batch_size','unet'}
    assert made['scorer']['config']['phase']=='scorer' and made['scorer']['config']['mixed_precision']=='bf16'
    assert made['scorer']['config']['batch_size']==8 and made['data']['licences']=={'atlas':'Apache-2.0'}
    assert run(*args).count('already finished, after 2 steps')==2
    assert len(Text2PosePipeline.from_pretrained('w')('wave', 1, num_inference_steps=2).exemplars[0])==4
    Path('w/training.json').unlink()  # as if it had been stopped before the end
    run(*args)
    assert json.loads(Path('w/training.json').read_text())['steps']==2

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not here')
def test_humanml3d(monkeypatch, tmp_path):
    "From the official folder to poses: the sample where it is here, our own poses in the same layout otherwise."
    sample = data_dir() and data_dir()/'humanml3d_sample'
    if sample and sample.is_dir():
        shutil.copytree(sample, 'h')
        ids = sorted(p.stem for p in Path('h/new_joint_vecs').iterdir())[:12]
        Path('h/train.txt').write_text('\n'.join(ids))
        Path('h/val.txt').write_text('')
        line = 'a person walks forward.#a/DET person/NOUN walk/VERB forward/ADV#0.0#0.0\n'
        for i in ids: Path(f'h/texts/{i}.txt').write_text(line)  # the sample has the captions of other clips
    else: run('data', 'export', '--humanml3d', 'h', '--own')
    monkeypatch.delenv('TEXT2POSE_DATA', raising=False)
    monkeypatch.setattr(dataset, '_atlas_jobs', lambda *a: [])  # it is tested elsewhere
    build = ('data', 'build', '--preset', 'humanml3d', '--humanml3d', 'h', '--words', '1', '--key-frames', '2')
    run(*build, '--out', 't.parquet')
    said = run(*TINY, '--data', 't.parquet', '--out', 'w')
    assert 'humanml3d' in said and 'weights in w' in said
    assert 'humanml3d' in json.loads(Path('w/training.json').read_text())['data']['sources']
    run('generate', 'a person walks', '-n', '2', '--weights', 'w', '--out', 'o', '--format', 'npz')
    assert load_poses('o/poses.npz')[0].shape==(2,22,3)

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not here')
def test_sheets(monkeypatch):
    "Bodies of the same prompts at intervals; drawing them changes nothing."
    drawn = []
    def plot(joints, titles, **kwargs):
        drawn.append((joints, titles))
        return plot_bodies(joints[:2], titles[:2], **{**kwargs, 'size':.5})
    monkeypatch.setattr(train, 'plot_bodies', plot)
    write_pose_table(pose_table(own_rows()[:20]), 't.parquet')
    args = (*TINY, '--data', 't.parquet', '--out')
    run(*args, 'a')
    run(*args, 'b', '--sheet-every', '1')
    assert sorted(p.name for p in Path('b/sheets').iterdir())==['step-00000001.png','step-00000002.png']
    joints,titles = drawn[0]
    assert joints.shape==(18,22,3) and set(titles)==set(train.SHEET_PROMPTS) and np.isfinite(joints).all()
    assert Path('a/model.safetensors').read_bytes()==Path('b/model.safetensors').read_bytes()

@pytest.mark.parametrize('args,says', [
    (['--size','huge'], '--size must be one of tiny, small, base'),
    (['--text-encoder','bert'], '--text-encoder must be one of minilm, clip'),
    (['--min-snr','-1'], '--min-snr must lie'), (['--keep-last','0'], '--keep-last must be'),
    (['--sheet-every','-1'], '--sheet-every must be'), (['--scorer-steps','0'], '--scorer-steps must be')])
def test_usage(args, says):
    r = CliRunner().invoke(app, ['train', '--out', 'w', *args])
    assert r.exit_code==2 and says in r.stderr and len(r.stderr.splitlines())==1

def test_fp16_on_a_cpu():
    write_pose_table(pose_table(own_rows()[:20]), 't.parquet')
    r = CliRunner().invoke(app, [*TINY, '--precision', 'fp16', '--data', 't.parquet', '--out', 'w'])
    assert r.exit_code==1 and '--precision fp16 cannot be had on cpu' in r.stderr, r.output
