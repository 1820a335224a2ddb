"""A full disk: every writer says so in a sentence that names what it wrote, and leaves what was there, and no halves.

The disk is a small tmpfs. Where one may not be mounted (only root may), the kernel refuses to let a file grow instead
(RLIMIT_FSIZE): the error has another number and comes by the same way.
"""
import errno, os, resource, shutil, subprocess
from contextlib import contextmanager

import numpy as np, pytest

from writers import ONCE, WRITERS

SIZE = 24*2**20  # bytes of the disk

@pytest.fixture(scope='module')
def disk(tmp_path_factory):
    "A folder on a disk of its own, and what limits it: tmpfs or file size."
    folder = tmp_path_factory.mktemp('disk')
    mount = ['mount', '-t', 'tmpfs', '-o', f'size={SIZE}', 'text2pose-test', str(folder)]
    mounted = shutil.which('mount') and subprocess.run(mount, capture_output=True).returncode==0
    yield folder, 'tmpfs' if mounted else 'file size'
    if mounted: subprocess.run(['umount', '-l', str(folder)], check=True)

def files(folder):
    "Bytes of every file below a folder, hidden ones included."
    found = [p for p in sorted(folder.rglob('*')) if p.is_file() and p.name!='full']
    return {str(p.relative_to(folder)):p.read_bytes() for p in found}

@contextmanager
def only(disk, left):
    "So many bytes are left on the disk."
    folder,kind = disk
    if kind=='tmpfs':
        free = os.statvfs(folder)
        with open(folder/'full', 'wb') as f: f.truncate(0)
        fill(folder/'full', free.f_bavail*free.f_frsize-left)
        try: yield
        finally: (folder/'full').unlink()
        return
    limit,hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, hard))
    try: yield
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

def remove(path):
    if path.is_dir(): shutil.rmtree(path)
    else: path.unlink(missing_ok=True)

def fill(path, n):
    fd = os.open(path, os.O_WRONLY|os.O_CREAT)
    try: os.posix_fallocate(fd, 0, n)
    finally: os.close(fd)

def needed(write, folder, name):
    "Bytes that a writer takes on a disk with room, and the files of its result."
    (folder/'roomy').mkdir()
    write(folder/'roomy'/name)
    made = files(folder/'roomy')
    shutil.rmtree(folder/'roomy')
    return made

# of these two the message does not always name the path yet: only the long half asks them
LONG = ('HumanML3D folder','checkpoint')

@pytest.mark.parametrize('writer', [pytest.param(w, marks=pytest.mark.campaign) if w in LONG else w for w in WRITERS])
@pytest.mark.parametrize('old', [False,True], ids=['new','in place of an old one'])
def test_no_space(disk, writer, old, tmp_path):
    folder,kind = disk
    name,write = WRITERS[writer]
    for p in folder.iterdir(): shutil.rmtree(p) if p.is_dir() else p.unlink()
    made = needed(write, folder, name)
    whole = sum(map(len, made.values()))
    largest = max(map(len, made.values()))
    rng = np.random.default_rng(len(writer))
    pages = [0, 4096, *(int(rng.uniform(0, .9)*(whole if kind=='tmpfs' else largest)) for _ in range(3))]
    if kind!='tmpfs': pages = [p for p in pages if p<largest]
    here = folder/'here'
    here.mkdir()
    failed = 0
    for left in pages:
        if old and not (here/name).exists() and writer not in ONCE: write(here/name)
        before = files(here)
        left = left//4096*4096
        with only(disk, left):
            try: write(here/name)
            except (OSError, ValueError) as e: said = e
            else: said = None  # it went: what it took before was counted in larger pieces
        if said is None:
            if writer in ONCE: remove(here/name)
            continue
        failed += 1
        text = str(said)
        assert '\n' not in text and 'here' in text, text
        assert isinstance(said, ValueError) or said.errno in (errno.ENOSPC,errno.EFBIG,errno.EDQUOT,None), text
        after = files(here)
        spoilt = [n for n,content in after.items() if content not in (before.get(n), made.get(n))]
        assert not spoilt, f'{spoilt} after: {text}'
        lost = [n for n in before if n not in after]
        assert not lost, f'{lost} lost after: {text}'
    assert failed, f'{writer} never ran out of {kind}'
    if writer in ONCE: remove(here/name)
    write(here/name)  # nothing of it is in the way
