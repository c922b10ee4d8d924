"""Trainings and generated pools of a trial; each is run once, and an interrupted one is resumed."""

import gc
from pathlib import Path
from typing import NamedTuple

from uniemo.curriculum.fitting import fit
from uniemo.curriculum.phases import run_phase
from uniemo.curriculum.resuming import newest_state
from uniemo.model.saving import BEST
from uniemo.study.ledger import Numbers, Record, settings_of
from uniemo.study.trial import Trial


class Training(NamedTuple):
    """What a training results in."""

    checkpoint: Path  # of the best epoch on validation
    numbers: Numbers  # its ``val/`` and ``test/`` metrics


def joint(trial: Trial) -> Training:
    """Run the joint training that a trial's other runs start from, unless it is done."""
    record = joint_record(trial)
    numbers = record.load()
    if numbers is None:
        numbers = record.finish(train(trial, "joint").numbers)
    return Training(record.folder / BEST, numbers)


def joint_record(trial: Trial) -> Record:
    """Return the record of a trial's joint training."""
    settings = settings_of(trial.experiment, "model", "data", "trainer")
    return Record(trial.folder / "joint", settings)


def generate(trial: Trial) -> None:
    """Run the generate phase with a trial's joint checkpoint, unless it is done."""
    joint(trial)
    settings = settings_of(trial.experiment, "model", "data", "trainer", "generate")
    # Beside the phase's own folder, which the phase may clear.
    record = Record(trial.folder / "candidates", settings)
    if record.load() is None:
        run_phase("generate", trial.experiment)
        record.finish(
            {"images": float(len(trial.experiment.emotions) * trial.experiment.generate.n_images)}
        )


def train(trial: Trial, name: str) -> Training:
    """Train in a trial's folder ``name``, from its newest state on disk; measure the best epoch."""
    experiment = trial.experiment.changed({"phase": name})
    best = experiment.phase_folder / BEST
    run = fit(experiment, newest_state(experiment.phase_folder))
    numbers: dict[str, float] = {}
    for measure in (run.trainer.validate, run.trainer.test):
        numbers |= measure(run.model, run.data, str(best), verbose=False, weights_only=True)[0]
    del run
    gc.collect()  # Lightning's objects refer to each other in cycles
    return Training(best, numbers)
