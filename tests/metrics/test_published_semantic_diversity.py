"""Sem-D of the public script: its pairs and their mean."""

import numpy as np
import pytest
import torch

from uniemo.metrics import PublishedSemanticDiversity, published_pairs


def test_published_pairs_reach_back_over_all_earlier_emotions() -> None:
    pairs = published_pairs(torch.full((8,), 20), n_pairs=2000)
    assert pairs.shape == (8, 2000, 2)
    assert (pairs[..., 0] != pairs[..., 1]).all()
    for emotion in range(8):
        assert pairs[emotion].max() < 20 * (emotion + 1)
        assert set(pairs[emotion].flatten().tolist()) == set(range(20 * (emotion + 1)))
    assert torch.equal(pairs, published_pairs(torch.full((8,), 20), n_pairs=2000))
    assert not torch.equal(pairs, published_pairs(torch.full((8,), 20), n_pairs=2000, seed=1))


def test_published_pairs_without_a_pair_are_rejected() -> None:
    with pytest.raises(ValueError, match="needs an image of every emotion"):
        published_pairs(torch.tensor([1, 2, 2, 2, 2, 2, 2, 2]))


def test_published_semantic_diversity_is_the_mean_over_its_pairs_in_any_order() -> None:
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
