"""Captions from anywhere: a texts file gives captions or one sentence naming file and line; any text can be tagged, cut
and mirrored."""
import numpy as np, pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from text2pose.data import Caption
from text2pose.captions import (
    MAX_CAPTION, action_segments, action_weight, caption_tags, default_tagger, first_action, first_action_frames,
    first_action_share, mirror_words, read_texts, split_words)

def thorough(n):
    checks = list(HealthCheck)
    return settings(max_examples=n, derandomize=True, deadline=None, database=None, suppress_health_check=checks)

GOOD = [
    'a man walks forward, then sits down.#a/DET man/NOUN walk/VERB forward/ADV then/ADV sit/VERB down/ADV#0.0#0.0',
    'she kicks twice#she/PRON kick/VERB twice/ADV#1.5#4.25',
    'someone waves#someone/PRON wave/VERB#nan#nan']
TIMES = ['0.0', '1', '-1', 'nan', 'inf', '-inf', '1e999', '1e-400', '', 'zero', '0x10', '１', '1_0', '٣', ' 2 ', '5.0']
FIELDS = ['a man walks', '', ' ', 'a/DET man/NOUN', '/', '//', 'man/', '/NOUN', 'a/b/c', '\ufeff', '\x00', '\u2028',
    '\x0c', 'x'*(MAX_CAPTION+1), '𝕨𝕒𝕝𝕜/VERB', 'é']

times = st.sampled_from(TIMES) | st.floats().map(repr)
field = st.sampled_from(FIELDS) | st.text(max_size=12)

@st.composite
def lines(draw):
    "A good line, four fields that may be anything, or any fields with any separator."
    kind = draw(st.sampled_from(['good','four fields','any']))
    if kind=='good': return draw(st.sampled_from(GOOD))
    if kind=='four fields': return '#'.join(draw(st.tuples(field, field, times, times)))
    return draw(st.sampled_from(['#','#','#','/','\t',''])).join(draw(st.lists(field|times, max_size=6)))

@st.composite
def documents(draw):
    "A few lines and any ends of lines, as bytes."
    end = draw(st.sampled_from(['\n', '\r\n', '\n\n', '\r', '\x0b']))
    return end.join(draw(st.lists(lines(), max_size=5))).encode('utf-8', 'surrogatepass')

@st.composite
def mutated(draw):
    "A good file with bytes cut out, doubled, flipped or put in."
    b = bytearray('\n'.join(GOOD).encode())
    for _ in range(draw(st.integers(1, 4))):
        i = draw(st.integers(0, len(b)))
        j = draw(st.integers(i, min(len(b), i+30)))
        pieces = [b'', bytes(b[i:j])*2, b'#', b'\n', b'/', b'\xff', b'\x00']
        b[i:j] = draw(st.sampled_from(pieces) | st.binary(max_size=6))
    return bytes(b)

@pytest.fixture(scope='module')
def path(tmp_path_factory): return tmp_path_factory.mktemp('texts')/'000001.txt'

def check_file(path, content):
    path.write_bytes(content)
    try: captions = read_texts(path)
    except ValueError as e:
        assert str(e).startswith(str(path)) and ', line ' in str(e) and '\n' not in str(e).strip()
        return
    for c in captions:
        assert c.text.strip()==c.text!='' and len(c.text)<=MAX_CAPTION and c.kind=='human'
        assert all(w and isinstance(t, str) for w,t in c.tags)
        assert 0<=c.start<=c.end<np.inf
    assert len(captions)<=content.count(b'\n')+1

@thorough(900)
@given(content=documents())
def test_made_files(path, content): check_file(path, content)

@thorough(900)
@given(content=mutated())
def test_mutated_files(path, content): check_file(path, content)

@thorough(400)
@given(content=st.binary(max_size=300))
def test_random_bytes(path, content): check_file(path, content)

@pytest.mark.parametrize('content,message', [
    (b'a'*2_000_000, 'has 2 MB; at most 1 MB are read'),
    (b'a man walks '*50_000+b'#a/DET#0#0\n', 'line 1: a caption has at most 5000'),
    (b'\n'*900_000+b'x', 'line 900001: expected 4 fields'),
    (b'#'*900_000, 'line 1: expected 4 fields'),
    (b'\n\n\xff', 'line 3: not UTF-8')], ids=['bytes', 'characters', 'lines', 'fields', 'not-utf-8'])
def test_huge_and_broken_files(path, content, message):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message): read_texts(path)

WORDS = """a man the walks walking walk jumps stands is and and then before after until while with by to who left right both
    arms two times forward turned . , , - : ; ( ) & / doesn't he's 3 4.5 first clockwise anti-clockwise ccw lefts Right LEFT
    of all away after his he foot ＷＡＬＫ 走る \u0301 🙂 ß İ ’s n't""".split()
WORDS += ['followed by', 'The video shows', 'in front', '\n', '']
prose = st.lists(st.sampled_from(WORDS)|st.text(max_size=6), max_size=30).map(' '.join)
any_text = prose|st.text(max_size=200)
TAGGERS = ('own','nltk') if default_tagger()=='nltk' else ('own',)

def check_text(text, tagger, tags=()):
    caption = Caption(text, tags=list(tags))
    words,tokens = text.split(),split_words(text)
    assert len(caption_tags(caption, tagger))==len(tokens) and all(text[s:e]==w for w,s,e in tokens)
    segments = action_segments(caption, tagger)
    assert bool(segments)==any(w[0].isalnum() or w[0] in "'’" for w,_,_ in tokens)
    for s in segments:
        assert text[s.start:s.end]==s.text!='' and 1<=action_weight(s.text)<=8
        assert 0<=s.first<=s.last<len(words)
        assert s.text.split()[0] in words[s.first] and s.text.split()[-1] in words[s.last]
    spans = sorted((s.start,s.end) for s in segments)
    assert all(b<=c for (_,b),(c,_) in zip(spans, spans[1:]))  # no two overlap
    first = first_action(caption, tagger)
    assert first in text and (first or not words)
    a,b = first_action_share(caption, tagger)
    assert 0<=a<b<=1
    f,g = first_action_frames(caption, 7, tagger=tagger)
    assert 0<=f<g<=7

@thorough(400)
@given(text=any_text, tagger=st.sampled_from(TAGGERS))
def test_any_text(text, tagger): check_text(text, tagger)

TAGGED_WORDS = st.sampled_from(['man','walks','and','then','kick','-','2',"don't"])
TAGS = st.sampled_from(['NOUN','VERB','ADV','','?','CONJ'])

@thorough(200)
@given(pairs=st.lists(st.tuples(TAGGED_WORDS, TAGS), max_size=12))
def test_any_tags(pairs): check_text(' '.join(word for word,_ in pairs), TAGGERS[0], pairs)

@thorough(400)
@given(text=any_text)
def test_mirror_any_text(text):
    once = mirror_words(text)
    twice = mirror_words(once)
    if not any(w in text.lower() for w in ('clock','cw')):
        assert twice.lower()==text.lower()  # capitals inside a word are lost
    assert mirror_words(mirror_words(twice))==twice  # spellings of counterclockwise settle in one round
    if not any(w in text.lower() for w in ('left','right','clock','cw')): assert once==text

PIECES = ['walks and ', 'after ', 'A, ', '- ', 'a ', 'left ', 'after he walks, ', 'while walking, ', "n'", '.', '((', 'very ']

@pytest.mark.parametrize('piece', PIECES)
def test_long_texts(piece):
    text = (piece*MAX_CAPTION)[:MAX_CAPTION]
    check_text(text, 'own')
    mirror_words(text)
    with pytest.raises(ValueError, match='at most 5000 characters'): first_action(piece*100_000)
    with pytest.raises(ValueError, match='at most 5000 characters'): mirror_words(piece*100_000)
