"""Links of the project's prose, and of the site made from it.

Relative links of README, the cards, CONTRIBUTING, CHANGELOG and the notebooks must lead to files and headings that
exist (`link_faults`); in the built site every local link, image, script and style sheet must exist, and nothing may be
loaded from another host (`site_faults`). Links that a reader clicks may lead elsewhere; those are not followed.
"""
import html, posixpath, re
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tree import ROOT, read_cells

# Markdown of which the site is made, beside the notebooks; in the order of its table of contents
PAGES = ['README.md', 'text2pose/assets/weights/README.md', 'docs/data_card.md', 'benchmarks/README.md', 'data/README.md',
    'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']
_CODE = re.compile(r'^(```|~~~).*?^\1[^\n]*$', re.MULTILINE|re.DOTALL)
_INLINE = re.compile(r'(`+)(?!`).*?(?<!`)\1(?!`)', re.DOTALL)
_LINK = re.compile(r'\]\(([^()\s]*(?:\([^()]*\)[^()\s]*)*)\)')
_HEADING = re.compile(r'^#{1,6} +(.+?) *#*$', re.MULTILINE)

def sources(
)->list: # paths from the root
    "Everything of the project that is prose: pages, and notebooks."
    return PAGES + sorted(f'nbs/{p.name}' for p in (ROOT/'nbs').glob('*.ipynb'))

@lru_cache(maxsize=None)
def prose(
    path:str, # from the root
)->str:       # Markdown; of a notebook, its cells of Markdown
    "The text of a page, with its code."
    if not path.endswith('.ipynb'): return (ROOT/path).read_text(encoding='utf-8')
    return '\n\n'.join(s for kind,s in read_cells(ROOT/path) if kind=='markdown')

def without_code(
    text:str, # Markdown
)->str:       # the same without fenced blocks and `code`
    "Prose alone."
    return _INLINE.sub('', _CODE.sub('', text))

def slug(
    heading:str, # as written in Markdown, or a fragment
)->str:          # what the site calls it
    "The id of a heading: small letters, hyphens for spaces; Jupyter's own ids differ in capitals and marks only."
    text = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', unquote(heading)).replace('`', '').strip().lower()
    return re.sub(r'[^\w\- ]', '', text).replace(' ', '-')

def links(
    path:str, # of a page or notebook, from the root
)->list:      # targets as written
    "Targets of links and images, outside code."
    return _LINK.findall(without_code(prose(path)))

@lru_cache(maxsize=None)
def headings(
    path:str, # of a page or notebook, from the root
)->frozenset: # of slugs
    "What can be linked to on a page."
    return frozenset(slug(h) for h in _HEADING.findall(_CODE.sub('', prose(path))))

def link_faults(
    path:str, # of a page or notebook, from the root
)->list:      # one sentence per fault
    "Relative links that lead nowhere."
    faults = []
    for link in links(path):
        if urlsplit(link).scheme: continue
        target,_,fragment = link.partition('#')
        to = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(target))) if target else path
        if to.startswith('..') or not (ROOT/to).exists(): faults.append(f'{path}: no file {link}')
        elif fragment and slug(fragment) not in headings(to): faults.append(f'{path}: no heading {link}')
    return faults

class _Page(HTMLParser):
    "Ids and links of a page; what the browser loads by itself apart from what a reader may click."
    def __init__(self):
        super().__init__()
        self.ids,self.clicked,self.loaded = set(), [], []

    def handle_starttag(self, tag, attrs):
        attrs = {k:v or '' for k,v in attrs}
        if 'id' in attrs: self.ids.add(attrs['id'])
        if tag=='a' and 'name' in attrs: self.ids.add(attrs['name'])
        if tag in ('a','area') and 'href' in attrs: self.clicked.append(attrs['href'])
        elif tag=='link' and attrs.get('rel') not in ('canonical','alternate'):
            self.loaded.append(attrs.get('href', ''))
        if 'src' in attrs: self.loaded.append(attrs['src'])
        if 'srcset' in attrs: self.loaded += [s.split()[0] for s in attrs['srcset'].split(',') if s.strip()]
        if tag=='object': self.loaded.append(attrs.get('data', ''))

@lru_cache(maxsize=None)
def _parse(path):
    page = _Page()
    page.feed(path.read_text(encoding='utf-8'))
    return page

def _is_external(link): return bool(urlsplit(link).netloc)

def _local_fault(site, page, link):
    "Why a local link leads nowhere, or None."
    parts = urlsplit(html.unescape(link))
    if parts.scheme: return None  # mailto:, data:, javascript:
    to = page if not parts.path else (page.parent/unquote(parts.path)).resolve()
    if to.is_dir(): to = to/'index.html'
    if site not in [to, *to.parents] or not to.is_file(): return 'no file'
    if parts.fragment and to.suffix=='.html':
        page_ids = _parse(to).ids
        if unquote(parts.fragment) not in page_ids: return 'no id'

def _style_faults(site, sheet):
    urls = re.findall(r'url\(\s*["\']?([^"\')]+)', sheet.read_text(encoding='utf-8', errors='replace'))
    name = sheet.relative_to(site)
    outside = [f'{name} loads {u}' for u in urls if _is_external(u)]
    inside = [u for u in urls if not _is_external(u) and not u.startswith(('data:','#'))]
    paths = {u:sheet.parent/re.split('[#?]', u)[0] for u in inside}
    return outside + [f'{name}: no file {u}' for u,path in paths.items() if not path.is_file()]

def site_faults(
    site:Path, # folder with index.html
)->list:       # one sentence per fault
    "Dead links of a built site, and whatever its pages would load from another host."
    site = site.resolve()
    faults = []
    for path in sorted(site.rglob('*.html')):
        page,name = _parse(path), path.relative_to(site)
        faults += [f'{name} loads {link}' for link in page.loaded if _is_external(link)]
        local = [link for link in page.clicked+page.loaded if link and not _is_external(link)]
        found = {link:_local_fault(site, path, link) for link in set(local)}
        faults += [f'{name}: {why} {link}' for link,why in sorted(found.items()) if why]
    for sheet in sorted(site.rglob('*.css')): faults += _style_faults(site, sheet)
    return faults
