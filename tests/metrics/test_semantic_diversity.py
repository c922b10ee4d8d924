"""Sem-D, compared with brute force over all pairs."""

from itertools import combinations

import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import given, settings
from torch import Tensor

from uniemo.metrics import SemanticDiversity


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
def test_semantic_diversity_equals_brute_force_over_all_pairs(
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
