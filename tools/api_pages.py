"""The API of the modules as Markdown, read from their source: nothing is imported, so neither torch nor data is needed.

A function's entry is its signature, its docstring and the table of its docments (the comment beside each argument).
"""
import ast, io, re, tokenize
from dataclasses import dataclass, field
from functools import lru_cache

from tree import ROOT, chapters

@dataclass
class Parameter:
    "An argument of a function, a field of a dataclass, or what is returned."
    name:str          # 'returns' for what is returned
    type:str=''       # as annotated
    default:str=''    # as written
    meaning:str=''    # its docment

@dataclass
class Entry:
    "A function, class or method."
    name:str                                       # with its class before it: 'Clip.mirrored'
    signature:str                                  # as one would write it
    doc:str                                        # its docstring
    line:int                                       # of its definition, from 1
    parameters:list=field(default_factory=list)    # of Parameter
    methods:list=field(default_factory=list)       # of Entry, for a class

@dataclass
class Module:
    "What a module exports."
    name:str        # 'cfg'
    doc:str         # its docstring
    entries:list    # of Entry
    constants:list  # of (name, line, value as written)

def _comments(source):
    "Line → the comment on it."
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]:t.string.lstrip('# ').rstrip() for t in tokens if t.type==tokenize.COMMENT}

def _text(node): return ast.unparse(node) if node is not None else ''

def _doc(node): return ast.get_docstring(node) or ''

def _parameters(node, comments):
    "Docments of a function; an argument has its comment on its own line."
    a = node.args
    named = [*a.posonlyargs, *a.args]
    defaults = [None]*(len(named)-len(a.defaults)) + a.defaults
    pairs = [*zip(named, defaults)]
    if a.vararg: pairs.append((a.vararg, None))
    pairs += zip(a.kwonlyargs, a.kw_defaults)
    if a.kwarg: pairs.append((a.kwarg, None))
    stars = {a.vararg:'*', a.kwarg:'**'}
    lines = [p.lineno for p,_ in pairs]
    head_end = node.body[0].lineno-1
    def _meaning(p):
        if hasattr(p, 'meaning'): return p.meaning
        alone = lines.count(p.lineno)==1 and p.end_lineno<head_end
        return comments.get(p.end_lineno, '') if alone else ''
    out = [Parameter(stars.get(p, '')+p.arg, _text(p.annotation), _text(d), _meaning(p)) for p,d in pairs]
    out = [p for p in out if p.name not in ('self','cls')]
    last = max((p.end_lineno for p,_ in pairs), default=node.lineno)
    after = range(min(last+1, head_end), head_end+1)  # where the comment on what is returned may stand
    meaning = next((comments[i] for i in after if i in comments), '')
    if node.returns is not None or meaning: out.append(Parameter('returns', _text(node.returns), '', meaning))
    return out

def _signature(node, owner=''):
    "A function's head; without `self`, and one argument a line where it is long."
    args,returns = ast.unparse(node.args), f' -> {_text(node.returns)}' if node.returns is not None else ''
    args = re.sub(r'^(self|cls)(, )?', '', args)
    name = owner if node.name=='__init__' else '.'.join(o for o in (owner, node.name) if o)
    short = f'{name}({args}){returns}'
    if len(short)<=96: return short
    return f'{name}(\n' + ''.join(f'    {p.strip()},\n' for p in _split_arguments(args)) + f'){returns}'

def _split_arguments(args):
    "At commas outside brackets and strings."
    pieces,depth,quote = [''],0,''
    for c in args:
        if quote: quote = '' if c==quote else quote
        elif c in '"\'': quote = c
        elif c in '([{': depth += 1
        elif c in ')]}': depth -= 1
        if c==',' and depth==0 and not quote: pieces.append('')
        else: pieces[-1] += c
    return pieces

def _option(node, shared):
    "The call behind an option of the command line, or None; some options are shared by their name."
    if isinstance(node, ast.Name): return shared.get(node.id)
    if isinstance(node, ast.Call) and _text(node.func) in ('_option','_argument'): return node

def _string(node, texts):
    "A string as written; names in it that stand for another string of the module are replaced by it."
    if isinstance(node, ast.JoinedStr): return ''.join(_string(v, texts) for v in node.values)
    if isinstance(node, ast.Constant): return str(node.value)
    name = _text(getattr(node, 'value', node))
    return _string(texts[name], {}) if name in texts else f'`{name}`'

def _spell_out_options(tree):
    "Options of commands become defaults of arguments; flags and help become their docments."
    named = [n for n in tree.body if isinstance(n, ast.Assign) and _option(n.value, {})]
    shared = {n.targets[0].id:n.value for n in named}
    assigned = [n for n in tree.body if isinstance(n, ast.Assign)]
    texts = {_text(n.targets[0]):n.value for n in assigned if isinstance(n.value, (ast.Constant, ast.JoinedStr))}
    for f in ast.walk(tree):
        if not isinstance(f, ast.FunctionDef): continue
        for i,(arg,default) in enumerate(zip(f.args.args[len(f.args.args)-len(f.args.defaults):], f.args.defaults)):
            call = _option(default, shared)
            if call is None: continue
            strings = [a.value for a in call.args[1:] if isinstance(a, ast.Constant)]
            told = [_string(k.value, texts) for k in call.keywords if k.arg=='help'] or strings[-1:]
            flags = [f'`{a}`' for a in strings if a.startswith('-')]
            arg.meaning = ': '.join(o for o in (', '.join(flags), *told) if o)
            f.args.defaults[i] = call.args[0]

def _is(node, decorator): return any(_text(d).split('(')[0].split('.')[-1]==decorator for d in node.decorator_list)

def _function(node, comments, owner=''):
    name = '.'.join(o for o in (owner, node.name) if o)
    if _is(node, 'property'):
        returns = Parameter('returns', _text(node.returns), '', comments.get(node.lineno, ''))
        return Entry(name, name, _doc(node), node.lineno, [returns] if returns.type or returns.meaning else [])
    return Entry(name, _signature(node, owner), _doc(node), node.lineno, _parameters(node, comments))

def _class(node, comments):
    body = [n for n in node.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    init = next((n for n in body if n.name=='__init__'), None)
    if init is not None: signature,parameters = _signature(init, node.name), _parameters(init, comments)
    else:
        fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and not n.target.id.startswith('_')]
        parameters = [Parameter(n.target.id, _text(n.annotation), _text(n.value), comments.get(n.end_lineno, ''))
            for n in fields]
        signature = f"{node.name}({', '.join(p.name for p in parameters)})" if parameters else node.name
        if len(signature)>96: signature = f'{node.name}(...)'
    public = [n for n in body if not n.name.startswith('_') or n.name=='__call__']
    public = [n for n in public if not any(_text(d).endswith(('.setter','.deleter')) for d in n.decorator_list)]
    methods = [_function(n, comments, node.name) for n in public]
    return Entry(node.name, signature, _doc(node), node.lineno, parameters, methods)

def _flat(nodes):
    "Statements of a module, those below `if` and `try` too."
    for n in nodes:
        yield n
        if isinstance(n, (ast.If, ast.Try)): yield from _flat([*n.body, *n.orelse])

def read_module(
    name:str, # 'cfg'
)->Module:    # what its `__all__` names, in the order of the file
    "Exported functions, classes and constants of a module of this package."
    source = (ROOT/f'text2pose/{name}.py').read_text(encoding='utf-8')
    tree,comments = ast.parse(source), _comments(source)
    _spell_out_options(tree)
    exported,entries,constants = set(), [], []
    for n in _flat(tree.body):
        if isinstance(n, ast.Assign) and _text(n.targets[0])=='__all__': exported = set(ast.literal_eval(n.value))
        elif isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) and n.name in exported:
            entries.append(_function(n, comments))
        elif isinstance(n, ast.ClassDef) and n.name in exported: entries.append(_class(n, comments))
        elif isinstance(n, ast.Assign):
            names = [e.id for t in n.targets for e in ast.walk(t) if isinstance(e, ast.Name)]
            constants += [(e, n.lineno, _text(n.value)) for e in names if e in exported]
    return Module(name, ast.get_docstring(tree) or '', entries, constants)

@lru_cache
def modules(
)->list: # of Module, in the order of the book
    "Every module that a chapter exports."
    return [read_module(name) for name in chapters()]

def link(
    name:str,   # exported
    module:str, # of it
    up:str,     # from the page that links to the folder of the API
    text:str,   # shown as code
)->str:         # HTML, since names have ids of their own beside those of headings
    "A link to the entry of a name."
    return f'<a href="{up}/{module}.html#api-{name}"><code>{text}</code></a>'

@lru_cache
def known_names(
)->dict: # name → module
    "Names that belong to exactly one module."
    found = {}
    for m in modules():
        for name in [e.name for e in m.entries] + [c[0] for c in m.constants]: found.setdefault(name, []).append(m.name)
    return {name:owners[0] for name,owners in found.items() if len(owners)==1}

def escape(
    text:str, # plain, perhaps with `code` in it
)->str:       # for a cell of a Markdown table
    "What Markdown would take for markup, outside code."
    parts = re.split(r'(`[^`]*`)', text.replace('\n', ' '))
    plain = [p if p.startswith('`') else re.sub(r'([\\*_<>\[\]$#{}~^])', r'\\\1', p) for p in parts]
    return ''.join(plain).replace('|', r'\|')

def _code(text): return f'`` {text} ``'.replace('|', r'\|') if '`' in text else f'`{text}`'.replace('|', r'\|')

def _table(parameters):
    rows = []
    for p in parameters:
        name = '*returns*' if p.name=='returns' else f'`{p.name}`'
        rows.append([name, _code(p.type) if p.type else '', _code(p.default) if p.default else '', escape(p.meaning)])
    lines = ['| | type | default | |', '| --- | --- | --- | --- |']
    return '\n'.join(lines + [f"| {' | '.join(r)} |" for r in rows])

def _entry_page(module, e, level):
    source = f'<a class="source" href="../source/{module}.html#L-{e.line}">source</a>'
    parts = [f'<span id="api-{e.name}"></span>', f'{"#"*level} {e.name}', f'```python\n{e.signature}\n```']
    parts.append(f'{escape(e.doc)} {source}'.strip())
    if e.parameters: parts.append(_table(e.parameters))
    return parts + [p for m in e.methods for p in _entry_page(module, m, level+1)]

def module_page(
    m:Module, # what it exports
)->str:       # Markdown
    "The page of a module."
    chapter = chapters()[m.name].name
    parts = [f'# text2pose.{m.name}', f'{escape(m.doc)}. Explained and tested in [{chapter[:-6]}](../nbs/{chapter}).']
    if m.constants:
        rows = []
        for name,line,value in m.constants:
            short = value if len(value)<=60 else value[:57]+'…'
            link = f'<a class="source" href="../source/{m.name}.html#L-{line}">source</a>'
            rows.append(f'| <span id="api-{name}">`{name}`</span> | {_code(short)} | {link} |')
        parts.append('\n'.join(['## Constants', '', '| | value | |', '| --- | --- | --- |', *rows]))
    for e in m.entries: parts += _entry_page(m.name, e, 2)
    return '\n\n'.join(parts) + '\n'

def index_page(
)->str: # Markdown
    "All modules with the first words of each exported name."
    parts = ['# API', 'Every exported name, by module. `from text2pose.data import plot_pose` and so on; '
        '`from text2pose import Text2PosePipeline` is the pipeline.']
    for m in modules():
        rows = [f"| {link(e.name, m.name, '.', e.name)} | {escape(e.doc)} |" for e in m.entries]
        rows += [f"| {link(c[0], m.name, '.', c[0])} | constant |" for c in m.constants]
        parts.append('\n'.join([f'## [text2pose.{m.name}]({m.name}.md)', '', '| | |', '| --- | --- |', *rows]))
    return '\n\n'.join(parts) + '\n'
