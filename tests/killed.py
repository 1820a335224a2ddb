"""Kills a run again and again until it has ended: python killed.py FOLDER KILLS. Prints JSON, one line a run.

One process, in which everything is imported and built, forks a child for each attempt; a child dies by SIGKILL at a
moment that its seed decides: at some line of the training code, at some line while a checkpoint is written or old ones
are removed, or when half of a file is written; every sixth is killed from outside.
"""
import json, os, random, signal, sys, time
from pathlib import Path

import torch

from text2pose import core, train
from text2pose.data import own_rows, pose_table
from text2pose.dataset import CaptionStates, TrainingSet
from text2pose.posecodes import POSECODES
from text2pose.train import Checkpoints, make_trainer, phase_config

STEPS,EVERY = 12,2
# while these run, a checkpoint is half there
SAVING = {'save','_write_synced','remove_old','_renamed_at_end','temporary_beside',
          'sweep','_sweep_one','sync','add','begin','clean'}
def new_run():
    "A tiny run of the scorer: the loop, the checkpoints and the log are those of the denoiser."
    torch.set_num_threads(1)
    train.posecode_margins = lambda joints: torch.zeros(len(joints), len(POSECODES))  # half of the time otherwise
    data = TrainingSet(pose_table(own_rows()[:40]))
    g = torch.Generator().manual_seed(0)
    states = CaptionStates.of([torch.randn(2+i%5, 32, generator=g) for i in range(len(data.captions))])
    config = phase_config('scorer', n_steps=STEPS, batch_size=8, token_noise=.1, text_layers=1,
                          towers=dict(embed_dim=8, pose_dim=16), unet=dict(cross_attention_dim=16))
    run = make_trainer(config, data, states, (data,states), cpu=True)
    run.validate = lambda: dict(val={'R@1':.5})
    return run

def finish(run, folder):
    "Train to the end, with a checkpoint and the log every other step."
    run.fit(folder, log_every=1, checkpoint_every=EVERY, keep_last=2)
    run.save(folder)

def die(): os.kill(os.getpid(), signal.SIGKILL)

def die_at_a_line(countdown, functions=None):
    "Die when so many lines of the training code have run, or of some of its functions."
    files = (train.__file__, core.__file__)
    def count(frame, event, arg):
        nonlocal countdown
        if event=='line':
            countdown -= 1
            if countdown==0: die()
        return count
    def enter(frame, event, arg):
        code = frame.f_code
        return count if code.co_filename in files and (functions is None or code.co_name in functions) else None
    sys.settrace(enter)

def die_in_a_file(countdown):
    "Die when half of a file of a checkpoint is written."
    write = train._write_synced
    def write_half(path, data):
        nonlocal countdown
        countdown -= 1
        if countdown: return write(path, data)
        with open(path, 'wb') as f: f.write(data[:len(data)//2])
        die()
    train._write_synced = write_half

def attempt(run, folder, seed):
    "Fork a child that trains and dies, or lives without a seed; its exit status, 0 where it came to the end."
    rng,from_outside = random.Random(seed), seed is not None and seed%6==5
    how = rng.choice(('line','save','save','file'))
    child = os.fork()
    if not child:
        try:
            if seed is None or from_outside: pass
            elif how=='line': die_at_a_line(rng.randrange(1, 900))
            elif how=='save': die_at_a_line(rng.randrange(1, 250), SAVING)
            else: die_in_a_file(rng.randrange(1, 7))
            finish(run, folder)
            os._exit(0)
        except BaseException as e:
            print(f'seed {seed}: {type(e).__name__} {e}', file=sys.stderr, flush=True)
            os._exit(1)
    if from_outside:
        time.sleep(rng.uniform(.05, .4))
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]

def leftovers(folder):
    "What a killed save left behind; every checkpoint that has a name is whole."
    checkpoints = Checkpoints(folder)
    for path in checkpoints.paths(): checkpoints.read(path)
    return len(list(checkpoints.folder.glob('.text2pose-*')))

def main(folder, wanted):
    run = new_run()
    if attempt(run, Path(folder)/'whole', None): sys.exit('the run failed')
    seed = kills = 0
    while kills<wanted:
        here = Path(folder)/f'killed{seed}'
        killed,half = 0,0
        while status:=attempt(run, here, seed):
            if not (os.WIFSIGNALED(status) and os.WTERMSIG(status)==signal.SIGKILL): sys.exit(f'seed {seed} failed')
            seed,killed,half = seed+1, killed+1, half+(leftovers(here)>0)
        seed,kills = seed+1, kills+killed
        print(json.dumps(dict(folder=str(here), kills=killed, half_saves=half)), flush=True)

if __name__=='__main__': main(sys.argv[1], int(sys.argv[2]))
