"Text encoders, text layers, the reader of posecodes and the projection."
import json
from types import SimpleNamespace
import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import RevisionNotFoundError
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from text2pose import text
from text2pose.core import asset, available, read_json
from text2pose.library import PoseLibrary, atlas_library
from text2pose.posecodes import POSECODES, mirror_code
from text2pose.text import (
    _BERT_EMBEDDINGS, _BERT_LAYER, ENCODERS, PHRASE_WEIGHT, Bert, PosecodeReader, PoseMemory, PoseTextScorer,
    TextEncoder, TextProjection, check_prompts, load_scorer, load_text_encoder, minilm_folder)

GOOD = ['arms raised', '  two   spaces ', 'naïve café', 'ﬁve ﬂags', 'ＷＩＤＥ', 'tab\there', 'kick '*399+'kick']

@pytest.mark.parametrize('text', GOOD)
def test_good_prompts_are_fixed_points(text):
    once = check_prompts(text)
    assert check_prompts(once)==once and once[0]==once[0].strip() and '  ' not in once[0]

@pytest.mark.parametrize('text', ['', ' \n\t', '123', '🙂🙂', '—', 'привет', 'γειά', '跑', 'raise 手', '\ud800 arm'])
def test_bad_prompts_are_refused(text):
    with pytest.raises(ValueError, match='the prompt'): check_prompts(text)

@pytest.mark.parametrize('prompts', [None, 3, 3.5])
def test_prompts_must_be_iterable(prompts):
    with pytest.raises((TypeError,ValueError)): check_prompts(prompts)

def test_one_bad_prompt_is_named():
    with pytest.raises(ValueError, match="'走る'"): check_prompts(['a person runs','走る'])
    with pytest.raises(ValueError, match='must be a str, got int'): check_prompts(['a',1])

class Letters:
    "A tokenizer of single letters; 0 is padding."
    def encode_batch(self, prompts):
        return [SimpleNamespace(ids=[ord(c)-96 for c in p], tokens=list(p)) for p in prompts]

class Embedding(torch.nn.Module):
    "A text model of one layer: every letter is its own state."
    dim = 3
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor([1.,10.,100.]))
    def forward(self, ids, mask):
        states = ids[...,None].float()*self.scale
        return [states+.5,states]

def test_encoder_on_a_model_that_can_be_checked_by_hand():
    s = TextEncoder('letters', Letters(), Embedding(), 4, 'mean')(['ab','c'])
    assert s.words==[['a','b'],['c']] and s.mask.tolist()==[[True,True],[True,False]]
    assert s.tokens[0].tolist()==[[1,10,100],[2,20,200]]
    assert s.pooled.tolist()==[[1.5,15,150],[3,30,300]]  # padding does not count
    last = TextEncoder('letters', Letters(), Embedding(), 4, 'eos')(['ab','c'])
    assert last.pooled.tolist()==[[2,20,200],[3,30,300]]
    early = TextEncoder('letters', Letters(), Embedding(), 4, 'mean', early=0)
    assert early.dim==6 and early('a').tokens[0,0].tolist()==[1,10,100,1.5,10.5,100.5]
    with pytest.raises(ValueError, match='"abcde…" has 5 tokens; letters takes at most 4'): early(['a','abcde'])

@pytest.mark.parametrize('name', ['clip','minilm'])
def test_a_folder_without_weights(tmp_path, name):
    says = f'holds no usable {name} text encoder: config.json is missing'
    with pytest.raises(ValueError, match=says): load_text_encoder(name, tmp_path)
    with pytest.raises(FileNotFoundError, match='nowhere is missing'): load_text_encoder(name, tmp_path/'nowhere')

def write_tokenizer(folder):
    "A tokenizer.json of single words, and as many that nobody uses as a vocabulary must have."
    words = ['[PAD]','[UNK]','[CLS]','[SEP]','a','arm','up',*(f'[unused{i}]' for i in range(200))]
    tokenizer = Tokenizer(models.WordLevel({w:i for i,w in enumerate(words)}, '[UNK]'))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing('[CLS] $A [SEP]', None, [('[CLS]',2),('[SEP]',3)])
    tokenizer.enable_truncation(4)  # as the tokenizer.json of MiniLM has it; it must not cut prompts here
    tokenizer.enable_padding(length=4)
    tokenizer.save(str(folder/'tokenizer.json'))

def bert_folder(folder, **config):
    "A tiny BERT of random weights under the names of its authors, as a folder; its state by our names."
    torch.manual_seed(0)
    bert = Bert(vocab_size=207, dim=8, n_layers=2, n_heads=2, ff_dim=16, n_positions=128)
    state = {}
    for name,x in bert.state_dict().items():
        start,_,part = name.removeprefix('layers.').partition('.')
        if name in _BERT_EMBEDDINGS: state[f'embeddings.{_BERT_EMBEDDINGS[name]}'] = x
        elif 'to_qkv' in name:
            kind = name.rpartition('.')[2]
            for k,piece in zip(('query','key','value'), x.chunk(3)):
                state[f'encoder.layer.{start}.attention.self.{k}.{kind}'] = piece.contiguous()
        else:
            part,_,kind = part.rpartition('.')
            state[f'encoder.layer.{start}.{_BERT_LAYER[part]}.{kind}'] = x
    state['pooler.dense.weight'] = torch.zeros(8, 8)
    save_file(state, folder/'model.safetensors')
    settings = dict(model_type='bert', hidden_act='gelu', vocab_size=207, hidden_size=8, num_hidden_layers=2,
                    num_attention_heads=2, intermediate_size=16, max_position_embeddings=128, layer_norm_eps=1e-12)
    (folder/'config.json').write_text(json.dumps({**settings, **config}))
    write_tokenizer(folder)
    return bert

def test_a_folder_is_read(tmp_path):
    bert = bert_folder(tmp_path)
    encoder = load_text_encoder('minilm', tmp_path)
    assert encoder.model.config==bert.config
    assert same_bits(copy_of(encoder.model), copy_of(bert))
    s = encoder(['arm up','a arm up up up'])
    assert s.words==[['[CLS]','arm','up','[SEP]'],['[CLS]','a','arm','up','up','up','[SEP]']]
    ids,mask = torch.tensor([[2,5,6,3,0,0,0],[2,4,5,6,6,6,3]]), s.mask
    states = bert(ids, mask)
    torch.testing.assert_close(s.tokens, torch.cat([states[-1],states[2]], -1))

def cut(file): file.write_bytes(file.read_bytes()[:-100])

@pytest.mark.parametrize('spoil,says', [
    (lambda d: (d/'tokenizer.json').unlink(), 'tokenizer.json is missing'),
    (lambda d: (d/'tokenizer.json').write_text('{}'), ''),
    (lambda d: cut(d/'model.safetensors'), ''),
    (lambda d: (d/'config.json').write_text('{'), 'config.json is not valid JSON'),
    (lambda d: bert_folder(d, model_type='roberta'), "model_type is 'roberta' in config.json, expected 'bert'"),
    (lambda d: bert_folder(d, hidden_act='relu'), "hidden_act is 'relu' in config.json, expected 'gelu'"),
    (lambda d: bert_folder(d, num_hidden_layers=3), 'encoder.layer.2.attention.self.query.weight'),
    (lambda d: bert_folder(d, vocab_size=99), 'token_emb'),
    (lambda d: bert_folder(d, num_hidden_layers=101), 'num_hidden_layers must be a whole number of at least 1 and at '
                                                      'most 100, got 101'),
    (lambda d: (d/'config.json').write_text('{"model_type":"bert","hidden_act":"gelu"}'), 'has no vocab_size')])
def test_a_folder_that_cannot_be_read(tmp_path, spoil, says):
    bert_folder(tmp_path)
    spoil(tmp_path)
    with pytest.raises(ValueError, match='holds no usable minilm text encoder') as e:
        load_text_encoder('minilm', tmp_path)
    assert says in str(e.value) and '\n' not in str(e.value)

def test_a_vocabulary_that_is_too_small(tmp_path):
    bert_folder(tmp_path)
    Tokenizer(models.WordLevel({'[UNK]':0}, '[UNK]')).save(str(tmp_path/'tokenizer.json'))
    with pytest.raises(ValueError, match='knows 1 tokens only'): load_text_encoder('minilm', tmp_path)

def test_clip_needs_transformers(tmp_path, monkeypatch):
    bert_folder(tmp_path)
    monkeypatch.setattr(text, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "text2pose\[clip\]"'): load_text_encoder('clip', tmp_path)

# ---- our BERT beside that of transformers

ORACLE = 'transformers is not installed: pip install "text2pose[clip]" brings it'
PROMPTS = [
    'arms raised', 'x', "a naïve café dancer won't stop — contrapposto!", 'golf swing '*40, 'ﬁve ﬂags, (1,2) e.g. 90o',
    'A Man Raises His LEFT arm; the other, un-bent, hangs', 'ångström ħ ß', 'supercalifragilisticexpialidocious']

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not installed')
def test_states_and_words_are_those_of_transformers():
    transformers = pytest.importorskip('transformers', reason=ORACLE)
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm_folder())
    model = transformers.AutoModel.from_pretrained(minilm_folder(), use_safetensors=True).eval()
    encoder = load_text_encoder()
    for prompts in (PROMPTS, PROMPTS[:1], [''], PROMPTS[:3]*5):  # padded, alone, empty, a batch
        enc = tokenizer(prompts, padding=True, return_tensors='pt')
        with torch.no_grad():
            wanted = model(**enc, output_hidden_states=True).hidden_states
            ids,mask,words = encoder.tokenize(prompts)
            layers = encoder.model(ids, mask)
        assert torch.equal(ids, enc['input_ids']) and torch.equal(mask, enc['attention_mask'].bool())
        assert words==[tokenizer.convert_ids_to_tokens(row[m].tolist()) for row,m in zip(ids, mask)]
        assert len(layers)==len(wanted)==7 and wanted[-1].abs().max()>1
        for ours,theirs in zip(layers, wanted): torch.testing.assert_close(ours[mask], theirs[mask], atol=1e-5, rtol=0)
        states = encoder._encode(prompts)
        torch.testing.assert_close(states.tokens, torch.cat([layers[-1],layers[2]], -1))
        mean = torch.stack([x[m].mean(0) for x,m in zip(wanted[-1], mask)])
        torch.testing.assert_close(states.pooled, mean, atol=1e-5, rtol=0)

def test_random_berts_are_those_of_transformers(tmp_path):
    transformers = pytest.importorskip('transformers', reason=ORACLE)
    bert_folder(tmp_path)
    encoder = load_text_encoder('minilm', tmp_path)
    model = transformers.BertModel.from_pretrained(tmp_path).eval()
    ids,mask = torch.randint(207, (3,9)), torch.arange(9)[None]<torch.tensor([[1],[5],[9]])
    with torch.no_grad():
        wanted = model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        for ours,theirs in zip(encoder.model(ids, mask), wanted):
            torch.testing.assert_close(ours[mask], theirs[mask], atol=1e-5, rtol=0)

# ---- revisions

COMMIT = '0123456789abcdef0123456789abcdef01234567'

def fake_hub(monkeypatch, folder=None, error=None):
    "Replace the hub by a folder or an error; the list of revisions that are asked for."
    asked = []
    def snapshot_download(repo, revision, allow_patterns):
        asked.append((repo,revision))
        if error is not None: raise error
        return str(folder)
    monkeypatch.setattr(huggingface_hub, 'snapshot_download', snapshot_download)
    return asked

@pytest.fixture
def snapshot(tmp_path):
    "A folder as the hub's library makes them, named after the commit."
    folder = tmp_path/COMMIT
    folder.mkdir()
    bert_folder(folder)
    return folder

def test_a_revision_is_asked_for_and_its_commit_is_recorded(monkeypatch, snapshot):
    asked = fake_hub(monkeypatch, snapshot)
    assert load_text_encoder('minilm', revision='main').revision==COMMIT
    assert asked==[(ENCODERS['minilm'][0],'main')]  # of the hub, though the package of MiniLM may be installed

def test_the_pinned_revision_is_asked_for_by_default(monkeypatch, snapshot):
    asked = fake_hub(monkeypatch, snapshot)
    monkeypatch.setattr(text, 'minilm_folder', lambda: None)
    monkeypatch.setattr(text, '_read_clip', lambda folder: Embedding())
    load_text_encoder('minilm')
    assert load_text_encoder('clip').revision==COMMIT
    assert asked==[ENCODERS['minilm'][:2], ('openai/clip-vit-base-patch32','refs/pr/15')]

def test_a_wrong_revision_is_named(monkeypatch):
    fake_hub(monkeypatch, error=RevisionNotFoundError.__new__(RevisionNotFoundError))
    with pytest.raises(ValueError, match="clip-vit-base-patch32 has no revision 'v9'"):
        load_text_encoder('clip', revision='v9')

def test_a_hub_out_of_reach(monkeypatch, tmp_path):
    says = f'at revision {COMMIT}: name a folder that holds it'
    fake_hub(monkeypatch, error=OSError('offline'))
    with pytest.raises(RuntimeError, match=says): load_text_encoder('clip', revision=COMMIT)
    fake_hub(monkeypatch, tmp_path)  # a download that was interrupted, and a hub that cannot be asked for the rest
    with pytest.raises(RuntimeError, match=says): load_text_encoder('clip', revision=COMMIT)

@pytest.mark.parametrize('revision', ['',' ',3])
def test_what_is_no_revision(revision):
    with pytest.raises(ValueError, match='revision must be a branch'): load_text_encoder('clip', revision=revision)

def test_a_folder_has_no_revision(tmp_path):
    with pytest.raises(ValueError, match='not both'): load_text_encoder('clip', tmp_path, 'main')

# ---- frozen, at full size with random weights

def clip_folder(folder):
    "CLIP ViT-B/32's text tower as a folder: the vocabulary has its size, but only letters are words."
    pytest.importorskip('transformers', reason=ORACLE)
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    letters = [chr(c) for c in range(97,123)]
    words = letters+[c+'</w>' for c in letters]
    words += [f'<unused{i}>' for i in range(49406-len(words))]+['<|startoftext|>','<|endoftext|>']
    CLIPTokenizer(vocab={w:i for i,w in enumerate(words)}, merges=[], model_max_length=77).save_pretrained(folder)
    CLIPTextModel(CLIPTextConfig()).save_pretrained(folder)

def minilm_like_folder(folder):
    "MiniLM's architecture as a folder, with letters for words."
    pytest.importorskip('transformers', reason=ORACLE)
    from transformers import BertConfig, BertModel, BertTokenizer
    letters = [chr(c) for c in range(97,123)]
    words = ['[PAD]','[UNK]','[CLS]','[SEP]','[MASK]']+letters+['##'+c for c in letters]
    words += [f'[unused{i}]' for i in range(30522-len(words))]
    BertTokenizer(vocab={w:i for i,w in enumerate(words)}).save_pretrained(folder)
    config = BertConfig(vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
                        intermediate_size=1536)
    BertModel(config).save_pretrained(folder)

def copy_of(module): return {k:v.detach().clone() for k,v in module.state_dict().items()}

def same_bits(a, b):
    "Whether two states have the same bytes."
    return a.keys()==b.keys() and all(a[k].numpy().tobytes()==b[k].numpy().tobytes() for k in a)

FULL_SIZE = dict(clip=(clip_folder, 512, 512, 63_165_952, 77), minilm=(minilm_like_folder, 768, 384, 22_565_376, 128))

@pytest.mark.parametrize('name', FULL_SIZE)
def test_training_leaves_every_bit_of_the_encoder(tmp_path, name):
    from text2pose.cfg import Text2PoseModel
    from text2pose.unet import SIZES
    make_folder,text_dim,pooled_dim,n_weights,longest = FULL_SIZE[name]
    torch.manual_seed(0)
    make_folder(tmp_path)
    encoder = load_text_encoder(name, tmp_path)
    assert sum(p.numel() for p in encoder.model.parameters())==n_weights
    assert encoder.revision==load_text_encoder(name, tmp_path).revision!=''
    text = encoder(['arms up','a'])
    assert text.tokens.shape==(2,8,text_dim) and text.pooled.shape==(2,pooled_dim)
    assert text.mask.sum(1).tolist()==[8,3]
    assert encoder('a '*(longest-2)).tokens.shape==(1,longest,text_dim)
    with pytest.raises(ValueError, match=f'has {longest+1} tokens; {name} takes at most {longest}'):
        encoder('a '*(longest-1))

    model = Text2PoseModel(dict(
        text_encoder=name, text_dim=encoder.dim, schedule='squaredcos', prediction_type='v_prediction',
        num_train_timesteps=1000, text_layers=2, posecodes=list(POSECODES), unet=SIZES['tiny'])).train()
    before,before_model = copy_of(encoder.model),copy_of(model)
    # by mistake the optimizer is given the encoder too
    opt = torch.optim.AdamW([*model.parameters(), *encoder.model.parameters()], lr=1e-2, weight_decay=.1)
    for _ in range(3):  # the last layers start at zero: gradients reach the text in the second step
        text = encoder(['arms up','a'])
        pred,logits = model(torch.randn(2,22,3), torch.tensor([10,500]), text.tokens, text.mask)
        (pred-1).square().mean().add(logits.square().mean()).backward()
        opt.step()
        assert all(p.grad is None and not p.requires_grad for p in encoder.model.parameters())
        opt.zero_grad()
    assert same_bits(copy_of(encoder.model), before)
    for k in ('projection.reader.proj.weight','projection.reader.adapter.down.weight','unet.out.weight'):
        assert not torch.equal(model.state_dict()[k], before_model[k]), k
    assert model.projection.reader.proj.weight.shape==(256,text_dim)

def test_empty_prompts_have_start_and_end_only(tmp_path):
    minilm_like_folder(tmp_path)
    empty = load_text_encoder('minilm', tmp_path).empty(3)
    assert empty.words==[['[CLS]','[SEP]']]*3 and empty.mask.all() and empty.tokens.shape==(3,2,768)

# ---- text layers

def shaken(module):
    torch.manual_seed(0)
    with torch.no_grad():
        for p in module.parameters(): p.add_(torch.randn_like(p)*.1)
    return module.eval()

def test_padding_is_never_read():
    reader = shaken(PosecodeReader(8, dim=16, n_layers=2, n_codes=5))
    tokens,mask = torch.randn(3,6,8), torch.arange(6)[None]<torch.tensor([[1],[4],[6]])
    states,logits = reader(tokens, mask)
    other_states,other_logits = reader(torch.where(mask[...,None], tokens, 1e3), mask)
    torch.testing.assert_close(other_states[mask], states[mask])
    torch.testing.assert_close(other_logits, logits)

def test_denoising_does_not_train_the_code_head():
    projection = shaken(TextProjection(8, dim=16, n_layers=1, n_codes=5))
    states,_,logits = projection(torch.randn(2,3,8), torch.ones(2,3).bool())
    states.square().sum().backward(retain_graph=True)
    assert projection.reader.code_head.weight.grad is None
    assert projection.code_emb.weight.grad.abs().sum()>0 and projection.reader.proj.weight.grad.abs().sum()>0
    logits.sum().backward()
    assert projection.reader.code_head.weight.grad.abs().sum()>0

def test_dropped_captions_are_all_alike_and_train_the_null():
    projection = shaken(TextProjection(8, dim=16, n_layers=1, n_codes=5))
    tokens,mask = torch.randn(3,4,8), torch.ones(3,4).bool()
    states,new_mask,logits = projection(tokens, mask, torch.tensor([True,False,True]))
    assert new_mask.sum(1).tolist()==[1,4,1]
    assert (states[0,0]==projection.null).all() and (states[2]==states[0]).all()
    torch.testing.assert_close(logits, projection(tokens, mask)[2])
    states[0].sum().backward()
    assert projection.null.grad.abs().sum()>0
    assert projection.reader.proj.weight.grad.abs().sum()==0

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not installed')
def test_shipped_weights_read_left_as_left():
    from text2pose.cfg import Text2PosePipeline
    pipe = Text2PosePipeline.from_pretrained(asset('weights'))
    read = pipe.read(['raise your left arm','raise your right arm'])
    assert list(read[0])==list(POSECODES)
    for side,chances in zip(('left','right'), read):
        code = f'{side}_arm_raised'
        assert chances[code]>.9 and chances[mirror_code(code)]<.5

# ---- the retriever

def test_recall_of_the_shipped_scorer_is_recorded():
    recall = read_json(asset('weights/training.json'))['scorer']['recall_in_pools_of_32']
    assert .5<=recall['R@1']<recall['R@2']<recall['R@3']<1

class Spoken:
    "Stands for an encoder: a text is the states of its two tokens, made of its letters."
    dim = 24
    def __call__(self, prompts):
        tokens = torch.stack([torch.randn(2, self.dim, generator=torch.Generator().manual_seed(sum(map(ord, p))))
                              for p in prompts])
        return SimpleNamespace(tokens=tokens, mask=torch.ones(len(prompts),2).bool())

def test_phrases_count_for_poses_that_are_not_of_the_atlas():
    scorer = shaken(PoseTextScorer(24, dim=16, n_layers=1, embed_dim=8, pose_dim=32))
    atlas = atlas_library()[:6]
    sources = ['atlas']*3+['mine.yaml']*3
    phrases = [['bolt'],['nut'],['screw'],['anvil','tongs'],['bellows'],['forge']]
    library = PoseLibrary(atlas.names, atlas.joints, phrases, sources, atlas.splits)
    asked = Spoken()(['tongs','bolt'])
    looks,both = (PoseMemory(library, scorer, e).similarity(asked) for e in (None, Spoken()))
    assert looks.shape==both.shape==(2,6)
    torch.testing.assert_close(both[:,:3], looks[:,:3])  # the phrases of the atlas are not read
    vectors = scorer.embed_text(asked.tokens, asked.mask)[0]
    own = Spoken()(['anvil','tongs','bellows','forge'])
    named = PHRASE_WEIGHT*vectors@scorer.embed_text(own.tokens, own.mask)[0].T
    best = torch.stack([named[:,:2].amax(1), named[:,2], named[:,3]], 1)
    torch.testing.assert_close(both[:,3:], torch.maximum(looks[:,3:], best))
    assert both[0,3]>=PHRASE_WEIGHT-1e-5  # said as it is called
    assert PoseMemory(library[:3], scorer, Spoken()).phrase_vectors is None

@pytest.mark.skipif(not available('minilm'), reason='MiniLM is not installed')
@pytest.mark.parametrize('prompt,name', [
    ('tree pose','tree_pose'), ('someone is tying their shoelaces','tying_shoelace')])
def test_the_atlas_is_found_by_words(prompt, name):
    memory = PoseMemory(atlas_library(), load_scorer(asset('weights/scorer.safetensors')))
    similarity = memory.similarity(load_text_encoder()(prompt))
    assert memory.library.names[int(similarity.argmax())]==name
    assert -1<=similarity.min() and similarity.max()<=1
