"""Weights that read the posecodes of today, made from weights that read fewer: where training goes on from.

    python tools/grow_weights.py WEIGHTS OUT [NEW=OLD ...]

Every new code begins with the answers of the old code named for it (without side: hand_at_own_knee=hand_at_knee), a
little less sure of itself, and the denoiser does not look at it yet: the poses that the weights generate stay the same.
"""
import json, shutil, sys
from pathlib import Path
import torch
from safetensors.torch import load_file
from text2pose.core import read_json
from text2pose.posecodes import POSECODES
from text2pose.cfg import Text2PoseModel, save_model

DOUBT = 2.  # by which the logit of a new code is below that of the old one

def old_code(
    code:str,   # a posecode of today
    known:list, # posecodes that the weights read
    like:dict,  # new → old, without side
)->str:         # the known code whose rows are taken
    "The code itself, or the one it begins as."
    if code in known: return code
    side,_,name = code.partition('_') if POSECODES[code].side else ('','',code)
    if name not in like: raise SystemExit(f'the weights do not read {code}; say which code it begins as: {name}=OLD')
    old = f'{side}_{like[name]}' if side else like[name]
    if old not in known: raise SystemExit(f'the weights do not read {old} either')
    return old

def grow(
    state:dict, # tensors of the old weights
    known:list, # posecodes that they read
    like:dict,  # new → old, without side
)->dict:        # tensors for the posecodes of today
    "Rows and columns of the old codes, and of the new ones."
    source = [known.index(old_code(c, known, like)) for c in POSECODES]
    new = torch.tensor([c not in known for c in POSECODES])
    out = dict(state)
    for name,v in state.items():
        if 'code_head' in name: out[name] = v[source].clone()
        if name.endswith('code_head.bias'): out[name][new] -= DOUBT
        if name.endswith('code_emb.weight'):
            out[name] = v[:,source].clone()
            out[name][:,new] = 0
    return out

def main():
    pairs = [argument.split('=') for argument in sys.argv[3:]]
    if len(sys.argv)<3 or any(len(pair)!=2 for pair in pairs): raise SystemExit(__doc__)
    weights,out = map(Path, sys.argv[1:3])
    like = dict(pairs)
    missing = [f for f in ('config.json','model.safetensors','training.json') if not (weights/f).is_file()]
    if missing: raise SystemExit(f'{weights/missing[0]} is missing')
    config = {k:v for k,v in read_json(weights/'config.json').items() if k!='format'}
    known = config['posecodes']
    state = grow(load_file(weights/'model.safetensors'), known, like)
    model = Text2PoseModel({**config, 'posecodes':list(POSECODES)})
    model.load_state_dict({k:v.float() for k,v in state.items()})
    save_model(model, out)
    shutil.copy(weights/'training.json', out/'training.json')
    print(f'{out}: {len(POSECODES)} posecodes, {sum(c not in known for c in POSECODES)} of them new')

if __name__=='__main__': main()
