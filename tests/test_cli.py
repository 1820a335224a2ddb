"What the command line does when all is well: devices, prompts from elsewhere, pictures, files that are there, shells."
import inspect, json, os, shutil, subprocess, sys
from pathlib import Path

import numpy as np, pytest
from typer.testing import CliRunner

from text2pose.cfg import Text2PosePipeline
from text2pose.cli import _failed_rules, app
from text2pose.data import (
    bone_lengths, own_poses, own_rows, pose_table, read_pose_table, table_joints, write_pose_table)
from text2pose.export import FORMATS, export, file_name, load_faces, load_poses
from text2pose.skeleton import plausibility, pose_from_angles, reference_bone_lengths

FAST = ('-n','1', '--steps','2')

@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.delenv('TEXT2POSE_DATA', raising=False)
    monkeypatch.chdir(tmp_path)

def run(*args, typed=None):
    "The result of a command that must end well; its stdout and stderr are apart."
    result = CliRunner().invoke(app, [str(a) for a in args], input=typed)
    assert result.exit_code==0, f'{result.output}\n{result.exception!r}'
    return result

def answer(*args):
    "What a command tells a script: the one JSON object on its standard output."
    return json.loads(run(*args, '--json').stdout)

def own_file(n=3):
    np.save('own.npy', np.stack([p['joints'] for p in own_poses()[:n]]))
    return 'own.npy'

def size(path):
    from PIL import Image
    with Image.open(path) as picture: return picture.size

# rigs of motion capture

SMALL = ('--words','1', '--variations','1', '--compositions','0', '--out','t.parquet')

def odd_capture(folder, name='walk.bvh'):
    "A capture that leaves its vertical, its unit and its left wrist open; its joints, (n, 22, 3), metres, Z up."
    from test_mocap import MIXAMO, own_capture, rig_tree
    names = [n.replace('LeftHand', 'LeftQ') for n in MIXAMO]
    text,truth = own_capture(rig_tree(names), up='-x', rest_up='y', root=(0,0,0), metres=.0254/1.15)
    Path(folder).mkdir(exist_ok=True)
    (Path(folder)/name).write_text(text)
    return truth*1.15

def answers():
    Path('map.json').write_bytes(b'\xef\xbb\xbf{"left_wrist": "LeftQ"}')
    return '--up', '-x', '--unit', 'inch', '--joint-map', 'map.json'

def test_data_build_takes_answers():
    odd_capture('m')
    build = ('data','build', '--mocap','m', *SMALL)
    said = run(*build).stderr
    assert said.count('walk.bvh')==1
    doubts = 'no joint found for left_wrist', 'm if the unit is inch or', 'which axis points up'
    for what in (*doubts, '--up', '--unit', '--joint-map'): assert what in said
    run(*build, *answers())
    table = read_pose_table('t.parquet')
    mine = table.filter(np.array(table['source'].to_pylist())=='mocap')
    assert 0<mine.num_rows<=8
    np.testing.assert_allclose(bone_lengths(table_joints(mine))[0], reference_bone_lengths(), atol=1e-3)
    up = table_joints(mine)[:,15,2]  # heads are above pelvises
    assert (up>.2).all()

def test_data_export_takes_answers():
    odd_capture('m')
    assert 'walk.bvh' in run('data','export', '--own', '--mocap','m', '--humanml3d','h1').stderr
    run('data','export', '--mocap','m', '--humanml3d','h2', '--no-mirrored', *answers())
    assert len(Path('h2/all.txt').read_text().split())==len(list(Path('h2/new_joints').iterdir()))==1

@pytest.mark.parametrize('command', [['describe'], ['data','check'], ['data','show']])
def test_files_of_poses_take_answers(command):
    odd_capture('.')
    result = CliRunner().invoke(app, [*command, 'walk.bvh'])
    assert result.exit_code==1 and '--up' in result.output and '--unit' in result.output
    run(*command, 'walk.bvh', *answers())
    result = CliRunner().invoke(app, [*command, own_file(), '--up', 'z'])
    assert result.exit_code==2 and 'are about motion capture' in result.output

def test_what_may_be_wrong_is_said():
    from test_mocap import MIXAMO, own_capture, rig_tree
    Path('m').mkdir()
    text,_ = own_capture(rig_tree(MIXAMO))
    Path('m/walk.bvh').write_text(text.replace('Frames: 8', 'Frames: 7'))
    Path('m/walk.txt').write_text('walks\nwalks#walk/VERB#0.0#0.0\n')
    tree = [(n, p, o*.05 if 'ForeArm' in n else o, j) for n,p,o,j in rig_tree(MIXAMO)]
    flat,_ = own_capture(tree)
    Path('m/stub.bvh').write_text(flat)
    said = run('data','build', '--mocap','m', *SMALL).stderr
    assert 'walk.bvh' in said and '7 frames declared, 8 present; the 8 are read' in said
    assert 'skipped: m/walk.txt, line 1: expected 4 fields' in said
    assert 'skipped: clip stub: all of its 8 frames are left out (limbs 8)' in said

# prompts

def test_prompts_from_standard_input_and_file():
    text = '\ufeff# a comment\nwave\n\n   # another\n  arms   raised\n'
    Path('p.txt').write_text(text, encoding='utf-8')
    run('generate', '--prompts', 'p.txt', *FAST, '--out', 'a')
    run('generate', '--prompts', '-', *FAST, '--out', 'b', typed=text)
    assert load_poses('a/poses.npz')[1]==['wave','arms raised']
    for name in ('poses.npz','index.html','manifest.jsonl','batch.json'):
        assert Path('a', name).read_bytes()==Path('b', name).read_bytes()
    run('generate', 'jump', '--prompts', 'p.txt', *FAST, '--out', 'c', '--format', 'BVH,json')
    assert sorted(os.listdir('c/poses'))==[f'0000{i}-{w}.{f}' for i,w in enumerate(['jump','wave','arms-raised'], 1)
                                           for f in ('bvh','json')]

def test_a_prompt_without_quotes_is_noted():
    said = run('generate', 'arms', 'raised', *FAST, '--format', 'json').stderr
    assert 'read as 2 prompts: "arms", "raised"' in said and '"arms raised"' in said
    assert load_poses('out/poses.json')[1]==['arms','raised']
    for prompts in (['arms raised'], ['arms raised','crouching'], ['crouching']):
        assert 'read as' not in run('generate', *prompts, *FAST, '--format', 'json').stderr

def test_a_falling_ramp():
    run('generate', 'wave', *FAST, '--guidance', '7:2', '--format', 'json')
    assert json.loads(Path('out/poses.json').read_text())['guidance_scale']==[7,2]
    assert '7:2' in run('generate', '--help').stdout

def test_dollars_and_backslashes_are_drawn():
    run('generate', r'arms $\frac raised$', *FAST)
    assert Path('out/poses.png').is_file() and Path('out/poses.json').is_file()

# formats, camera, device

def test_formats_in_any_case():
    run('generate', 'wave', *FAST, '--format', 'PNG,Json, NPZ')
    assert sorted(os.listdir('out'))==['poses.json','poses.npz','poses.png']

def test_openpose_camera():
    front = ('generate', 'wave', *FAST, '--format', 'openpose')
    run(*front, '--out', 'front')
    run(*front, '--out', 'side', '--camera', '90,10', '--canvas', '320x240')
    assert size('front/poses.openpose/000.png')==(512,768) and size('side/poses.openpose/000.png')==(320,240)
    people = [json.loads(Path(d, 'poses.openpose/000.json').read_text())['people'] for d in ('front','side')]
    x,_,seen = np.array(people[1][0]['pose_keypoints_2d']).reshape(-1,3).T
    assert people[0]!=people[1] and np.ptp(x[seen>0])<240

@pytest.mark.parametrize('option,value,noted', [
    ('--best-of','3',3), ('--guidance-method','apg','apg'), ('--sampler','dpm++','dpm++'),
    ('--guidance-interval','0:0.3',[0,.3]), ('--body','1.2','1.2'),
    ('--pin','left_wrist=0.3,-0.3,0.3',{'left_wrist':[.3,-.3,.3]})])
def test_options_are_passed_and_noted(option, value, noted):
    key = option.strip('-').replace('-', '_')
    poses = []
    for more in ((), (option,value)):
        run('generate', 'arms raised', '-n', '4', '--steps', '4', *more, '--format', 'json')
        poses.append(json.loads(Path('out/poses.json').read_text()))
    assert poses[1][key]==noted and poses[0].get(key)!=noted
    assert poses[0]['poses']!=poses[1]['poses']

def test_defaults_of_the_command_are_those_of_the_pipeline():
    signature = inspect.signature(Text2PosePipeline.__call__)
    run('generate', 'wave', '-n', '1', '--format', 'json')
    about = json.loads(Path('out/poses.json').read_text())
    for k in ('guidance_method','negative_prompt','seed','enforce_skeleton','best_of'):
        assert about[k]==signature.parameters[k].default, k
    of_pipeline = Text2PosePipeline.from_pretrained()('wave', 1).run
    assert json.loads(json.dumps(of_pipeline)).items()<=about.items()

def test_what_was_wrong_with_a_pose():
    "The JSON file names the rules behind a low score, before enforcement and after."
    exaggerated = ('generate', 'wave', 'golf', '-n', '2', '--steps', '2', '--guidance', '30', '--format', 'json')
    said = run(*exaggerated).stdout
    about = json.loads(Path('out/poses.json').read_text())
    assert 'before enforcement' in said and len(about['raw_scores'])==4
    scores = [p['score'] for p in about['poses']]
    for values,failed in ((about['raw_scores'],about['raw_failed_rules']), (scores,about['failed_rules'])):
        assert [bool(rules) for rules in failed]==[s<.9 for s in values]
    assert min(about['raw_scores'])<.9
    said = run(*exaggerated, '--no-enforce').stdout
    raw = json.loads(Path('out/poses.json').read_text())
    assert 'before enforcement' not in said
    assert [p['score'] for p in raw['poses']]==raw['raw_scores']==about['raw_scores']
    assert raw['failed_rules']==raw['raw_failed_rules']==about['raw_failed_rules']

def test_rules_are_those_of_the_report():
    bent = pose_from_angles({'left_knee':{'flexion':-50}})
    joints = np.stack([own_poses()[0]['joints'], bent]).astype(np.float32)
    assert _failed_rules(joints, plausibility(joints))==[[], ['limits']]

def test_many_poses_are_not_explained_one_by_one():
    run('generate', 'wave', '-n', '65', '--steps', '2', '--format', 'json')
    about = json.loads(Path('out/poses.json').read_text())
    assert len(about['raw_scores'])==65 and 'failed_rules' not in about

def test_device():
    run('generate', 'wave', *FAST, '--format', 'json', '--out', 'a')
    run('generate', 'wave', *FAST, '--format', 'json', '--out', 'b', '--device', 'cpu')
    assert Path('a/poses.json').read_bytes()==Path('b/poses.json').read_bytes()

def test_a_device_is_handed_to_the_pipeline(monkeypatch):
    "Without a GPU: the device is only pretended to be here, and the pipeline that is moved there stops the command."
    from text2pose import cli
    from text2pose.cfg import Text2PosePipeline
    def moved(pipe, device): raise RuntimeError(f'moved to {device}')
    monkeypatch.setattr(cli, '_check_device', lambda name: None)
    monkeypatch.setattr(Text2PosePipeline, 'to', moved)
    for args in (['generate','a'], ['describe','--prompt','a'], ['evaluate','--out','r']):
        result = CliRunner().invoke(app, [*args, '--device', 'cuda'])
        assert result.exit_code==1 and 'moved to cuda' in result.stderr

# files that are there

def test_repeated_and_stale_files_are_named():
    run('generate', 'wave', *FAST, '--format', ','.join(FORMATS))
    before = Path('out/poses.bvh').read_bytes()
    again = run('generate', 'sit', *FAST, '--format', 'png,openpose')
    assert 'replaced: out/poses.png, out/poses.openpose' in again.stderr
    stale = [f'out/{file_name("poses", f)}' for f in FORMATS if f not in ('png','openpose')]
    assert f'from an earlier run, left as it was: {", ".join(stale)}' in again.stderr
    assert Path('out/poses.bvh').read_bytes()==before
    fresh = run('generate', 'sit', *FAST, '--format', 'png', '--out', 'new')
    assert fresh.stderr==''

def test_replaced_pictures_and_tables_are_named():
    show = ('data', 'show', own_file(), '--out', 'p.png')
    assert run(*show).stderr=='' and 'replaced: p.png' in run(*show).stderr
    build = ('data', 'build', '--words', '0', '--variations', '1', '--compositions', '0', '--out', 't.parquet')
    first = run(*build)
    assert 'replaced' not in first.stderr and 'replaced: t.parquet' in run(*build).stderr
    assert 'only hand-written poses of the atlas' in first.stdout and 'text2pose data fetch' in first.stdout

# pictures and descriptions

@pytest.mark.parametrize('ending,begins', [
    ('png', b'\x89PNG'), ('jpg', b'\xff\xd8'), ('JPEG', b'\xff\xd8'), ('webp', b'RIFF'), ('pdf', b'%PDF'),
    ('svg', b'<?xml')])
def test_picture_formats(ending, begins):
    run('data', 'show', own_file(), '--out', f'p.{ending}')
    run('atlas', 'show', 'saluting', '--out', f'a.{ending}')
    assert all(Path(f'{name}.{ending}').read_bytes().startswith(begins) for name in 'pa')

def test_describe():
    lines = run('describe', own_file()).stdout.splitlines()
    assert lines[0::2]==['0','1','2'] and all(len(l.split())>2 for l in lines[1::2])
    rows = answer('describe', 'own.npy', '-n', '2')['poses']
    assert [(r['pose'], len(r['sentences'])) for r in rows]==[(0,2),(1,2),(2,2)]
    assert all(s['text'] and s['codes'] for r in rows for s in r['sentences'])
    assert '[' in run('describe', 'own.npy', '--codes').stdout
    assert '0: wave' in run('describe', '--prompt', 'wave', '--prompt', 'sit').stdout

def test_describe_poses_of_nobody():
    "What is hardly human is described, with a word of warning that says what is wrong."
    own_file(2)
    x = np.load('own.npy')
    x[1,20:] += .8
    np.save('odd.npy', x)
    found = run('describe', 'odd.npy')
    assert '1 pose is hardly human (1)' in found.stderr and 'of pose 1 the worst is' in found.stderr
    assert found.stdout.splitlines()[0::2]==['0','1']

@pytest.mark.parametrize('ending', ['json','npz','npy','bvh','glb'])
def test_describe_every_file(ending):
    "A pose says the same, whatever file it comes from."
    plain = run('describe', own_file(2)).stdout
    if ending!='npy': export(np.load('own.npy'), f'own.{ending}')
    assert run('describe', f'own.{ending}').stdout==plain
    assert '2 poses' in run('data', 'check', f'own.{ending}').stdout
    run('data', 'show', f'own.{ending}')

@pytest.mark.parametrize('ending', ['json','npz','bvh','glb'])
def test_faces_of_a_file(ending):
    "What a file knows of faces is said, and goes along into other files; a capture counts too."
    own_file(2)
    faces = np.float32([[1,0,0],[-1,0,0]])
    export(np.load('own.npy'), f'own.{ending}', faces=faces)
    if ending=='bvh': Path('own.bvh').write_text(Path('own.bvh').read_text().replace('left_hip', 'left_thigh'))
    lines = run('describe', f'own.{ending}').stdout.splitlines()
    assert 'looking to the left' in lines[1] and 'looking to the right' in lines[3]
    for other in ('json','bvh','glb'):
        run('convert', f'own.{ending}', f'{other}/poses.{other}')
        assert np.abs(load_faces(f'{other}/poses.{other}')-faces).max()<.02

# training

def test_more_steps_after_the_end():
    write_pose_table(pose_table(own_rows()), 't.parquet')
    tiny = ('train', '--data', 't.parquet', '--batch-size', '4', '--cpu')
    run(*tiny, '--steps', '2', '--out', 'w')
    weights = Path('w/model.safetensors').read_bytes()
    assert 'already finished, after 2 steps' in run(*tiny, '--steps', '2', '--out', 'w').stdout
    for more in (['--steps','3'], ['--steps','2','--lr','0.01']):
        result = CliRunner().invoke(app, [*tiny, *more, '--out', 'w'])
        assert result.exit_code==1 and '--from w --out OTHER' in result.stderr and f'{more[-2]} was' in result.stderr
    assert Path('w/model.safetensors').read_bytes()==weights
    run(*tiny, '--steps', '3', '--from', 'w', '--out', 'v')
    assert json.loads(Path('v/training.json').read_text())['start']['steps']==2

def test_a_scorer_then_a_denoiser_with_it():
    "Folder or file, poses of the atlas in sight or not; the weights look poses up if they were trained with them."
    write_pose_table(pose_table(own_rows()), 't.parquet')
    tiny = ('train', '--data', 't.parquet', '--batch-size', '4', '--steps', '2', '--cpu')
    assert '2 steps; loss' in run(*tiny, '--phase', 'scorer', '--out', 's').stdout
    assert sorted(os.listdir('s'))==['checkpoints','metrics.jsonl','scorer.safetensors','training.json']
    run(*tiny, '--scorer', 's', '--exemplars', '2', '--follow-every', '2', '--out', 'w')
    run(*tiny, '--scorer', 's/scorer.safetensors', '--exemplars', '0', '--freeze-reader', '--out', 'v')
    for folder,n in (('w',2),('v',0)):
        made = json.loads(Path(folder, 'training.json').read_text())
        assert made['config']['num_exemplars']==n and made['scorer']['config']['phase']=='scorer'
        assert Path(folder, 'scorer.safetensors').exists()==(n>0)
        said = run('generate', 'wave', *FAST, '--weights', folder, '--format', 'json').stdout
        assert ('looked up for "wave": ' in said)==(n>0)
    assert 'scorer from 8 pairs; atlas (Apache-2.0)' in run('info', '--weights', 'w').stdout
    again = run(*tiny, '--phase', 'scorer', '--out', 's').stdout
    assert 'already finished, after 2 steps' in again
    run(*tiny, '--phase', 'scorer', '--from', 's', '--out', 'longer')
    assert json.loads(Path('longer/training.json').read_text())['start']['steps']==2
    run(*tiny, '--from', 'w', '--scorer', 'w', '--out', 'on')
    assert Path('on/scorer.safetensors').exists()

def test_a_scorer_without_its_checkpoint_is_not_overwritten():
    write_pose_table(pose_table(own_rows()), 't.parquet')
    tiny = ('train', '--data', 't.parquet', '--batch-size', '4', '--steps', '2', '--cpu', '--phase', 'scorer')
    run(*tiny, '--out', 's')
    shutil.rmtree('s/checkpoints')
    result = CliRunner().invoke(app, [*tiny, '--out', 's'])
    assert result.exit_code==1 and 's holds weights but no checkpoint to resume' in result.stderr

def test_defaults_of_train_are_those_of_the_configuration():
    from text2pose.cli import train
    from text2pose.train import TrainConfig
    option = inspect.signature(train).parameters
    for name,field in dict(phase='phase', batch_size='batch_size', micro_batch='micro_batch', lr='lr',
            timestep_bias='timestep_bias', noise_samples='noise_samples_per_caption', follow_every='follow_every',
            seed='seed', precision='mixed_precision', freeze_reader='freeze_reader').items():
        assert option[name].default.default==getattr(TrainConfig(), field), name

# shells and scripts

ENTRY = (sys.executable, '-c', "from text2pose.cli import app; app(prog_name='text2pose')")

def completed(shell, words):
    "What a shell is offered for the last of some words."
    env = {**os.environ, '_TEXT2POSE_COMPLETE':f'complete_{shell}', 'COMP_WORDS':words,
           'COMP_CWORD':str(words.count(' ')), '_TYPER_COMPLETE_ARGS':words, '_TYPER_COMPLETE_FISH_ACTION':'get-args'}
    r = subprocess.run(ENTRY, env=env, capture_output=True, text=True, timeout=120)
    assert not r.stderr
    return r.stdout

@pytest.mark.parametrize('shell', ['bash','zsh','fish'])
def test_completion(shell):
    assert 'generate' in completed(shell, 'text2pose gen') and 'train' not in completed(shell, 'text2pose gen')
    assert 'golf_address' in completed(shell, 'text2pose atlas show golf_a')

def test_completion_of_names():
    assert completed('bash', 'text2pose generate --format png,b').split()==['png,bvh']
    assert completed('bash', 'text2pose generate --sampler d').split()==['ddim','ddpm','dpm++']

@pytest.mark.parametrize('shell', ['bash','zsh','fish'])
def test_completion_scripts(shell):
    from typer._completion_shared import get_completion_script
    script = get_completion_script(prog_name='text2pose', complete_var='_TEXT2POSE_COMPLETE', shell=shell)
    assert 'text2pose' in script
    program = shutil.which(shell)
    if program is None: pytest.skip(f'{shell} is not installed')
    r = subprocess.run([program, '-n'], input=script, capture_output=True, text=True, timeout=30)
    assert r.returncode==0, r.stderr

def test_names_for_shells_are_those_of_the_chapters():
    from text2pose import cli, train
    from text2pose.atlas import atlas
    from text2pose.cfg import GUIDANCE_METHODS
    from text2pose.data import VIEWS
    from text2pose.describe import STYLES
    from text2pose.diffusion import SAMPLERS
    assert {*cli._FORMATS}=={*FORMATS} and {*cli._METHODS}=={*GUIDANCE_METHODS} and {*cli._SAMPLERS}=={*SAMPLERS}
    assert {*cli._CAMERAS}=={*VIEWS} and {*cli._STYLES}=={*STYLES}
    assert {*cli._atlas_names()}=={p.name for p in atlas().values() if not p.twin_of}
    for phase in cli._PHASES: train.phase_config(phase)

def commands(group=None, above=()):
    "All commands with their names."
    import typer
    group = group or typer.main.get_command(app)
    for name,command in group.commands.items():
        if hasattr(command, 'commands'): yield from commands(command, (*above,name))
        else: yield (*above,name), command

@pytest.mark.parametrize('names,command', commands(), ids=lambda v: '-'.join(v) if isinstance(v, tuple) else '')
def test_examples_of_every_command_can_be_typed(names, command):
    import shlex
    shown = run(*names, '--help').stdout
    examples = [shlex.split(line)[1:] for line in shown.splitlines() if line.strip().startswith('text2pose ')]
    assert examples and '--quiet' in shown
    for example in examples:
        assert tuple(example[:len(names)])==names
        command.make_context(names[-1], example[len(names):]).close()

def test_one_object_and_nothing_else():
    own_file()
    run('generate', 'wave', *FAST, '--format', 'json')
    for args in (['generate','wave','sit',*FAST,'--format','json'], ['look-up','wave'], ['describe','own.npy'],
            ['data','check','own.npy'], ['data','show','own.npy'], ['convert','own.npy','own.bvh'], ['atlas','list'],
            ['atlas','show','saluting'], ['atlas','check'], ['info'], ['scene','own.npy','--format','json'],
            ['vary','own.npy','-n','1','--format','json'], ['interpolate','own.npy:0','own.npy:1','--format','json']):
        assert isinstance(answer(*args), dict), args
    made = answer('generate', 'wave', 'sit', *FAST, '--format', 'json')
    assert made['files']=={'json':'out/poses.json'} and made['replaced']==['out/poses.json']
    assert [p['prompt'] for p in made['poses']]==['wave','sit'] and made['settings']['seed']==0
    assert all(0<=p['score']<=1 and len(p['exemplars'])==4 for p in made['poses'])

def test_quiet():
    own_file()
    for args in (['generate','wave',*FAST,'--format','json'], ['data','show','own.npy'], ['atlas','list'], ['info']):
        for _ in range(2):  # the second time files are replaced
            said = run(*args, '--quiet')
            assert said.stdout==said.stderr=='', args
    result = CliRunner().invoke(app, ['atlas', 'show', 'salutin', '--quiet'])
    assert result.exit_code==1 and 'did you mean saluting' in result.stderr

def test_an_interruption(monkeypatch):
    def interrupted(*args, **kwargs): raise KeyboardInterrupt
    monkeypatch.setattr(Text2PosePipeline, '_finish', interrupted)
    Path('p.txt').write_text('wave')
    for args in (['generate','wave'], ['generate','--prompts','p.txt','--out','b']):
        result = CliRunner().invoke(app, args)
        assert result.exit_code==130 and result.stderr.splitlines()[-1]=='text2pose: interrupted'
    assert os.listdir('out')==[] and not list(Path('b').glob('.text2pose*'))

def test_nothing_steers_the_terminal():
    said = run('generate', 'wave \x1b[31m\x9b5m \u202eevil', *FAST, '--format', 'json')
    assert not {'\x1b','\x9b','\u202e'}&{*said.output} and r'wave \x1b[31m\x9b5m \u202eevil' in said.stdout
    os.rename('out', 'o\x1b[31mut')
    result = CliRunner().invoke(app, ['describe', 'o\x1b[31mut/none.json'])
    assert result.exit_code==1 and '\x1b' not in result.output and r'o\x1b[31mut/none.json' in result.stderr

def test_nothing_is_overwritten():
    own_file()
    run('generate', 'wave', *FAST, '--format', 'json,openpose')
    run('data', 'show', 'own.npy', '--out', 'p.png')
    run('convert', 'own.npy', 'own.glb')
    before = {p:p.read_bytes() for p in Path('.').rglob('*') if p.is_file()}
    for args in (['generate','sit',*FAST,'--format','json'], ['generate','sit',*FAST,'--format','openpose'],
            ['vary','own.npy','--format','json'], ['data','show','own.npy','--out','p.png'],
            ['convert','own.npy','own.json','own.glb']):
        result = CliRunner().invoke(app, [*args, '--no-overwrite'])
        assert result.exit_code==1 and 'is there already, and --no-overwrite was given' in result.stderr, args
    assert {p:p.read_bytes() for p in Path('.').rglob('*') if p.is_file()}==before
    run('generate', 'sit', *FAST, '--format', 'npz', '--no-overwrite')
