"""Intervals against SciPy's one-sample t test."""

import numpy as np
import pytest
from scipy import stats

from uniemo.study.statistics import estimate


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_interval_is_students(n):
    values = np.random.default_rng(n).normal(5, 2, n)
    found = estimate(list(values))
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(values.mean())
    assert found.mean - found.half_width == pytest.approx(low)
    assert found.mean + found.half_width == pytest.approx(high)


def test_one_value_has_no_interval_and_none_no_estimate():
    assert estimate([3.0]) == (3.0, None)
    assert not estimate([3.0]).excludes_zero
    assert estimate([]) is None


def test_equal_values_have_no_interval_and_are_no_evidence():
    assert estimate([0.25, 0.25, 0.25]) == (0.25, None)
    assert not estimate([-3 / 256] * 3).excludes_zero


def test_only_an_interval_on_one_side_of_zero_excludes_it():
    assert estimate([1.0, 1.1, 0.9]).excludes_zero
    assert estimate([-1.0, -1.1, -0.9]).excludes_zero
    assert not estimate([1.0, -1.1, 0.2]).excludes_zero
    assert not estimate([0.0, 0.0]).excludes_zero
