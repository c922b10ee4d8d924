"""Means with intervals that hold seeds and pictures together, and what they prove.

Legend: S seeds, P pictures.
"""

from collections.abc import Mapping, Sequence
from math import inf
from statistics import fmean
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
POWER = 0.8
EQUAL = 1e-9


class Estimate(NamedTuple):
    """A mean with its standard error."""

    mean: float
    error: float | None = None
    """None where the spread is not known."""
    freedom: float = inf
    """Degrees of freedom of the error."""

    def half_width(self, comparisons: int = 1) -> float | None:
        """Return half of the 95 % interval, by Bonferroni's rule for several comparisons."""
        return None if self.error is None else self._quantile(comparisons) * self.error

    def detectable(self, comparisons: int = 1) -> float | None:
        """Return the difference that would have been found in four studies of five."""
        if self.error is None:
            return None
        power = float(stats.t.ppf(POWER, self.freedom))
        return (self._quantile(comparisons) + power) * self.error

    @property
    def p_value(self) -> float:
        """The two-sided p of the mean being 0; 1 where the spread is not known."""
        if self.error is None:
            return 1.0
        return 2 * float(stats.t.sf(abs(self.mean) / self.error, self.freedom))

    def _quantile(self, comparisons: int) -> float:
        return float(stats.t.ppf(1 - (1 - LEVEL) / (2 * comparisons), self.freedom))


def estimate(values: Sequence[float]) -> Estimate | None:
    """Return the mean of one value per seed; None without values.

    Equal values, such as equal counts, tell no more of the spread than one value.
    """
    if not values:
        return None
    if max(values) - min(values) < EQUAL:
        return Estimate(fmean(values))
    return Estimate(fmean(values), float(stats.sem(values)), len(values) - 1)


def crossed_estimate(values: NDArray[np.floating]) -> Estimate:
    """Return the mean of values [S, P] of trainings and pictures that are both drawn at random.

    All trainings read the same pictures. The variance of the mean comes from a two-way analysis of
    variance without replication, its degrees of freedom from Hillis (Statistics in Medicine 26,
    2007), as where several readers judge the same cases.

    One training has no spread.
    """
    n_seeds, n_pictures = values.shape
    mean = values.mean()
    if n_seeds < 2 or n_pictures < 2:
        return Estimate(float(mean))
    seed, picture = values.mean(1, keepdims=True), values.mean(0, keepdims=True)
    rest = values - seed - picture + mean
    residual = (rest**2).sum() / ((n_seeds - 1) * (n_pictures - 1))
    of_seeds = n_pictures * ((seed - mean) ** 2).sum() / (n_seeds - 1)
    of_pictures = n_seeds * ((picture - mean) ** 2).sum() / (n_pictures - 1)
    total = of_seeds + max(of_pictures - residual, 0)
    if total < EQUAL**2:
        return Estimate(float(mean))
    freedom = inf if of_seeds == 0 else (n_seeds - 1) * (total / of_seeds) ** 2
    return Estimate(float(mean), float((total / values.size) ** 0.5), float(freedom))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p values corrected for their number (Holm, 1979)."""
    corrected, greatest = {}, 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        greatest = max(greatest, min((len(p_values) - rank) * p, 1.0))
        corrected[name] = greatest
    return corrected


class Verdict(NamedTuple):
    """What a comparison with the baseline proves."""

    word: Literal["yes", "no", "cannot be told"]
    """Yes: better. No: worse, or a gain that matters is out of the interval."""
    difference: Estimate
    p_value: float
    """Holm's."""
    comparisons: int
    """How many differences were tested together."""

    @property
    def significant(self) -> bool:
        """Whether the difference is none of chance."""
        return self.p_value < 1 - LEVEL


def verdicts(differences: Mapping[str, Estimate], relevant: float | None) -> dict[str, Verdict]:
    """Judge differences to one baseline together, by arm.

    Args:
        differences: In a measure that is better the greater it is.
        relevant: The least gain that matters; None where a gain cannot be refused.
    """
    known = {arm: it.p_value for arm, it in differences.items() if it.error is not None}
    corrected, found = holm(known), {}
    for arm, difference in differences.items():
        p, half = corrected.get(arm, 1.0), difference.half_width(max(len(known), 1))
        word: Literal["yes", "no", "cannot be told"] = "cannot be told"
        if p < 1 - LEVEL:
            word = "yes" if difference.mean > 0 else "no"
        elif half is not None and relevant is not None and difference.mean + half < relevant:
            word = "no"
        found[arm] = Verdict(word, difference, p, max(len(known), 1))
    return found
