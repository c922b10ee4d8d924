"""What a study consists of: seeds, shares of the training split, groups of arms.

A *trial* is one seed on one share of the training split; all arms of a trial start from the same
data and, where they can, from the same joint checkpoint, so that arms are compared in pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from uniemo.config.experiment import Experiment
from uniemo.errors import UserError

PROGRAM = "uniemo ablate"


@dataclass(frozen=True)
class Scale:
    """How much there is to learn from, and for how long."""

    fraction: float
    """Share of the training split, per emotion."""
    training: float
    """Steps of a joint training, as a share of the experiment's own on the whole split."""
    finetuning: float
    """Steps of a finetuning, likewise."""


@dataclass(frozen=True)
class Profile:
    """How thorough a study is."""

    name: str
    seeds: tuple[int, ...]
    scales: tuple[Scale, ...]
    """In the order they are run: the cheap one first, so that a study cut short has a whole one."""
    groups: tuple[str, ...]
    """Groups of arms, in the order they are run on each scale."""
    pool_images: int
    """Candidates of each emotion; the feedback's filters keep half of them at most."""
    images: int
    """Images of each emotion that are painted to measure an arm."""


PROFILES = {
    # Under 15 minutes on two slow cores. Three seeds would take three times as long.
    "quick": Profile(
        "quick", (0,), (Scale(0.1, 0.2, 0.05),), ("feedback", "spaces", "draws"), 20, 16
    ),
    # A tenth of the data gets fewer steps: there is less to learn.
    "full": Profile(
        "full",
        (0, 1, 2),
        (Scale(0.1, 0.3, 0.2), Scale(1.0, 1.0, 1.0)),
        ("feedback", "published", "spaces", "draws", "structure", "generation", "guidance"),
        100,
        32,
    ),
}


@dataclass(frozen=True)
class Trial:
    """One seed on one share of the training split."""

    file: str
    """The experiment's file."""
    overrides: list[str]
    """Every ``--key value`` after it."""
    seed: int
    scale: Scale
    profile: Profile
    ledger: Path
    """Keeps the numbers of its arms; small, and made to be committed."""
    more_real: Path | None
    """Folder of further real pictures, for a trial on the whole training split."""

    def read(self, *extra: str) -> Experiment:
        """Return the experiment with further ``--key value`` pairs."""
        return Experiment.read(self.file, [*self.overrides, *extra], PROGRAM)

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment that this trial is."""
        return self.read()

    @property
    def fraction(self) -> float:
        """Its share of the training split."""
        return self.scale.fraction

    @property
    def folder(self) -> Path:
        """The folder of its runs."""
        return self.experiment.folder


def study_folder(experiment: Experiment, profile: Profile) -> Path:
    """Return the folder of all trials."""
    return experiment.folder / "ablate" / profile.name


def trial_name(seed: int, fraction: float) -> str:
    """Return the name of a trial's folder."""
    return f"seed{seed}-fraction{fraction:g}"


def build_trials(
    file: str, overrides: list[str], profile: Profile, ledgers: Path, more_real: Path | None = None
) -> Iterator[Trial]:
    """Yield the trials of a profile.

    Args:
        file: The experiment's file.
        overrides: ``--key value`` pairs, whose last word the trial's own have.
        profile: The profile.
        ledgers: Folder of the trials' ledgers.
        more_real: Folder of further real pictures.

    Raises:
        UserError: If the file or a key is wrong, or the experiment paints nothing.
    """
    own = Experiment.read(file, overrides, PROGRAM)
    model, last = own.config.model, own.config.trainer.max_epochs
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
        for seed in profile.seeds:
            settings = {
                "runs": study_folder(own, profile),
                "experiment": trial_name(seed, scale.fraction),
                "seed_everything": seed,
                "data.init_args.fraction": scale.fraction,
                "model.understanding_epochs": warmup,
                "trainer.max_epochs": warmup + joint,
                # Several processes would each run the whole study.
                "trainer.devices": 1,
                "trainer.strategy": "auto",
                "generate.images": "null",
                "generate.n_images": profile.pool_images,
                "generate.filter.budget": profile.pool_images // 2,
                "finetune.epochs": tuning,
                "finetune.refresh_epochs": refresh,
            }
            given = [part for key, value in settings.items() for part in (f"--{key}", str(value))]
            ledger = ledgers / profile.name / f"{trial_name(seed, scale.fraction)}.json"
            flags = [*overrides, *given]
            yield Trial(file, flags, seed, scale, profile, ledger, more_real)


def epochs(own: int, share: float, fraction: float, least: int = 1) -> int:
    """Return how many epochs on a fraction take a share of the steps of ``own`` epochs on all."""
    return max(round(own * share / fraction), least)
