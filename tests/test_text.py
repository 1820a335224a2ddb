"Text encoders, text layers, the reader of posecodes and the projection."
import pytest
import torch
from text2pose.core import asset, available
from text2pose.posecodes import POSECODES, mirror_code
from text2pose.text import PosecodeReader, TextEncoder, TextProjection, check_prompts, load_text_encoder

GOOD = ['arms raised', '  two   spaces ', 'naïve café', 'ﬁve ﬂags', 'ＷＩＤＥ', 'tab\there', 'x'*5000]

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
    def __call__(self, prompts, padding, return_tensors, verbose):
        ids = [torch.tensor([ord(c)-96 for c in p]) for p in prompts]
        ids = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        return dict(input_ids=ids, attention_mask=(ids>0).long())
    def convert_ids_to_tokens(self, ids): return [chr(96+i) for i in ids]

class Embedding(torch.nn.Module):
    "A text model of one layer: every letter is its own state."
    device = torch.device('cpu')
    config = type('Config', (), dict(hidden_size=3))
    def forward(self, input_ids, attention_mask, output_hidden_states):
        states = input_ids[...,None].float()*torch.tensor([1.,10.,100.])
        return type('Out', (), dict(last_hidden_state=states, pooler_output=states[:,-1], hidden_states=[states+.5]))

def test_encoder_on_a_model_that_can_be_checked_by_hand():
    s = TextEncoder('letters', Letters(), Embedding(), 4, 'mean')(['ab','c'])
    assert s.words==[['a','b'],['c']] and s.mask.tolist()==[[True,True],[True,False]]
    assert s.tokens[0].tolist()==[[1,10,100],[2,20,200]]
    assert s.pooled.tolist()==[[1.5,15,150],[3,30,300]]  # padding does not count
    early = TextEncoder('letters', Letters(), Embedding(), 4, 'mean', early=0)
    assert early.dim==6 and early('a').tokens[0,0].tolist()==[1,10,100,1.5,10.5,100.5]
    with pytest.raises(ValueError, match='"abcde…" has 5 tokens; letters takes at most 4'): early(['a','abcde'])

@pytest.mark.parametrize('name', ['clip','minilm'])
def test_a_folder_without_weights(tmp_path, name):
    with pytest.raises(ValueError, match=f'holds no usable {name} text encoder'): load_text_encoder(name, tmp_path)
    with pytest.raises(FileNotFoundError, match='nowhere is missing'): load_text_encoder(name, tmp_path/'nowhere')

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
