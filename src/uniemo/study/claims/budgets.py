"""With how few labels does generated data help, and how many real images is it worth?"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from uniemo.filtering.baselines import keep_random
from uniemo.study.claim import ACCURACY, TEST, VALIDATION, Claim, Measure
from uniemo.study.controls import write_soft_labels
from uniemo.study.ledger import ArmRecord, Numbers, settings_of
from uniemo.study.pools import CandidatePool
from uniemo.study.runs import finetune, joint
from uniemo.study.trial import Changes, Trial

POOLS = {"pool_1x": 1, "pool_3x": 3, "pool_10x": 10}
"""Generated images per real one."""


class Prepared(NamedTuple):
    """What an arm finetunes on."""

    numbers: Numbers
    """Size and coverage of the pool; ``kept`` is None where there is none."""
    changes: Changes = {}
    """Further settings of the finetuning."""
    start: Path | None = None
    """The weights that it starts from; None for the joint ones."""


class Budgets(Claim):
    """All arms finetune one joint checkpoint, trained on as many labels as the trial has."""

    name = "budgets"
    title = "Few labels: does generated data help where real images are rare?"
    about = (
        "Joint training, pool and finetuning see the trial's labels alone. All arms finetune the "
        "same joint checkpoint for the same number of steps; half of what a step sees is drawn "
        "from real images, the other half from the arm's pool, balanced over emotions. Pools are "
        "unfiltered and random parts of one. The last column says how many further real images "
        "would give as much, by the scores of `none` over the numbers of images."
    )
    arms = {
        "not_finetuned": "the joint checkpoint as it is",
        "none": "as many steps on the same real images",
        "label_smoothing": "as `none`, with labels smoothed by 0.1",
        "mixup": "as `none`, with mixed images and labels, alpha 0.2",
        "belief": "as `none`, half of each label the model's own calibrated belief",
        "pool_1x": "as many generated images as real ones",
        "pool_3x": "three times as many",
        "pool_10x": "ten times as many",
        "more_real": "as many further real images: the upper baseline",
    }
    subject: str | None = "pool_1x"
    controls: tuple[str, ...] = ("none", "not_finetuned", "label_smoothing", "mixup", "belief")
    measures: tuple[Measure, ...] = (
        TEST,
        ACCURACY,
        VALIDATION,
        Measure("kept", "images", digits=0, compared=False),
        Measure("coverage", "coverage", compared=False),
    )
    profiles = ("full",)
    most_seeds = 8
    depends_on = ("model", "data", "trainer", "generate", "finetune")

    shared: ClassVar[dict[str, str]] = {}
    """Arms that are arms of :class:`Budgets`, by their names there."""

    def settings(self, trial: Trial, arm: str) -> dict[str, Any]:
        """Add the folder of further real images where it is read."""
        read = arm.startswith("more_real") and trial.fraction == 1  # else the rest of the split is
        more_real = trial.more_real if read else None
        return settings_of(trial.experiment, *self.depends_on, arm=arm, more_real=more_real)

    def available(self, trial: Trial) -> dict[str, ArmRecord]:
        """Return the arms; pools only up to the size that the scale allows."""
        largest = trial.scale.largest_pool
        return {a: it for a, it in super().available(trial).items() if POOLS.get(a, 0) <= largest}

    def run(self, trial: Trial, arms: Sequence[str]) -> Iterator[tuple[str, Numbers]]:
        """Generate the largest pool; finetune on what each arm makes of it."""
        for arm in filter(self.shared.get, arms):
            yield arm, Budgets().numbers(trial, self.shared[arm])
        arms = [arm for arm in arms if arm not in self.shared]
        if not arms:
            return
        source, pool = joint(trial), large_pool(trial)
        real = {"real": float(trial.n_real), "kept": None}
        for arm in arms:
            if arm == "not_finetuned":
                yield arm, {**real, **source.numbers}
                continue
            name = f"{self.name}/{arm}"
            folder = trial.folder / name / "pool"
            written, changes, start = self.prepare(trial, pool, arm, folder)
            numbers = {**real, **written}
            if numbers["kept"]:
                changes = {"finetune.root": folder, "finetune.ratio": 1.0, **changes}
                numbers = {**numbers, **finetune(trial, name, changes, start).numbers}
            yield arm, numbers

    def prepare(self, trial: Trial, pool: CandidatePool, arm: str, folder: Path) -> Prepared:
        """Write what an arm draws from."""
        share = share_of(trial)
        if arm in POOLS:
            selection = pool.filtered(partial(keep_random, seed=trial.seed), POOLS[arm] * share)
            return Prepared(pool.write_generated(selection, folder))
        if arm == "more_real":
            return Prepared(pool.write_real(pool.further_rows(share), folder))
        numbers = pool.write_real(pool.own_rows(), folder)
        if arm == "belief":
            return Prepared(numbers, soft_labels(folder, *pool.beliefs()))
        control = {"label_smoothing": "LabelSmoothing", "mixup": "Mixup"}.get(arm)
        return Prepared(numbers, {} if control is None else with_control(control))


def with_control(name: str, **arguments: Any) -> Changes:
    """Return the setting that trains with a callback of :mod:`uniemo.study.controls`."""
    callback = {"class_path": f"uniemo.study.controls.{name}", "init_args": arguments}
    return {"trainer.callbacks": [callback]}


def soft_labels(folder: Path, names: list[str], probability: Tensor) -> Changes:
    """Write the labels [N, C] of named images into a folder; return the setting that reads them."""
    table = folder / "labels.parquet"
    write_soft_labels(table, names, probability)
    return with_control("SoftLabels", table=str(table))


def share_of(trial: Trial) -> int:
    """Return how many images of each emotion are as many as a trial's real ones."""
    return math.ceil(trial.n_real / len(trial.experiment.emotions))


def large_pool(trial: Trial, student: Path | None = None) -> CandidatePool:
    """Return the largest pool that a trial's scale allows, generated once for all claims.

    Args:
        trial: The trial.
        student: A finetuned model that reads the pool in place of the one that generated it.
    """
    changes = {
        "experiment": f"{trial.experiment.name}/large",
        "generate.n_images": trial.scale.largest_pool * share_of(trial),
    }
    return CandidatePool(trial.changed(changes), joint(trial).checkpoint, student)
