"""Does generated data help where a generator knows more than the labels?"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from uniemo.study.claims.budgets import Budgets
from uniemo.study.ledger import ArmRecord, Numbers
from uniemo.study.trial import Changes, Trial


class Regime(Budgets):
    """The arms of :class:`Budgets` on a data set whose training split is shifted.

    Args:
        name: Of the claim. The data set lies beside the experiment's own, ``<root>_<name>``; where
            it does not, nothing is run.
        what: What its training images lack, for the page.
    """

    arms = {arm: text for arm, text in Budgets.arms.items() if arm not in ("pool_10x", "more_real")}
    subject = "pool_3x"
    most_seeds = 3

    def __init__(self, name: str, what: str) -> None:
        self.name = name
        self.title = f"Where a generator knows more: {what}"
        self.about = (
            f"As for few labels, with training images of {what}. Validation and test are as ever; "
            "the autoencoder and the U-Net have been trained on all scenes, objects and tones."
        )

    def changes(self, trial: Trial, arm: str) -> Changes:
        """Return the data set."""
        return {
            "experiment": f"{trial.experiment.name}/{self.name}",
            "data.init_args.root": self.root(trial),
        }

    def root(self, trial: Trial) -> str:
        """Return the folder of the data set."""
        return f"{trial.experiment.config.data.init_args.root}_{self.name}"

    def available(self, trial: Trial) -> dict[str, ArmRecord]:
        """Return the arms, where there is the data set."""
        there = Path(self.root(trial)).expanduser().is_dir()
        return super().available(trial) if there else {}

    def run(self, trial: Trial, arms: Sequence[str]) -> Iterator[tuple[str, Numbers]]:
        """Train jointly on the data set, generate and finetune."""
        return super().run(self.changed(trial, arms[0]), arms)


REGIMES = (
    Regime("long_tail", "rare emotions (1 : 50)"),
    Regime("withheld_pairs", "half of all pairs of scene and object"),
    Regime("wrong_20", "labels of which 20 % are wrong"),
    Regime("wrong_40", "labels of which 40 % are wrong"),
    Regime("narrow", "medium tones and large objects alone"),
)
