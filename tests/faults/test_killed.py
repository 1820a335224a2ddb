"""SIGKILL at seeded moments of generation, export, data build and every other writer: what has its final name is whole,
and the next run goes through as if nothing had been. (Training: tests/test_checkpoints.py kills 50 runs.)

One process, in which everything is imported and read, forks a child for each attempt. A child is killed at some line of
our code that writes, at some touch of the file system, when some file reaches some size, or from outside at some time.
"""
import os, random, resource, shutil, signal, sys, time

import pytest

import text2pose.batch, text2pose.cli, text2pose.core, text2pose.data, text2pose.dataset, text2pose.eval
import text2pose.export, text2pose.train
from writers import ONCE, POSES, WRITERS, command, given

pytestmark = pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
OURS = {m.__file__ for m in (text2pose.batch, text2pose.cli, text2pose.core, text2pose.data, text2pose.dataset,
                             text2pose.eval, text2pose.export, text2pose.train)}
TOUCHES = {'open','os.rename','os.remove','os.mkdir','os.rmdir','os.chmod','os.scandir','os.listdir','shutil.rmtree'}
SIZES = 20_000  # bytes: files are killed at some size below

def die(): os.kill(os.getpid(), signal.SIGKILL)

def lines(countdown):
    "Die at so many lines of our code; by a negative number, never. The lines that have run, in a list."
    ran = [0]
    def count(frame, event, arg):
        if event=='line':
            ran[0] += 1
            if ran[0]==countdown: die()
        return count
    sys.settrace(lambda frame, event, arg: count if frame.f_code.co_filename in OURS else None)
    return ran

def touches(countdown):
    "Die at so many touches of the file system; likewise."
    seen = [0]
    def hook(event, args):
        if event not in TOUCHES: return
        seen[0] += 1
        if seen[0]==countdown: die()
    sys.addaudithook(hook)
    return seen

def grown(n_bytes):
    "Die when a file grows beyond so many bytes."
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0,0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes,n_bytes))

def child(work, prepare=lambda: None, tell=None):
    "Fork a process that prepares its death and works; its id."
    pid = os.fork()
    if pid: return pid
    try:
        counter = prepare()
        work()
        sys.settrace(None)
        if tell: os.write(tell, f'{counter[0]}\n'.encode())
        os._exit(0)
    except BaseException as e:
        print(f'{type(e).__name__}: {e}', file=sys.stderr, flush=True)
        os._exit(1)

def ended(pid): return os.waitpid(pid, 0)[1]

def count(work, prepare):
    "How many lines or touches a whole run takes."
    r,w = os.pipe()
    assert ended(child(work, lambda: prepare(-1), w))==0
    os.close(w)
    with os.fdopen(r) as f: return int(f.read())

def attempt(work, rng, n_lines, n_touches, seconds):
    "Work until killed; whether it was, and not too late."
    how = rng.choice(('line','touch','touch','size','outside'))
    if how=='line': pid = child(work, lambda: lines(rng.randint(1, n_lines)))
    elif how=='touch': pid = child(work, lambda: touches(rng.randint(1, n_touches)))
    elif how=='size': pid = child(work, lambda: grown(rng.randint(1, SIZES)))
    else:
        pid = child(work)
        time.sleep(rng.uniform(0, seconds))
        os.kill(pid, signal.SIGKILL)
    status = ended(pid)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGKILL,signal.SIGXFSZ)
    assert killed or status==0, f'{how}: failed'
    return killed

def named(folder):
    "Bytes of every file that has its final name: neither it nor a folder that it is in begins with a dot."
    inside = [(p, p.relative_to(folder)) for p in sorted(folder.rglob('*')) if p.is_file()]
    return {str(r):p.read_bytes() for p,r in inside if not any(part.startswith('.') for part in r.parts)}

def hidden(folder): return [p for p in folder.rglob('.*')]

def is_whole(found, *states):
    "Every file is one of a state that a run leaves."
    for name,content in found.items():
        if not any(state.get(name)==content for state in states): return f'{name} is there by halves'

def killed_again_and_again(work, folder, kills, seed, folders=()):
    "Kill runs of `work(folder, k)` that take turns with two results (k = 0, 1), until so many have died."
    wanted = []
    for k in (0,1):
        there = folder/f'whole{k}'
        there.mkdir()
        work(there, k)  # in this process, so that children find everything imported and read
        wanted.append(named(there))
    began = time.monotonic()
    n_lines,n_touches = count(lambda: work(folder/'a', 0), lines), count(lambda: work(folder/'b', 0), touches)
    seconds = (time.monotonic()-began)/2
    here,rng,died,tries = folder/'here', random.Random(seed), 0, 0
    here.mkdir()
    while died<kills:
        tries += 1
        assert tries<4*kills+20, f'only {died} of {tries} runs were killed'
        died += attempt(lambda: work(here, tries%2), rng, n_lines, n_touches, seconds)
        found = named(here)
        assert not (fault := is_whole(found, *wanted)), f'{fault}, after {died} kills'
        for name in folders:  # these are there whole or not at all, and not mixed
            inside = {n:c for n,c in found.items() if n.startswith(f'{name}/')}
            states = [{n:c for n,c in state.items() if n.startswith(f'{name}/')} for state in wanted]
            assert not inside or inside in states, f'{name} is mixed, after {died} kills'
    assert ended(child(lambda: work(here, 0)))==0, 'something is in the way'
    assert named(here)==wanted[0] and hidden(here)==[], 'what was killed is still there'

FORMATS = 'json,npz,bvh,glb,openpose,humanml3d'

def generation(folder, k):
    command('generate', 'arms raised', '-n', 1+k, '--steps', 2, '--out', folder, '--format', FORMATS)

def exports(folder, k):
    from text2pose.export import FORMATS, export, file_name
    x = POSES if k else POSES[:1]
    for format in FORMATS:
        if format!='png': export(x, folder/file_name('poses', format), format)
    export(x, folder/'each', 'npy', separate=True)

def build(folder, k):
    own = ('--mocap', given()/'captures', '--words', 0, '--stride', 1+k)
    command('data', 'build', *own, '--out', folder/'t.parquet')

FOLDERS = dict(generation=['poses.openpose'], exports=['poses.openpose','poses.depth','poses.normal','each'], build=[])
JOBS = dict(generation=generation, exports=exports, build=build)

@pytest.mark.parametrize('job', JOBS)
@pytest.mark.parametrize('kills', [6, pytest.param(50, marks=pytest.mark.campaign)])
def test_killed(tmp_path, job, kills):
    killed_again_and_again(JOBS[job], tmp_path, kills, kills, FOLDERS[job])

@pytest.mark.campaign
@pytest.mark.parametrize('writer', [w for w in WRITERS if w!='log of a run'])  # which grows, and is mended by a resume
def test_every_writer(tmp_path, writer):
    name,write = WRITERS[writer]
    def work(folder, k):
        if writer in ONCE and (folder/name).is_dir(): shutil.rmtree(folder/name)
        elif writer in ONCE: (folder/name).unlink(missing_ok=True)
        write(folder/name)
    killed_again_and_again(work, tmp_path, 5, len(writer), [name] if writer in ('archive','HumanML3D folder') else [])
