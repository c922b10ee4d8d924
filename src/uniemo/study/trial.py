"""What a study consists of: seeds and shares of the training split.

A *trial* is one seed on one share of the training split. All arms of a trial use the same data and,
where they can, the same joint checkpoint, so that arms are compared in pairs.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uniemo.config.experiment import Experiment
from uniemo.errors import UserError

PROGRAM = "uniemo ablate"

Changes = Mapping[str, Any]
"""Changes of an experiment: values by dotted keys, as ``{"model.loss.condition": 0.0}``."""


@dataclass(frozen=True)
class Scale:
    """How much data and how many steps a trial has."""

    fraction: float
    """Share of the training split, per emotion."""
    training: float
    """Steps of a joint training, as a share of the experiment's own on the whole split."""
    finetuning: float
    """Steps of a finetuning, likewise."""
    seeds: int = 1
    """How many seeds; a claim may ask for fewer."""
    largest_pool: int = 1
    """Generated images per real one, in the largest pool of the claims that compare sizes."""
    claims: tuple[str, ...] | None = None
    """Names of the claims that it is for; None for all."""


@dataclass(frozen=True)
class Profile:
    """How thorough a study is."""

    name: str
    scales: tuple[Scale, ...]
    """In the order they are run: the cheap one first, so that a study cut short has a whole one."""
    pool_images: int
    """Candidates of each emotion; the feedback's filters keep half of them at most."""
    images: int
    """Images of each emotion that are generated to measure an arm."""

    @property
    def seeds(self) -> range:
        """The seeds that some scale has."""
        return range(max(scale.seeds for scale in self.scales))


REGIMES = ("long_tail", "withheld_pairs", "wrong_20", "wrong_40", "narrow")
TENTH = (
    *("feedback", "budgets", "field", "published", "spaces", "draws"),
    *("structure", "gradients", "generation", "guidance"),
)
"""Claims that are run on a tenth of the training split, where a training takes minutes."""

PROFILES = {
    # Under 15 minutes on two slow cores. Three seeds would take three times as long.
    "quick": Profile("quick", (Scale(0.1, 0.2, 0.05),), 20, 16),
    # Some ten hours on two cores. A part of the data gets fewer steps: there is less to learn.
    "full": Profile(
        "full",
        (
            Scale(0.02, 0.2, 0.1, seeds=8, largest_pool=10, claims=("budgets", "limits")),
            Scale(0.1, 0.3, 0.3, seeds=5, largest_pool=3, claims=TENTH),
            Scale(0.05, 0.2, 0.1, seeds=8, largest_pool=3, claims=("budgets", *REGIMES)),
            Scale(0.2, 0.3, 0.2, seeds=3, claims=("budgets",)),
            Scale(1.0, 1.0, 1.0, seeds=3, claims=("budgets",)),
        ),
        100,
        32,
    ),
}


@dataclass(frozen=True)
class Trial:
    """One seed on one share of the training split."""

    experiment: Experiment
    """The experiment that this trial is."""
    seed: int
    scale: Scale
    profile: Profile
    ledger: Path
    """The file with the numbers of its arms; small, and meant to be committed."""
    more_real: Path | None
    """Folder of further real images, for a trial on the whole training split."""

    def changed(self, changes: Changes) -> "Trial":
        """Return the trial with a changed experiment."""
        return replace(self, experiment=self.experiment.changed(changes)) if changes else self

    @property
    def fraction(self) -> float:
        """Its share of the training split."""
        return self.scale.fraction

    @property
    def folder(self) -> Path:
        """The folder of its runs."""
        return self.experiment.folder

    @property
    def n_real(self) -> int:
        """The number of real images that it trains on."""
        data = self.experiment.data_module((1, (0.0,) * 3, (1.0,) * 3), None)
        return len(data.annotations("train").emotion)


def build_trials(
    file: str, overrides: list[str], profile: Profile, ledgers: Path, more_real: Path | None = None
) -> Iterator[Trial]:
    """Yield the trials of a profile.

    Args:
        file: The experiment's file.
        overrides: ``--key value`` pairs; the trial's own settings replace them.
        profile: The profile.
        ledgers: Folder of the trials' ledgers.
        more_real: Folder of further real images.

    Raises:
        UserError: If the file or a key is wrong, or the experiment has no joint training.
    """
    own = Experiment.read(file, overrides, PROGRAM)
    model, last = own.model, own.trainer["max_epochs"]
    if model.diffusion is None or last <= model.understanding_epochs:
        raise UserError(
            "an ablation needs a joint training; set model.diffusion.source, and trainer.max_epochs"
            f" ({last}) above model.understanding_epochs ({model.understanding_epochs})"
        )
    for scale in profile.scales:
        warmup = epochs(model.understanding_epochs, scale.training, scale.fraction, least=0)
        joint = epochs(last - model.understanding_epochs, scale.training, scale.fraction)
        tuning = epochs(own.finetune.epochs, scale.finetuning, scale.fraction)
        refresh = epochs(own.finetune.refresh_epochs, scale.finetuning, scale.fraction, least=0)
        for seed in range(scale.seeds):
            name = f"seed{seed}-fraction{scale.fraction:g}"
            ledger = ledgers / profile.name / f"{name}.json"
            changes = {
                "runs": own.folder / "ablate" / profile.name,
                "experiment": name,
                "seed_everything": seed,
                "data.init_args.fraction": scale.fraction,
                "model.understanding_epochs": warmup,
                "trainer.max_epochs": warmup + joint,
                # Of few images an epoch is shorter than its validation.
                "trainer.check_val_every_n_epoch": math.gcd(warmup, joint, tuning),
                # Several processes would each run the whole study.
                "trainer.devices": 1,
                "trainer.strategy": "auto",
                "generate.images": None,
                "generate.n_images": profile.pool_images,
                "generate.filter.budget": profile.pool_images // 2,
                "finetune.epochs": tuning,
                "finetune.refresh_epochs": refresh,
            }
            yield Trial(own.changed(changes), seed, scale, profile, ledger, more_real)


def epochs(own: int, share: float, fraction: float, least: int = 1) -> int:
    """Return how many epochs on a fraction take a share of the steps of ``own`` epochs on all."""
    return max(round(own * share / fraction), least)
