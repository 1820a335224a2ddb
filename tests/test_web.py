"The page computes what the pipeline computes: stage by stage in Node, with numbers that Python writes here."
import gzip, json, re, zlib

import numpy as np, pytest, torch

from browser import program
from text2pose.cfg import _is_mirrored, _noise_of_pose, _ranking_noise, guidance_ramp
from text2pose.captions import mirror_words
from text2pose.data import canonical, own_poses
from text2pose.diffusion import ddim_timesteps
from text2pose.eval import read_prompts
from text2pose.export import export, load_poses, openpose_people, to_bvh
from text2pose.library import atlas_library, read_library
from text2pose.skeleton import enforce_skeleton, plausibility
from text2pose.text import PHRASE_WEIGHT, PoseMemory, check_prompts
from text2pose.web import _pack_library, export_web, pack
from tree import ROOT
from webpage import node, pipeline, site, web_modules

PROMPTS = [r['prompt'] for r in read_prompts()][::9][:36]
ODD = ['a man “bows”…', 'ﬁsting the air – left hand up', 'café dancer, naïve pose', "she's kneeling; doesn't move"]
REQUESTS = [dict(prompt=p, n=1, seed=str(i)) for i,p in enumerate(PROMPTS+ODD)] + [
    dict(prompt='a person sits on a chair', negative='arms raised', n=2, seed='3'),
    dict(prompt='waving with the left hand', negative='left arm hanging', n=1, seed=str(2**60)),
    dict(prompt='golf swing', guidance=[2,7], n=1, seed='9'),
    dict(prompt='golf swing', steps=16, n=2, seed=str(2**32+1))]
POSES = np.stack([p['joints'] for p in own_poses()])

def by_python(r):
    "What the pipeline makes of a request."
    more = {'guidance_scale':tuple(r['guidance'])} if 'guidance' in r else {}
    if 'negative' in r: more['negative_prompt'] = r['negative']
    return pipeline()(r['prompt'], r['n'], r.get('steps'), seed=int(r['seed']), **more)

@pytest.mark.parametrize('seed', [0, 1, 2**31, 2**32, 2**53-1, 2**62, 2**80])
def test_noise(seed):
    "The generators of NumPy and PyTorch, written again."
    keys = [(str(seed),j,300) for j in (0,1,77,100_000)]
    for (_,j,n),found in zip(keys, node('noise', keys)):
        assert np.abs(np.array(found['noise'])-_noise_of_pose(seed, j).numpy().ravel()).max()<1e-6
        assert np.abs(np.array(found['ranking'])-_ranking_noise(seed, j, n).numpy()).max()<1e-7
        assert found['isMirrored']==_is_mirrored(seed, j)

def test_normal_numbers_far_into_the_tail():
    "Every branch of the ziggurat: of 300,000 numbers some are beyond the last layer."
    want = np.random.default_rng([5,6]).standard_normal(300_000, np.float32)
    assert np.abs(want).max()>3.7
    assert np.abs(np.array(node('normal', dict(keys=[5,6], n=len(want))), np.float32)-want).max()<1e-6

def test_words():
    "Checks, tokens, and whether a side is named: prompts, punctuation, accents, emoji, words that are cut, odd spaces."
    rng = np.random.default_rng(0)
    words = sorted({w for p in PROMPTS for w in p.split()})
    words += 'left right Left RIGHT left, turns she and or side up in front away behind clockwise cw leaves'.split()
    words += ['counter-clockwise', '[MASK]', "isn't", 'e.g.', 'ca.', ':', '-', '1.5', 'x'*100]
    mixed = [' '.join(rng.choice(words, rng.integers(1,9))) for _ in range(3000)]
    ranges = (1,0x370), (0x2010,0x2060), (0x20a0,0x20c0), (0x1f600,0x1f640)
    signs = [chr(c) for first,end in ranges for c in range(first, end)]
    prompts = PROMPTS+ODD+mixed+[f'a man{c}bends {c} down{c}' for c in signs]+['', ' ', '!!', 'человек', '座る']
    prompts += ['a '*1000, 'a '*1001, 'ﬁst '*500, 'ﬁst '*501, '👍'*1998+' a', '👍'*2001]
    prompts += ['ﬁ'*50, 'ﬁ'*51, 'x'*101+' y', 'x'*50+'-'*51]
    vocabulary = pipeline().text_encoder.tokenizer.get_vocab()
    found = node('words', dict(prompts=prompts, vocabulary=sorted(vocabulary, key=vocabulary.get)))
    for prompt,got in zip(prompts, found):
        try: text, = check_prompts(prompt)
        except ValueError as e:
            assert got['error'].split("'")[0]==str(e).split("'")[0], prompt
            continue
        ids = pipeline().text_encoder.tokenizer.encode(text).ids
        assert got==[text, ids, mirror_words(text)!=text], repr(prompt)

def test_schedule():
    counts,pairs,intervals = (1,2,3,6,16,20,64,1000), ([2,2],[2,7]), ([0,.5],[0,1])
    given = [(n,pair,interval) for n in counts for pair in pairs for interval in intervals]
    for (n,pair,interval),(steps,scales) in zip(given, node('schedule', given)):
        assert steps==ddim_timesteps(n)
        assert np.abs(guidance_ramp(tuple(pair), n, interval)-scales).max()<1e-12

def test_enforcement():
    "Poses, poses that are shaken, of other sizes, and noise: the same body and the same score."
    rng = np.random.default_rng(0)
    shaken = [POSES+s*rng.normal(size=POSES.shape) for s in (.03,.1)]
    x = np.concatenate([POSES, *shaken, 1.4*POSES, rng.normal(size=(60,22,3))*.5]).astype(np.float32)
    found = node('enforce', x.reshape(len(x), -1).tolist())
    def of(name): return np.array([f[name] for f in found])
    assert np.abs(of('joints').reshape(x.shape)-enforce_skeleton(x)).max()<1e-6
    assert np.abs(of('canonical').reshape(x.shape)-canonical(x)).max()<1e-6
    assert np.abs(of('score')-plausibility(x)).max()<1e-6

def test_pack(tmp_path):
    "Numbers in 8 bits come back exactly, rounded ones within half a step, others as they are; turned matrices too."
    rng = np.random.default_rng(0)
    whole = (rng.integers(-127, 128, (5,7))*np.float32(.25)).astype(np.float32)
    whole[:,0] = 127*.25
    soft,vector = rng.normal(size=(6,9)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    arrays = dict(whole=whole, soft=soft, vector=vector)
    (tmp_path/'a.bin').write_bytes(pack(arrays, dict(soft=18), {}))
    names = [[n,t] for n in ('whole','soft') for t in (False,True)]+[['vector',False]]
    found = [np.array(v, np.float32) for v in node('unpack', dict(path=str(tmp_path/'a.bin'), names=names))]
    assert (found[0]==whole.ravel()).all() and (found[1]==whole.T.ravel()).all() and (found[4]==arrays['vector']).all()
    step = np.abs(arrays['soft']).max(1, keepdims=True)/(2**17-1)
    error = np.abs(found[2].reshape(6,9)-arrays['soft'])
    assert 0<error.max() and (error<=.51*step+1e-7).all()
    assert (found[3].reshape(9,6)==found[2].reshape(6,9).T).all()

@pytest.fixture(scope='module')
def read_by_both():
    "What both read of the prompts: (Python's TextStates, states, vector, similarity; the page's)."
    pipe,prompts = pipeline(),PROMPTS[::3]+ODD
    found = node('text', prompts, with_page=True)
    texts = [pipe.text_encoder(p) for p in prompts]
    return [(t, pipe._project(t)[0].detach(), pipe.memory.embed(t), pipe.memory.similarity(t), f)
            for t,f in zip(texts, found)]

def rarely(text):
    "Rare words have embeddings in 10 bits, and coarser bounds."
    return 20 if 'naive' in text.words[0] else 1

def test_encoder(read_by_both):
    "MiniLM in 17 and 16 bits, states of two layers: standard deviations are about 0.6 and 0.4."
    for text,states,vector,_,found in read_by_both:
        assert np.abs(text.tokens.numpy().ravel()-found['tokens']).max()<1e-3*rarely(text)
        assert np.abs(states.numpy().ravel()-found['states']).max()<3e-3*rarely(text)
        assert np.abs(vector.numpy().ravel()-found['vector']).max()<5e-5*rarely(text)

def test_look_up(read_by_both):
    for text,*_,similarity,found in read_by_both:
        assert np.abs(similarity.numpy()[0]-found['similarity']).max()<5e-5*rarely(text)

def test_a_library_of_ones_own(tmp_path):
    "One's own poses are found by what they are called, too; a pose and its mirror image are not both taken."
    export(POSES[:3], tmp_path/'own.json', prompts=['a salute of our team','the heron','zigzag'])
    pipe = pipeline()
    library = atlas_library()+read_library(tmp_path/'own.json')
    memory = PoseMemory(library, pipe.scorer, pipe.text_encoder)
    (tmp_path/'library.bin').write_bytes(_pack_library(memory))
    text = pipe.text_encoder(['the heron','arms raised','zigzag'])
    given = dict(path=str(tmp_path/'library.bin'), weight=PHRASE_WEIGHT, vectors=memory.embed(text).tolist())
    want = memory.similarity(text)
    for similarity,(found,rows) in zip(want, node('library', given)):
        assert np.abs(similarity.numpy()-found).max()<1e-6
        assert {*rows}=={*memory.nearest(similarity[None], 8)[0].tolist()}
    assert 'heron' in library.names[int(want[0].argmax())]

def test_denoiser(read_by_both):
    "One pass, given the same words, exemplars and noise: weights in 8 bits are the package's own."
    pipe,(_,states,_,_,_) = pipeline(),read_by_both[0]
    rows,similarity = [[3,700,1500,90],[8,9,1200,2000]],[[.5,.4,.3,.2],[.1,.2,.3,.4]]
    x = torch.randn(2, 22, 3, generator=torch.Generator().manual_seed(0))
    exemplars = pipe.model.normalize(pipe.memory.joints[torch.tensor(rows)]), torch.tensor(similarity)
    found = [dict(rows=r, similarity=s) for r,s in zip(rows, similarity)]
    given = dict(states=states.flatten().tolist(), n=states.shape[1], x=x.flatten().tolist(), timestep=499, found=found)
    both = [given|dict(isShown=is_shown) for is_shown in (True,False)]
    for is_shown,got in zip((True,False), node('predict', both, with_page=True)):
        shown = torch.full((2,4), is_shown)
        with torch.no_grad(): want = pipe.model.unet(x, 499, states.repeat(2,1,1), None, (*exemplars,shown))
        assert want.std()>.1 and np.abs(np.array(got)-want.numpy().ravel()).max()<1e-4

WRONG = [ # request, what is said of it
    (dict(prompt='word '*200), 'tokens; the text encoder takes at most 128'),
    (dict(prompt='word '*10_000), 'has 50,000 characters, at most 2,000 are read'), (dict(prompt='1 2 3'), 'holds no words'),
    (dict(prompt='человек'), 'not a Latin letter'), *((dict(prompt='wave', n=n), 'number of poses') for n in (0,1.5,65)),
    *((dict(prompt='wave', seed=seed), 'seed must be') for seed in ('-1','x')), (dict(prompt='wave', steps=0), 'of steps'),
    *((dict(prompt='wave', guidance=g), 'guidance must') for g in (101,[-1]))]
LAST = dict(prompt='<script>alert(1)</script>', n=1)

@pytest.fixture(scope='module')
def generated():
    "What the page makes of all requests, the wrong ones first."
    return node('generate', [r for r,_ in WRONG]+[LAST]+REQUESTS, with_page=True)

def test_poses(generated):
    "Prompts, odd signs, negative prompts, guidance, steps, large seeds: within a millimetre, rare words within five."
    for r,poses in zip(REQUESTS, generated[len(WRONG)+1:]):
        want = by_python(r)
        bound = 5e-3 if 'naïve' in r['prompt'] else 1e-3  # metres
        assert len(poses)==len(want.joints)
        for k,pose in enumerate(poses):
            assert {n for n,_ in pose['exemplars']}=={n for n,_ in want.exemplars[k]}, r
            assert np.abs(np.reshape(pose['joints'], (22,3))-want.joints[k]).max()<bound, r
            assert np.abs(np.reshape(pose['raw'], (22,3))-want.raw_joints[k]).max()<bound, r
            assert abs(pose['score']-want.scores[k])<.01, r

def test_wrong_requests(generated):
    "One sentence each, and the next request is met."
    for (_,message),found in zip(WRONG, generated): assert message in found['error'] and len(found['error'])<200
    pose, = generated[len(WRONG)]
    assert pose['prompt']==LAST['prompt'] and len(pose['joints'])==66

# ---------------------------------------------------------------- files

def flat(x): return x.reshape(len(x), -1).tolist()

def test_files_that_python_reads(tmp_path):
    "JSON within rounding, BVH within a hundredth of a millimetre, OpenPose within half a pixel of our own."
    x = canonical(enforce_skeleton(POSES))
    found = node('write', flat(x))
    for ending,bound in (('json',1e-5), ('bvh',1e-5)):
        (tmp_path/f'a.{ending}').write_text(found[ending])
        assert np.abs(load_poses(tmp_path/f'a.{ending}')[0]-x).max()<bound
    for pose,text in zip(x, found['openpose']):
        content = json.loads(text)
        got = np.reshape(content['people'][0]['pose_keypoints_2d'], (18,3))
        want = openpose_people(pose[None])[0]
        seen = want[:,2]>0
        assert ((got[:,2]>0)==seen).all() and (content['canvas_width'],content['canvas_height'])==(512,768)
        a,b = (p[seen,:2]-p[seen,:2].mean(0) for p in (got,want))  # the frames may differ
        assert np.abs(a*np.linalg.norm(b)/np.linalg.norm(a)-b).max()<.5

def test_files_that_python_writes(tmp_path):
    "Our JSON and BVH give the same poses; OpenPose gives one that looks the same from the front."
    x = canonical(enforce_skeleton(POSES[:20]))
    for ending in ('json','bvh'):
        export(x, tmp_path/f'a.{ending}')
        found = node('read', [[(tmp_path/f'a.{ending}').read_text(), 'a']])[0]
        assert np.abs(np.array([p['joints'] for p in found]).reshape(x.shape)-x).max()<1e-4
    for unit in ('m','cm','mm'):
        export(x, tmp_path/f'{unit}.bvh', options=dict(unit=unit))
        found = node('read', [[(tmp_path/f'{unit}.bvh').read_text(), 'a']])[0]
        assert np.abs(np.array([p['joints'] for p in found]).reshape(x.shape)-x).max()<1e-4, unit
    texts = node('write', flat(x))['openpose']
    guessed = np.array([p[0]['joints'] for p in node('read', [[t, 'a'] for t in texts])]).reshape(x.shape)
    limbs = [4,5,7,8,18,19,20,21]
    ahead = np.flatnonzero(np.abs(x[:,[1,2,16,17],1]).max(1)<.1)  # those who face the camera
    assert len(ahead)>=5
    assert np.abs(guessed[ahead][:,limbs][...,[0,2]]-x[ahead][:,limbs][...,[0,2]]).max()<.12

BAD_FILES = {
    '{"poses": [{"joints": [[NaN, 0, 0]]}]}':'NaN', '{"poses": []}':'no file of poses', '{"a": 1':'no JSON',
    '[[1, 2], [3, 4]]':'22 × 3', 'hello':'neither JSON', '':'neither JSON', '{"people": []}':'no people',
    '{"people": [{"pose_keypoints_2d": [1, 2]}]}':'18 or 25 points', 'HIERARCHY ROOT a { OFFSET x':'BVH', 'HIERARCHY ROOT':'BVH', 'HIERARCHY { }':'BVH',
    'HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n}\nMOTION\nFrames: 1\nFrame Time: 1\n0':'other joints', '[1e999]':'22 × 3',
    json.dumps([[[1e5,0,0]]*22]):'metres', json.dumps([[[0,0,0]]*22]):'one point', json.dumps([[['a',0,0]]*22]):'22 × 3',
    '{"people": [{"pose_keypoints_2d": %s}]}' % json.dumps([0]*54):'hips or shoulders'}

def test_bad_files():
    for (text,message),found in zip(BAD_FILES.items(), node('read', [[t, 'a.json'] for t in BAD_FILES])):
        assert message in found['error'], (text, found)
        assert '\n' not in found['error'] and len(found['error'])<250

def test_cut_files(tmp_path):
    "What Python refuses of a BVH the page refuses, in the same words."
    whole = to_bvh(canonical(enforce_skeleton(POSES[:4])))
    lines = whole.splitlines()
    cut = {'whole':whole, 'in a row':whole[:-900], 'between rows':'\n'.join(lines[:-2]), 'no row':'\n'.join(lines[:-4]),
           'many':whole.replace('Frames: 4','Frames: 1000000000'), 'none':whole.replace('Frames: 4','Frames: 0')}
    for (what,text),found in zip(cut.items(), node('read', [[t, 'a.bvh'] for t in cut.values()])):
        path = tmp_path/'a.bvh'
        path.write_text(text)
        try: load_poses(path)
        except ValueError as e: assert found['error']==str(e).replace(str(path), 'a.bvh'), what
        else: assert what=='whole' and len(found)==4

# ---------------------------------------------------------------- the folder

def test_size():
    sizes = {p.name:p.stat().st_size for p in site().iterdir()}
    assert sum(sizes.values())<60e6
    parts = 'settings ort text embeddings library levels context denoise'.split()
    texts = 'index.html page.js page.worker.js NOTICE.txt three.LICENSE.txt onnxruntime.LICENSE.txt'.split()
    assert sizes.keys()=={*texts, *(f'{part}.bin' for part in parts)}

def test_nothing_from_elsewhere():
    "No address of another server is loaded by what the browser runs; names of XML and in messages do not count."
    for name in ('index.html','page.js','page.worker.js'):
        text = (site()/name).read_text()
        assert not re.search(r'(src|href|fetch|import)\W{1,4}https?://(?!www\.w3\.org)', text), name
        assert not re.search(r'<(script|link|img)[^>]+(src|href)="(https?:)?//', text), name

def test_export_refuses(tmp_path):
    (tmp_path/'full').mkdir()
    (tmp_path/'full/a.txt').write_text('kept')
    with pytest.raises(FileExistsError, match='full'): export_web(tmp_path/'full', pipeline())
    assert [p.name for p in (tmp_path/'full').iterdir()]==['a.txt']

def test_bundles_are_those_of_the_sources(tmp_path):
    "What is committed is what esbuild makes of web/."
    import shutil, subprocess
    web = tmp_path/'web'
    shutil.copytree(ROOT/'web', web, ignore=shutil.ignore_patterns('node_modules'))
    shutil.copy(ROOT/'NOTICE', tmp_path)
    (web/'node_modules').symlink_to(web_modules())
    esbuild = next((web_modules()/'@esbuild').iterdir(), None)
    assert esbuild is not None
    (tmp_path/'out').mkdir()
    r = subprocess.run([program('node'), web/'build.mjs', tmp_path/'out'], capture_output=True, text=True, timeout=120)
    assert r.returncode==0, r.stderr
    assets = ROOT/'text2pose/assets/web'
    names = 'page.html page.js page.worker.js NOTICE.txt three.LICENSE.txt onnxruntime.LICENSE.txt'
    for name in names.split():
        assert (tmp_path/'out'/name).read_bytes()==(assets/name).read_bytes(), name
    built,ours = (gzip.decompress((d/'page.wasm.gz').read_bytes()) for d in (tmp_path/'out',assets))
    assert zlib.crc32(built)==zlib.crc32(ours)
