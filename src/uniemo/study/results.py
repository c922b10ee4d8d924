"""What the ledgers hold of a group, as estimates over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

from uniemo.study.catalogue import Group
from uniemo.study.plan import Trial
from uniemo.study.records import Numbers, read_ledger
from uniemo.study.statistics import Estimate, estimate


@dataclass(frozen=True)
class Table:
    """A group's results at one share of the training split."""

    group: Group
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
        own, other = self.values(arm, key), self.values(self.group.baseline, key)
        return estimate([own[seed] - other[seed] for seed in own if seed in other])


def collect(group: Group, trials: Sequence[Trial]) -> list[Table]:
    """Read a group's results; a fraction without any has no table."""
    tables = []
    for fraction in dict.fromkeys(trial.fraction for trial in trials):
        numbers: dict[str, dict[int, Numbers]] = {}
        for trial in trials:
            entries = read_ledger(trial) if trial.fraction == fraction else {}
            for arm in group.arms:
                if f"{group.name}/{arm}" in entries:
                    found = entries[f"{group.name}/{arm}"]["numbers"]
                    numbers.setdefault(arm, {})[trial.seed] = found
        if numbers:
            tables.append(Table(group, fraction, numbers))
    return tables
