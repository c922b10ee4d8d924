"""Means over seeds, and how sure they are."""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev
from typing import NamedTuple

from scipy.stats import t

LEVEL = 0.95
EQUAL = 1e-9


class Estimate(NamedTuple):
    """A mean with its interval."""

    mean: float
    half_width: float | None  # of the 95 % interval; None where nothing tells the spread
    n: int  # values

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval lies above or below 0, else 0; 0 without interval."""
        if self.half_width is None or abs(self.mean) <= self.half_width:
            return 0
        return 1 if self.mean > 0 else -1


def estimate(values: Sequence[float]) -> Estimate | None:
    """Return the mean of values with its t interval at 95 %; None without values.

    A few counts out of hundreds may well be equal: that tells no more of the spread than one value.
    """
    if not values:
        return None
    n = len(values)
    if max(values) - min(values) < EQUAL:
        return Estimate(fmean(values), None, n)
    quantile = float(t.ppf((1 + LEVEL) / 2, n - 1))
    return Estimate(fmean(values), quantile * stdev(values) / sqrt(n), n)
