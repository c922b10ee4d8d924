"""A claim's results, as the ledgers hold them.

Legend: S seeds, P pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uniemo.study.claim import VALIDATION, Claim
from uniemo.study.ledger import Numbers, read_ledger
from uniemo.study.pictures import unpacked
from uniemo.study.statistics import Estimate, Verdict, crossed_estimate, estimate, verdicts
from uniemo.study.trial import Trial

REAL = "real"
"""Number of real images that an arm trains on."""


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

    @property
    def size(self) -> int:
        """The number of real images that its arms train on; 0 where no arm says it."""
        found = [n for arm in self.numbers for n in self.values(arm, REAL).values()]
        return int(found[0]) if found else 0

    @property
    def baseline(self) -> str:
        """The arm that the others are compared with: of several controls the best on validation."""
        means = {arm: self.estimate(arm, VALIDATION.key) for arm in self.claim.controls}
        known = {arm: it.mean for arm, it in means.items() if it is not None}
        return max(known, key=lambda arm: known[arm]) if known else self.claim.controls[0]

    def values(self, arm: str, key: str) -> dict[int, float]:
        """Return one measure of an arm by seed, where it was measured."""
        found = {seed: numbers.get(key) for seed, numbers in self.numbers.get(arm, {}).items()}
        return {seed: value for seed, value in found.items() if isinstance(value, int | float)}

    def estimate(self, arm: str, key: str) -> Estimate | None:
        """Return a measure's mean over seeds, and over pictures where their scores are known."""
        scores = self._pictures(arm, key)
        if scores:
            return crossed_estimate(np.stack(list(scores.values())))
        return estimate(list(self.values(arm, key).values()))

    def difference(self, arm: str, key: str, other: str | None = None) -> Estimate | None:
        """Return a measure's paired difference to an arm, by default the baseline's.

        It is over the seeds both have.
        """
        other = other or self.baseline
        scores, others = self._pictures(arm, key), self._pictures(other, key)
        paired = [scores[seed] - others[seed] for seed in scores if seed in others]
        if paired:
            return crossed_estimate(np.stack(paired))
        own, theirs = self.values(arm, key), self.values(other, key)
        return estimate([own[seed] - theirs[seed] for seed in own if seed in theirs])

    def verdicts(self, key: str, relevant: float | None = None) -> dict[str, Verdict]:
        """Judge the differences of all arms in a measure together; see :func:`verdicts`."""
        arms = [arm for arm in self.claim.arms if arm != self.baseline]
        differences = {arm: self.difference(arm, key) for arm in arms}
        return verdicts({arm: it for arm, it in differences.items() if it is not None}, relevant)

    def _pictures(self, arm: str, key: str) -> dict[int, NDArray[np.float64]]:
        """Return the scores [P] behind a mean score, by seed."""
        split, _, name = key.partition("/")
        texts = {
            seed: numbers.get(f"{split}/pictures")
            for seed, numbers in self.numbers.get(arm, {}).items()
            if name == "score"
        }
        return {seed: unpacked(text) for seed, text in texts.items() if isinstance(text, str)}


def collect(claim: Claim, trials: Sequence[Trial]) -> list[Table]:
    """Read a claim's results, fewest images first; a fraction without any has no table."""
    tables = []
    for fraction in sorted({trial.fraction for trial in trials}):
        numbers: dict[str, dict[int, Numbers]] = {}
        for trial in trials:
            entries = read_ledger(trial) if trial.fraction == fraction else {}
            for arm in claim.arms:
                if entry := entries.get(f"{claim.name}/{arm}"):
                    numbers.setdefault(arm, {})[trial.seed] = entry["numbers"]
        if numbers:
            tables.append(Table(claim, fraction, numbers))
    return tables
