"""What every claim is: a question, arms that answer it, measures, and a way to run the arms."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from uniemo.study.ledger import ArmRecord, Numbers, settings_of
from uniemo.study.trial import Changes, Trial


@dataclass(frozen=True)
class Measure:
    """A number of every arm."""

    key: str
    """Its name in ``result.json``."""
    title: str
    scale: float = 1.0
    """Factor on the page: 100 for percent."""
    digits: int = 3
    compared: bool = True
    """Whether the page says which arms differ in it."""
    relevant: float | None = None
    """The least gain that matters; None where a gain cannot be refused."""


TEST = Measure("test/score", "test score, %", 100, 2, relevant=0.01)
VALIDATION = Measure("val/score", "validation score, %", 100, 2)
ACCURACY = Measure("test/accuracy", "test accuracy, %", 100, 2, compared=False)
EMO_A = Measure("emo_a", "Emo-A, %", 100, 1, relevant=0.05)
IMAGES = (
    EMO_A,
    Measure("fid", "Frechet distance", digits=1),
    Measure("clip_coverage", "coverage (CLIP)"),
    Measure("coverage", "coverage"),
    Measure("density", "density"),
    Measure("nearest_cosine", "cosine to nearest training image"),
)
"""What :class:`uniemo.study.evaluators.TrialEvaluator` measures."""


class Claim(ABC):
    """A claim about the method, with the arms that test it.

    A subclass sets the attributes without a value and implements :meth:`run`.

    Attributes:
        name: Folder of its runs and first part of its keys in the ledger.
        title: The question.
        about: What the reader of the page must know.
        arms: Names, and what they are.
        subject: The arm that the question is about; None where it is about all.
        controls: Arms that the others are compared with: the best of them on validation.
        measures: The numbers of every arm; the first one is the headline.
        rated: Whether the page names the best arm, which is to be the default.
        profiles: Profiles that run it.
        most_seeds: The number of seeds that it is run with at most.
        depends_on: Groups of the experiment's settings on which its numbers depend.
    """

    name: str
    title: str
    about: str
    arms: dict[str, str]
    controls: tuple[str, ...]
    subject: str | None = None
    measures: tuple[Measure, ...]
    rated: bool = False
    profiles: tuple[str, ...] = ("quick", "full")
    most_seeds: int = 3
    depends_on: tuple[str, ...] = ("model", "data", "trainer", "eval")

    @property
    def headline(self) -> Measure:
        """The measure that the figure shows."""
        return self.measures[0]

    def asks(self, trial: Trial) -> bool:
        """Return whether it is run on a trial."""
        named = trial.scale.claims
        return trial.seed < self.most_seeds and (named is None or self.name in named)

    @abstractmethod
    def run(self, trial: Trial, arms: Sequence[str]) -> Iterator[tuple[str, Numbers]]:
        """Run some arms on a trial; yield each one's name and numbers as soon as it has them."""

    def changes(self, trial: Trial, arm: str) -> Changes:
        """Return what an arm changes in the experiment of a trial."""
        return {}

    def settings(self, trial: Trial, arm: str) -> dict[str, Any]:
        """Return all that the numbers of an arm depend on, which has changed the trial already."""
        images = trial.profile.images
        return settings_of(trial.experiment, *self.depends_on, arm=arm, images=images)

    def changed(self, trial: Trial, arm: str) -> Trial:
        """Return a trial as an arm changes it."""
        return trial.changed(self.changes(trial, arm))

    def record(self, trial: Trial, arm: str) -> ArmRecord:
        """Return the record of an arm."""
        own, name = self.changed(trial, arm), f"{self.name}/{arm}"
        return ArmRecord(own.folder / name, self.settings(own, arm), own, name)

    def available(self, trial: Trial) -> dict[str, ArmRecord]:
        """Return the records of the arms that a trial has; the others are a dash on the page."""
        return {arm: self.record(trial, arm) for arm in self.arms}

    def unfinished(self, trial: Trial) -> list[str]:
        """Return the arms of a trial that have no numbers yet."""
        records = self.available(trial)
        return [arm for arm, record in records.items() if record.numbers() is None]

    def finish(self, trial: Trial, arms: Sequence[str]) -> None:
        """Run some arms on a trial and record their numbers."""
        for arm, numbers in self.run(trial, arms):
            self.record(trial, arm).finish(numbers)

    def numbers(self, trial: Trial, arm: str) -> Numbers:
        """Return the numbers of an arm, which is run if it has none yet."""
        record = self.record(trial, arm)
        if record.numbers() is None:
            self.finish(trial, [arm])
        numbers = record.numbers()
        assert numbers is not None  # it is finished
        return numbers
