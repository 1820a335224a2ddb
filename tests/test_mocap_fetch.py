"Fetching an archive, against a server on loopback: once, cached, interrupted, changed, missing, hostile."
import hashlib, io, json, socket, threading, time, types, zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from text2pose import mocap
from text2pose.mocap import ARCHIVES, fetch, mocap_files, read_mocap_folder, unpack
from test_mocap import STAND, bvh_of

def archive(files):
    b = io.BytesIO()
    with zipfile.ZipFile(b, 'w', zipfile.ZIP_DEFLATED) as z:
        for n,t in files.items(): z.writestr(n, t)
    return b.getvalue()

class Server:
    "Serves `bytes`; ranges and a tag if `tag` is set; breaks off after `cut` bytes if set; answers `status` if set."
    def __init__(self, data, tag='"v1"'):
        self.data,self.tag,self.cut,self.status,self.asked = data,tag,None,None,[]
        me = self
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args): pass
            def do_GET(self):
                ask = self.headers.get('Range')
                me.asked.append(ask)
                if me.status:
                    self.send_error(me.status)
                    return
                at = int(ask[6:-1]) if ask and me.tag and self.headers.get('If-Range')==me.tag else 0
                if at>=len(me.data) and at:
                    self.send_error(416)
                    return
                self.send_response(206 if at else 200)
                self.send_header('Content-Length', str(len(me.data)-at))
                if at: self.send_header('Content-Range', f'bytes {at}-{len(me.data)-1}/{len(me.data)}')
                if me.tag: self.send_header('ETag', me.tag)
                self.end_headers()
                self.wfile.write(me.data[at:me.cut])
                if me.cut: self.close_connection = True
        self.http = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f'http://127.0.0.1:{self.http.server_port}/set.zip'

GOOD = archive({
    '100STYLE/Angry/Angry_FW.bvh':bvh_of(STAND), '100STYLE/Proud/Proud_ID.bvh':bvh_of(STAND),
    '100STYLE/notes.txt':'notes', '100STYLE/run.sh':'echo'})

@pytest.fixture
def server(monkeypatch):
    for k in ('http_proxy','HTTP_PROXY','all_proxy','ALL_PROXY'): monkeypatch.delenv(k, raising=False)
    s = Server(GOOD)
    yield s
    s.http.shutdown()
    s.http.server_close()

def get(d, server, **kw):
    return fetch('style100', d, server if isinstance(server, str) else server.url, say=lambda s: None, **kw)

def left(d):
    "Files of a folder but source.json, which test_once_then_cached looks at."
    return sorted(str(p.relative_to(d)) for p in d.rglob('*') if p.is_file() and p.name!='source.json')

WHOLE = ['100STYLE.zip', 'fetched.json', 'files/100STYLE/Angry/Angry_FW.bvh', 'files/100STYLE/Proud/Proud_ID.bvh',
         'files/100STYLE/notes.txt']

def test_once_then_cached(server, tmp_path):
    said,seen = [],[]
    def progress(pieces):
        for piece in pieces:
            seen.append(1)
            yield piece
    out = fetch('style100', tmp_path, server.url, say=said.append, progress=progress)
    assert left(tmp_path)==WHOLE and out==tmp_path/'files' and seen and server.asked==[None]
    assert 'CC BY 4.0' in said[0] and 'Mason' in said[0] and 'fetching http' in said[1] and '3 files' in said[2]
    assert json.loads((tmp_path/'fetched.json').read_text())['100STYLE.zip']['bytes']==len(GOOD)
    assert [c.captions[0].text for c in read_mocap_folder(out)]==['angry, forwards walking','proud, idling']
    assert {(c.source,c.licence) for c in read_mocap_folder(out)}=={('style100','CC BY 4.0')}
    assert get(tmp_path, server)==out and server.asked==[None]  # nothing asked again
    (tmp_path/'100STYLE.zip').unlink()
    get(tmp_path, server)
    assert len(server.asked)==2 and left(tmp_path)==WHOLE  # the same bytes: fine

def test_own_copy_is_taken(server, tmp_path):
    (tmp_path/'100STYLE.zip').write_bytes(GOOD)
    get(tmp_path, server)
    assert server.asked==[] and left(tmp_path)==WHOLE

@pytest.mark.parametrize('tag', ['"v1"', None])
def test_interrupted(server, tmp_path, tag):
    server.tag,server.cut = tag,300
    with pytest.raises(ConnectionError, match='after 300 of'): get(tmp_path, server)
    kept = ['.100STYLE.zip.part','.100STYLE.zip.part.json']  # nothing that looks whole, and nothing that is of no use
    assert left(tmp_path)==(kept if tag else [])
    server.cut = None
    get(tmp_path, server)
    assert left(tmp_path)==WHOLE
    assert server.asked==[None,'bytes=300-' if tag else None]  # resumed, or begun anew

def test_changed_while_interrupted(server, tmp_path):
    server.cut = 300
    with pytest.raises(ConnectionError): get(tmp_path, server)
    server.cut,server.tag,server.data = None,'"v2"',archive({'other/Proud_ID.bvh':bvh_of(STAND)})
    get(tmp_path, server)
    assert [i for i,_ in mocap_files(tmp_path)]==['Proud_ID']  # no mixture of the two

def test_other_bytes_are_refused(server, tmp_path):
    get(tmp_path, server)
    (tmp_path/'100STYLE.zip').unlink()
    server.data = archive({'evil.bvh':'x'})
    before = left(tmp_path)
    with pytest.raises(ValueError, match='gives other bytes than those first fetched; nothing was kept. If you trust'):
        get(tmp_path, server)
    assert left(tmp_path)==before
    (tmp_path/'100STYLE.zip').write_bytes(b'changed')
    with pytest.raises(ValueError, match='is not the file that was fetched .* delete it'): get(tmp_path, server)

@pytest.mark.parametrize('status', [404, 403, 500])
def test_refused(server, tmp_path, status):
    server.status = status
    with pytest.raises(ConnectionError, match=f'answered {status} .*url=') as e: get(tmp_path, server)
    assert left(tmp_path)==[] and '\n' not in str(e.value)

def test_no_server(server, tmp_path):
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(ConnectionError, match='cannot be reached: .*refused.*url='): get(tmp_path, server)
    assert left(tmp_path)==[]
    for url in ('file:///etc/passwd','ftp://x/y','nonsense'):
        with pytest.raises(ValueError, match='is not an https address'): get(tmp_path, url)
    with pytest.raises(ValueError, match='unknown archive'): fetch('amass', tmp_path)
    with pytest.raises(ValueError, match="url names 'x.zip'"):
        fetch('style100', tmp_path, {'x.zip':server.url}, say=lambda s: None)

def test_cmu_with_index(server, tmp_path):
    index = Server(b'Subject #1 (x)\n\n01_01\tstand still\n')
    server.data = archive({'all/subjects/01/01_01.bvh':bvh_of(STAND)})
    out = fetch('cmu', tmp_path, dict(zip(ARCHIVES['cmu']['files'], (server.url,index.url))), say=lambda s: None)
    assert [(c.id,c.captions[0].text) for c in read_mocap_folder(out)]==[('01_01','stand still')]
    index.http.shutdown()
    index.http.server_close()

def symlink():
    b = io.BytesIO()
    with zipfile.ZipFile(b, 'w') as z:
        i = zipfile.ZipInfo('link.bvh')
        i.external_attr = 0o120777<<16
        z.writestr(i, '/etc/passwd')
    return b.getvalue()

@pytest.mark.parametrize('data,says', [
    (b'no zip', 'not a readable archive'),
    (GOOD[:-200], 'not a readable archive'),
    (GOOD[:60]+b'\xff'*40+GOOD[100:], 'not a readable archive'),
    (archive({'../x.bvh':'x'}), 'refused to unpack'),
    (archive({'/abs.bvh':'x'}), 'refused to unpack'),
    (archive({'a\\..\\..\\x.bvh':'x'}), 'refused to unpack'),
    (archive({'C:/x.bvh':'x'}), 'refused to unpack'),
    (symlink(), 'refused to unpack'),
    (archive({'x.bvh':b'0'*10**7}), 'more than the limit'),
    (archive({f'{i}.bvh':'x' for i in range(40)}), '40 files, more than the limit'),
    (archive({'a.bvh':'x','a.bvh/b.bvh':'y'}), 'not a readable archive')])
def test_hostile_archives(data, says, tmp_path):
    (tmp_path/'a.zip').write_bytes(data)
    with pytest.raises(ValueError, match=says): unpack(tmp_path/'a.zip', tmp_path/'out', max_bytes=10**6, max_files=30)
    assert left(tmp_path)==['a.zip'] and sorted(p.name for p in tmp_path.parent.iterdir() if p.name=='x.bvh')==[]

def test_bad_archive_can_be_fetched_again(server, tmp_path):
    server.data = b'a login page'
    with pytest.raises(ValueError, match='not a readable archive'): get(tmp_path, server)
    assert left(tmp_path)==[]  # neither kept nor written down
    server.data = GOOD
    get(tmp_path, server)
    assert left(tmp_path)==WHOLE

# ---- servers that mean no good

class RawServer:
    "Answers every connection by what `talk` does with the socket."
    def __init__(self, talk):
        self.socket = socket.create_server(('127.0.0.1',0))
        self.url = f'http://127.0.0.1:{self.socket.getsockname()[1]}/set.zip'
        self.talk = talk
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try: connection,_ = self.socket.accept()
            except OSError: return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        try:
            with connection:
                connection.recv(10_000)
                self.talk(connection)
        except OSError: pass  # the other side has gone

@pytest.fixture
def raw(monkeypatch):
    "Makes servers; whoever waits waits for one second, not for a minute."
    for k in ('http_proxy','HTTP_PROXY','all_proxy','ALL_PROXY'): monkeypatch.delenv(k, raising=False)
    monkeypatch.setattr(mocap, '_WAIT', 1)
    monkeypatch.setattr(mocap, '_SPEED_WINDOW', 1)
    monkeypatch.setattr(mocap, '_MAX_DOWNLOAD', 10**6)
    servers = []
    def make(talk):
        servers.append(RawServer(talk))
        return servers[-1].url
    yield make
    for s in servers: s.socket.close()

def forever(piece, pause=0.):
    def talk(connection):
        connection.sendall(b'HTTP/1.1 200 OK\r\nETag: "v1"\r\n\r\n')
        while True:
            connection.sendall(piece)
            time.sleep(pause)
    return talk

def drip_header(connection):
    connection.sendall(b'HTTP/1.1 200 OK\r\nX: ')
    while True:
        connection.sendall(b'x')
        time.sleep(.05)

def drip_chunk(connection):
    connection.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    while True:
        connection.sendall(b'0')
        time.sleep(.05)

def says_too_much(connection): connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nPK')

def silent(connection): time.sleep(5)

@pytest.mark.parametrize('talk,error,says', [
    (forever(bytes(10_000)), ValueError, 'has 1 MB; at most 1 MB are read'),
    (forever(b'x', .02), ConnectionError, 'bytes came in 1 seconds; call again to go on'),
    (drip_header, ConnectionError, 'nothing came for 1 seconds'),
    (drip_chunk, ConnectionError, 'nothing came for 1 seconds'),
    (says_too_much, ValueError, 'has 100,000 MB; at most 1 MB are read'),
    (silent, ConnectionError, 'nothing came for 1 seconds|timed out')],
    ids=['endless','drips','header drips','chunk drips','too large','silent'])
def test_nobody_waits_forever(raw, tmp_path, talk, error, says):
    "Endless and slow answers end, and leave only what a later call can go on from."
    with pytest.raises(error, match=says) as e: get(tmp_path, raw(talk))
    assert '\n' not in str(e.value)
    assert left(tmp_path) in ([], ['.100STYLE.zip.part','.100STYLE.zip.part.json'])
    if error is ValueError: assert left(tmp_path)==[]

@pytest.mark.parametrize('url', [
    'http://example.org/x.zip', 'https:///x.zip', 'http://127.0.0.1.example.org/x', 'gopher://x'])
def test_https_only(raw, tmp_path, url):
    with pytest.raises(ValueError, match='is not an https address'): get(tmp_path, url)
    redirect = f'HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n'.encode()
    with pytest.raises((ValueError,ConnectionError), match='is not an https address|not allowed|https'):
        get(tmp_path, raw(lambda c: c.sendall(redirect)))
    assert left(tmp_path)==[]
    assert all(address.startswith('https://') for a in ARCHIVES.values() for address in a['files'].values())

def test_a_checksum_of_ones_own(server, tmp_path):
    good = hashlib.sha256(GOOD).hexdigest()
    with pytest.raises(ValueError, match='gives other bytes'): get(tmp_path, server, sha256='0'*64)
    assert left(tmp_path)==[]
    get(tmp_path, server, sha256={'100STYLE.zip':good.upper()})
    assert left(tmp_path)==WHOLE
    with pytest.raises(ValueError, match='is not the file that was fetched'): get(tmp_path, server, sha256='0'*64)
    for wrong,says in (('abc','must be 64 hexadecimal digits'), ({'x.zip':good}, "sha256 names 'x.zip'")):
        with pytest.raises(ValueError, match=says): get(tmp_path, server, sha256=wrong)

@pytest.mark.parametrize('note', ['{', '[]', '{"url": 3}', '{"validator": ["x"]}'])
def test_a_damaged_note_begins_anew(server, tmp_path, note):
    (tmp_path/'.100STYLE.zip.part').write_bytes(b'something')
    (tmp_path/'.100STYLE.zip.part.json').write_text(note)
    get(tmp_path, server)
    assert left(tmp_path)==WHOLE and server.asked==[None]

@pytest.mark.parametrize('files', [{'notes.txt':'x'}, {}, {'a.amc':'x'}, {'a.asf':'x', 'b.md':'y'}])
def test_no_captures_in_it(server, tmp_path, files):
    "Nothing is called ready that holds nothing to read."
    server.data = archive(files)
    with pytest.raises(ValueError, match='holds no capture: expected .bvh files, or .amc files and their .asf'):
        get(tmp_path, server)
    assert left(tmp_path)==[]
    (tmp_path/'files').mkdir()
    server.data = GOOD
    with pytest.raises(ValueError, match='files holds no .bvh or .amc file; delete it'): get(tmp_path, server)

def many_members():
    b = io.BytesIO()
    with zipfile.ZipFile(b, 'w') as z:
        for i in range(70_000): z.writestr(f'{i}', b'')
    return b.getvalue()

@pytest.mark.parametrize('make,says', [
    (lambda: archive({'x.bvh':bytes(140_000_000)}), 'has 140 MB; at most 134 MB are read'),
    (lambda: archive({'a'*300+'.bvh':'x'}), 'refused to unpack'),
    (lambda: archive({'a\x1b[2J.bvh':'x'}), 'refused to unpack'),
    (many_members, '70,000 files, more than the limit of 50,000')], ids=['member','name','escape','many'])
def test_what_an_archive_may_hold(make, says, tmp_path):
    (tmp_path/'a.zip').write_bytes(make())
    with pytest.raises(ValueError, match=says): unpack(tmp_path/'a.zip', tmp_path/'out')
    assert left(tmp_path)==['a.zip']

def test_no_room_on_the_disk(tmp_path, monkeypatch):
    (tmp_path/'a.zip').write_bytes(GOOD)
    monkeypatch.setattr(mocap.shutil, 'disk_usage', lambda path: types.SimpleNamespace(free=5))
    with pytest.raises(ValueError, match='out needs 0 MB; 0 MB are free'): unpack(tmp_path/'a.zip', tmp_path/'out')
    assert left(tmp_path)==['a.zip']
