"The denoiser: batches, padding, shapes and precision."
import json
import pytest
import torch
from text2pose.data import N_JOINTS, PARENTS
from text2pose.unet import LIMB_IDX, LIMBS, Attention, ConditionedUNet

def shaken(**config):
    "A small network whose weights are not the zeros of a fresh one."
    torch.manual_seed(0)
    sizes = dict(block_channels=(16,32), layers_per_block=1, n_heads=2, cross_attention_dim=16, body_channels=32)
    net = ConditionedUNet(**{**sizes, **config}).eval().requires_grad_(False)
    for p in net.parameters(): p.add_(torch.randn_like(p)*.1)
    return net

def inputs(n=4, n_tokens=5):
    g = torch.Generator().manual_seed(1)
    return torch.randn(n,N_JOINTS,3,generator=g), torch.arange(n)*200, torch.randn(n,n_tokens,16,generator=g)

def test_limbs_follow_the_kinematic_tree():
    assert list(LIMBS)==['trunk','head','left_arm','right_arm','left_leg','right_leg']
    for limb in LIMB_IDX: assert [PARENTS[j] for j in limb[1:]]==limb[:-1]

@pytest.mark.parametrize('config', [{}, dict(norm='group_norm'), dict(layers_per_block=2), dict(n_heads=1)])
def test_poses_of_a_batch_do_not_see_each_other(config):
    net = shaken(**config)
    x,t,text = inputs()
    together = net(x, t, text)
    assert together.shape==x.shape and together.abs().max()>.01
    for i in range(len(x)):
        torch.testing.assert_close(net(x[i:i+1], t[i:i+1], text[i:i+1]), together[i:i+1], atol=1e-5, rtol=0)

def test_padding_is_never_read():
    net = shaken()
    x,t,text = inputs()
    mask = torch.arange(5)[None]<torch.tensor([[1],[2],[3],[5]])
    garbage = torch.where(mask[...,None], text, 1e3)
    torch.testing.assert_close(net(x, t, garbage, mask), net(x, t, text, mask), atol=1e-5, rtol=0)

def test_no_mask_means_that_all_tokens_are_words():
    net = shaken()
    x,t,text = inputs()
    torch.testing.assert_close(net(x, t, text), net(x, t, text, torch.ones(4,5).bool()))

def test_one_timestep_for_the_whole_batch():
    net = shaken()
    x,_,text = inputs()
    torch.testing.assert_close(net(x, 300, text), net(x, torch.full((4,), 300), text))

def test_attention_maps_are_means_over_words():
    x,t,text = inputs()
    mask = torch.arange(5)[None]<torch.tensor([[1],[2],[3],[5]])
    _,maps = shaken()(x, t, text, mask, output_attentions=True)
    assert maps.shape[1:2]==(4,) and maps.shape[-2:]==(N_JOINTS,5) and (maps>=0).all()
    torch.testing.assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))
    assert maps[~mask[:,None,None].expand_as(maps)].abs().max()==0
    torch.testing.assert_close(maps[:,0,...,0], torch.ones_like(maps[:,0,...,0]))  # a single word gets all

def test_attention_refuses_a_width_that_does_not_divide():
    with pytest.raises(RuntimeError): Attention(30, n_heads=4)(torch.randn(1,3,30))

def test_half_precision_stays_near():
    net = shaken()
    x,t,text = inputs()
    full = net(x, t, text)
    half = net.to(torch.bfloat16)(x.bfloat16(), t, text.bfloat16())
    assert half.dtype==torch.bfloat16 and (half.float()-full).abs().max()<.05*full.abs().max()+.05

def test_the_configuration_makes_the_same_network():
    net = shaken(body_steps=2, dropout=.1)
    again = ConditionedUNet(**json.loads(json.dumps(vars(net.config)))).eval()
    again.load_state_dict(net.state_dict())
    assert again.config.body_steps==2 and again.config.dropout==.1 and len(again.body.steps)==2
    torch.testing.assert_close(again(*inputs()), net(*inputs()))

def test_other_skeletons_are_refused():
    with pytest.raises(ValueError, match='22-joint skeleton, got n_joints=24'): ConditionedUNet(n_joints=24)

def test_prepared_steps_are_the_steps_of_forward():
    net = shaken(layers_per_block=2)
    x,_,_ = inputs(6)
    _,_,text = inputs(2)
    mask = torch.arange(5)[None]<torch.tensor([[2],[5]])
    g = torch.Generator().manual_seed(2)
    exemplars = torch.randn(6,3,N_JOINTS,3,generator=g), torch.rand(6,3,generator=g), torch.rand(6,3,generator=g)>.5
    each = text.repeat_interleave(3,0), mask.repeat_interleave(3,0)
    for shown in (None, exemplars):
        prepared = net.prepare([999,400,0], text, mask, shown)
        for i,t in enumerate([999,400,0]):
            out,maps = net.denoise(x, prepared, i, output_attentions=True)
            wanted,wanted_maps = net(x, t, *each, shown, output_attentions=True)
            torch.testing.assert_close(out, wanted, atol=1e-5, rtol=0)
            torch.testing.assert_close(maps, wanted_maps, atol=1e-5, rtol=0)

def test_rows_that_do_not_fit_are_refused():
    net = shaken()
    x,_,text = inputs()
    with pytest.raises(ValueError, match='3 poses do not fit the 4 rows'): net.denoise(x[:3], net.prepare([5], text))
    exemplars = x[:3,None], torch.ones(3,1), torch.ones(3,1).bool()
    with pytest.raises(ValueError, match='3 rows of exemplars do not fit 4 texts'):
        net.prepare([5], text, None, exemplars)

def test_weights_keep_their_names():
    names = set(shaken().state_dict())
    layers = ('to_q.weight','to_kv.weight','to_out.weight','to_out.bias')
    assert {f'joints_down.0.1.cross_attn.{layer}' for layer in layers}<=names
    assert not any(name.endswith(('neighbours','places','pool.joints')) for name in names)
