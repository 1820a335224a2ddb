"What the campaign found, made small: each file once was a traceback, a message without the file, or was accepted."
import io, json, zipfile

import numpy as np, pytest

import campaign
from mutate import _joined_safetensors, _split_safetensors

READERS = campaign.prepared()

def example(name): return dict(READERS[name].make()[0])

def with_json(name, file, change):
    "The valid example of a reader with something in its JSON changed."
    files = example(name)
    value = json.loads(files[file])
    change(value)
    return name, {**files, file:json.dumps(value).encode('utf-8', 'surrogatepass')}

def openpose(points):
    def change(v): v['people'][0]['pose_keypoints_2d'] = points
    return with_json('OpenPose .json', 'frame.json', change)

def joint_map(content):
    files = example('joint map .json')
    return 'joint map .json', {**files, 'map.json':json.dumps(content).encode()}

def table(name, change):
    "A pose table with its Arrow table changed."
    import pyarrow.parquet as pq
    files = example(name)
    out = io.BytesIO()
    pq.write_table(change(pq.read_table(io.BytesIO(files['poses.parquet']))), out)
    return name, {'poses.parquet':out.getvalue()}

def column(name, values):
    import pyarrow as pa
    def change(t): return t.set_column(t.column_names.index(name), name, pa.array([values]*len(t)))
    return change

def twice(t): return t.append_column('joints', t['joints'])

def broken_page(name):
    files = example(name)
    content = bytearray(files['poses.parquet'])
    content[4:10] = b'\xff'*6  # the header of the first page
    return name, {'poses.parquet':bytes(content)}

def lone(name, file, content): return name, {**example(name), file:content}

TABLE,STREAM = 'pose table .parquet', 'pose table .parquet, as a stream'
FOLDER = 'capture folder: captions.jsonl, source.json, index, texts'

FOUND = {
    'OpenPose: 58 numbers':lambda: openpose([1.]*58),
    'OpenPose: a list among numbers':lambda: openpose([[0]]+[1.]*53),
    'OpenPose: a word':lambda: openpose(['x']+[1.]*53),
    'OpenPose: 400 digits':lambda: openpose([10**400]+[1.]*53),
    'scene: 400 digits':lambda: with_json(
        'scenes .json', 'scene.json', lambda v: v['scene'][0].update(heading=10**400)),
    'results: a score that is a list':lambda: with_json(
        'folders of results', 'out/poses.json', lambda v: v['poses'][0].update(score=[1])),
    'results: a score that is a word':lambda: with_json(
        'folders of results', 'out/poses.json', lambda v: v['poses'][0].update(score='x')),
    'joint map: a long list':lambda: joint_map(dict(left_knee=[1]*100_000)),
    'joint map: a long name':lambda: joint_map({'a b '*2000:'head'}),
    'table: joints twice':lambda: table(TABLE, twice),
    'table: 65 numbers':lambda: table(TABLE, column('joints', [0.]*65)),
    'stream: a broken page':lambda: broken_page(STREAM),
    'stream: ids that are lists':lambda: table(STREAM, column('pose_id', [1.])),
    'stream: ids that are null':lambda: table(STREAM, column('pose_id', None)),
    'stream: sources that are lists':lambda: table(STREAM, column('source', [1.])),
    'stream: an unknown posecode':lambda: table(STREAM, column('codes', 'x')),
    'captures: a source that is a list':lambda: lone(FOLDER, 'm/source.json', b'{"source":[],"licence":"free"}'),
    'captures: a licence that is a number':lambda: lone(FOLDER, 'm/source.json', b'{"source":"cmu","licence":3}'),
    'HumanML3D: an id that is too long for a file':lambda: lone('HumanML3D folder', 'h/train.txt', b'1'*300),
    'realmocap22: sentences that are no list':lambda: realmocap(dict(sentences=3.)),
    'realmocap22: sentences that are no texts':lambda: realmocap(dict(sentences=[[]])),
    'realmocap22: an id that is a list':lambda: realmocap(dict(id=[])),
    'realmocap22: a path that is not finite':lambda: realmocap_arrays(root_xz=np.full((6,2), np.nan, np.float32)),
    'realmocap22: a start that is one number':lambda: realmocap_arrays(start=np.array(3)),
    'realmocap22: ids that are numbers':lambda: realmocap_arrays(ids=np.array([1.,2.])),
    'prompts: a word of 5,000 digits':lambda: lone('prompts file', 'prompts.txt', b'9'*5000),
    'atlas: a phrase of 60,000 letters':lambda: lone(
        'atlas .yaml', 'mine.yaml',
        b'- name: a\n  phrases: [a, b, '+b'c'*60_000+b']\n  angles: {left_knee: {flexion: 9}}\n'),
    'weights: a configuration with a long list':lambda: weights(text_dim=[2**64]*10_000),
    'weights: a long name in the configuration':lambda: weights(**{'a b '*2000:1}),
    'student: of a teacher with a line break':lambda: notes(
        'weights: student.safetensors', 'student.safetensors', teacher='\n'),
    'states: captions that are lists':lambda: states([['a'],'b']),
    'states: fewer captions than tensors':lambda: states(['a','b']),
    'states: no list':lambda: states(3),
    'training.json: licences that are a list':lambda: with_json(
        'weights: training.json', 'w/training.json', lambda v: v['data'].update(licences=[{}])),
    'training.json: sources that are a list':lambda: with_json(
        'weights: training.json', 'w/training.json', lambda v: v['data'].update(sources=[1])),
    'training.json: a source that is no number':lambda: with_json(
        'weights: training.json', 'w/training.json', lambda v: v['data'].update(sources=dict(atlas=[1]))),
    'encoder: a huge weight':lambda: encoder_of(3e38),
    'training.json of a run: a long value':lambda: with_json(
        'training.json of a finished run', 'w/training.json', lambda v: v['config'].update(phase=['x']*100_000)),
    'checkpoint: weights that are not finite':lambda: checkpoint_of(np.nan),
    'weights: a width that no memory has':lambda: both_say(lambda v: v['unet'].update(cross_attention_dim=10**4)),
    'encoder: a list instead of a name':lambda: encoder(hidden_act=['gelu']*10_000),
    'encoder: a width that is no number':lambda: encoder(hidden_size='8'),
    'encoder: an eps that is a text':lambda: encoder(layer_norm_eps='0'),
    'encoder: heads that do not divide the width':lambda: encoder(num_attention_heads=3),
    'encoder: heads that are a float':lambda: encoder(num_attention_heads=2.),
    'encoder: weights that are not finite':lambda: encoder_of(np.nan),
    'scorer: a long name in the configuration':lambda: notes(
        'weights: scorer.safetensors', 'scorer.safetensors', config=json.dumps({'a b '*2000:1})),
    'checkpoint: an escape in the header':lambda: checkpoint_header('dtype', '\x1b]0;x\x07'),
    'checkpoint: a line break in the header':lambda: checkpoint_header('dtype', '\n'),
    'paths: no samples':lambda: paths(drop='samples'),
    'paths: no notes of steps':lambda: paths(kept=[0]),
    'paths: kept that are texts':lambda: paths(kept=['0'], steps=6),
    'paths: kept beyond the steps':lambda: paths(kept=[0,3,60], steps=6),
    'paths: steps that are a list':lambda: paths(kept=[0,3,6], steps=[6]),
    'paths: other numbers of samples':lambda: paths(kept=[0,6], steps=6),
    'cluster map: a pose that is deep':lambda: with_json(
        'cluster map .json', 'clusters.json', lambda v: v['pose_ids'][0].append(json.loads('['*500+']'*500))),
    'checkpoint: something deep':lambda: checkpoint('['*100_000),
    'archive: a long name':lambda: archive('X'*300+'.bvh'),
    'archive: a file before its beginning':lambda: before_the_beginning(),
    'archive: a file where a folder is':lambda: archive('x.bvh', 'x.bvh/y.bvh'),
    'stream: a column whose name is no text':lambda: bad_name(STREAM),
    'stream: texts that are no UTF-8':lambda: table(STREAM, no_text),
    'table: joints that are booleans':lambda: table(TABLE, column('joints', [True,False,True]*22)),
    'table: joints at one point':lambda: table(TABLE, column('joints', [1.]*66)),
    'poses: booleans':lambda: with_json('poses .json', 'poses.json', lambda v: [
        p.update(joints=[[True,False,True]]*22) for p in v['poses']]),
    'poses: joints at one point':lambda: with_json('poses .json', 'poses.json', lambda v: v['poses'][1].update(
        joints=[[0,0,0]]*22)),
    'poses: an array of zeros':lambda: lone('poses .npy, joints or HumanML3D features', 'poses.npy', zeros()),
    'encoder: another width, of which a long sentence tells':lambda: encoder(hidden_size=4),
    'poses: a face of 400 digits':lambda: with_json('poses .json', 'poses.json', lambda v: v['poses'][0].update(
        face=[10**400,0,0])),
    'body: a long name':lambda: lone('bone lengths .json', 'body.json', json.dumps({'a b '*2000:1}).encode()),
    'body: a name of line breaks without a length':lambda: lone(
        'bone lengths .json', 'body.json', json.dumps({'\n'*3000:None, 'knee':'x'}).encode()),
    'body: a wrong length of a name that is none':lambda: lone('bone lengths .json', 'body.json', b'{"\\n":"x"}'),
    'body: 400 digits':lambda: lone('bone lengths .json', 'body.json', b'{"knee":1'+b'0'*400+b'}'),
    'body: an infinite number':lambda: lone('bone lengths .json', 'body.json', b'{"knee":1e400}'),
    'weights: a line break in the configuration':lambda: weights(**{'\n':1}),
    'weights: made with a configuration that is a number':lambda: notes(
        'weights: model.safetensors and config.json', 'w/model.safetensors', config='3'),
    'realmocap22: a member that is no array':lambda: no_array('realmocap22 folder', 'r/cmu.npz', 'joints'),
    'realmocap22: ids of characters that there are not':lambda: realmocap_arrays(ids=no_characters(2)),
    'poses: prompts of characters that there are not':lambda: odd_prompts(no_characters(3)),
    'poses: prompts just beyond the last character':lambda: odd_prompts(no_characters(3, 0x110000)),
    'training.json of a run: a configuration that is a number':lambda: with_json(
        'training.json of a finished run', 'w/training.json', lambda v: v.update(config=3)),
    'training.json: losses that are numbers':lambda: with_json(
        'weights: training.json', 'w/training.json', lambda v: v.update(losses=[1])),
    'HumanML3D: an id that steers a terminal':lambda: lone('HumanML3D folder', 'h/train.txt', b'\x1b[2J'),
    'prompts: a long header':lambda: lone('prompts file .csv', 'prompts.csv', b'0x'+b'f'*5000),
    'prompts: a header that steers a terminal':lambda: lone('prompts file .csv', 'prompts.csv', b'\x1b[2J,id\n'),
    'library: numbers of a type that NumPy lacks':lambda: other_type('library .safetensors', 'library.safetensors',
                                                                     'F8_E4M3'),
    'captures: names of joints that steer a terminal':lambda: lone(
        'captures .bvh', 'walk.bvh', example('captures .bvh')['walk.bvh'].replace(b'left_hip', b'\x1b[2J')),
    'library: a capture with huge numbers':lambda: huge_capture(),
    'checkpoint: a state that is a number':lambda: checkpoint('3'),
    'paths: a link to a device':lambda: lone('paths of a teacher .safetensors', '0000.safetensors', 'zeros'),
    'states: a pipe':lambda: lone('caption states .safetensors', 'states.safetensors', 'fifo'),
    'atlas: more nodes than are read':lambda: lone('atlas .yaml', 'mine.yaml', b'['+b'1,'*300_000+b']'),
    'atlas: a number of a thousand parts':lambda: lone('atlas .yaml', 'mine.yaml', b'- 1'+b':1'*1000),
    'atlas: aliases of many nodes':lambda: lone(
        'atlas .yaml', 'mine.yaml', b'a: &a {'+b','.join(b'k%d: 1' % i for i in range(9000))+b'}\nb:\n'+
        b'- {<<: *a}\n'*90),
}

# read well: null stands for what is not known
READ = {
    'training.json: parts that are null':lambda: with_json(
        'weights: training.json', 'w/training.json', lambda v: v.update(data=None, scorer=None, samples=None)),
}

def bad_name(name):
    "A table with a column whose name is not UTF-8."
    import pyarrow as pa
    files = table(name, lambda t: t.append_column('caption_xy', pa.nulls(len(t), pa.string())))[1]
    return name, {'poses.parquet':files['poses.parquet'].replace(b'caption_xy', b'caption_\xe5y')}

def no_characters(n, code=0xffffffff): return np.full(n, code, np.uint32).view('<U1')

def odd_prompts(prompts):
    files,out = dict(READERS['poses .npz'].make()[1]),io.BytesIO()
    with np.load(io.BytesIO(files['poses.npz'])) as z: np.savez(out, joints=z['joints'], prompts=prompts)
    return 'poses .npz', {'poses.npz':out.getvalue()}

def zeros():
    out = io.BytesIO()
    np.save(out, np.zeros((1,22,3), np.float32))
    return out.getvalue()

def no_text(t):
    "A table whose captions are bytes, said to be texts."
    import pyarrow as pa
    raw = pa.array([b'\xff']*len(t), pa.binary())
    return t.set_column(t.column_names.index('caption'), 'caption',
                        pa.Array.from_buffers(pa.string(), len(t), raw.buffers()))

def no_array(name, file, member):
    "An archive of arrays, one of whose members is something else."
    files,out = example(name),io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(files[file])) as z, zipfile.ZipFile(out, 'w') as new:
        for m in z.infolist(): new.writestr(m.filename, b'x' if m.filename==f'{member}.npy' else z.read(m))
    return name, {**files, file:out.getvalue()}

def other_type(name, file, kind):
    "A file whose first tensor says that its bytes are of another type."
    files = example(name)
    header,data = _split_safetensors(files[file])
    about = next(about for tensor,about in header.items() if tensor!='__metadata__')
    first,last = about['data_offsets']
    about.update(dtype=kind, shape=[last-first])
    return name, {**files, file:_joined_safetensors(header, data)}

def huge_capture():
    "A capture whose first bone is 1e38 long."
    name = 'library folder: .npz and .bvh'
    files = example(name)
    lines = files['lib/made.bvh'].split(b'\n')
    first = next(i for i,line in enumerate(lines) if b'OFFSET' in line)
    second = next(i for i in range(first+1, len(lines)) if b'OFFSET' in lines[i])
    lines[second] = b'OFFSET 1e38 1e38 1e38'
    return name, {**files, 'lib/made.bvh':b'\n'.join(lines)}

def weights(**changes):
    name,file = 'weights: model.safetensors and config.json', 'w/config.json'
    return with_json(name, file, lambda v: v.update(changes))

def notes(name, file, **changes):
    "A file of tensors with other notes."
    files = example(name)
    header,data = _split_safetensors(files[file])
    header['__metadata__'].update(changes)
    return name, {**files, file:_joined_safetensors(header, data)}

def states(captions): return notes('caption states .safetensors', 'states.safetensors', captions=json.dumps(captions))

def checkpoint(state): return notes('checkpoint, its manifest made to fit', 'c/checkpoint.safetensors', state=state)

def checkpoint_of(number):
    "A checkpoint with this number in an averaged weight."
    name,file = 'checkpoint, its manifest made to fit', 'c/checkpoint.safetensors'
    files = example(name)
    header,data = _split_safetensors(files[file])
    first = next(about for tensor,about in header.items() if tensor.startswith('ema.'))['data_offsets'][0]
    spoilt = data[:first]+np.float32(number).tobytes()+data[first+4:]
    return name, {**files, file:_joined_safetensors(header, spoilt)}

def both_say(change):
    "A configuration that config.json and the file of weights agree upon."
    name = 'weights: the same change in both files'
    return with_json(name, 'w/config.json', change)

def encoder(**changes): return with_json('text encoder folder', 'e/config.json', lambda v: v.update(changes))

def encoder_of(number):
    "A text encoder with this number in a weight."
    files = example('text encoder folder')
    header,data = _split_safetensors(files['e/model.safetensors'])
    return 'text encoder folder', {
        **files, 'e/model.safetensors':_joined_safetensors(header, np.float32(number).tobytes()+data[4:])}

def checkpoint_header(key, value):
    "A checkpoint whose header says something else of its first tensor."
    name,file = 'checkpoint, its manifest made to fit', 'c/checkpoint.safetensors'
    files = example(name)
    header,data = _split_safetensors(files[file])
    next(about for tensor,about in header.items() if tensor!='__metadata__')[key] = value
    return name, {**files, file:_joined_safetensors(header, data)}

def paths(drop=None, **about):
    "A file of paths that lacks a tensor, or with other notes."
    name,file = 'paths of a teacher .safetensors', '0000.safetensors'
    if drop is None: return notes(name, file, notes=json.dumps(about))
    files = example(name)
    header,data = _split_safetensors(files[file])
    header['gone'] = header.pop(drop)
    return name, {file:_joined_safetensors(header, data)}

def realmocap(changes):
    row = dict(id='a', text='walk', split='train', rig='cmu', sentences=[])|changes
    return lone('realmocap22 folder', 'r/captions.jsonl', json.dumps(row).encode())

def realmocap_arrays(**changes):
    files = example('realmocap22 folder')
    out = io.BytesIO()
    with np.load(io.BytesIO(files['r/cmu.npz'])) as z: np.savez(out, **{**z, **changes})
    return 'realmocap22 folder', {**files, 'r/cmu.npz':out.getvalue()}

def archive(*names):
    b = io.BytesIO()
    with zipfile.ZipFile(b, 'w') as z:
        for name in names: z.writestr(name, 'HIERARCHY')
    return 'archives of fetch .zip', {'a.zip':b.getvalue()}

def before_the_beginning():
    "The directory of an archive says that it is longer than it is, so that its files would lie before the beginning."
    name,files = archive('x.bvh')
    content = files['a.zip']
    end = content.rindex(b'PK\5\6')
    at = int.from_bytes(content[end+16:end+20], 'little')+1000
    return name, {'a.zip':content[:end+16]+at.to_bytes(4, 'little')+content[end+20:]}

@pytest.mark.parametrize('what', FOUND)
def test_found(tmp_path, what):
    name,files = FOUND[what]()
    reader = READERS[name]
    campaign.put(files, tmp_path)
    verdict,why = campaign.judge(reader, tmp_path, list(reader.kinds))
    assert verdict=='refused', f'{verdict}: {why}'

@pytest.mark.parametrize('what', READ)
def test_read_well(tmp_path, what):
    name,files = READ[what]()
    campaign.put(files, tmp_path)
    verdict,why = campaign.judge(READERS[name], tmp_path, list(READERS[name].kinds))
    assert verdict=='read', f'{verdict}: {why}'
