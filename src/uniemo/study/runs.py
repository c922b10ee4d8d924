"""Trainings and generated pools of a trial; each is run once, and an interrupted one is resumed."""

import gc
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from uniemo.curriculum.finetune import finetuning
from uniemo.curriculum.fitting import build_run, fit
from uniemo.curriculum.generate import generate_images
from uniemo.curriculum.image_writer import ImageWriter
from uniemo.curriculum.resuming import newest_state
from uniemo.model.saving import BEST
from uniemo.study.ledger import Numbers, Record, settings_of
from uniemo.study.pictures import Predictions, packed, picture_scores
from uniemo.study.trial import Changes, Trial


class Training(NamedTuple):
    """What a training results in."""

    checkpoint: Path  # of the best epoch on validation
    numbers: Numbers  # its ``val/`` and ``test/`` metrics, and every picture's scores


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


def generate(trial: Trial, checkpoint: Path) -> None:
    """Generate a trial's candidates with a joint checkpoint, unless it is done."""
    settings = settings_of(trial.experiment, "model", "data", "trainer", "generate")
    # Beside the phase's own folder, which the phase may clear.
    record = Record(trial.folder / "candidates", settings)
    if record.load() is None:
        experiment = trial.experiment.changed({"phase": "generate"})
        own = {"callbacks": [ImageWriter(experiment.phase_folder)], "logger": False}
        run = build_run(experiment, enable_progress_bar=False, **own)
        generate_images(run, experiment, checkpoint)
        images = len(experiment.emotions) * experiment.generate.n_images
        record.finish({"images": float(images)})


def finetune(trial: Trial, name: str, changes: Changes, start: Path | None = None) -> Training:
    """Finetune a trial's joint checkpoint in its folder ``name``, with changed settings.

    With ``start`` another model of the same structure is finetuned.
    """
    experiment = finetuning(trial.experiment.changed(changes))
    if start is not None:
        experiment = experiment.changed({"model.start_from": start})
    return train(replace(trial, experiment=experiment), name)


def train(trial: Trial, name: str) -> Training:
    """Train in a trial's folder ``name``, from its newest state on disk; measure the best epoch."""
    experiment = trial.experiment.changed({"phase": name})
    best = experiment.phase_folder / BEST
    trainer, model, data = fit(experiment, newest_state(experiment.phase_folder))
    numbers: dict[str, float | str | None] = {}
    recorder = Predictions()
    trainer.callbacks.append(recorder)  # type: ignore[attr-defined]
    for split, measure in (("val", trainer.validate), ("test", trainer.test)):
        numbers |= measure(model, data, str(best), verbose=False, weights_only=True)[0]
        scores = picture_scores(recorder.take(), data, split)
        numbers |= {f"{split}/score": scores.mean(), f"{split}/pictures": packed(scores)}
    del trainer, model, data
    gc.collect()  # Lightning's objects refer to each other in cycles
    return Training(best, numbers)
