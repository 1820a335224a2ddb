"""Seeded damage to small valid files: bits, cuts, splices, extreme numbers, other types, growth.

`damage(rng, content, kind)` gives the bytes of a spoilt file. Every kind gets damage to its bytes; those with a
structure are also taken apart, changed inside, and put together again, so that outer checks (lengths, checksums,
compression) hold and the change arrives where it is read.
"""
import io, json, re, struct, zipfile

import numpy as np

NUMBERS = [0, -0., 1, -1, .5, 7, 255, 1e-45, 1e-300, 1e20, 3.4e38, 1e39, 1e308, -1e308, 2**31-1, 2**31, 2**63, 2**64,
           10**30, -10**30, 10**400, float('nan'), float('inf'), float('-inf')]
TEXTS = ['', ' ', 'x', '走', '\0', '\n', '\x1b[31m', '\ud800', '..', '../x', '/etc/passwd', 'nan', '1e999', '{', '[',
         "'", 'x'*300, 'a b '*2000, '\u202e', '\ufeff', 'é', '٣', 'null', 'true', '%s%n', '__class__', '\x9b31m',
         '\u2028',
         '\x85', '\udc80', 'x\ty', 'a\r\nb', '\x1b]0;x\x07', '9'*5000, '½', '１', '-1', '0', '--help', '~',
         '\U0001f9d1', 'CON',
         'left_knee', 'head', 'a'*70_000, '\n'*3000]
FLOATS = [float(n) for n in NUMBERS if abs(n)<10**300 or n!=n or n in (float('inf'),-float('inf'))]
VALUES = [None, True, False, [], {}, [[]], [{}], {'a':1}, {'':None}, [None]*22, [[0,0,0]]*22, [0]*66, [[[]]],
          {'a':{'b':[]}},
          {'0':0}, {'\n':'\x1b[2J'}, [[None]*3]*22, [True]*66, ['1']*66, [[1,2],[3]], [0]*65, [1e308]*66,
          [[1e38]*3]*22, [{}]*22,
          [[1e300,0,0]], [10**400]*3, {'x':0,'y':0,'z':0}, [[[0,0,0]]*22]*2, [[[1e30,0,float('nan')]]*22]]
WORDS = ['', '{', '}', '\n', '\t', '#', ':', '-', '.', '0', '-1', '1e400', '1e38', '1e300', 'nan', 'inf', '-inf',
         '1_0',
         '٣', '0x10', '9'*25, '9'*5000, '1,5', 'HIERARCHY', 'ROOT', 'JOINT a', 'End Site', 'OFFSET', 'OFFSET 0 0 0',
         'CHANNELS', 'CHANNELS 3 Zrotation Xrotation Yrotation', 'CHANNELS 99 Xrotation', 'MOTION',
         'Frames: 10000000000', 'Frames: 0', 'Frames: -5', 'Frame Time: 0', 'Frame Time: nan', 'Xposition', ':root',
         ':bonedata', ':hierarchy', ':units', 'begin', 'end', 'dof rx', 'dof rx rx', 'limits (',
         'axis 0 0 0 XXZ', 'name root', 'length 0',
         'length 1e308', 'direction 0 0 0', 'root b0', 'b0 b0', 'b0 root', 'angle rad', 'order TX', ':DEGREES', '1',
         '18', '\0', '\ufeff', '\u2028', '\x0c', 'é', '漢', 'x'*300, '*a', '&a', '<<', '!!bool "x"',
         '!!python/object:os.system',
         '? ', '- ', '[', ']', '|', '>', '"', '~', '{a: 1}', '1:1', '2020-01-01', '#0.0#nan', '##', 'a/NOUN', '//',
         '1e-400', '-0', '+1', '.5', '5.', '1e', '0x'+'f'*5000, '0b'+'1'*20_000, '.inf', '.nan', '1_000', 'yes', '=',
         '---', '...',
         '%YAML 9.9', '%TAG ! x', '!!set {a}', '!!omap [a: 1]', '!!float x', '!!int 9e9', '!!null', '? [a]',
         'a: &a [*a]',
         '\x1b[2J', '\x85', '\x9b', '\udcff', '\u202e', '٠', '１', '\r', '0'*100_000, '(((((', "''", '{{{', '&a '*50]

def pick(rng, values): return values[int(rng.integers(len(values)))]

def odd_value(rng):
    "Anything that JSON can hold, or that a lenient reader takes for it."
    kind = int(rng.integers(6))
    if kind<3: return pick(rng, NUMBERS)
    if kind==3: return pick(rng, TEXTS)
    if kind==4: return pick(rng, VALUES)
    return [pick(rng, NUMBERS)]*int(pick(rng, [1,3,22,1000,100_000]))

# ---- bytes

def damage_bytes(rng, b):
    "Bits flipped, bytes cut, moved, repeated or put in."
    b,n = bytearray(b),len(b)
    if not n: return bytes(rng.integers(0, 256, 20, dtype=np.uint8))
    at = int(rng.integers(n) if rng.random()<.5 else rng.integers(min(n, 200)))
    how = int(rng.integers(9))
    if how==0: b[at] ^= 1<<int(rng.integers(8))
    if how==1: del b[at:]
    if how==2: b[at:at] = rng.integers(0, 256, int(rng.integers(1, 30)), dtype=np.uint8).tobytes()
    if how==3: del b[at:at+int(rng.integers(1, 50))]
    if how==4:  # a splice
        other = int(rng.integers(n))
        b[at:at+40] = b[other:other+int(rng.integers(1, 80))]
    if how==5: b[at:at+4] = pick(rng, [b'\xff'*4, b'\0'*4, b'\x7f\xff\xff\xff', b'\xff\xff\xff\x7f',
                                      struct.pack('<f', np.nan), struct.pack('<f', np.inf), struct.pack('<d', 1e308)])
    if how==6: b[at:at] = b[at:at+int(rng.integers(1, 200))]*int(pick(rng, [2,10,1000]))
    if how==7:
        for _ in range(int(rng.integers(1, 20))): b[int(rng.integers(len(b)))] ^= 1<<int(rng.integers(8))
    if how==8: b = as_a_whole(rng, bytes(b))
    return bytes(b[:8*2**20])

def as_a_whole(rng, b):
    "Another encoding, other ends of lines, another kind of file, nothing."
    how = int(rng.integers(10))
    if how<5:
        text = b.decode('utf-8', 'replace')
        if how==0: return b'\xef\xbb\xbf'*int(pick(rng, [1,2]))+b
        if how==1: return text.encode(pick(rng, ['utf-16','utf-16-be','utf-32']))
        if how==2: return text.encode('latin-1', 'replace')+b'\xe9\xff'
        return text.replace('\n', pick(rng, ['\r\n','\r','\u2028','\x0b'])).encode()
    other = [b'', b' ', b'\n', b'\0'*1000, b'\0'*10**6, b' '*2**21, b'\n'*2**20, b'null', b'0', b'[]', b'{}', b'""',
             b'nan', b'[[]]',
             b'-', b'\xff\xfe', b'\xef\xbb\xbf', b'\x1f\x8b\x08\0', b'PK\3\4', b'PK\5\6'+b'\0'*18, b'%PDF-1.7',
             b'\x93NUMPY',
             b'\x93NUMPY\1\0\xff\xff', b'PAR1', b'PAR1PAR1', b'glTF', b'\x89PNG\r\n\x1a\n', b'#!/bin/sh\n',
             b'\x80\4N.',
             b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n', b'<!DOCTYPE html><html>',
             b'HIERARCHY']
    return pick(rng, other) if how<9 else b*int(pick(rng, [2,3]))

# ---- text

def damage_text(rng, b):
    "A word, a line or a stretch of lines changed."
    lines = b.decode('utf-8', 'replace').split('\n')
    i = int(rng.integers(len(lines)))
    how = int(rng.integers(9))
    words = lines[i].split(' ')
    k = int(rng.integers(len(words)))
    if how==0: words[k] = pick(rng, WORDS)
    if how==1: words[k] = repr(pick(rng, NUMBERS))[:500]
    if how==2: words[k:k] = words[k:k+3]*int(pick(rng, [1,20,5000]))
    if how==3: words = [*words[:k], *words[k+1:]]
    lines[i] = ' '.join(words)
    if how==4: lines[i] = pick(rng, WORDS)
    if how==5: del lines[i]
    if how==6: lines[i:i] = lines[i:i+int(rng.integers(1, 6))]*int(pick(rng, [1,20,3000]))
    if how==7:
        j = int(rng.integers(len(lines)))
        lines[i],lines[j] = lines[j],lines[i]
    if how==8: lines.insert(i, pick(rng, WORDS))
    return '\n'.join(lines).encode('utf-8', 'surrogatepass')[:8*2**20]

# ---- JSON

DEEP,SAME,RAW = '@deep@','@same@','@raw@'  # places for what `json.dumps` cannot write
RAWS = ['1e400', '-1e400', '1'*400, '9'*4000, '1'*5000, '-'+'9'*310, '0.'+'1'*5000, '1E+999999999', 'NaN',
        '-Infinity', '01', '+1', '.5',
        '1.', "'x'", '"\\ud800"', '"\\u0000"', '"\x1b[2J"', '"\n"', '"\\x"', 'undefined', '[1,]', '/* */1', '', '[',
        '}', '"']

def places(value, found=None):
    "Every (container, key) below a value."
    found = [] if found is None else found
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for k in list(keys)[:200]:
        found.append((value,k))
        places(value[k], found)
    return found

def other_kind(rng, value):
    "The same in another type: a list as an object, a number as a text, anything in a list."
    kind = int(rng.integers(5))
    if kind==0 or value is None: return [value]
    if kind==1: return {'0':value}
    if isinstance(value, dict): return pick(rng, [list(value.values()), list(value), len(value), '', None, []])
    if isinstance(value, list): return pick(rng, [{str(i):v for i,v in enumerate(value)}, len(value), value[:1],
                                                  value[:-1], [], {}, '',
                                                  [value], value+value, value[::-1], [str(v)[:20] for v in value]])
    if isinstance(value, str): return pick(rng, [len(value), list(value[:100]), {value[:100]:value[:100]}, None,
                                                 True, value+'\n', value*2])
    return pick(rng, [str(value), bool(value), [value]*3, {}, None, -value, value*10**30, 1e999, value+.5])

def damage_value(rng, value):
    "One place of a value of JSON changed; the value itself where it has no places."
    value = json.loads(json.dumps(value))
    found = places(value)
    if not found or rng.random()<.03: return odd_value(rng)
    box,k = pick(rng, found if rng.random()<.5 else [f for f in found if isinstance(f[0], dict)] or found)
    how = int(rng.integers(13))
    if how<3: box[k] = odd_value(rng)
    if how==3: del box[k]
    if how==4: box[k] = DEEP
    if how==5: box[k] = [box[k]]*int(pick(rng, [1,2,1000]))
    if how==6: box[k] = str(box[k])[:1000]
    if how==7 and isinstance(box, dict): box[pick(rng, TEXTS)] = box.pop(k)
    if how==8:
        other,j = pick(rng, found)
        if not isinstance(other[j], (dict,list)): box[k] = other[j]
    if how in (9,10): box[k] = other_kind(rng, box[k])
    if how==11: box[k] = RAW
    if how==12 and isinstance(box, dict): box[SAME+json.dumps(k)] = odd_value(rng)  # the same key again
    return value

def as_json(rng, value):
    "JSON text of a value, with something deep where it is marked."
    text = json.dumps(value)
    if SAME in text: text = re.sub(rf'"{SAME}\\"(.*?)\\""', r'"\1"', text)
    if RAW in text: text = text.replace(f'"{RAW}"', pick(rng, RAWS))
    if DEEP not in text: return text
    depth = int(pick(rng, [5,900,100_000]))
    return text.replace(f'"{DEEP}"', pick(rng, ['['*depth+']'*depth, '{"a":'*depth+'0'+'}'*depth]))

def damage_json(rng, b):
    return as_json(rng, damage_value(rng, json.loads(b))).encode('utf-8', 'surrogatepass')

def damage_json_lines(rng, b):
    lines = b.split(b'\n')
    i = int(rng.integers(len(lines)))
    lines[i] = damage_json(rng, lines[i])
    return b'\n'.join(lines)

# ---- arrays

def odd_array(rng, x):
    "Another type, shape or content."
    how = int(rng.integers(11))
    x = np.array(x)
    if how==0: return x.astype(pick(rng, ['f2','>f4','f8','i1','u8','i8','?','c8','S4','U3','O','M8[s]']),
                               copy=False) \
        if x.dtype.kind in 'fiu' else x.astype('O')
    if how==1: return x.reshape(-1)
    if how==2: return x[...,:max(x.shape[-1]-1, 0)] if x.ndim else x
    if how==3: return x[:0] if x.ndim else x
    if how==4: return np.concatenate([x]*int(pick(rng, [2,3,1000]))) if x.ndim and x.nbytes<20_000 else x
    if how==5: return x[None]
    if how==6: return np.zeros(pick(rng, [(), (0,), (1,), (3,22,3,0), (10**5,), (22,3)]), x.dtype)
    if how==7: return np.array(pick(rng, TEXTS).replace('\ud800','?'))
    if how==8: return np.array([{}, None], dtype=object)
    if x.dtype.kind not in 'fiu' or not x.size: return x
    flat = x.reshape(-1).copy()
    with np.errstate(all='ignore'):
        for _ in range(min(1000, int(pick(rng, [1,1,5,len(flat)])))):
            v = pick(rng, NUMBERS)
            try: flat[int(rng.integers(len(flat)))] = np.float64(v) if x.dtype.kind=='f' else int(v)
            except (OverflowError, ValueError): pass
        if how==10 and x.dtype.kind=='f': flat = flat*np.float64(pick(rng, [0,-1,100,1e6,1e30])).astype(x.dtype)
    return flat.reshape(x.shape)

def _npy(x):
    b = io.BytesIO()
    np.save(b, x, allow_pickle=True)
    return b.getvalue()

def damage_npy(rng, b):
    if rng.random()<.3:  # the header claims something else
        claims = [b"(4, 22, 3)", b"(9**9,22,3)", b"(4294967296, 22, 3)", b"(99999999999999999999, 22, 3)",
                  b"(-4, 22, 3)", b"((((((((((4", b"()", b"'<f4'", b"'|O'", b"'<c8'", b"'<M8[s]'",
                  b"[('a','<f4')]", b"True", b"False", b"'<f2'", b"'>f8'", b"'|b1'", b"'<U9'", b"'|V4'", b"'|S0'",
                  b"(1,"*1+b"1,"*70+b")", b"(0, 22, 3)", b"(4.0, 22, 3)", b"None", b"'"+b'x'*300+b"'",
                  b"__import__('os')", b"'<m8'"]
        was = pick(rng, [b"'<f4'", b"False", b"22, 3"])
        return b.replace(was, pick(rng, claims), 1)
    return _npy(odd_array(rng, np.load(io.BytesIO(b), allow_pickle=False)))

def _members(b):
    with zipfile.ZipFile(io.BytesIO(b)) as z: return {m.filename:z.read(m) for m in z.infolist()}

def _zipped(members, infos=None):
    b = io.BytesIO()
    with zipfile.ZipFile(b, 'w', zipfile.ZIP_DEFLATED) as z:
        for name,content in members: z.writestr((infos or {}).get(name, name), content)
    return b.getvalue()

MEMBERS = ['x.npy', 'joints', '../joints.npy', 'joints.npy.npy', 'prompts.npy', '\x1b[2J.npy', 'a\nb.npy', '', 'ids',
           '.npy',
           'faces.npy']

def damage_npz(rng, b):
    members = _members(b)
    name = pick(rng, list(members))
    how = int(rng.integers(6))
    if how<3: members[name] = damage_npy(rng, members[name])
    if how==3: members[name] = damage_bytes(rng, members[name])
    if how==4: members.pop(name)
    if how==5: members[pick(rng, MEMBERS)] = members.pop(name)
    return _zipped(members.items())

NAMES = ['../x.bvh', '/x.bvh', 'C:/x.bvh', 'a\\..\\..\\x.bvh', 'x.bvh/y.bvh', 'x.bvh', 'X'*300+'.bvh', '.bvh',
         ' .bvh',
         'é.bvh', 'a/./b.bvh', 'a//b.bvh', '__MACOSX/x.bvh', 'CON.bvh', 'a\x01.bvh', 'deep/'*200+'x.bvh', 'a.BVH',
         '\x1b[2J.bvh',
         'a\nb.bvh', 'nul.bvh', '\u202ehvb.exe.bvh', '\\\\host\\x.bvh', './x.bvh', 'x.bvh/', '..', '.', '', '/',
         '~/x.bvh', '*.bvh', 'SET/WALK.BVH',
         'set/walk.bvh ', 'set/walk.bvh.', 'x:y.bvh', 'a'*60_000+'.bvh', 'x'*255, 'set/\0.bvh', 'set',
         'notes.txt/x.bvh', '\x7f.bvh']

def damage_zip(rng, b):
    "Members renamed, doubled, made links, enlarged, encrypted by a flag."
    members = list(_members(b).items())
    i = int(rng.integers(len(members)))
    name,content = members[i]
    how,infos = int(rng.integers(7)),{}
    if how<3: members[i] = pick(rng, NAMES),content
    if how==3: members += [members[i]]*int(pick(rng, [1,3,300 if len(content)<10**5 else 1]))
    if how==4:
        info = zipfile.ZipInfo(name)
        info.external_attr = pick(rng, [0o120777, 0o010644, 0o020644, 0o040755, 0o777])<<16
        infos[name] = info
    if how==5: members[i] = name,b'\0'*int(pick(rng, [10**6,3*10**7]))
    if how==6: members.pop(i)
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # names that occur twice
        b = bytearray(_zipped(members, infos))
    if rng.random()<.2 and len(b)>10: b[6] |= 1  # says that it is encrypted
    directory = bytes(b).rfind(b'PK\1\2')
    if rng.random()<.2 and directory>=0:  # another method, checksum, size, number of disks, or beginning
        at,n = pick(rng, [(10,2),(16,4),(20,4),(24,4),(34,2),(42,4)])
        b[directory+at:directory+at+n] = pick(rng, [b'\xff', b'\0', b'\x63', b'\x7f'])*n
    return bytes(b)

# ---- safetensors

def _split_safetensors(b):
    n = int.from_bytes(b[:8], 'little')
    return json.loads(b[8:8+n]), b[8+n:]

def _joined_safetensors(header, data):
    text = header.encode('utf-8', 'surrogatepass') if isinstance(header, str) else json.dumps(header).encode()
    return len(text).to_bytes(8, 'little')+text+data

_TYPES = dict(F32='f4', F16='f2', F64='f8', I64='i8', I32='i4', I8='i1', U8='u1', BOOL='?')

TENSORS = ['x', 'model.', 'optimizer.0.exp_avg', 'ema.x', 'joints.scale', 'words', '\n', '\x1b[2J', 'a b '*2000, '',
           'mean', 'std', 'model.std', '__x__']

def _change_tensor(rng, header, data):
    "A tensor with another name, type, shape or content, in a file that is right in itself."
    tensors = {}
    for name,about in header.items():
        if name=='__metadata__': continue
        a,z = about['data_offsets']
        tensors[name] = np.frombuffer(data[a:z], _TYPES[about['dtype']]).reshape(about['shape'])
    name = pick(rng, list(tensors))
    how = int(rng.integers(10))
    if how==0: tensors.pop(name)
    elif how==1: tensors[pick(rng, TENSORS)] = tensors.pop(name)
    else:
        x = odd_array(rng, tensors[name])
        little = x.dtype.newbyteorder('<')
        if little in map(np.dtype, _TYPES.values()): tensors[name] = x.astype(little)
    new,parts,at = {k:v for k,v in header.items() if k=='__metadata__'},[],0
    for name,x in tensors.items():
        kind = next(k for k,v in _TYPES.items() if np.dtype(v)==x.dtype)
        new[name] = dict(dtype=kind, shape=list(x.shape), data_offsets=[at,at+x.nbytes])
        parts.append(x.tobytes())
        at += x.nbytes
    return _joined_safetensors(new, b''.join(parts))

def damage_safetensors(rng, b):
    header,data = _split_safetensors(b)
    notes = header.get('__metadata__')
    how = int(rng.integers(5))
    if how==0: return _joined_safetensors(as_json(rng, damage_value(rng, header)), data)
    if how==4:  # another type or shape of as many bytes
        about = header[pick(rng, [name for name in header if name!='__metadata__'])]
        n = about['data_offsets'][1]-about['data_offsets'][0]
        kinds = [('BF16',2), ('F16',2), ('F64',8), ('I64',8), ('U64',8), ('U16',2), ('I8',1), ('BOOL',1),
                 ('F8_E4M3',1), ('C64',8)]
        kind,size = pick(rng, kinds)
        about.update(dtype=kind, shape=pick(rng, [[n//size], [n//size,1], [1,n//size], [0,2**62], [n//size]+[1]*70]))
        return _joined_safetensors(header, data)
    if how==1 and isinstance(notes, dict) and notes:  # JSON in the notes
        k = pick(rng, list(notes))
        try: notes[k] = as_json(rng, damage_value(rng, json.loads(notes[k])))
        except (ValueError, TypeError, RecursionError): notes[k] = pick(rng, TEXTS).replace('\ud800', '?')
        return _joined_safetensors(header, data)
    if how==2 and len(data)>8:  # numbers
        data,at = bytearray(data),int(rng.integers(len(data)-4))
        size = int(pick(rng, [2,4]))
        at = at//size*size
        with np.errstate(over='ignore'): data[at:at+size] = np.array(pick(rng, FLOATS)).astype(f'f{size}').tobytes()
        return _joined_safetensors(header, bytes(data))
    return _change_tensor(rng, header, data)

# ---- Parquet

def odd_column(rng, n):
    "A column of a type that no pose table has."
    import pyarrow as pa
    value,kind = pick(rng, [
        (True,pa.bool_()), (b'\xff',pa.binary()), ([[1.,2.]],pa.list_(pa.list_(pa.float32()))),
        ({'a':1},pa.struct({'a':pa.int32()})),
        ([('a',1)],pa.map_(pa.string(), pa.int32())), (0,pa.timestamp('ns')), (1,pa.int64()),
        ('x',pa.large_string()), ([1]*66,pa.list_(pa.int8())),
        ([1.]*66,pa.list_(pa.float64())), ([None]*66,pa.list_(pa.float32(), 66)), (['x']*66,pa.list_(pa.string())),
        (None,pa.null()),
        ([True]*66,pa.list_(pa.bool_(), 66)), (1,pa.date32()), ([],pa.list_(pa.float32())), (b'ab',pa.binary(2)),
        (1e308,pa.float64())])
    column = pa.array([value]*n, kind)
    is_plain = isinstance(value, (str,int)) and rng.random()<.3
    return column.dictionary_encode() if is_plain else column

def damage_parquet(rng, b):
    "A column of another type or content, a column fewer, other notes."
    import pyarrow as pa, pyarrow.parquet as pq
    table = pq.read_table(io.BytesIO(b))
    i = int(rng.integers(table.num_columns))
    name,column,n = table.column_names[i],table.column(i),len(table)
    how = int(rng.integers(11))
    if how==0: table = table.drop_columns([name])
    if how==8: table = table.set_column(i, name, odd_column(rng, n))
    if how==9:
        new = pick(rng, TEXTS).replace('\ud800', '?').replace('\udc80', '?')
        table = table.append_column(new, column) if rng.random()<.5 else table.set_column(i, new, column)
    if how==10 and pa.types.is_string(column.type):  # bytes that are no text, said to be one
        raw = pa.array([pick(rng, [b'\xff', b'\xe5', b'', b'a\0b', b'\x1b[2J', b'x'*70_000])]*n, pa.binary())
        table = table.set_column(i, name, pa.Array.from_buffers(pa.string(), n, raw.buffers()))
    if how==1:
        new = pick(rng, ['x','joints','','\n','\x1b[2J','a.b','a b '*2000])
        table = table.rename_columns([new if c==name else c for c in table.column_names])
    if how==2: table = table.set_column(i, name, pa.array([None]*n, column.type))
    if how==3: table = table.set_column(i, name, pa.array([pick(rng, TEXTS).encode('utf-8', 'replace').decode()]*n))
    if how==4: table = table.set_column(i, name, pa.array([pick(rng, FLOATS)]*n))
    if how==5:
        width = int(pick(rng, [0,3,65,67,66]))
        rows = rng.normal(0, pick(rng, [.3,1e20]), (n,width)).astype('f4')
        if rng.random()<.4 and rows.size: rows.flat[0] = pick(rng, [np.nan,np.inf])
        table = table.set_column(i, name, pa.array(rows.tolist(), pa.list_(pa.float32(), width)))
    if how==6:
        odd = as_json(rng, odd_value(rng)).encode('utf-8', 'replace')
        known = json.loads((table.schema.metadata or {}).get(b'text2pose', b'{}'))
        inside = as_json(rng, damage_value(rng, known)).encode('utf-8', 'replace')
        text = pick(rng, [b'[1]', b'{', b'null', b'{"kept":"x"}', odd, inside])
        table = table.replace_schema_metadata({'text2pose':text})
    if how==7: table = pa.concat_tables([table]*int(pick(rng, [0,2,300]))) if rng.random()<.7 else table.slice(0, 0)
    out = io.BytesIO()
    pq.write_table(table, out, compression=pick(rng, ['zstd','none','snappy']), write_page_checksum=rng.random()<.5)
    return out.getvalue()

# ---- GLB

def damage_glb(rng, b):
    "The JSON or the numbers of a GLB file, with lengths that fit."
    n, = struct.unpack_from('<I', b, 12)
    doc,rest = json.loads(b[20:20+n]),b[20+n+8:]
    if rng.random()<.7: text = as_json(rng, damage_value(rng, doc)).encode('utf-8', 'surrogatepass')
    else:
        text,rest = b[20:20+n],bytearray(rest)
        for _ in range(int(pick(rng, [1,1,4,100]))):
            at = int(rng.integers(max(1, len(rest)//4)))*4
            rest[at:at+4] = np.float32(pick(rng, [np.nan,np.inf,1e38,-1,0,7,1e-45])).tobytes()
    text += b' '*(-len(text)%4)
    rest = bytes(rest)+b'\0'*(-len(rest)%4)
    head = struct.pack('<4sIII4s', b'glTF', 2, 12+8+len(text)+8+len(rest), len(text), b'JSON')
    return head+text+struct.pack('<I4s', len(rest), b'BIN\0')+rest

KINDS = dict(bytes=damage_bytes, text=damage_text, yaml=damage_text, json=damage_json, jsonl=damage_json_lines,
             npy=damage_npy, npz=damage_npz, zip=damage_zip, safetensors=damage_safetensors, parquet=damage_parquet,
             glb=damage_glb)

def damage(rng, content, kind):
    "One to three damages, of the bytes or of what they mean."
    for _ in range(int(pick(rng, [1,1,2,3]))):
        inside = rng.random()<.7
        try: content = KINDS[kind if inside else 'bytes'](rng, content)
        except Exception: content = damage_bytes(rng, content)  # too spoilt already to be taken apart
    return content
