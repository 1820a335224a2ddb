"""Damaged BVH, ASF and AMC files: a good result, or a ValueError that names the file; nothing else, quickly and in
little memory."""
import tempfile, tracemalloc
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings, strategies as st

from text2pose.core import check_array
from text2pose.mocap import auto_map, read_amc, read_bvh, read_mocap
from test_mocap import STAND, bvh_of, random_amc, random_bvh

FUZZ = settings(max_examples=2000, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
_BOX = tempfile.TemporaryDirectory()
BOX = Path(_BOX.name)
BVH = [random_bvh(np.random.default_rng(s), n_joints=n, n_frames=3)[0] for s,n in ((0,1),(1,4),(2,7))]
BVH.append(bvh_of(STAND, 2))
PAIRS = [random_amc(np.random.default_rng(s), n_bones=n, n_frames=3)[:2] for s,n in ((0,1),(1,3),(2,6))]

ODD = ['', '{', '}', '\n', '\t', '#', ':', '-', '.', '0', '-1', '1e400', '1e38', '1e300', 'nan', 'inf', '-inf', '1_0', '٣', '0x10', '999999999999999999999', '9'*5000, '1'*400, '1,5', 'HIERARCHY', 'ROOT', 'JOINT a', 'End Site', 'OFFSET', 'OFFSET 0 0 0',
    'CHANNELS', 'CHANNELS 3 Zrotation Xrotation Yrotation', 'CHANNELS 99 Xrotation', 'MOTION', 'Frames: 1000000000000', 'Frames: 0', 'Frames: -5', 'Frame Time: 0', 'Frame Time: nan', 'Xposition', ':root', ':bonedata', ':hierarchy', ':units', ':documentation',
    'begin', 'end', 'dof rx', 'dof rx rx', 'dof', 'limits (', 'axis 0 0 0 XXZ', 'axis', 'name root', 'name b0', 'length 0', 'length 1e308', 'direction 0 0 0', 'root b0', 'b0 b0', 'b0 root', 'angle rad', 'angle grad', 'order TX', ':DEGREES', ':RADIANS',
    ':SAMPLES-PER-SECOND 0', ':SAMPLES-PER-SECOND', '1', '2', '18', 'root', 'root 0 0 0 0 0 0', '\0', '\ufeff', '\ufffd', '\u2028', '\x0c', 'é', '漢', 'x'*300]

ANYTHING = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(ODD), max_size=30).map(' '.join),
    st.lists(st.sampled_from(ODD), max_size=30).map('\n'.join))
DAMAGE = ['word','line','drop word','drop line','twice','swap','cut','insert'] + 6*['number'] + 2*['space']

def damage_word(draw, kind, words, k):
    "Drop a word, or put another in its place."
    if kind=='drop word': new = []
    elif kind=='word': new = [draw(st.sampled_from(ODD))]
    else: new = [repr(draw(st.one_of(st.floats(-200, 200), st.floats())))]
    return words[:k]+new+words[k+1:]

def damage(draw, text):
    "A text with one word, line or stretch changed."
    kind = draw(st.sampled_from(DAMAGE))
    lines = text.split('\n')
    i = draw(st.integers(0, len(lines)-1))
    words = lines[i].split()
    k = draw(st.integers(0, max(0, len(words)-1)))
    if kind=='cut': return text[:draw(st.integers(0, len(text)))]
    if kind=='swap':
        j = draw(st.integers(0, len(lines)-1))
        lines[i],lines[j] = lines[j],lines[i]
    elif kind=='drop line': del lines[i]
    elif kind=='twice': lines[i:i] = lines[i:i+draw(st.integers(1, 8))]
    elif kind=='insert': lines.insert(i, draw(st.sampled_from(ODD)))
    elif kind=='space': lines.insert(i, draw(st.sampled_from(['', '\t ', '# 1 2 3', '\r'])))
    elif kind=='line': lines[i] = draw(st.sampled_from(ODD))
    elif words: lines[i] = ' '.join(damage_word(draw, kind, words, k))
    return '\n'.join(lines)

@st.composite
def damaged(draw, originals):
    "A valid text with a few words, lines or stretches changed; now and then anything at all."
    if draw(st.integers(0, 9))==0: return draw(ANYTHING)
    text = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 3))): text = damage(draw, text)
    return text

def put(name, text):
    p = BOX/name
    p.write_bytes(text.encode('utf-8', 'surrogatepass'))
    return p

def good_or_sentence(read, *names):
    "Either a sound Motion, or one sentence about one of the files; its line where the trouble has one."
    try: m = read()
    except ValueError as e:
        said = str(e)
        assert any(n in said for n in names) and '\n' not in said and len(said)<3000, said
        return None
    n = len(m.names)
    assert n==len(m.parents)==len(m.offsets)==m.positions.shape[1]==len(set(m.names))
    assert len(m.positions)>=1 and m.positions.dtype==np.float32 and 1<=m.fps<=10_000
    assert np.isfinite(m.positions).all() and np.isfinite(m.offsets).all()
    assert all(-1<=p<j for j,p in enumerate(m.parents))
    auto_map(m)
    return m

@FUZZ
@given(damaged(BVH))
def test_bvh(text):
    p = put('f.bvh', text)
    good_or_sentence(lambda: read_bvh(p), 'f.bvh')

@FUZZ
@given(st.integers(0, len(PAIRS)-1).flatmap(lambda i: st.tuples(st.just(i), damaged([PAIRS[i][1]]))))
def test_amc(case):
    i,text = case
    a,p = put('g.asf', PAIRS[i][0]),put('g.amc', text)
    good_or_sentence(lambda: read_amc(p, a), 'g.amc')

@FUZZ
@given(st.integers(0, len(PAIRS)-1).flatmap(lambda i: st.tuples(st.just(i), damaged([PAIRS[i][0]]))))
def test_asf(case):
    i,text = case
    a,p = put('h.asf', text),put('h.amc', PAIRS[i][1])
    good_or_sentence(lambda: read_amc(p, a), 'h.asf', 'h.amc')

@settings(FUZZ, max_examples=600)
@given(damaged([bvh_of(STAND, 2)]))
def test_clip(text):
    "The whole way: what is read as a person is finite and on the floor."
    p = put('c.bvh', text)
    try: c = read_mocap(p)
    except ValueError as e:
        said = str(e)
        assert '\n' not in said and len(said)<12_000, said
        assert 'c.bvh' in said or 'frames' in said or 'rest pose' in said, said
        return
    check_array(c.joints, (None,22,3), 'joints')
    assert abs(c.joints[...,2].min())<1e-4 and len(c.joints)<=40

def test_memory():
    "The worst of them, once more, with memory watched."
    tracemalloc.start()
    for odd in ODD:
        for i in (0,3):
            for line in range(0, BVH[i].count('\n'), 12):
                lines = BVH[i].split('\n')
                lines[line] = odd
                p = put('m.bvh', '\n'.join(lines))
                good_or_sentence(lambda: read_bvh(p), 'm.bvh')
    assert tracemalloc.get_traced_memory()[1]<50e6
    tracemalloc.stop()
