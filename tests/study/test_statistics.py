"""Intervals against SciPy's t test and simulated studies; verdicts against hand computations."""

import numpy as np
import pytest
from scipy import stats

from uniemo.study.statistics import Estimate, crossed_estimate, estimate, holm, verdicts


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_interval_is_students(n):
    values = np.random.default_rng(n).normal(5, 2, n)
    found = estimate(list(values))
    test = stats.ttest_1samp(values, 0)
    low, high = test.confidence_interval(0.95)
    assert found.mean == pytest.approx(values.mean())
    assert found.mean - found.half_width() == pytest.approx(low)
    assert found.mean + found.half_width() == pytest.approx(high)
    assert found.p_value == pytest.approx(test.pvalue)


def test_one_value_has_no_interval_and_none_no_estimate():
    assert estimate([3.0]) == Estimate(3.0)
    assert estimate([3.0]).half_width() is None
    assert estimate([3.0]).p_value == 1
    assert estimate([]) is None


def test_equal_values_have_no_interval_and_are_no_evidence():
    assert estimate([0.25, 0.25, 0.25]) == Estimate(0.25)
    assert crossed_estimate(np.full((3, 50), 0.25)) == Estimate(0.25)


def study(rng, seeds, pictures, of_seeds, of_pictures):
    """Draw one study's differences of mean 0."""
    return (
        rng.normal(0, of_seeds, (seeds, 1))
        + rng.normal(0, of_pictures, (1, pictures))
        + rng.normal(0, 1, (seeds, pictures))
    )


@pytest.mark.parametrize(
    ("of_seeds", "of_pictures"), [(0, 0), (0.3, 0), (0, 0.8), (0.1, 0.6)], ids=str
)
@pytest.mark.parametrize("seeds", [3, 8])
def test_an_interval_over_seeds_and_pictures_holds_the_truth(seeds, of_seeds, of_pictures):
    rng = np.random.default_rng(0)
    studies = [study(rng, seeds, 60, of_seeds, of_pictures) for _ in range(2000)]
    covered = np.mean([crossed_estimate(each).p_value > 0.05 for each in studies])
    assert covered == pytest.approx(0.95, abs=0.02)


def test_pictures_alone_or_seeds_alone_would_not_hold_it():
    rng = np.random.default_rng(0)
    studies = [study(rng, 8, 60, 0.2, 0.6) for _ in range(2000)]
    for axis in (0, 1):
        means = [each.mean(axis) for each in studies]
        assert np.mean([stats.ttest_1samp(each, 0).pvalue > 0.05 for each in means]) < 0.92


def test_where_pictures_are_alike_the_interval_is_that_of_the_seeds():
    seeds = np.random.default_rng(1).normal(0.1, 1, (5, 1))
    found, expected = crossed_estimate(np.repeat(seeds, 40, 1)), estimate(list(seeds[:, 0]))
    assert tuple(found) == pytest.approx(tuple(expected))


def test_the_difference_that_would_be_seen_is_seen_in_four_studies_of_five():
    rng, error = np.random.default_rng(0), 0.5
    size = Estimate(0.0, error, 20).detectable()
    t = (rng.normal(size, error, 20000)) / (error * np.sqrt(rng.chisquare(20, 20000) / 20))
    seen = np.mean(2 * stats.t.sf(np.abs(t), 20) < 0.05)
    assert seen == pytest.approx(0.8, abs=0.015)


def test_several_comparisons_are_corrected_as_holm_does():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06}
    )


def test_a_verdict_says_yes_no_or_that_it_cannot_be_told():
    found = verdicts(
        {
            "better": Estimate(0.05, 0.01),
            "worse": Estimate(-0.05, 0.01),
            "nothing": Estimate(0.0, 0.002),
            "unclear": Estimate(0.02, 0.01),  # alone it would be beyond chance
            "one seed": Estimate(0.3),
        },
        relevant=0.01,
    )
    words = {arm: verdict.word for arm, verdict in found.items()}
    assert words == {
        "better": "yes",
        "worse": "no",
        "nothing": "no",
        "unclear": "cannot be told",
        "one seed": "cannot be told",
    }
    assert found["unclear"].p_value == pytest.approx(2 * 2 * stats.norm.sf(2))
    assert verdicts({"unclear": Estimate(0.02, 0.009)}, 0.01)["unclear"].word == "yes"
    assert verdicts({"a": Estimate(0.0, 0.002)}, None)["a"].word == "cannot be told"
