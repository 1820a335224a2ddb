"""Combinations that were never together in training: how often all parts hold. Writes benchmarks/transfer.json.

    python benchmarks/bench_transfer.py [--table open.parquet] [--triples 100] [--poses 8] [--out FILE]

A triple is something about the left arm, something about the right arm and something about the legs. Any two of them
hold together in 20 poses of the training set or more, so that a body can do them; no pose of it (nor a mirrored one)
has all three. (Of pairs of an arm and a leg hardly any are new: compositions have put nearly all of them together.) The
words are the posecodes' own meanings with commas between. Asked with exemplars, without, and of the library alone,
enforcement off.
"""
import argparse, json
from pathlib import Path
import numpy as np
from text2pose.core import atomic_path
from text2pose.data import mirror, read_pose_table, table_joints
from text2pose.posecodes import POSECODES, posecodes, satisfies
from text2pose.cfg import Text2PosePipeline
from text2pose.dataset import build_table
from bench_follow import LookUp

ARM_FAMILIES,LEG_FAMILIES,LEAST = ('arms','hands at'),('legs','knees'),20
AT_LEGS = ('knee','foot')  # hands there depend on the legs

def training_codes(table):
    "Which codes hold in the poses of the split train and their mirror images, (n, n_codes) bool."
    table = table.filter(np.array(table['split'].to_pylist())=='train')
    _,first = np.unique(table['pose_id'].to_pylist(), return_index=True)
    joints = table_joints(table)[first]
    return posecodes(np.concatenate([joints, mirror(joints)]))

def _ids(families, side=''):
    "Codes of some families that are about a side, those that tie arms to legs left out."
    return [id for id,c in POSECODES.items() if c.family in families and id.startswith(side)
            and (c.family in LEG_FAMILIES or not any(word in id for word in AT_LEGS))]

def unseen_triples(held, n, seed):
    "n triples of ids that never hold all together, drawn at random, and how many were looked at."
    rng = np.random.default_rng(seed)
    columns = {id:np.packbits(held[:,k]) for k,id in enumerate(POSECODES)}
    def count(*ids): return int(np.bitwise_count(np.bitwise_and.reduce([columns[id] for id in ids])).sum())
    choices = [_ids(ARM_FAMILIES,'left'), _ids(ARM_FAMILIES,'right'), _ids(LEG_FAMILIES)]
    found,tried = [],0
    while len(found)<n:
        tried += 1
        a,b,c = (str(rng.choice(some)) for some in choices)
        seen = min(count(a, b), count(a, c), count(b, c))
        if seen>=LEAST and count(a, b, c)==0 and (a,b,c) not in found: found.append((a,b,c))
    return found,tried

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--table', type=Path, help='written by text2pose data build; built anew by default')
    p.add_argument('--triples', type=int, default=100)
    p.add_argument('--poses', type=int, default=8)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--out', type=Path, default=Path(__file__).with_name('transfer.json'))
    a = p.parse_args()
    table = read_pose_table(a.table) if a.table else build_table('open', n_words=0)
    held = training_codes(table)
    triples,tried = unseen_triples(held, a.triples, a.seed)
    prompts = [', '.join(POSECODES[id].meaning for id in triple) for triple in triples]
    pipe = Text2PosePipeline.from_pretrained()
    asked = {'with exemplars':(pipe,{}), 'without':(pipe,dict(num_exemplars=0)), 'library alone':(LookUp(pipe),{})}
    res = dict(command='python benchmarks/bench_transfer.py', triples=len(triples), tried=tried, poses=a.poses)
    each = []
    for name,(model,kwargs) in asked.items():
        x = model(prompts, a.poses, seed=a.seed, enforce_skeleton=False, **kwargs).joints
        x = x.reshape(len(triples), a.poses, 22, 3)
        parts = [[satisfies([id], poses) for id in triple] for triple,poses in zip(triples, x)]
        parts = np.array(parts)  # (triples, 3, poses)
        res[name] = dict(all_three=round(float(parts.all(1).mean()), 4), parts=round(float(parts.mean()), 4),
                         one_of_the_poses=round(float(parts.all(1).any(1).mean()), 4))
        each.append(parts.all(1).mean(1))
        print(name, res[name], flush=True)
    res['each'] = {prompt:[round(float(e), 2) for e in row] for prompt,row in zip(prompts, zip(*each))}
    with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(res, indent=1)+'\n')

if __name__=='__main__': main()
