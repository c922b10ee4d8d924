"""What an earlier run has left: marks of its end, results, and whether it may be resumed."""

from pathlib import Path
from typing import Any

import yaml
from jsonargparse import dict_to_namespace
from lightning.pytorch.utilities import rank_zero_only

from uniemo.config.experiment import CONFIG, Experiment, relevant_settings
from uniemo.errors import UserError
from uniemo.model.checkpoint import check_resumable
from uniemo.model.saving import BEFORE_LAST, LAST

DONE = "done"  # in a phase's folder once it has ended
ORDER = ("joint", "generate", "finetune")  # each phase starts from what the ones before have left
STATES = (LAST, BEFORE_LAST)  # of an unfinished training, the newest first
TRAINER = (
    "max_epochs",
    "max_steps",
    "limit_train_batches",
    "accumulate_grad_batches",
    "gradient_clip_val",
)
"""Settings of the trainer that the course of a training depends on."""


@rank_zero_only
def rank_zero_print(line: str) -> None:
    """Print a line, on the first of several processes alone."""
    print(line, flush=True)


def mark_done(folder: Path) -> None:
    """Mark a phase as ended."""
    if folder.is_dir():  # there is none after fast_dev_run
        (folder / DONE).touch()


def mark_begun(experiment: Experiment) -> None:
    """Note that a phase has not ended yet, and that later ones start anew.

    Call it once all that the phase needs is known to be there: a slip in a setting must not cost
    what an earlier run has left.
    """
    (experiment.phase_folder / DONE).unlink(missing_ok=True)
    if experiment.phase in ORDER:  # a study has phases of other names
        for later in ORDER[ORDER.index(experiment.phase) + 1 :]:
            for name in (DONE, *STATES):
                (experiment.folder / later / name).unlink(missing_ok=True)


def phase_result(folder: Path, phase: str, name: str) -> Path:
    """Return a file that a phase has written.

    Raises:
        UserError: If it is not there.
    """
    path = folder / phase / name
    if not path.is_file():
        raise UserError(
            f"{path} does not exist; run phase {phase} first (make train PHASE={phase})"
        )
    return path


def checkpoint_to_resume(experiment: Experiment) -> Path | None:
    """Return the last state of an interrupted training of the same settings, if there is one."""
    if (experiment.phase_folder / DONE).is_file():
        return None
    if not any((experiment.phase_folder / name).is_file() for name in STATES):
        return None
    changed = changed_setting(experiment.phase_folder, experiment)
    if changed is not None:
        last = experiment.phase_folder / LAST
        rank_zero_print(f"{last} was trained with another {changed}; starting anew")
        return None
    state = newest_state(experiment.phase_folder)
    rank_zero_print(f"Resuming from {state}" if state else "Starting anew")
    return state


def newest_state(folder: Path) -> Path | None:
    """Return the newest state of a training that it can go on from; say what is passed over."""
    for path in (folder / name for name in STATES):
        if path.is_file():
            try:
                check_resumable(path)
            except UserError as error:
                rank_zero_print(f"Passed over: {error}")
            else:
                return path
    return None


def changed_setting(folder: Path, experiment: Experiment) -> str | None:
    """Return a key of model, data, seed or trainer that an experiment would change in a run.

    None if the settings in the run's folder agree with the experiment's.
    """
    note = folder / CONFIG
    if not note.is_file():
        return CONFIG
    contents = note.read_text("utf-8"), experiment.dump()
    began, wanted = (_decisive(yaml.safe_load(content)) for content in contents)
    keys = [*wanted, *began]
    return next((key for key in keys if began.get(key) != wanted.get(key)), None)


def _decisive(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a training depends on, by their full keys."""
    trainer = {key: config["trainer"].get(key) for key in TRAINER}
    groups = {key: config[key] for key in ("seed_everything", "model", "data")}
    groups["model"].pop("sampling")  # nothing is generated before the end
    return dict(dict_to_namespace(relevant_settings(groups | {"trainer": trainer})).items())
