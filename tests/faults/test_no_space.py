"""A full disk: every writer says so in a sentence that names what it wrote, and leaves what was there, and no halves.

The disk is a small tmpfs, full at the first byte, at the last, somewhere between, or with no room for another file. Where
one may not be mounted (only root may), the kernel refuses to let a file grow instead (RLIMIT_FSIZE): the error has another
number and comes by the same way.
"""
import errno, gc, json, os, resource, shutil, subprocess
from contextlib import contextmanager

import numpy as np, pytest, torch

import readers
from text2pose.core import append_line
from text2pose.train import Checkpoints
from writers import ONCE, WRITERS

SIZE,PAGE = 24*2**20,4096  # bytes of the disk, and of what a file on it takes at a time
FULL = {errno.ENOSPC:'No space left on device', errno.EFBIG:'File too large', errno.EDQUOT:'Disk quota exceeded'}

@pytest.fixture(scope='module')
def disk(tmp_path_factory):
    "A folder on a disk of its own, and what limits it: tmpfs or file size."
    folder = tmp_path_factory.mktemp('disk')
    mount = ['mount', '-t', 'tmpfs', '-o', f'size={SIZE}', 'text2pose-test', str(folder)]
    mounted = shutil.which('mount') and subprocess.run(mount, capture_output=True).returncode==0
    yield folder, 'tmpfs' if mounted else 'file size'
    gc.unfreeze()
    if mounted: subprocess.run(['umount', '-l', str(folder)], check=True)

def files(folder):
    "Bytes of every file below a folder, hidden ones included."
    found = [p for p in sorted(folder.rglob('*')) if p.is_file() and p.name!='full']
    return {str(p.relative_to(folder)):p.read_bytes() for p in found}

@contextmanager
def only(disk, what, n):
    "So many bytes, or so many new files, are what the disk has room for."
    gc.collect()  # closes what a failed writer left open: it takes room even without a name
    gc.freeze()   # the next time is quick
    with {'bytes':only_bytes, 'files':only_files}[what](*disk, n): yield

@contextmanager
def only_bytes(folder, kind, n):
    if kind=='tmpfs':
        free = os.statvfs(folder)
        assert free.f_blocks*free.f_frsize<=SIZE, 'the small disk is not there: another one must not be filled'
        fill(folder/'full', free.f_bavail*free.f_frsize-n)
        try: yield
        finally: (folder/'full').unlink()
        return
    limit,hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n, hard))
    try: yield
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

@contextmanager
def only_files(folder, kind, n):
    before = os.statvfs(folder)
    def remount(most): subprocess.run(['mount', '-o', f'remount,nr_inodes={most}', str(folder)], check=True)
    remount(before.f_files-before.f_ffree+n)
    try: yield
    finally: remount(before.f_files)

def remove(path):
    if path.is_dir(): shutil.rmtree(path)
    else: path.unlink(missing_ok=True)

def fill(path, n):
    fd = os.open(path, os.O_WRONLY|os.O_CREAT)
    try:
        if n: os.posix_fallocate(fd, 0, n)
    finally: os.close(fd)

def needed(write, folder, name):
    "The files of a writer on a disk with room."
    (folder/'roomy').mkdir()
    write(folder/'roomy'/name)
    made = files(folder/'roomy')
    shutil.rmtree(folder/'roomy')
    return made

def rooms(writer, made, kind, n):
    "What there is room for: no byte, all but the last page, some pages between, and too few files."
    rng = np.random.default_rng(len(writer))
    if kind!='tmpfs':
        largest = max(map(len, made.values()))
        return [('bytes',0), *(('bytes', int(x)) for x in rng.uniform(0, largest, n)), ('bytes',largest-1)]
    whole = sum(-(-len(content)//PAGE) for content in made.values())
    between = rng.integers(1, whole, n).tolist() if whole>1 else []
    most = len(made)+2  # files and folders that are made at least: a temporary folder, one in it, and these
    return [*(('bytes', PAGE*k) for k in (0,*between,whole-1)),
            *(('files', int(k)) for k in rng.integers(0, most, n))]

@pytest.fixture
def here(disk):
    "An empty folder on the disk."
    for p in disk[0].iterdir(): remove(p)
    (disk[0]/'here').mkdir()
    return disk[0]/'here'

def is_refused(write, path):
    "Whether the disk refused, which must be said in a sentence about what was to be written."
    try: write(path)
    except (OSError, ValueError) as e: said = e
    else: return False
    text = str(said)
    assert '\n' not in text and str(path.parent) in text, text
    assert '.text2pose' not in text.replace('.text2pose.lock', ''), text
    assert any(why in text for why in (*FULL.values(),'MB are free')), text
    assert isinstance(said, ValueError) or said.errno in (None,*FULL), text  # a command's error is text alone
    return True

@pytest.mark.parametrize('n', [1, pytest.param(3, marks=pytest.mark.campaign)])
@pytest.mark.parametrize('writer', WRITERS)
@pytest.mark.parametrize('old', [False,True], ids=['new','in place of an old one'])
def test_no_space(disk, here, writer, old, n):
    name,write = WRITERS[writer]
    if old and writer in ONCE: pytest.skip('refuses to replace anything')
    made = needed(write, disk[0], name)
    for room in rooms(writer, made, disk[1], n):
        if old and not (here/name).exists(): write(here/name)
        if not old: remove(here/name)
        before = files(here)
        with only(disk, *room): refused = is_refused(write, here/name)
        if not refused:
            # an old one gives its room away, and a log needs no temporary folder
            assert old or (writer=='log of a run' and room[0]=='files'), f'went with room for {room}'
            continue
        after = files(here)
        spoilt = [n for n,content in after.items() if content not in (before.get(n), made.get(n)) and '.parts/' not in n]
        assert not spoilt, f'{spoilt} with room for {room}'
        lost = [n for n in before if n not in after]
        assert not lost, f'{lost} lost with room for {room}'
        hidden = [p.name for p in here.rglob('.*') if p.name not in ('.parts','.text2pose.lock')]
        assert not hidden, f'{hidden} left with room for {room}'
    if not old: remove(here/name)
    write(here/name)  # nothing of it is in the way
    assert files(here).keys()==before.keys()|made.keys()

def test_the_checkpoint_before_stays_usable(disk, here):
    "While one of the same step, or the next one, cannot be written, training goes on from the one that is there."
    run,checkpoints = readers._run(),Checkpoints(here)
    rooms = [('bytes',0), ('bytes',PAGE*5), ('files',0), ('files',1), ('files',2)]
    for step in (3,3,4):
        run.step = step
        before = [p.name for p in checkpoints.paths()]
        for room in rooms if disk[1]=='tmpfs' else rooms[:2]:
            with only(disk, *room), pytest.raises(OSError, match=f'cannot write the checkpoint .*{step}: ') as e:
                run.save_checkpoint(checkpoints)
            how = f'training can go on from {before[-1]}' if before else 'there is no earlier one'
            assert str(e.value).endswith(how) and str(e.value).count('cannot write')==1, str(e.value)
            assert [p.name for p in checkpoints.paths()]==before
            for path in checkpoints.paths(): checkpoints.read(path)
        run.save_checkpoint(checkpoints)
    run.step = 0
    run.load_checkpoint(checkpoints.newest(pytest.fail))
    assert run.step==4

def test_old_checkpoints_go_from_a_full_disk(disk, here):
    for step in (1,2): Checkpoints(here).save({'a':torch.zeros(9)}, dict(step=step))
    with only(disk, 'bytes', 0): Checkpoints(here, keep_last=1).remove_old()
    assert os.listdir(here/'checkpoints')==['step-00000002']

def test_lines_of_a_log(disk, here):
    "Those that found room are whole."
    log = here/'metrics.jsonl'
    def write(path):
        for step in range(9999): append_line(path, json.dumps(dict(step=step)))
    with only(disk, 'bytes', PAGE): assert is_refused(write, log)
    steps = [json.loads(line)['step'] for line in log.read_text().splitlines()]
    assert steps==list(range(len(steps))) and len(steps)>100 and log.read_text()[-1]=='\n'
