"""Every public prompt gives the same poses in float32, within 1e-5 m for 99 of 100 and 5e-5 m for all, whatever else is
asked with it and wherever it is computed: another process, other threads, another order, the first prompts alone, other
batches, a busy machine. (Batches of another size are summed otherwise, and some prompts amplify a rounding more: 1.6e-5 m
is the most that was seen.)

    python tests/faults/test_determinism.py FILE THREADS EVERY: the poses of every so many prompts as a .npy file
"""
import os, subprocess, sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np, pytest, torch

from text2pose import cfg
from text2pose.cfg import Text2PosePipeline
from text2pose.core import available
from text2pose.eval import read_prompts

USUAL,MOST,SHARE = 1e-5,5e-5,.99  # metres, for a share of the prompts and for all of them
QUICK = 16   # the quick half asks for every so many prompts

def all_prompts(every): return [r['prompt'] for r in read_prompts()][::every]

@pytest.fixture(scope='module')
def pipe():
    if not available('minilm'): pytest.skip('MiniLM is not installed')
    return Text2PosePipeline.from_pretrained()

@contextmanager
def threads(n):
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try: yield
    finally: torch.set_num_threads(before)

@pytest.fixture(scope='module', params=[QUICK, pytest.param(1, marks=pytest.mark.campaign)], ids=['some','all'])
def asked(request, pipe):
    "The prompts, every how many they are, and their poses by one thread, in one batch after another."
    prompts = all_prompts(request.param)
    with threads(1): return prompts, request.param, pipe(prompts, 1).joints

def same(found, wanted):
    assert found.shape==wanted.shape
    apart = np.linalg.norm(found-wanted, axis=-1).reshape(len(found), -1).max(1)
    few = max(1, round((1-SHARE)*len(apart)))
    assert apart.max()<=MOST and (apart>USUAL).sum()<=few, f'{np.sort(apart)[-few-1:]} m apart'

def in_another_process(tmp_path, n_threads, every):
    path = tmp_path/f'{n_threads}.npy'
    env = {**os.environ, 'OMP_NUM_THREADS':str(n_threads), 'PYTHONPATH':str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, __file__, path, str(n_threads), str(every)], env=env, check=True, timeout=1800)
    return np.load(path)

@pytest.mark.parametrize('n_threads', [1,2])
def test_another_process(asked, tmp_path, n_threads):
    prompts,every,wanted = asked
    same(in_another_process(tmp_path, n_threads, every), wanted)

def test_two_threads(pipe, asked):
    prompts,_,wanted = asked
    with threads(2): same(pipe(prompts, 1).joints, wanted)

def test_another_order(pipe, asked):
    prompts,_,wanted = asked
    order = np.random.default_rng(0).permutation(len(prompts))
    same(pipe([prompts[i] for i in order], 1).joints, wanted[order])

@pytest.mark.parametrize('share', [.02,.5])
def test_the_first_prompts_alone(pipe, asked, share):
    prompts,_,wanted = asked
    n = max(1, int(share*len(prompts)))
    same(pipe(prompts[:n], 1).joints, wanted[:n])

@pytest.mark.parametrize('size', [1,7,64])
def test_other_batches(pipe, asked, size, monkeypatch):
    prompts,_,wanted = asked
    monkeypatch.setattr(cfg, 'MAX_BATCH', size)
    same(pipe(prompts, 1).joints, wanted)

def test_more_poses_of_each(pipe, asked):
    prompts,_,wanted = asked
    same(pipe(prompts, 3).joints.reshape(len(prompts), 3, 22, 3)[:,0], wanted)

def test_a_busy_machine(pipe, asked):
    "Beside as many processes that compute without an end as there are cores, by two threads."
    prompts,_,wanted = asked
    busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(os.cpu_count())]
    try:
        with threads(2): same(pipe(prompts, 1).joints, wanted)
    finally:
        for process in busy: process.kill()
        for process in busy: process.wait()

if __name__=='__main__':
    file,n_threads,every = sys.argv[1:]
    torch.set_num_threads(int(n_threads))
    np.save(file, Text2PosePipeline.from_pretrained()(all_prompts(int(every)), 1).joints)
