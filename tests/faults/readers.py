"""Everything that reads a file: valid small examples, how to spoil them, how they are read, what must then hold.

A reader gets a folder with the files of one case. It either refuses them in a sentence (ValueError or OSError), or what
it gives keeps its contract, which `check` asserts.
"""
import io, json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from text2pose.data import N_JOINTS, own_poses

@dataclass
class Reader:
    name:str
    make:object    # make() gives a list of examples: dict of file name → bytes
    kinds:dict     # file name → kind of damage, one of mutate.KINDS
    read:object    # read(folder, said) gives what is read; said collects sentences about what was left out
    check:object   # check(found) asserts its contract
    names:tuple=() # one of these must be in a sentence; by default a name of a spoilt file
    weight:float=1 # share of the cases, against the others
    paths:bool=True # whether it opens the files itself, which then may be folders, pipes and links

READERS = {}

def reader(kinds, check, names=(), weight=1, paths=True):
    "Register a reader: the class below it has `make` and `read`."
    def register(cls):
        name = cls.__doc__
        READERS[name] = Reader(name, lru_cache(maxsize=None)(cls.make), kinds, cls.read, check, names, weight, paths)
        return cls
    return register

# ---- what must hold

def check_joints(x):
    assert isinstance(x, np.ndarray) and x.shape[1:]==(N_JOINTS,3), x.shape
    assert np.isfinite(x).all(), 'joints that are not finite'

def check_poses(found):
    x,prompts,faces = found
    check_joints(x)
    assert len(x) and x.dtype==np.float32 and np.abs(x).max()<=1e6
    assert (np.ptp(x, axis=1)>0).any(1).all(), 'a pose whose joints are all at one point'
    assert len(prompts)==len(x) and all(isinstance(p, str) for p in prompts)
    if faces is None: return
    assert faces.shape==(len(x),3)
    known = faces[~np.isnan(faces).any(1)]
    assert np.abs(np.linalg.norm(known, axis=1)-1).max(initial=0)<.02, 'a face that is no direction'

def check_clip(clip):
    check_joints(clip.joints)
    assert len(clip.joints) and 1<=clip.fps<=1000

def check_clips(clips):
    for clip in clips: check_clip(clip)

def check_library(library):
    check_joints(library.joints)
    n = len(library.joints)
    lists = library.names, library.phrases, library.sources, library.splits, set(library.names)
    assert all(len(v)==n for v in lists)
    assert all(isinstance(t, str) for texts in library.phrases for t in texts)

def check_table(table):
    from text2pose.data import POSE_COLUMNS, table_faces, table_joints
    assert table.column_names==list(POSE_COLUMNS)
    x = table_joints(table)
    check_joints(x)
    assert (np.ptp(x, axis=1)>0).any(1).all(), 'a pose whose joints are all at one point'
    table_faces(table)
    required = [c for c in POSE_COLUMNS if c not in ('codes','cluster','face')]
    assert all(table[c].null_count==0 for c in required), 'a null where a value belongs'

def check_module(module):
    import torch
    for name,v in module.state_dict().items(): assert torch.isfinite(v).all(), f'{name} is not finite'
    if hasattr(module, 'std'): assert (module.std>0).all(), 'a standard deviation that is not positive'

def check_states(states):
    import torch
    idx = torch.arange(len(states.lengths))
    if not len(idx): return
    tokens,mask = states(idx, 'cpu')
    assert tokens.ndim==3 and mask.any(1).all(), 'captions without states'  # training refuses what is not finite

def check_texts(captions):
    for c in captions:
        assert isinstance(c.text, str) and c.text.strip()
        assert np.isfinite([c.start,c.end]).all() if hasattr(c, 'start') else True

def check_prompts(prompts):
    assert prompts and all(isinstance(p, str) and any(map(str.isalpha, p)) for p in prompts)

def check_lengths(lengths): assert lengths.shape==(N_JOINTS-1,) and np.isfinite(lengths).all() and (lengths>0).all()

def check_anything(found): pass

# ---- examples

def _poses(n=3): return np.stack([p['joints'] for p in own_poses()[:n]])

def _exported(name, **kwargs):
    "Bytes of a file of `export`."
    import tempfile
    from text2pose.export import export
    with tempfile.TemporaryDirectory() as tmp:
        export(_poses(), Path(tmp)/name, prompts=['arms raised','golf swing','kick'], **kwargs)
        return (Path(tmp)/name).read_bytes()

def _written(write, name):
    "Bytes of a file that `write(path)` makes."
    import tempfile
    with tempfile.TemporaryDirectory() as tmp:
        write(Path(tmp)/name)
        return (Path(tmp)/name).read_bytes()

_FACES = np.float32([[.6,-.8,0],[0,-1,0],[np.nan]*3])

def _load(path):
    from text2pose.export import load_faces, load_poses
    x,prompts = load_poses(path)
    return x, prompts, load_faces(path)

# ---- poses

@reader({'poses.npz':'npz'}, check_poses, weight=1.5)
class Npz:
    "poses .npz"
    def make(): return [{'poses.npz':_exported('poses.npz', faces=_FACES)}, {'poses.npz':_exported('poses.npz')}]
    def read(folder, said): return _load(folder/'poses.npz')

@reader({'poses.npy':'npy'}, check_poses)
class Npy:
    "poses .npy, joints or HumanML3D features"
    def make():
        from text2pose.humanml3d import humanml3d_vec_from_joints
        x = _poses()
        features = humanml3d_vec_from_joints(np.repeat(x[:1], 4, 0))
        return [{'poses.npy':_written(lambda p: np.save(p, a), 'x.npy')} for a in (x, x.astype('>f8'), features)]
    def read(folder, said): return _load(folder/'poses.npy')

@reader({'poses.json':'json'}, check_poses, weight=1.5)
class Json:
    "poses .json"
    def make(): return [{'poses.json':_exported('poses.json', faces=_FACES, scores=np.ones(3), seed=3)}]
    def read(folder, said): return _load(folder/'poses.json')

@reader({'poses.glb':'glb'}, check_poses, weight=1.5)
class Glb:
    "poses .glb"
    def make(): return [{'poses.glb':_exported('poses.glb')}, {'poses.glb':_exported('poses.glb', faces=_FACES)}]
    def read(folder, said): return _load(folder/'poses.glb')

@reader({'poses.vrma':'glb'}, check_poses)
class Vrma:
    "poses .vrma"
    def make(): return [{'poses.vrma':_exported('poses.vrma', faces=_FACES)}]
    def read(folder, said): return _load(folder/'poses.vrma')

@reader({'poses.bvh':'text'}, check_poses, ('poses.bvh','frames','rest pose'))
class Bvh:
    "poses .bvh"
    def make():
        mixamo = _exported('poses.bvh', options=dict(names='mixamo'))
        return [{'poses.bvh':_exported('poses.bvh')}, {'poses.bvh':mixamo}]
    def read(folder, said): return _load(folder/'poses.bvh')

@reader({'walk.bvh':'text'}, check_clip, ('walk.bvh','frames','rest pose'))
class BvhClip:
    "captures .bvh"
    def make(): return [{'walk.bvh':_exported('walk.bvh')}]
    def read(folder, said):
        from text2pose.mocap import read_mocap
        return read_mocap(folder/'walk.bvh')

def _amc_pair(seed=0):
    from test_mocap import random_amc
    return random_amc(np.random.default_rng(seed), n_bones=6, n_frames=3)[:2]

def check_motion(m):
    assert len(m.positions) and np.isfinite(m.positions).all() and np.isfinite(m.offsets).all()
    assert len(m.names)==len(m.parents)==m.positions.shape[1]==len(set(m.names))

@reader({'01.asf':'text', '01_01.amc':'text'}, check_motion, ('01.asf','01_01.amc'), weight=2)
class AsfAmc:
    "captures .asf and .amc"
    def make():
        pairs = [_amc_pair(s) for s in (0,1,2)]
        return [{'01.asf':a.encode(), '01_01.amc':m.encode()} for a,m in pairs]
    def read(folder, said):
        from text2pose.mocap import read_amc
        return read_amc(folder/'01_01.amc', folder/'01.asf')

@reader({'map.json':'json'}, check_poses, ('map.json','joint_map','poses.bvh'))
class JointMap:
    "joint map .json"
    def make():
        bvh = _exported('poses.bvh').replace(b'left_knee', b'knie_links').replace(b'pelvis', b'becken')
        maps = [dict(left_knee='knie_links'), dict(pelvis='becken', left_knee=['knie_links','becken',.01], head='head')]
        return [{'map.json':json.dumps(m).encode(), 'poses.bvh':bvh} for m in maps]
    def read(folder, said):
        from text2pose.export import load_poses
        return *load_poses(folder/'poses.bvh', joint_map=folder/'map.json', unit='m', up='y'), None

@reader({'frame.json':'json'}, lambda found: check_poses((*found,None)),
        ('frame.json','OpenPose','pose_keypoints_2d'), weight=.7, paths=False)
class OpenPose:
    "OpenPose .json"
    def make():
        from text2pose.export import openpose_people
        people = openpose_people(_poses(1))
        flat = np.asarray(people if isinstance(people, np.ndarray) else people[0], dtype=float).reshape(-1)[:54]
        person = dict(pose_keypoints_2d=flat.tolist())
        return [{'frame.json':json.dumps(dict(version=1.3, people=[person])).encode()}]
    def read(folder, said):
        from text2pose.view import read_dropped
        return read_dropped('frame.json', (folder/'frame.json').read_bytes())

@reader({'body.json':'json'}, check_lengths)
class Body:
    "bone lengths .json"
    def make():
        bodies = dict(left_knee=.43, wrist=.25), dict(head=.2, spine1=.1)
        return [{'body.json':json.dumps(body).encode()} for body in bodies]
    def read(folder, said):
        from text2pose.cli import _body_lengths
        return _body_lengths(str(folder/'body.json'))

@reader({'scene.json':'json'}, check_joints)
class Scene:
    "scenes .json"
    def make():
        from text2pose.editing import export_scene
        return [{'scene.json':_written(lambda p: export_scene(_poses(2), p, headings=[0,90]), 'scene.json')}]
    def read(folder, said):
        from text2pose.editing import load_scene
        return load_scene(folder/'scene.json')

def check_results(results):
    check_joints(results.joints)
    assert len(results.joints)==len(results.rows)
    for row in results.rows: assert isinstance(row['prompt'], str) and isinstance(row['score'], float)

@reader({'out/poses.json':'json', 'out/evaluation.json':'json'}, check_results, ('out','poses.json','evaluation.json'))
class Results:
    "folders of results"
    def make():
        poses = _exported('poses.json', scores=np.ones(3))
        return [{'out/poses.json':poses, 'out/evaluation.json':json.dumps(dict(a=1., b=dict(c=2, d='x'))).encode()}]
    def read(folder, said):
        from text2pose.explore import read_results
        results = read_results(folder/'out')
        said += results.faults
        return results

# ---- tables

def _rows(n=8):
    from text2pose.data import own_rows
    return own_rows()[:n]

@reader({'poses.parquet':'parquet'}, check_table, weight=1.5)
class Table:
    "pose table .parquet"
    def make():
        from text2pose.data import Report, pose_table, write_pose_table
        rows = [dict(r, face=[0,-1,0]) for r in _rows()]
        tables = [pose_table(rows), pose_table(_rows(4), Report())]
        return [{'poses.parquet':_written(lambda p: write_pose_table(t, p), 'x.parquet')} for t in tables]
    def read(folder, said):
        from text2pose.data import read_pose_table
        return read_pose_table(folder/'poses.parquet')

@reader({'poses.parquet':'parquet'}, lambda s: check_joints(s.numpy()), weight=.7)
class Stream:
    "pose table .parquet, as a stream"
    make = Table.make
    def read(folder, said):
        from text2pose.dataset import PoseStream
        return PoseStream(folder/'poses.parquet').at(0).joints

@reader({'clusters.json':'json'}, lambda m: check_joints(m.clusters.centroids))
class Clusters:
    "cluster map .json"
    def make():
        from text2pose.clustering import ClusterMap, PoseClusters
        made = ClusterMap(PoseClusters(_poses(2)), [['a','b'],['c']])
        return [{'clusters.json':_written(made.save, 'x.json')}]
    def read(folder, said):
        from text2pose.clustering import ClusterMap
        return ClusterMap.load(folder/'clusters.json')

# ---- words

_YAML = b"""- name: hand_up
  phrases: [hand up, raise a hand, one hand in the air]
  angles: {left_shoulder: {flexion: 170}}
  expects: [left_hand_overhead]
- name: bow
  phrases: [bow, a deep bow, bend forward]
  angles:
    trunk: {flexion: 60, twist: 5}
    neck: {flexion: 10}
  tags: [everyday]
  contact: feet
  vary: {trunk: 4}
  mirror: false
"""

@reader({'mine.yaml':'yaml'}, check_anything, ('mine.yaml','holds no .yaml files'))
class Atlas:
    "atlas .yaml"
    def make(): return [{'mine.yaml':_YAML}]
    def read(folder, said):
        from text2pose.atlas import atlas
        poses = atlas(folder=folder)
        assert all(-270<=a<=270 for p in poses.values() for values in p.angles.values() for a in values.values())

@reader({'lib/mine.yaml':'yaml', 'lib/made.json':'json'}, check_library, ('mine.yaml','made.json','lib'), weight=.5)
class Library:
    "library folder: .yaml and .json"
    def make():
        x = _exported('made.json')
        return [{'lib/mine.yaml':_YAML, 'lib/made.json':x}]
    def read(folder, said):
        from text2pose.library import read_library
        return read_library(folder/'lib')

@reader({'lib/made.npz':'npz', 'lib/made.bvh':'text'}, check_library, ('made.npz','made.bvh','lib'), weight=.5)
class LibraryPoses:
    "library folder: .npz and .bvh"
    def make(): return [{'lib/made.npz':_exported('made.npz'), 'lib/made.bvh':_exported('made.bvh')}]
    def read(folder, said):
        from text2pose.library import read_library
        return read_library(folder/'lib')

@reader({'library.safetensors':'safetensors'}, check_library)
class SavedLibrary:
    "library .safetensors"
    def make():
        from text2pose.library import atlas_library, save_library
        some = atlas_library()[[0,5,9]]
        return [{'library.safetensors':_written(lambda p: save_library(some, p), 'x.safetensors')}]
    def read(folder, said):
        from text2pose.library import load_library
        return load_library(folder/'library.safetensors')

@reader({'texts.txt':'text'}, check_texts)
class Texts:
    "captions: HumanML3D texts"
    def make():
        one = b'a person stands.#a/DET person/NOUN stand/VERB#0.0#0.0\n'
        two = b'he kicks to the left#he/PRON kick/VERB to/ADP the/DET left/NOUN#1.0#2.5\n'
        return [{'texts.txt':one+two}]
    def read(folder, said):
        from text2pose.captions import read_texts
        return read_texts(folder/'texts.txt')

@reader({'prompts.txt':'text'}, check_prompts)
class Prompts:
    "prompts file"
    def make(): return [{'prompts.txt':'arms raised\n# a comment\n\nkick with the left leg, à gauche\n'.encode()}]
    def read(folder, said):
        from text2pose.cli import _read_prompts
        return _read_prompts(folder/'prompts.txt')

@reader({'prompts.csv':'text'}, check_anything)
class PromptsCsv:
    "prompts file .csv"
    def make():
        lines = b'prompt,id,seed,n,negative\n"arms raised, high",up,3,2,arms down\ncrouching,low,,,\n'
        return [{'prompts.csv':lines}, {'prompts.csv':lines.replace(b',', b';').replace(b'raised;', b'raised,')}]
    def read(folder, said): return _batch_prompts(folder/'prompts.csv')

@reader({'prompts.jsonl':'jsonl'}, check_anything)
class PromptsJsonl:
    "prompts file .jsonl"
    def make():
        full = dict(prompt='arms raised', id='up', seed=3, n=2, negative='arms down')
        return [{'prompts.jsonl':'\n'.join(map(json.dumps, (full, dict(prompt='golf swing'), 'crouching'))).encode()}]
    def read(folder, said): return _batch_prompts(folder/'prompts.jsonl')

def _batch_prompts(path):
    "Prompts with what their lines say, in the ranges that the pipeline takes."
    from text2pose.batch import read_prompts_file
    prompts,unknown = read_prompts_file(path)
    check_prompts([p.prompt for p in prompts])
    assert all(p.seed is None or 0<=p.seed<10**300 for p in prompts), 'a seed that the pipeline does not take'
    assert all(p.n is None or p.n>=1 for p in prompts) and len({p.id.lower() for p in prompts})==len(prompts)
    return prompts

# ---- folders of motion

@reader({'h/train.txt':'text', 'h/new_joint_vecs/000001.npy':'npy', 'h/texts/000001.txt':'text'}, check_clips,
        ('train.txt','000001','clip'))
class HumanML3D:
    "HumanML3D folder"
    def make():
        from text2pose.humanml3d import humanml3d_vec_from_joints
        vec = humanml3d_vec_from_joints(np.repeat(_poses(1), 5, 0))
        return [{'h/train.txt':b'000001\n', 'h/new_joint_vecs/000001.npy':_written(lambda p: np.save(p, vec), 'x.npy'),
                 'h/texts/000001.txt':b'a person stands.#a/DET person/NOUN stand/VERB#0.0#0.0\n'}]
    def read(folder, said):
        from text2pose.humanml3d import read_humanml3d
        return list(read_humanml3d(folder/'h', on_skip=said.append))

@reader({'h/Mean.npy':'npy', 'h/Std.npy':'npy'}, lambda s: [np.testing.assert_array_less(0, s[1])])
class Stats:
    "HumanML3D Mean.npy and Std.npy"
    def make():
        one = _written(lambda p: np.save(p, np.ones(263, np.float32)), 'x.npy')
        return [{'h/Mean.npy':one, 'h/Std.npy':one}]
    def read(folder, said):
        from text2pose.humanml3d import humanml3d_stats
        mean,std = humanml3d_stats(folder/'h')
        assert np.isfinite(mean).all() and np.isfinite(std).all()
        return mean,std

@reader({'r/captions.jsonl':'jsonl', 'r/cmu.npz':'npz'}, check_clips, ('captions.jsonl','cmu.npz'))
class Realmocap:
    "realmocap22 folder"
    def make():
        from text2pose.data import y_up_from_z_up
        x = y_up_from_z_up(np.repeat(_poses(2), 3, 0)).astype(np.float16)
        arrays = dict(ids=np.array(['a','b']), start=np.array([0,3,6]), joints=x, root_xz=np.zeros((6,2), np.float32))
        row = dict(text='walk', split='train', rig='cmu', sentences=['a person walks.'])
        lines = '\n'.join(json.dumps(dict(row, id=i)) for i in 'ab').encode()
        return [{'r/captions.jsonl':lines, 'r/cmu.npz':_written(lambda p: np.savez(p, **arrays), 'x.npz')}]
    def read(folder, said):
        from text2pose.humanml3d import read_realmocap22
        return list(read_realmocap22(folder/'r', ('cmu',)))

@reader({'m/captions.jsonl':'jsonl', 'm/source.json':'json', 'm/cmu-mocap-index-text.txt':'text',
         'm/texts/walk.txt':'text'}, check_clips,
        ('captions.jsonl','source.json','cmu-mocap-index-text.txt','walk','01_02'))
class MocapFolder:
    "capture folder: captions.jsonl, source.json, index, texts"
    def make():
        bvh = _exported('walk.bvh')
        index = b'01_01 playground - forward jumps\n01_02\tclimb\n'
        return [{'m/walk.bvh':bvh, 'm/01_02.bvh':bvh, 'm/source.json':b'{"source":"cmu","licence":"free"}',
                 'm/captions.jsonl':b'{"id":"walk","text":"a person walks","kind":"human"}\n{"id":"x","text":"y"}',
                 'm/cmu-mocap-index-text.txt':index, 'm/texts/walk.txt':b'walks.#walks/VERB#0.0#0.0\n'}]
    def read(folder, said):
        from text2pose.mocap import read_mocap_folder
        clips = list(read_mocap_folder(folder/'m', on_skip=said.append, on_warn=said.append))
        for clip in clips:
            assert isinstance(clip.source, str) and isinstance(clip.licence, str), 'a source that is no text'
        return clips

def check_unpacked(folder):
    "Nothing lies outside the folder, and nothing in it is a link."
    above = folder.parent
    assert sorted(p.name for p in above.iterdir() if not p.name.startswith('.')) in (['a.zip'],['a.zip','out'])
    assert not any(p.is_symlink() for p in folder.rglob('*')), 'a link was unpacked'

@reader({'a.zip':'zip'}, check_unpacked)
class Archive:
    "archives of fetch .zip"
    def make():
        b = io.BytesIO()
        import zipfile
        with zipfile.ZipFile(b, 'w') as z:
            for name in ('set/walk.bvh','set/run.bvh','notes.txt','run.sh'): z.writestr(name, 'HIERARCHY')
        return [{'a.zip':b.getvalue()}]
    def read(folder, said):
        from text2pose.mocap import unpack
        unpack(folder/'a.zip', folder/'out')
        return folder/'out'

# ---- weights

def _model_folder():
    import tempfile, torch
    from test_cfg import TINY
    from text2pose.cfg import Text2PoseModel, save_model
    torch.manual_seed(0)
    model = Text2PoseModel(dict(TINY, unet=dict(block_channels=[8,16], layers_per_block=1, n_heads=2,
                                               cross_attention_dim=8, body_channels=8)))
    with tempfile.TemporaryDirectory() as tmp:
        save_model(model, tmp)
        return {f'w/{p.name}':p.read_bytes() for p in Path(tmp).iterdir()}

@reader({'w/model.safetensors':'safetensors', 'w/config.json':'json'}, check_module, weight=2)
class Weights:
    "weights: model.safetensors and config.json"
    def make(): return [_model_folder()]
    def read(folder, said):
        from text2pose.cfg import load_model
        return load_model(folder/'w')

@reader({'w/model.safetensors':'safetensors', 'w/config.json':'json'}, check_module, paths=False)
class WeightsTogether:
    "weights: the same change in both files"
    make = Weights.make
    def read(folder, said):
        "The configuration in the file of tensors becomes that of config.json, which alone would be refused."
        from text2pose.cfg import load_model
        from mutate import _joined_safetensors, _split_safetensors
        try:
            config = json.loads((folder/'w'/'config.json').read_bytes())
            header,data = _split_safetensors((folder/'w'/'model.safetensors').read_bytes())
            config.pop('format')
            header['__metadata__']['config'] = json.dumps(config, sort_keys=True)
            (folder/'w'/'model.safetensors').write_bytes(_joined_safetensors(header, data))
        except Exception: pass  # then it is damaged otherwise
        return load_model(folder/'w')

@reader({'w/training.json':'json'}, check_anything, ('w',))
class Training:
    "weights: training.json"
    def make():
        how = dict(about='a test', steps=3, samples=9, losses=[dict(step=1, loss=.5, val=dict(gap=1.))], processes=1,
                   data=dict(rows=3, licences=dict(atlas='Apache-2.0'), sources=dict(atlas=3)),
                   config=dict(phase='text'))
        return [{**_model_folder(), 'w/training.json':json.dumps(how).encode()}]
    def read(folder, said):
        from text2pose.cfg import Text2PosePipeline
        from text2pose.cli import _info_lines
        pipe = Text2PosePipeline.from_pretrained(folder/'w')
        from text2pose.cli import _information
        found = _information(pipe, str(folder/"w"))
        return [str(line) for line in _info_lines(found, pipe, str(folder/"w"))]

@reader({'scorer.safetensors':'safetensors'}, check_module)
class Scorer:
    "weights: scorer.safetensors"
    def make():
        import torch
        from text2pose.text import PoseTextScorer
        torch.manual_seed(0)
        return [{'scorer.safetensors':_written(PoseTextScorer(16, 8, 1, 8, 8).save, 'scorer.safetensors')}]
    def read(folder, said):
        from text2pose.text import load_scorer
        return load_scorer(folder/'scorer.safetensors')

@reader({'student.safetensors':'safetensors'}, check_module)
class Student:
    "weights: student.safetensors"
    def make():
        import torch
        from text2pose.student import JumpNet, save_student
        torch.manual_seed(0)
        net = JumpNet(word_dim=6, body_dim=8, n_steps=1, emb_dim=8)
        return [{'student.safetensors':_written(lambda p: save_student(net, p, 'somebody'), 'x.safetensors')}]
    def read(folder, said):
        from text2pose.student import load_student
        return load_student(folder/'student.safetensors', 'somebody')

@reader({'evaluator.safetensors':'safetensors'}, check_module)
class Evaluator:
    "weights: evaluator.safetensors"
    def make():
        import torch
        from text2pose.evaluator import PoseTextEvaluator
        torch.manual_seed(0)
        net = PoseTextEvaluator(16, 8, n_layers=1)
        return [{'evaluator.safetensors':_written(lambda p: net.save(p), 'x.safetensors')}]
    def read(folder, said):
        from text2pose.evaluator import load_evaluator
        return load_evaluator(folder/'evaluator.safetensors')

def _encoder_folder():
    import tempfile, torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers
    vocab = {'[UNK]':0, **{f'w{i}':i for i in range(1, 120)}}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token='[UNK]'))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    config = dict(model_type='bert', hidden_act='gelu', vocab_size=120, hidden_size=8, num_hidden_layers=3,
                  num_attention_heads=2, intermediate_size=16, max_position_embeddings=130, layer_norm_eps=1e-12)
    g = torch.Generator().manual_seed(0)
    def r(*shape): return torch.randn(*shape, generator=g)
    tensors = {'embeddings.word_embeddings.weight':r(120,8), 'embeddings.position_embeddings.weight':r(130,8),
               'embeddings.token_type_embeddings.weight':r(2,8), 'embeddings.LayerNorm.weight':r(8),
               'embeddings.LayerNorm.bias':r(8)}
    sizes = {'attention.self.query':(8,8), 'attention.self.key':(8,8), 'attention.self.value':(8,8),
             'attention.output.dense':(8,8), 'attention.output.LayerNorm':(8,), 'intermediate.dense':(16,8),
             'output.dense':(8,16), 'output.LayerNorm':(8,)}
    for i in range(3):
        for name,size in sizes.items():
            tensors[f'encoder.layer.{i}.{name}.weight'] = r(*size)
            tensors[f'encoder.layer.{i}.{name}.bias'] = r(size[0])
    with tempfile.TemporaryDirectory() as tmp:
        tokenizer.save(f'{tmp}/tokenizer.json')
        save_file(tensors, f'{tmp}/model.safetensors')
        Path(tmp, 'config.json').write_text(json.dumps(config))
        return {f'e/{p.name}':p.read_bytes() for p in Path(tmp).iterdir()}

@reader({'e/model.safetensors':'safetensors', 'e/config.json':'json', 'e/tokenizer.json':'json'},
        lambda s: check_encoded(s), ('e',))
class Encoder:
    "text encoder folder"
    def make(): return [_encoder_folder()]
    def read(folder, said):
        from text2pose.text import load_text_encoder
        return load_text_encoder('minilm', folder/'e')

def check_encoded(encoder):
    "It loads; and what it says of a prompt is finite, or refused."
    import torch
    try: states = encoder(['w1 w2 w3'])
    except ValueError: return
    assert torch.isfinite(states.tokens[states.mask]).all(), 'states that are not finite'

# ---- training

@lru_cache(maxsize=None)
def _run():
    import torch
    from text2pose import train
    from text2pose.data import pose_table
    from text2pose.dataset import CaptionStates, TrainingSet
    data = TrainingSet(pose_table(_rows(40)))
    g = torch.Generator().manual_seed(0)
    states = CaptionStates.of([torch.randn(2+i%5, 8, generator=g) for i in range(len(data.captions))])
    config = train.phase_config('scorer', n_steps=40, batch_size=8, text_layers=1, towers=dict(embed_dim=8, pose_dim=8),
                                unet=dict(cross_attention_dim=8))
    return train.make_trainer(config, data, states, cpu=True)

def _one_step(run):
    "A training step without posecodes, which take half of its time."
    import torch
    from unittest import mock
    from text2pose.posecodes import POSECODES
    def none(joints): return torch.zeros(len(joints), len(POSECODES))
    with mock.patch('text2pose.train.posecode_margins', none): run.train_step()

def _checkpoint():
    import tempfile
    from text2pose.train import Checkpoints
    run = _run()
    if run.step==0: _one_step(run)
    with tempfile.TemporaryDirectory() as tmp:
        run.save_checkpoint(Checkpoints(tmp))
        return {f'c/{p.name}':p.read_bytes() for p in Checkpoints(tmp).path(run.step).iterdir()}

def _seal(folder):
    "Make the manifest fit the file, as somebody with ill intent would."
    import hashlib
    manifest,data = folder/'manifest.json', (folder/'checkpoint.safetensors').read_bytes()
    try:
        said = json.loads(manifest.read_bytes())
        said['files']['checkpoint.safetensors'] = dict(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        manifest.write_text(json.dumps(said))
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError): pass

def check_run(run):
    "One more step with what was loaded."
    import torch
    assert isinstance(run.step, int) and 0<=run.step<=run.config.n_steps, run.step
    assert all(torch.isfinite(p).all() for p in run.ema.values()), 'averaged weights that are not finite'
    run.step = min(run.step, 5)
    try: _one_step(run)
    except RuntimeError as e:
        if 'diverged' not in str(e): raise

@reader({'c/checkpoint.safetensors':'safetensors', 'c/manifest.json':'json'}, check_run, ('c',), weight=1.5,
        paths=False)
class Checkpoint:
    "checkpoint, its manifest made to fit"
    def make(): return [_checkpoint()]
    def read(folder, said):
        run = _run()
        _seal(folder/'c')
        run.load_checkpoint(folder/'c')
        return run

@reader({'c/checkpoint.safetensors':'safetensors', 'c/manifest.json':'json'}, check_anything, ('c',), weight=.5)
class CheckpointAsIs:
    "checkpoint"
    def make(): return [_checkpoint()]
    def read(folder, said):
        from text2pose.train import Checkpoints
        return Checkpoints.read(folder/'c')

@reader({'states.safetensors':'safetensors'}, check_states)
class States:
    "caption states .safetensors"
    def make():
        import torch
        from text2pose.dataset import CaptionStates, save_caption_states
        states = CaptionStates.of([torch.randn(n, 6, generator=torch.Generator().manual_seed(n)) for n in (2,3,4)])
        def write(path): save_caption_states(states, ['a','b','c'], path)
        return [{'states.safetensors':_written(write, 'x.safetensors')}]
    def read(folder, said):
        from text2pose.dataset import load_caption_states
        return load_caption_states(folder/'states.safetensors', ['b','a'])

def check_paths(paths):
    import torch
    idx = torch.arange(len(paths))
    samples,given = paths(idx, torch.ones(len(idx), dtype=bool))
    assert torch.isfinite(samples).all() and all(torch.isfinite(v).all() for v in given), 'paths that are not finite'
    assert samples.shape[2:]==(N_JOINTS,3)

@reader({'0000.safetensors':'safetensors'}, check_paths)
class TeacherPaths:
    "paths of a teacher .safetensors"
    def make():
        from test_distill import path_file
        return [{'0000.safetensors':_written(path_file, 'x.safetensors')}]
    def read(folder, said):
        import torch
        from text2pose.distill import Paths
        return Paths([folder/'0000.safetensors'], torch.randn(5,N_JOINTS,3, generator=torch.Generator().manual_seed(0)))

@reader({'w/training.json':'json'}, check_anything, ('w','training.json'), weight=.7)
class Finished:
    "training.json of a finished run"
    def make():
        from dataclasses import asdict
        config = asdict(_run().config)
        return [{'w/training.json':json.dumps(dict(config=config, steps=40)).encode(),
                 'w/scorer.safetensors':b'x', 'w/checkpoints/step-00000040/manifest.json':b'{}'}]
    def read(folder, said):
        import typer
        from text2pose.cli import _finished
        try: return _finished(folder/'w', _run().config)
        except typer.Exit: raise ValueError('refused by the command, which named training.json') from None
