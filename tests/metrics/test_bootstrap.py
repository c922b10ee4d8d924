"""Bootstrap intervals, compared with SciPy's."""

import numpy as np
import pytest
import scipy.stats
import torch

from uniemo.metrics import bootstrap_interval


def test_the_bootstrap_interval_equals_scipys() -> None:
    values = torch.rand(200, generator=torch.Generator().manual_seed(0)) < 0.3
    low, high = bootstrap_interval(values, n=4000)
    expected = scipy.stats.bootstrap(
        (values.double().numpy(),), np.mean, n_resamples=4000, method="percentile", rng=0
    ).confidence_interval
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_the_bootstrap_takes_a_statistic_and_a_seed() -> None:
    values = torch.randn(99, generator=torch.Generator().manual_seed(0))
    medians = [
        bootstrap_interval(values, lambda x: x.median(dim=1).values, seed=s) for s in (0, 0, 1)
    ]
    assert medians[0] == medians[1] != medians[2]
    assert medians[0][0] <= values.median() <= medians[0][1]


def test_the_bootstrap_of_nothing_and_of_a_constant() -> None:
    assert np.isnan(bootstrap_interval(torch.empty(0))).all()
    assert bootstrap_interval(torch.full((5,), 2.0)) == (2, 2)
    with pytest.raises(ValueError, match="one per image"):
        bootstrap_interval(torch.zeros(2, 2))
