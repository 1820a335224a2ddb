"The README's code runs: Python blocks from top to bottom in one namespace, and the `text2pose` commands."
import os, re, shlex, subprocess, sys
from pathlib import Path

from text2pose.core import read_json
from text2pose.eval import summary_table
from tree import ROOT, offline_env

def _blocks(*languages):
    text = (ROOT/'README.md').read_text(encoding='utf-8')
    found = re.findall(r'^```(\w+)\n(.*?)^```', text, re.MULTILINE|re.DOTALL)
    return [code for language,code in found if language in languages]

def _run(args, cwd):
    env = offline_env(MPLBACKEND='Agg')
    env['PATH'] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    r = subprocess.run(args, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    assert r.returncode==0, f'{args}\n{r.stdout}{r.stderr}'

def test_python(tmp_path):
    blocks = _blocks('python')
    assert blocks
    (tmp_path/'my_poses').mkdir()
    (tmp_path/'my_poses'/'own.yaml').write_text('\n'.join(_blocks('yaml')), encoding='utf-8')
    (tmp_path/'readme.py').write_text('\n'.join(blocks), encoding='utf-8')
    _run([sys.executable, 'readme.py'], tmp_path)

def test_commands(tmp_path):
    lines = '\n'.join(_blocks('bash', 'sh')).replace('\\\n', ' ').splitlines()
    commands = [l for l in lines if l.startswith('text2pose ')]
    assert commands
    for c in commands: _run(shlex.split(c, comments=True), tmp_path)

def test_numbers_are_those_of_the_report():
    "What README says of the weights is what `text2pose evaluate` found, word for word."
    table = summary_table(read_json(ROOT/'benchmarks'/'evaluate.json'))
    assert table in (ROOT/'README.md').read_text(encoding='utf-8')
