"""What the book and its pages say about files, chapters, headings and commands is so (the site itself: make docs)."""
import re, shlex

import pytest, typer, yaml

from api_pages import modules
from doc_links import headings, link_faults, prose, site_faults, slug, sources
from make_docs import contents, to_site
from tree import ROOT, chapters

_PATH = re.compile(r'(?<![\w/.-])((?:benchmarks|docs|figures|nbs|tests|text2pose|tools|web)/[\w./*-]*\w)')
_OURS = ('text2pose/text2pose','text2pose/assets/web')  # the repository's name; what npm makes

@pytest.mark.parametrize('path', sources())
def test_links(path): assert link_faults(path)==[]

@pytest.mark.parametrize('path', sources())
def test_nothing_is_left_to_fill_in(path):
    found = re.findall(r'^(?:[A-Z]+(?:_[A-Z]+)+|CLOSING|TODO.*)$', prose(path), re.MULTILINE)
    assert found==[]

def test_dead_links_are_found(monkeypatch):
    text = ('[a](no.md) [b](CHANGELOG.md#no-such) [c](#neither) [d](https://example.org) [e](CHANGELOG.md) `[f](no)`'
        '\n\n## A\n')
    monkeypatch.setattr('doc_links.prose', lambda path: text if path=='README.md' else prose(path))
    headings.cache_clear()
    found = link_faults('README.md')
    headings.cache_clear()
    assert found==[
        'README.md: no file no.md', 'README.md: no heading CHANGELOG.md#no-such', 'README.md: no heading #neither']

def test_slugs():
    assert slug('Are the words followed?')==slug('Are-the-words-followed?')=='are-the-words-followed'
    assert slug('`enforce_skeleton`, and [why](x.md)')=='enforce_skeleton-and-why'

@pytest.mark.parametrize('path', sources())
def test_paths_in_prose(path):
    "Files that a page or chapter names exist; a pattern matches something."
    found = {p for p in _PATH.findall(prose(path)) if not p.startswith(_OURS)}
    missing = [p for p in sorted(found) if not list(ROOT.glob(p)) and not (ROOT/p).exists()]
    assert missing==[]

def _commands():
    "Commands of the command line by their words: ('data','build') → click's command."
    from text2pose.cli import app
    out = {}
    def _walk(command, words):
        out[words] = command
        for name,sub in getattr(command, 'commands', {}).items(): _walk(sub, (*words,name))
    _walk(typer.main.get_command(app), ())
    return out

@pytest.fixture(scope='module')
def commands(): return _commands()

def _mentions(path):
    "Lines that begin with `text2pose` in code blocks, and such spans of code."
    text = prose(path).replace('\\\n', ' ')
    blocks = re.findall(r'^```(\w*)\n(.*?)^```', text, re.MULTILINE|re.DOTALL)
    lines = [l.removeprefix('$ ') for language,b in blocks if language!='python' for l in b.splitlines()]
    spans = re.findall(r'`(text2pose [^`\n]+)`', text)
    return [l.partition(' #')[0].strip() for l in lines+spans if l.startswith('text2pose ')]

def _command_fault(line, commands):
    "What of a command the command line does not have, or None."
    words = [w for w in shlex.split(line) if w not in ('…','...')]
    path,rest = (), words[1:]
    while rest and (*path,rest[0]) in commands: path,rest = (*path,rest[0]), rest[1:]
    alternatives = rest[0].split('|') if rest and not path and '|' in rest[0] else []
    if alternatives: return next((f'no command {a}' for a in alternatives if (a,) not in commands), None)
    command = commands[path]
    if getattr(command, 'commands', None): # a group
        names = [w for w in rest[:1] if not w.startswith('-')]
        several = [n for w in names for n in w.split('|')]
        return next((f'no command {n}' for n in several if (*path,n) not in commands), None)
    options = {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith('-')} | {'--help'}
    asked = [w.partition('=')[0].strip('[]') for w in rest if re.match(r'\[?--?[a-zA-Z]', w)]
    return next((f"no option {o} of {' '.join(path)}" for o in asked if o not in options), None)

@pytest.mark.parametrize('path', sources())
def test_commands_in_prose(path, commands):
    found = {line:_command_fault(line, commands) for line in _mentions(path)}
    assert {line:why for line,why in found.items() if why}=={}

_OF_OTHERS = {'--requeue','--signal'}  # Slurm's

@pytest.mark.parametrize('path', sources())
def test_options_in_prose(path, commands):
    "Options named without a command are of some command, or of a script in benchmarks/ or tools/."
    known = {o for c in commands.values() for p in c.params for o in (*p.opts, *p.secondary_opts)} | _OF_OTHERS
    scripts = ''.join(p.read_text(encoding='utf-8') for d in ('benchmarks','tools') for p in (ROOT/d).glob('*.py'))
    named = set(re.findall(r'`(--[a-z][a-z-]*)', prose(path)))
    assert [o for o in sorted(named-known) if f"'{o}'" not in scripts and f' {o}' not in scripts]==[]

def test_wrong_commands_are_found(commands):
    assert _command_fault('text2pose generate "arms raised" -n 4 --seed 0', commands) is None
    assert _command_fault('text2pose generate x --sed 0', commands)=='no option --sed of generate'
    assert _command_fault('text2pose data biuld', commands)=='no command biuld'
    assert _command_fault('text2pose genrate x', commands)=='no command genrate'

def test_contents():
    "Every chapter once, side rooms below theirs, in the order of README's table."
    book,api,about = contents()['parts']
    listed = [(c['file'], [s['file'] for s in c.get('sections', [])]) for c in book['chapters']]
    flat = [f for main,rooms in listed for f in (main,*rooms)]
    assert sorted(flat)==sorted(f'nbs/{p.stem}' for p in chapters().values())
    assert listed[0][0]=='nbs/00_data' and listed[0][1][0]=='nbs/00_core'
    assert all(re.match(r'nbs/\d\d[a-z]_|nbs/00_core', r) for _,rooms in listed for r in rooms)
    table = re.search(r'^## The book\n(.*?)^## ', prose('README.md'), re.MULTILINE|re.DOTALL)[1]
    rows = '\n'.join(l for l in table.splitlines() if l.startswith('|'))
    assert re.findall(r'\]\((nbs/\w+)\.ipynb\)', rows)==flat
    assert [s['file'] for s in api['chapters'][0]['sections']]==[f'api/{m}' for m in chapters()]

def test_api_pages():
    "Every name that a module exports has an entry; what docments say is there."
    import text2pose.core as core
    by_name = {m.name:m for m in modules()}
    assert list(by_name)==list(chapters())
    for m in modules():
        source = (ROOT/f'text2pose/{m.name}.py').read_text(encoding='utf-8')
        exported = re.search(r'^__all__ = (\[.*?\])', source, re.MULTILINE|re.DOTALL)[1]
        assert {e.name for e in m.entries} | {c[0] for c in m.constants}==set(yaml.safe_load(exported))
    read_json = next(e for e in by_name['core'].entries if e.name=='read_json')
    assert read_json.doc==core.read_json.__doc__
    assert read_json.signature=='read_json(path, max_bytes: int=2 ** 27) -> dict'
    path,max_bytes,returns = read_json.parameters
    assert (path.name, path.meaning)==('path','file with a JSON object')
    assert (max_bytes.type, max_bytes.default)==('int','2 ** 27')
    assert returns.type=='dict' and returns.meaning.startswith('FileNotFoundError')
    assert source_line('core', read_json.line).startswith('def read_json(')

def test_api_of_commands():
    "Options of a command stand in its entry, with flag and help."
    generate = next(e for m in modules() if m.name=='cli' for e in m.entries if e.name=='generate')
    n = next(p for p in generate.parameters if p.name=='n')
    assert (n.type, n.default, n.meaning)==('int', '4', '`-n`: Poses for each prompt.')
    library = next(p for p in generate.parameters if p.name=='library')
    assert library.default=='None' and library.meaning.startswith('`--library`: Folder or file')
    assert '_option(' not in generate.signature

def source_line(module, line):
    return (ROOT/f'text2pose/{module}.py').read_text(encoding='utf-8').split('\n')[line-1]

def test_links_of_the_site():
    "Pages and notebooks stay where they are, other files are in the repository, names lead to the API."
    found = to_site('[a](nbs/04_cfg.ipynb#Guidance,-measured)', 'README.md')
    assert found=='[a](nbs/04_cfg.ipynb#guidance-measured)'
    assert to_site('[a](../setup.py)', 'nbs/00_core.ipynb').endswith('/blob/main/setup.py)')
    found = to_site('see `read_json`', 'nbs/00_core.ipynb')
    assert found=='see <a href="../api/core.html#api-read_json"><code>read_json</code></a>'
    assert to_site('# `read_json`\n\n```\n`read_json`\n```\n[`read_json`](x.md) `train`', 'docs/x.md').count('<a')==0

def test_site_faults(tmp_path):
    "A dead link, a missing id, a picture and a script of another host, and a style sheet's font are found."
    sheet = '@font-face { src: url(https://fonts.example/x.woff) } i { background: url("no.png") }'
    (tmp_path/'a.css').write_text(sheet)
    (tmp_path/'b.html').write_text('<h1 id="here">b</h1>')
    (tmp_path/'a.html').write_text(
        '<link rel="stylesheet" href="a.css"><a href="b.html#here">1</a><a href="b.html#there">2</a>'
        '<a href="c.html">3</a><a href="https://example.org">4</a>'
        '<img src="https://example.org/x.png"><script src="no.js"></script>')
    assert site_faults(tmp_path)==[
        'a.html loads https://example.org/x.png', 'a.html: no id b.html#there', 'a.html: no file c.html',
        'a.html: no file no.js', 'a.css loads https://fonts.example/x.woff', 'a.css: no file no.png']
