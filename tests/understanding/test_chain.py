import pytest
import torch
from torch.nn import functional as F

from uniemo.errors import UserError
from uniemo.understanding import AttributeProjection, UnderstandingChain
from uniemo.understanding.queries import InteractiveBlock


@pytest.mark.parametrize("quick_gelu", [False, True])
@pytest.mark.parametrize("pooling", [{}, {"pool_type": "avg", "final_ln_after_pool": True}])
def test_without_queries_the_chain_is_encode_image(make_clip, image, quick_gelu, pooling):
    clip = make_clip(quick_gelu, **pooling)
    chain = UnderstandingChain(clip.visual, queries="none").eval()
    with torch.no_grad():
        torch.testing.assert_close(
            chain(image).emotion @ clip.visual.proj, clip.encode_image(image), atol=1e-5, rtol=1e-5
        )


def test_projection_from_clip_is_clips_own_read_out(make_clip, image):
    clip = make_clip()
    captured = {}
    clip.visual.transformer.register_forward_hook(lambda *args: captured.update(tokens=args[2]))
    with torch.no_grad():
        expected = clip.encode_image(image, normalize=True)
        projection = AttributeProjection.from_clip(clip.visual)
        torch.testing.assert_close(projection(captured["tokens"][:, 0]), expected)


def test_published_features_follow_the_five_steps(make_clip, image):
    visual = make_clip().visual
    chain = UnderstandingChain(visual, 5, start="learned", feature_depth="own").eval()
    blocks = visual.transformer.resblocks
    with torch.no_grad():
        x = visual._embeds(image)
        n_tokens = x.shape[1]
        scene = chain.scene_queries.tokens.expand(3, -1, -1)
        objects = chain.object_queries.tokens.expand(3, -1, -1)
        x = blocks[1](blocks[0](torch.cat([x, scene], 1)))
        scene = chain.scene_queries.block(x[:, n_tokens:], x[:, :n_tokens])
        x = blocks[3](blocks[2](torch.cat([x[:, :n_tokens], scene, objects], 1)))
        objects = chain.object_queries.block(x[:, -5:], x[:, :n_tokens])
        x = blocks[5](blocks[4](torch.cat([x[:, :-5], objects], 1)))
        features = chain(image)
    torch.testing.assert_close(features.scene, scene.mean(1))
    torch.testing.assert_close(features.object, objects.mean(1))
    torch.testing.assert_close(features.emotion, visual.ln_post(x[:, 0]))


def test_features_of_queries_that_start_as_the_class_token(make_clip, image):
    visual = make_clip().visual
    chain = UnderstandingChain(visual, n_queries=5).eval()
    blocks = visual.transformer.resblocks
    with torch.no_grad():
        x = blocks[1](blocks[0](visual._embeds(image)))
        n_tokens = x.shape[1]
        scene = chain.scene_queries.block(x[:, :1] + chain.scene_queries.tokens, x)
        x = blocks[3](blocks[2](torch.cat([x, scene], 1)))
        tokens, scene = x[:, :n_tokens], x[:, n_tokens:]
        objects = chain.object_queries.block(tokens[:, :1] + chain.object_queries.tokens, tokens)
        x = blocks[5](blocks[4](torch.cat([tokens, scene, objects], 1)))
        features = chain(image)
    torch.testing.assert_close(features.scene, x[:, n_tokens : n_tokens + 5].mean(1))
    torch.testing.assert_close(features.object, x[:, n_tokens + 5 :].mean(1))
    torch.testing.assert_close(features.emotion, visual.ln_post(x[:, 0]))


def test_queries_without_offset_and_block_know_what_clip_knows(make_clip, image):
    clip = make_clip()
    chain = UnderstandingChain(clip.visual, n_queries=1).eval()
    projection = AttributeProjection.from_clip(clip.visual)
    with torch.no_grad():
        expected = clip.encode_image(image, normalize=True)
        for queries in (chain.scene_queries, chain.object_queries):
            queries.tokens.zero_()
            queries.block.output.weight.zero_()
            queries.block.mlp_output.weight.zero_()
        features = chain(image)
        # Beside two copies of itself the class token reads itself thrice: near, but not equal.
        for feature in (features.scene, features.object):
            assert (projection(feature) * expected).sum(1).min() > 0.95


def test_queries_that_start_as_the_class_token_look_where_it_has_looked(make_clip, image):
    visual = make_clip().visual
    chain = UnderstandingChain(visual, n_queries=3).eval()
    for queries, layer in ((chain.scene_queries, 1), (chain.object_queries, 3)):
        attention = visual.transformer.resblocks[layer].attn
        torch.nn.init.zeros_(attention.in_proj_bias)
        queries.tokens.data.zero_()
        tokens = torch.randn(3, 17, 64)
        normed = visual.transformer.resblocks[layer].ln_1(tokens)
        _, expected = attention(normed[:, :1], normed, normed, need_weights=True)  # [3, 1, 17]
        entering = queries.enter(queries.before(tokens), tokens)
        torch.testing.assert_close(
            queries.attention(entering, tokens), expected[:, :, 1:].expand(-1, 3, -1)
        )


@pytest.mark.parametrize("feature_depth", ["own", "last"])
@pytest.mark.parametrize(
    ("queries", "start", "lengths"),
    [
        ("both", "learned", [20, 23, 23]),
        ("both", "class_token", [17, 20, 23]),
        ("scene", "learned", [20] * 3),
        ("object", "class_token", [17, 17, 20]),
        ("none", "learned", [17] * 3),
    ],
)
def test_sets_enter_at_their_stage(make_clip, image, queries, start, lengths, feature_depth):
    visual = make_clip().visual
    chain = UnderstandingChain(visual, 3, queries, start, feature_depth)
    seen = []
    for block in visual.transformer.resblocks[::2]:
        block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    features = chain(image)
    assert seen == lengths  # 16 patches and the class token, then 3 tokens a set
    assert all(feature.shape == (3, 64) for feature in features)


@pytest.mark.parametrize("queries", ["both", "scene", "object", "none"])
def test_every_trainable_weight_has_a_gradient(make_clip, image, queries):
    chain = UnderstandingChain(make_clip().visual, n_queries=3, queries=queries)
    sum(feature.sum() for feature in chain(image)).backward()
    without = [name for name, p in chain.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_gradients_reach_the_queries_through_a_frozen_tower(make_clip, image):
    visual = make_clip().visual.requires_grad_(False)
    chain = UnderstandingChain(visual, n_queries=3)
    chain(image).emotion.square().sum().backward()
    assert chain.scene_queries.tokens.grad.norm() > 0
    assert chain.object_queries.tokens.grad.norm() > 0
    assert all(parameter.grad is None for parameter in visual.parameters())


def test_checkpointing_changes_no_gradient(make_clip, image):
    chain = UnderstandingChain(make_clip().visual, n_queries=3)
    plain = torch.autograd.grad(chain(image).emotion.square().sum(), chain.scene_queries.tokens)
    chain.visual.set_grad_checkpointing(True)
    again = torch.autograd.grad(chain(image).emotion.square().sum(), chain.scene_queries.tokens)
    torch.testing.assert_close(plain, again)


def test_bfloat16_autocast_stays_close(make_clip, image):
    chain = UnderstandingChain(make_clip().visual, n_queries=3).eval()
    with torch.no_grad():
        exact = chain(image)
        with torch.autocast("cpu", torch.bfloat16):
            rough = chain(image)
    for a, b in zip(exact, rough, strict=True):
        assert F.cosine_similarity(a, b.float()).min() > 0.99


def test_attention_maps_are_the_blocks_softmax_over_patches(make_clip, image):
    chain = UnderstandingChain(make_clip().visual, n_queries=3).eval()
    context = {}
    block = chain.object_queries.block
    block.register_forward_hook(lambda _, inputs, __: context.update(inputs=inputs))
    with torch.no_grad():
        chain(image)
        maps = chain.attention(image)
        queries, tokens = context["inputs"]
        q = block.query(block.query_norm(queries))
        k = block.key(block.token_norm(tokens))
        width = q.shape[-1] // block.n_heads
        heads = [
            (q_h @ k_h.transpose(1, 2) / width**0.5).softmax(-1)
            for q_h, k_h in zip(q.split(width, -1), k.split(width, -1), strict=True)
        ]
    expected = sum(heads)[:, :, 1:].reshape(3, 3, 4, 4) / block.n_heads
    torch.testing.assert_close(maps.object, expected)
    assert maps.scene.shape == (3, 3, 4, 4)
    assert (maps.scene.sum((-2, -1)) < 1).all()
    none = UnderstandingChain(make_clip().visual, queries="none").attention(image)
    assert none.scene.shape == (3, 0, 4, 4)


@pytest.mark.parametrize("queries", ["both", "scene", "object", "none"])
def test_features_and_maps_of_one_run_are_those_of_two(make_clip, image, queries):
    visual = make_clip().visual
    chain = UnderstandingChain(visual, n_queries=3, queries=queries).eval()
    with torch.no_grad():
        expected = *chain(image), *chain.attention(image)
        runs = []
        visual.transformer.resblocks[0].register_forward_hook(lambda *_: runs.append(1))
        features, maps = chain.features_and_attention(image)
    assert len(runs) == 1
    assert all(torch.equal(a, b) for a, b in zip((*features, *maps), expected, strict=True))


@pytest.mark.parametrize("n_heads", [1, 4])
def test_interactive_block_equals_torchs_multihead_attention(n_heads):
    torch.manual_seed(0)
    block = InteractiveBlock(64, n_heads, depth=6)
    reference = torch.nn.MultiheadAttention(64, n_heads, bias=False, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(
            torch.cat([block.query.weight, block.key.weight, block.value.weight])
        )
        reference.out_proj.weight.copy_(block.output.weight)
        queries, tokens = torch.randn(2, 3, 64), torch.randn(2, 9, 64)
        context = block.token_norm(tokens)
        read, weights = reference(block.query_norm(queries), context, context)
        expected = queries + read
        hidden = block.mlp_hidden(block.mlp_norm(expected))
        expected = expected + block.mlp_output(hidden * torch.sigmoid(1.702 * hidden))
        torch.testing.assert_close(block(queries, tokens), expected)
        torch.testing.assert_close(block.attention(queries, tokens), weights)


def test_interactive_block_starts_as_a_small_correction():
    torch.manual_seed(0)
    block = InteractiveBlock(64, 1, depth=24)
    queries, tokens = torch.randn(2, 3, 64), torch.randn(2, 9, 64)
    with torch.no_grad():
        assert (block(queries, tokens) - queries).norm() < 0.3 * queries.norm()


def test_unfit_towers_are_refused(make_clip):
    with pytest.raises(UserError, match="4 layers"):
        UnderstandingChain(make_clip(layers=4).visual)
    with pytest.raises(UserError, match="attention"):
        UnderstandingChain(make_clip(attentional_pool=True).visual)
    with pytest.raises(UserError, match="Linear"):
        UnderstandingChain(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="n_queries is 0"):
        UnderstandingChain(make_clip().visual, n_queries=0)
