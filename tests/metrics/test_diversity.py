"""Sem-D and the perceptual diversity against brute force over all pairs."""

from itertools import combinations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torchmetrics.functional.image.lpips import _NoTrainLpips

from uniemo.metrics import (
    LPIPSEmbedding,
    PerceptualDiversity,
    PublishedSemanticDiversity,
    SemanticDiversity,
    perceptual_embedding,
    published_pairs,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def brute_force(features: Tensor, emotion: Tensor) -> np.ndarray:
    """Return Sem-D per emotion, pair by pair."""
    values = np.full(8, np.nan)
    for index in range(8):
        rows = features[emotion == index].double().numpy()
        pairs = [((a - b) ** 2).mean() for a, b in combinations(rows, 2)]
        if pairs:
            values[index] = np.mean(pairs)
    return values


@settings(max_examples=25, deadline=None)
@given(
    emotion=st.lists(st.integers(0, 7), min_size=0, max_size=30),
    offset=st.sampled_from([0.0, 1.0, 1000.0]),
    batch=st.integers(1, 9),
)
def test_semantic_diversity_is_brute_force_over_all_pairs(
    emotion: list[int], offset: float, batch: int
) -> None:
    labels = torch.tensor(emotion, dtype=torch.long)
    generator = torch.Generator().manual_seed(len(emotion))
    features = torch.randn(len(emotion), 5, generator=generator) + offset
    metric = SemanticDiversity(5)
    for rows, targets in zip(features.split(batch), labels.split(batch), strict=True):
        metric.update(rows, targets)
    value = metric.compute()
    expected = brute_force(features, labels)
    np.testing.assert_allclose(value["sem_d_per_emotion"], expected, rtol=1e-7)
    defined = expected[~np.isnan(expected)]
    overall = defined.mean() if len(defined) else np.nan
    np.testing.assert_allclose(value["sem_d"], overall, rtol=1e-7)


def test_equal_images_have_no_diversity() -> None:
    metric = SemanticDiversity(3)
    metric.update(torch.full((7, 3), 0.1), torch.full((7,), 2))
    assert 0 <= metric.compute()["sem_d"] < 1e-12


def test_perceptual_diversity_is_lpips_over_all_pairs() -> None:
    torch.manual_seed(0)
    lpips = _NoTrainLpips(net="squeeze", pnet_rand=True)  # its linear weights are real
    image = torch.rand(5, 3, 40, 48) * 2 - 1
    emotion = torch.tensor([1, 4, 1, 4, 1])
    embed = LPIPSEmbedding(lpips).train()
    embedding = embed(image)
    metric = PerceptualDiversity(embedding.shape[1])
    metric.update(embedding, emotion)

    def distance(first: int, second: int) -> float:
        return lpips(image[first : first + 1], image[second : second + 1]).item()

    value = metric.compute()["diversity_per_emotion"]
    among_first = [distance(0, 2), distance(0, 4), distance(2, 4)]
    assert value[1].item() == pytest.approx(np.mean(among_first), rel=1e-4)
    assert value[4].item() == pytest.approx(distance(1, 3), rel=1e-4)
    assert metric.compute()["diversity"] == pytest.approx(value[[1, 4]].mean().item())


def test_a_negative_channel_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        perceptual_embedding([torch.rand(1, 2, 3, 3)], [torch.tensor([1.0, -0.1])])


def test_published_pairs_reach_back_over_all_earlier_emotions() -> None:
    pairs = published_pairs(torch.full((8,), 20), n_pairs=2000)
    assert pairs.shape == (8, 2000, 2)
    assert (pairs[..., 0] != pairs[..., 1]).all()
    for emotion in range(8):
        assert pairs[emotion].max() < 20 * (emotion + 1)
        assert set(pairs[emotion].flatten().tolist()) == set(range(20 * (emotion + 1)))
    assert torch.equal(pairs, published_pairs(torch.full((8,), 20), n_pairs=2000))
    assert not torch.equal(pairs, published_pairs(torch.full((8,), 20), n_pairs=2000, seed=1))


def test_published_pairs_without_a_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="needs an image of every emotion"):
        published_pairs(torch.tensor([1, 2, 2, 2, 2, 2, 2, 2]))


def test_published_semantic_diversity_is_its_pairs_mean_in_any_order() -> None:
    emotion = torch.arange(8).repeat(6)
    index = torch.arange(48)
    features = torch.randn(48, 5, generator=torch.Generator().manual_seed(0))
    listed = features[emotion.argsort(stable=True)].double().numpy()
    pairs = published_pairs(torch.full((8,), 6), seed=2)
    expected = [np.mean([(listed[i] - listed[j]) ** 2 for i, j in group]) for group in pairs]
    for order in (index, torch.randperm(48)):
        metric = PublishedSemanticDiversity(5, seed=2)
        metric.update(features[order], emotion[order], index[order])
        value = metric.compute()
        np.testing.assert_allclose(value["published_sem_d_per_emotion"], expected, rtol=1e-9)
        assert value["published_sem_d"].item() == pytest.approx(np.mean(expected))
