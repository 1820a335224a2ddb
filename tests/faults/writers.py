"Everything that writes files, on small poses and networks: name → what it makes, and a function that makes it there."
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np, torch
from typer.testing import CliRunner

import readers
from test_cfg import HashEncoder, TINY
from text2pose import cli, dataset
from text2pose.cfg import Text2PoseModel, Text2PosePipeline
from text2pose.data import Caption, Clip, own_poses, own_rows, pose_table, write_pose_table
from text2pose.editing import export_scene
from text2pose.export import FORMATS, export, file_name
from text2pose.library import atlas_library, save_library

POSES = np.stack([p['joints'] for p in own_poses()[:2]])

@lru_cache(maxsize=None)
def pipe():
    "A pipeline of random weights, like which the real one writes."
    torch.manual_seed(0)
    small = dict(block_channels=[8,16], layers_per_block=1, n_heads=2, cross_attention_dim=8, body_channels=8)
    model = Text2PoseModel(dict(TINY, unet=small)).eval()
    with torch.no_grad():
        model.mean.copy_(torch.from_numpy(POSES[0]))
        model.std.fill_(.03)
    return Text2PosePipeline(model, HashEncoder(), training=dict(about='random', samples=0))

def command(*args):
    "Run the command with that pipeline and few poses of the atlas; OSError or ValueError where it fails."
    before = cli._load_pipeline,dataset._atlas_jobs
    cli._load_pipeline = lambda *args, **kwargs: pipe()
    dataset._atlas_jobs = few_jobs
    try: result = CliRunner(env=dict(TEXT2POSE_DATA=None)).invoke(cli.app, [str(a) for a in args])
    finally: cli._load_pipeline,dataset._atlas_jobs = before
    said = result.stderr.strip()
    if result.exception and not isinstance(result.exception, SystemExit): raise result.exception
    if result.exit_code: raise ValueError(said)

def few_jobs(*args):
    "Jobs of a build: some rows each."
    from text2pose.data import Report
    def job(rows): return lambda: (rows, Report())
    rows = own_rows()
    return [job(rows[i:i+4]) for i in range(0, 12, 4)]

def _humanml3d(path):
    from text2pose.humanml3d import write_humanml3d
    clips = [Clip('000001', 'own', 'Apache-2.0', 'train', np.repeat(POSES[:1], 4, 0), [Caption('a person stands.')])]
    write_humanml3d(clips, path)

def _unpack(path):
    from text2pose.mocap import unpack
    unpack(given()/'captures.zip', path)

def _clusters(path):
    from text2pose.clustering import ClusterMap, PoseClusters
    ClusterMap(PoseClusters(POSES), [['a','b'],['c']]).save(path)

def _states(path):
    from text2pose.dataset import CaptionStates, save_caption_states
    states = [torch.randn(4, 64, generator=torch.Generator().manual_seed(n)) for n in range(8)]
    save_caption_states(CaptionStates.of(states), list('abcdefgh'), path)

def _checkpoint(path):
    from text2pose.train import Checkpoints
    run = readers._run()
    run.step = 3
    run.save_checkpoint(Checkpoints(path.parent))

def _run_weights(path):
    run = readers._run()
    run.save(path)

def _metrics(path):
    "A long entry of the log of a run."
    from text2pose.train import Metrics
    metrics = Metrics(path.parent)
    metrics.writer = False  # TensorBoard buffers what it writes
    metrics.add(dict(step=1, val={f'measure {i}':i/7 for i in range(1000)}))

def _sheet(path):
    from text2pose.train import Sheets
    Sheets(path.parent, HashEncoder(), ['arms raised'], 1)(pipe().model, None, 1, True)

class _Parts:
    "Parts of a report that need no evaluator and no data."
    def __init__(self, *args): pass
    def names(self): return {f'atlas/{name}':lambda: {'captions':8, 'long':list(range(3000))} for name in ('model','random')}
    def figure(self, name, systems, path):
        import matplotlib.pyplot as plt
        from text2pose import eval
        eval._save_small(plt.figure(figsize=(3,3)), path)

def _evaluate(path):
    from text2pose import eval
    before = eval._Parts,eval.report_tables,eval.WITH_PICTURE
    eval._Parts,eval.report_tables,eval.WITH_PICTURE = _Parts,lambda report: '|'.join(map(str, range(2000))),('model',)
    evaluator = torch.nn.Linear(2, 2)
    evaluator.version = '0'
    torch.nn.init.ones_(evaluator.weight)
    torch.nn.init.ones_(evaluator.bias)
    try: eval.evaluate(pipe(), path, 8, evaluator=evaluator)
    finally: eval._Parts,eval.report_tables,eval.WITH_PICTURE = before

def _scorer(path):
    from text2pose.text import PoseTextScorer
    torch.manual_seed(0)
    PoseTextScorer(16, 8, 1, 8, 8).save(path)

def _student(path):
    from text2pose.student import JumpNet, save_student
    torch.manual_seed(0)
    save_student(JumpNet(word_dim=6, body_dim=8, n_steps=1, emb_dim=8), path, 'somebody')

def _new_pose(path):
    from text2pose.atlas import new_pose
    new_pose(path.stem, path.parent)

def _generate(path):
    command('generate', 'arms raised', '-n', '2', '--steps', '2', '--out', path, '--format', 'json,bvh,openpose')

def _batch(path):
    options = ('-n', '1', '--steps', '2', '--format', 'json,npz', '--quiet')
    command('generate', '--prompts', given()/'prompts.txt', *options, '--out', path)

def _show(path):
    command('data', 'show', given()/'poses.npy', '-n', '1', '--out', path)

# pictures need not be large to fill a disk
_SMALL = {**dict.fromkeys(('depth','normal'), dict(width=192, height=256)), 'openpose':dict(width=192, height=256)}

def _export(format): return lambda path: export(POSES, path, format, prompts=['a','b'], options=_SMALL.get(format))

def _build(path): command('data', 'build', '--words', '0', '--out', path)

def _convert(path): command('convert', given()/'poses.npy', path)

WRITERS = {
    **{f'export {f}':(file_name('poses', f), _export(f)) for f in FORMATS},
    'export separate':('each', lambda path: export(POSES, path, 'npy', separate=True)),
    'scene':('scene.json', lambda path: export_scene(POSES, path)),
    'scene picture':('scene.png', lambda path: export_scene(POSES, path)),
    'pose table':('poses.parquet', lambda path: write_pose_table(pose_table(own_rows()), path)),
    'cluster map':('clusters.json', _clusters),
    'library':('library.safetensors', lambda path: save_library(atlas_library()[:40], path)),
    'weights':('weights', lambda path: pipe().save_pretrained(path)),
    'scorer':('scorer.safetensors', _scorer),
    'student':('student.safetensors', _student),
    'caption states':('states.safetensors', _states),
    'checkpoint':('checkpoints', _checkpoint),
    'weights of a run':('run', _run_weights),
    'log of a run':('metrics.jsonl', _metrics),
    'sheet of a run':('sheets', _sheet),
    'report':('report', _evaluate),
    'HumanML3D folder':('humanml3d', _humanml3d),
    'archive':('unpacked', _unpack),
    'new pose':('mine.yaml', _new_pose),
    'text2pose generate':('out', _generate),
    'text2pose generate --prompts':('many', _batch),
    'text2pose data build':('built.parquet', _build),
    'text2pose data show':('picture.png', _show),
    'text2pose convert':('converted.glb', _convert)}

ONCE = ('archive','HumanML3D folder','new pose')  # writers that refuse to replace anything

@lru_cache(maxsize=None)
def given():
    "A folder of what the writers read: poses, two captures in captures/, and an archive of captures."
    import atexit, shutil, tempfile
    from text2pose.export import to_bvh
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    np.save(folder/'poses.npy', POSES)
    (folder/'prompts.txt').write_text('arms raised\ncrouching\n')
    (folder/'captures').mkdir()
    moving = np.stack([p['joints'] for p in own_poses()[:6]])
    for name in ('walk','run'): (folder/'captures'/f'{name}.bvh').write_text(to_bvh(moving))
    with zipfile.ZipFile(folder/'captures.zip', 'w') as z:
        for i in range(4): z.writestr(f'set/{i}.bvh', bytes(range(256))*40)
    return folder
