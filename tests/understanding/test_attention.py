"""Attention without copies is open_clip's, to the same numbers."""

import copy

import pytest
import torch

from uniemo.understanding import UnderstandingChain
from uniemo.understanding.attention import PackedSelfAttention


@pytest.mark.parametrize("training", [True, False])
def test_a_block_gives_open_clips_values_and_gradients(make_clip, training):
    block = make_clip().visual.transformer.resblocks[0].train(training)
    packed = copy.deepcopy(block)
    packed.attn = PackedSelfAttention.of(packed.attn)
    x = torch.randn(3, 21, 64)
    results = []
    for each in (block, packed):
        own = x.clone().requires_grad_()
        out = each(own)
        out.square().sum().backward()
        results.append([out, own.grad, *(p.grad for p in each.parameters())])
    for expected, found in zip(*results, strict=True):
        assert (found - expected).abs().max() <= 1e-6 * expected.abs().max().clamp(min=1)
    names = [name for name, _ in block.named_parameters()]
    assert names == [name for name, _ in packed.named_parameters()]


def test_the_chain_packs_every_block_and_keeps_its_weights(make_clip):
    visual = make_clip().visual
    before = dict(visual.named_parameters())
    visual.requires_grad_(False)
    UnderstandingChain(visual)
    assert all(type(b.attn) is PackedSelfAttention for b in visual.transformer.resblocks)
    after = dict(visual.named_parameters())
    assert after.keys() == before.keys()
    assert all(after[name] is p and not p.requires_grad for name, p in before.items())


def test_what_is_no_plain_self_attention_is_pytorchs(make_clip):
    attention = make_clip().visual.transformer.resblocks[0].attn
    packed = PackedSelfAttention.of(attention)
    x = torch.randn(2, 5, 64)
    mask = torch.ones(5, 5).triu(1).bool()
    torch.testing.assert_close(
        packed(x, x, x, need_weights=False, attn_mask=mask)[0],
        attention(x, x, x, need_weights=False, attn_mask=mask)[0],
    )
    for found, expected in zip(packed(x, x, x), attention(x, x, x), strict=True):
        torch.testing.assert_close(found, expected)
