"""Build the site of the book, offline, from the notebooks as they are stored: nothing is executed.

    make docs                                      # which runs: .venv-docs/bin/python tools/make_docs.py
    python tools/make_docs.py --no-page            # without the page of chapter 04b, which needs torch and 60 MB

_docs/source is what jupyter-book gets (pages, notebooks, the API, a table of contents), _docs/html what comes out.
a warning of Sphinx, on a dead link, and on anything that a page would load from another host.
"""
import argparse, importlib.util, json, posixpath, re, shutil, subprocess, sys, time
from configparser import ConfigParser
from pathlib import Path

from api_pages import index_page, known_names, link, module_page, modules
from doc_links import PAGES, prose, site_faults, slug
from tree import ROOT, chapters

OUT = ROOT/'_docs'
SOURCE,SITE = OUT/'source', OUT/'html'
ABOUT = {'docs/browser.md':'In the browser', 'docs/licence.md':'Licence and notices', 'docs/citation.md':'Citation'}
_LINKED = re.compile(r'(\[(?:[^\[\]]|\[[^\]]*\])*\]\([^)]*\)|\$\$.*?\$\$)', re.DOTALL)
_NAME = re.compile(r'(?<![`\w\[])`(\w+)(\(\))?`(?![`\w\]])')

def spine(
)->list: # of (notebook, its side rooms), names without suffix, in reading order
    "Chapters with the rooms that hang on them; the helpers of 00_core hang on 00_data, where the book begins."
    stems = [p.stem for p in chapters().values()]
    main = [s for s in stems if re.match(r'\d+_', s) and s!='00_core']
    return [(m, [s for s in stems if s[:2]==m[:2] and s!=m]) for m in main]

def title(
    path:str, # of a page or notebook, from the root
)->str:       # its first heading
    "What a page is called."
    return re.search(r'^# +(.+)$', prose(path), re.MULTILINE)[1]

def contents(
)->dict: # for _toc.yml
    "The table of contents: the book with side rooms nested, the API, and what is said about the whole."
    def _chapter(stem): return {'file':f'nbs/{stem}', 'title':f"{stem.partition('_')[0]} {title(f'nbs/{stem}.ipynb')}"}
    book = [_chapter(m) | ({'sections':[_chapter(s) for s in rooms]} if rooms else {}) for m,rooms in spine()]
    api = [{'file':'api/index', 'title':'All names', 'sections':[{'file':f'api/{m.name}'} for m in modules()]}]
    about = [{'file':p.removesuffix('.md')} for p in [*PAGES[1:], *ABOUT]]
    parts = [('The book', book), ('API', api), ('About', about)]
    return {'format':'jb-book', 'root':'README', 'parts':[{'caption':c, 'chapters':l} for c,l in parts]}

def _settings():
    config = ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini', encoding='utf-8')
    return config['DEFAULT']

def _to_site(link, path):
    "A link of a page as the site has it: pages, notebooks and figures stay, other files are in the repository."
    target,mark,fragment = link.partition('#')
    if re.match(r'\w+:', link): return link
    fragment = mark + slug(fragment) if mark else ''
    if not target: return fragment
    to = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if to in PAGES or to.startswith(('nbs/','figures/')): return target+fragment
    own = {'LICENSE':'docs/licence.md', 'NOTICE':'docs/licence.md', 'CITATION.cff':'docs/citation.md'}
    if to in own: return posixpath.relpath(own[to], posixpath.dirname(path) or '.')
    return f"{_settings()['git_url']}/blob/{_settings()['branch']}/{to}"

def _link_names(text, path):
    "`names` that a module exports lead to the API; words of plain English that are also names do not."
    up = posixpath.relpath('api', posixpath.dirname(path) or '.')
    def _linked(m):
        name,call = m[1], m[2] or ''
        if name not in known_names() or not (call or '_' in name or name!=name.lower()): return m[0]
        return link(name, known_names()[name], up, name+call)
    parts = [p if i%2 else _NAME.sub(_linked, p) for i,p in enumerate(_LINKED.split(text))]
    return ''.join(parts)

def to_site(
    text:str,  # Markdown of the project
    path:str,  # of its page or notebook, from the root
)->str:        # Markdown of the site
    "Links lead to where the site has their targets, names of the library to the API."
    blocks = re.split(r'(^```.*?^```[^\n]*$)', text, flags=re.MULTILINE|re.DOTALL)
    for i,block in enumerate(blocks):
        if i%2: continue
        block = re.sub(r'\]\(([^()\s]+)\)', lambda m: f']({_to_site(m[1], path)})', block)
        pieces = re.split(r'(^#.*$)', block, flags=re.MULTILINE)
        blocks[i] = ''.join(p if j%2 else _link_names(p, path) for j,p in enumerate(pieces))
    return ''.join(blocks)

def _is_hidden(cell):
    return cell['cell_type']=='code' and re.match(r'#\|\s*(hide|default_exp)', ''.join(cell['source']))

def site_notebook(
    path:str, # from the root
)->dict:      # a notebook
    "A chapter as the site shows it: without hidden cells, directives, and widgets, which need a kernel."
    nb = json.loads((ROOT/path).read_text(encoding='utf-8'))
    nb['cells'] = [c for c in nb['cells'] if not _is_hidden(c)]
    language = {'name':'python', 'pygments_lexer':'ipython3'}
    nb['metadata'] = {'kernelspec':nb['metadata']['kernelspec'], 'language_info':language}
    for c in nb['cells']:
        source = ''.join(c['source'])
        if c['cell_type']=='markdown': c['source'] = to_site(source, path)
        else:
            c['source'] = re.sub(r'\A(#\|.*\n?)+', '', source)
            c['outputs'] = [o for o in c['outputs'] if not any('widget' in kind for kind in o.get('data', {}))]
    return nb

def source_page(
    name:str, # of a module
)->str:       # HTML
    "A module with numbered lines to link to."
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer
    code = (ROOT/f'text2pose/{name}.py').read_text(encoding='utf-8')
    form = HtmlFormatter(full=True, title=f'text2pose/{name}.py', linenos='inline', lineanchors='L')
    phone = '<head><meta name="viewport" content="width=device-width">'
    return highlight(code, PythonLexer(), form).replace('<head>', phone)

def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')

def licence_page(
)->str: # Markdown
    "LICENSE and NOTICE as they are."
    texts = [(n, (ROOT/n).read_text(encoding='utf-8')) for n in ('NOTICE','LICENSE')]
    return '# Licence and notices\n\n' + '\n'.join(f'## {n}\n\n````text\n{t.rstrip()}\n````\n' for n,t in texts)

def citation_page(
)->str: # Markdown
    "CITATION.cff as it is."
    text = (ROOT/'CITATION.cff').read_text(encoding='utf-8')
    return f'# Citation\n\n`CITATION.cff`, which reference managers read:\n\n```yaml\n{text.rstrip()}\n```\n'

def browser_page(
    has_page:bool, # whether the page of chapter 04b is part of this site
)->str:            # Markdown
    "Where the pipeline runs in the browser."
    head = '# In the browser\n\n'
    if not has_page: return head + 'This site was built without the page; `text2pose export-web DIR` makes it.\n'
    return head + (
        '<a href="../page/index.html">The page</a> makes poses of words in the browser tab, without a server behind it '
        'and without asking another host; [chapter 04b](../nbs/04b_web.ipynb) says how. It is 60 MB and must come from '
        'a web server: to read this site from a folder, run `python -m http.server` in it.\n')

def stage(
    has_page:bool=True, # whether the page of chapter 04b will be there
):
    "Write what jupyter-book builds from into _docs/source."
    shutil.rmtree(SOURCE, ignore_errors=True)
    for path in PAGES: _write(SOURCE/path, to_site(prose(path), path))
    for p in chapters().values():
        _write(SOURCE/f'nbs/{p.name}', json.dumps(site_notebook(f'nbs/{p.name}'), ensure_ascii=False))
    _write(SOURCE/'docs/licence.md', licence_page())
    _write(SOURCE/'docs/citation.md', citation_page())
    _write(SOURCE/'docs/browser.md', browser_page(has_page))
    _write(SOURCE/'api/index.md', index_page())
    for m in modules():
        _write(SOURCE/f'api/{m.name}.md', module_page(m))
        _write(SOURCE/f'extra/source/{m.name}.html', source_page(m.name))
    shutil.copytree(ROOT/'figures', SOURCE/'figures')
    _write(SOURCE/'_toc.yml', json.dumps(contents()))  # YAML holds JSON
    shutil.copy(ROOT/'docs/_config.yml', SOURCE)
    _write(SOURCE/'_static/book.css', (ROOT/'docs/book.css').read_text(encoding='utf-8'))
    mathjax = Path(importlib.util.find_spec('sphinx-mathjax-offline').submodule_search_locations[0])
    (SOURCE/'extra/_static/mathjax').mkdir(parents=True)  # in _static every page would load it
    shutil.copy(mathjax/'static/mathjax/tex-svg.js', SOURCE/'extra/_static/mathjax')

def build():
    "Run jupyter-book; its warnings are errors."
    program = Path(sys.executable).parent/'jupyter-book'
    command = [program, 'build', SOURCE, '--path-output', OUT, '-W', '--keep-going', '-q']
    if subprocess.run(command, cwd=OUT).returncode: sys.exit('jupyter-book failed: see above')
    shutil.rmtree(SITE, ignore_errors=True)
    (OUT/'_build/html').rename(SITE)
    shutil.rmtree(SITE/'_sources', ignore_errors=True)  # nothing leads there
    for template in (SITE/'_static').glob('*macros.html'): template.unlink()  # the theme's own, not pages
    shutil.copytree(SOURCE/'extra', SITE, dirs_exist_ok=True)

def add_page():
    "The page of chapter 04b below the site."
    subprocess.run(['text2pose', 'export-web', SITE/'page'], check=True)

def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--no-page', action='store_true', help='leave out the page of chapter 04b')
    has_page = not parser.parse_args().no_page
    start = time.time()
    stage(has_page)
    build()
    if has_page: add_page()
    if faults := site_faults(SITE): sys.exit('\n'.join(faults))
    files = [p for p in SITE.rglob('*') if p.is_file()]
    size,seconds = sum(p.stat().st_size for p in files)/1e6, time.time()-start
    print(f'{len(files)} files, {size:.0f} MB, in {seconds:.0f} s: no dead link, nothing from another host. '
          f'To read them: python -m http.server --directory {SITE.relative_to(ROOT)}')

if __name__=='__main__': main()
