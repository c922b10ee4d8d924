"""How a training is started or goes on."""

import gc
from pathlib import Path

from uniemo.cli.lightning import UniEmoCLI
from uniemo.curriculum.checkpoints import BEST, LAST
from uniemo.study.plan import Trial
from uniemo.study.records import Numbers, Record, settings_of


def fit(trial: Trial, name: str, extra: list[str]) -> Numbers:
    """Train to the end in the trial's folder ``name``, from the last epoch that is on disk.

    Args:
        trial: The trial.
        name: The run's folder within the trial's.
        extra: ``--key value`` pairs that make the run what it is.

    Returns:
        ``val/`` and ``test/`` measurements of the best epoch on validation.
    """
    folder = trial.folder / name
    arguments = ["fit", "-c", trial.file, *trial.overrides, *extra, "--phase", name]
    if (folder / LAST).is_file():
        arguments += ["--ckpt_path", str(folder / LAST)]
    cli = UniEmoCLI(arguments)
    best = str(folder / BEST)
    numbers: dict[str, float] = {}
    for measure in (cli.trainer.validate, cli.trainer.test):
        numbers |= measure(cli.model, datamodule=cli.datamodule, ckpt_path=best, verbose=False)[0]
    del cli
    gc.collect()  # Lightning's objects refer to each other in rings
    return numbers


def joint(trial: Trial) -> Path:
    """Run the joint training that a trial's other runs start from; return its checkpoint."""
    record = Record(
        trial.folder / "joint", settings_of(trial.experiment, "model", "data", "trainer")
    )
    if record.recall() is None:
        record.finish(fit(trial, "joint", []))
    return record.folder / BEST
