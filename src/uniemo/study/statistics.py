"""Means over seeds with their t intervals, and the tables that hold them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from scipy import stats

from uniemo.study.claim import Claim
from uniemo.study.ledger import Numbers, read_ledger
from uniemo.study.trial import Trial

LEVEL = 0.95
EQUAL = 1e-9


class Estimate(NamedTuple):
    """A mean with its interval."""

    mean: float
    half_width: float | None  # of the 95 % interval; None where the spread is not known

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval and 0 lies outside it."""
        return self.half_width is not None and abs(self.mean) > self.half_width


def estimate(values: Sequence[float]) -> Estimate | None:
    """Return the mean of values with its t interval at 95 %; None without values.

    Equal values, such as equal counts, tell no more of the spread than one value.
    """
    if not values:
        return None
    if max(values) - min(values) < EQUAL:
        return Estimate(fmean(values), None)
    _, half_width = stats.t.interval(LEVEL, len(values) - 1, scale=stats.sem(values))
    return Estimate(fmean(values), float(half_width))


@dataclass(frozen=True)
class Table:
    """A claim's results at one share of the training split."""

    claim: Claim
    fraction: float
    numbers: dict[str, dict[int, Numbers]]
    """By arm, then by seed."""

    @property
    def seeds(self) -> list[int]:
        """The seeds that some arm has."""
        return sorted({seed for runs in self.numbers.values() for seed in runs})

    def values(self, arm: str, key: str) -> dict[int, float]:
        """Return one measure of an arm by seed, where it was measured."""
        found = {seed: numbers.get(key) for seed, numbers in self.numbers.get(arm, {}).items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def estimate(self, arm: str, key: str) -> Estimate | None:
        """Return a measure's mean over seeds."""
        return estimate(list(self.values(arm, key).values()))

    def difference(self, arm: str, key: str) -> Estimate | None:
        """Return a measure's paired difference to the baseline, over the seeds both have."""
        own, other = self.values(arm, key), self.values(self.claim.baseline, key)
        return estimate([own[seed] - other[seed] for seed in own if seed in other])


def collect(claim: Claim, trials: Sequence[Trial]) -> list[Table]:
    """Read a claim's results; a fraction without any has no table."""
    tables = []
    for fraction in dict.fromkeys(trial.fraction for trial in trials):
        numbers: dict[str, dict[int, Numbers]] = {}
        for trial in trials:
            entries = read_ledger(trial) if trial.fraction == fraction else {}
            for arm in claim.arms:
                if entry := entries.get(f"{claim.name}/{arm}"):
                    numbers.setdefault(arm, {})[trial.seed] = entry["numbers"]
        if numbers:
            tables.append(Table(claim, fraction, numbers))
    return tables
