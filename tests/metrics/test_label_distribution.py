"""Distances of distributions, against scipy and over batches."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import chebyshev, cosine
from scipy.stats import entropy

from uniemo.metrics import LabelDistribution


def test_distances_are_scipys_in_any_batches() -> None:
    generator = np.random.default_rng(0)
    p, q = generator.dirichlet(np.ones(6), (2, 9))
    q[0] = [0, 0.5, 0, 0.5, 0, 0]
    metric = LabelDistribution()
    for part in (slice(0, 4), slice(4, 9)):
        metric.update(torch.from_numpy(p[part]).float(), torch.from_numpy(q[part]))
    value = metric.compute()
    pairs = list(zip(p, q, strict=True))
    assert value["kl"].item() == pytest.approx(np.mean([entropy(b, a) for a, b in pairs]), rel=1e-5)
    expected = np.mean([chebyshev(a, b) for a, b in pairs])
    assert value["chebyshev"].item() == pytest.approx(expected, rel=1e-5)
    assert value["cosine"].item() == pytest.approx(1 - np.mean([cosine(a, b) for a, b in pairs]))
