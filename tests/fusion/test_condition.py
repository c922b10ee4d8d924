import numpy as np
import pytest
import torch

from tests.tiny import filled_base
from uniemo.batch import Features
from uniemo.fusion import Fusion, Mapper

B, D, W, E = 4, 6, 5, 5


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    emotion = torch.randint(0, 8, (B,), generator=generator)
    bases = [
        filled_base(
            normal(n, E),
            torch.randint(0, 8, (60,), generator=generator),
            torch.rand(60, n, generator=generator) < 0.5,
            support=1,
        )
        for n in (3, 7)
    ]
    features = Features(normal(B, D), normal(B, D), normal(B, D))
    return (features, normal(B, E), normal(B, E), emotion), bases


def build(bases, coefficients="retrieved", word_width=W):
    """Return a fusion on these bases of scenes and objects."""
    fusion = Fusion(D, word_width, E, coefficients)
    fusion.scene_base, fusion.object_base = bases
    return fusion


def by_hand(fusion, features, alpha_scene, alpha_object):
    """c = me(fe) + alpha_s ms(fs) + alpha_o mo(fo), in NumPy."""

    def mapped(mapper, feature):
        x = feature.double().numpy()
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        weights = {name: p.detach().double().numpy() for name, p in mapper.named_parameters()}
        x = np.maximum(x @ weights["hidden.weight"].T + weights["hidden.bias"], 0)
        return x @ weights["output.weight"].T + weights["output.bias"]

    total = mapped(fusion.emotion_mapper, features.emotion)
    total += alpha_scene.numpy()[:, None] * mapped(fusion.scene_mapper, features.scene)
    total += alpha_object.numpy()[:, None] * mapped(fusion.object_mapper, features.object)
    return fusion.word_mean.numpy() + fusion.word_std.numpy() * total


@pytest.mark.parametrize("coefficients", ["retrieved", "one", "zero", "public"])
def test_words_follow_the_equation(inputs, coefficients):
    given, bases = inputs
    fusion, features = build(bases, coefficients), given[0]
    with torch.no_grad():
        condition = fusion(*given)
        expected = by_hand(fusion, features, condition.alpha_scene, condition.alpha_object)
        np.testing.assert_allclose(condition.word, expected, atol=1e-6)
    if coefficients in ("one", "zero"):
        assert (condition.alpha_scene == (coefficients == "one")).all()
        assert (condition.alpha_object == (coefficients == "one")).all()
        assert (condition.scene == -1).all()


def test_coefficients_are_those_of_the_retrieved_names(inputs):
    given, (scenes, objects) = inputs
    _, scene_query, object_query, emotion = given
    condition = build((scenes, objects))(*given)
    for query, base, alpha, name in (
        (scene_query, scenes, condition.alpha_scene, condition.scene),
        (object_query, objects, condition.alpha_object, condition.object),
    ):
        expected_alpha, expected_name = base.coefficient(query, emotion)
        assert torch.equal(alpha, expected_alpha)
        assert torch.equal(name, expected_name)


def test_public_retrieval_compares_mapped_features_with_both_lists(inputs):
    given, (scenes, objects) = inputs
    features, _, _, emotion = given
    fusion = build((scenes, objects), "public")
    with torch.no_grad():
        condition = fusion(*given)
        texts = torch.cat((scenes.text_features, objects.text_features))
        table = torch.cat((scenes.probability, objects.probability))
        for mapper, feature, alpha, name in (
            (fusion.scene_mapper, features.scene, condition.alpha_scene, condition.scene),
            (fusion.object_mapper, features.object, condition.alpha_object, condition.object),
        ):
            cosine = torch.cosine_similarity(mapper(feature)[:, None], texts[None], dim=-1)
            assert torch.equal(name, cosine.argmax(1))
            assert torch.equal(alpha, table[name, emotion])
    with pytest.raises(ValueError, match="use 'retrieved'"):
        build((scenes, objects), "public", W + 1)(*given)


def test_gradients_reach_every_mapper_and_feature(inputs):
    given, bases = inputs
    fusion = build(bases)
    features = Features(*(feature.requires_grad_() for feature in given[0]))
    fusion(features, *given[1:]).word.square().sum().backward()
    assert all(feature.grad.norm() > 0 for feature in features)
    assert all(p.grad is not None for p in fusion.parameters())


def test_words_start_where_real_embeddings_are():
    torch.manual_seed(0)
    mean, std = 0.3 + 0.014 * torch.randn(64), torch.tensor(0.014)
    fusion = Fusion(256, 64, 8, "zero")
    fusion.start_among(mean, std)
    features = Features(*(50 * torch.randn(64, 256) for _ in range(3)))
    query = torch.randn(64, 8)
    with torch.no_grad():
        word = fusion(features, query, query, torch.zeros(64, dtype=torch.long)).word
    deviation = word - mean
    assert 0.8 < deviation.square().mean().sqrt() / 0.014 < 1.25
    again = Fusion(256, 64, 8, "zero")
    again.load_state_dict(fusion.state_dict())
    assert torch.equal(again.word_mean, fusion.word_mean)


def test_mapper_does_not_depend_on_the_size_of_its_feature():
    mapper = Mapper(16, 4)
    feature = torch.randn(3, 16)
    torch.testing.assert_close(mapper(feature), mapper(1000 * feature), atol=1e-3, rtol=1e-3)
