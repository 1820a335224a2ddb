"Damaged, empty, huge and adversarial .npy files: a good array or one ValueError naming the file; nothing is unpickled."
import io, pickle, resource
from pathlib import Path

import numpy as np, pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from text2pose.core import read_array
from text2pose.data import N_JOINTS, own_poses
from text2pose.humanml3d import read_humanml3d

FUZZ = settings(max_examples=2000, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck))

def npy(x, **kw):
    "The bytes of a .npy file."
    b = io.BytesIO()
    np.save(b, x, **kw)
    return b.getvalue()

def traced_pickle():
    "A pickle that leaves a file behind if anybody loads it."
    class Trace:
        def __reduce__(self): return Path.touch, (Path('unpickled'),)
    return pickle.dumps(Trace())

POSES = np.stack([p['joints'] for p in own_poses()[:4]])
SEEDS = [npy(POSES), npy(POSES.astype('>f8')), npy(np.asfortranarray(POSES)), npy(POSES[:0]),
    npy(POSES.astype(np.float16)), npy(np.array([{}]), allow_pickle=True), traced_pickle(), b'', b'\x93NUMPY']
HEADERS = [b"(4, 22, 3)", b"(9**9,22,3)", b"(4294967296, 22, 3)", b"(99999999999999999999, 22, 3)", b"(-4, 22, 3)",
    b"(4.0, 22, 3)", b"(True, 22, 3)", b"((((((((((4", b"()", b"(264,)", b"(0, 22, 3)", b"'<f4'", b"'|O'", b"'<U9'",
    b"'<c8'", b"'<M8[s]'", b"[('a','<f4')]", b"True", b"False"]
CLIP_IDS = ['000001','M000001','../000001','','.','a/b']

@st.composite
def files(draw):
    "A .npy file with up to four injuries."
    b = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        how = draw(st.sampled_from(['flip','cut','insert','header','repeat']))
        i = draw(st.integers(0, max(0, min(len(b)-1, 160))))
        if how=='flip' and b: b[i] = draw(st.integers(0, 255))
        if how=='cut': del b[draw(st.integers(0, len(b))):]
        if how=='insert': b[i:i] = draw(st.binary(max_size=20))
        if how=='header':
            b = bytearray(bytes(b).replace(draw(st.sampled_from(HEADERS)), draw(st.sampled_from(HEADERS)), 1))
        if how=='repeat': b += b[i:]
    return bytes(b)

@pytest.fixture(scope='module')
def folder(tmp_path_factory): return tmp_path_factory.mktemp('npy')

@FUZZ
@given(content=st.one_of(files(), st.binary(max_size=300)))
def test_read_array(folder, content):
    path = folder/'x.npy'
    path.write_bytes(content)
    try: x = read_array(path, (None,N_JOINTS,3))
    except ValueError as e: assert str(path) in str(e)
    else:
        assert x.dtype.kind=='f' and x.shape[1:]==(N_JOINTS,3) and np.isfinite(x).all()
        assert x.nbytes<=8*len(content)
    assert not Path('unpickled').exists() and not (folder/'unpickled').exists()

@FUZZ
@given(content=files(), ids=st.lists(st.one_of(st.sampled_from(CLIP_IDS), st.text(max_size=8)), max_size=4))
def test_read_humanml3d(folder, content, ids):
    "A folder with any motion file and any split list: clips, or what was skipped; strict or not."
    d = folder/'h'
    for sub in ('new_joint_vecs','new_joints','texts'): (d/sub).mkdir(parents=True, exist_ok=True)
    (d/'new_joints'/'000001.npy').write_bytes(content)
    (d/'texts'/'000001.txt').write_text('a person stands.#a/DET person/NOUN stand/VERB#0.0#0.0\n')
    (d/'train.txt').write_text('\n'.join(ids), encoding='utf-8', errors='surrogatepass')
    skipped = []
    try: clips = list(read_humanml3d(d, on_skip=skipped.append))
    except ValueError as e:
        assert 'train.txt' in str(e)
        return
    assert all(c.joints.shape[1:]==(N_JOINTS,3) and np.isfinite(c.joints).all() for c in clips)
    listed = [line for line in (d/'train.txt').read_text(encoding='utf-8').splitlines() if line.strip()]
    assert len(clips)+len(skipped)==len(listed)

def test_memory(folder):
    "A header that claims a terabyte costs nothing."
    path = folder/'big.npy'
    path.write_bytes(npy(POSES).replace(b'(4, 22, 3), }'.ljust(30), b'(4294967296, 22, 3), }'.ljust(30)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match='big.npy is not a readable'): read_array(path, (None,N_JOINTS,3))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss-before<100_000
