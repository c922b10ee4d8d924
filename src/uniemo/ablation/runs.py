"""One run: what it is, what came out, and how a training is started or goes on.

A run's folder holds ``settings.json`` from its start and ``result.json`` from its end. A run whose
settings are no longer those asked for is removed and done again.
"""

import gc
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from uniemo.ablation.plan import Trial
from uniemo.curriculum.keep import BEST, LAST
from uniemo.curriculum.painting import write_whole
from uniemo.experiment import Experiment
from uniemo.lightning_cli import UniEmoCLI

Numbers = Mapping[str, float | None]
"""Measures of a run by name; None where there is nothing to measure."""

SETTINGS, RESULT = "settings.json", "result.json"
# Where work is done and kept, not what it is; and what the model itself tells the data.
IRRELEVANT = {"cache", "cache_dir", "num_workers", "clip_size", "clip_mean", "clip_std"}
IRRELEVANT |= {"diffusion_size", "seed"}


@dataclass(frozen=True)
class Record:
    """A run on disk.

    Attributes:
        folder: Its folder.
        settings: All that its result depends on, as JSON would hold it.
    """

    folder: Path
    settings: Any

    def recall(self) -> Numbers | None:
        """Return the result of a finished run, else None and leave a folder to go on in."""
        note, result = self.folder / SETTINGS, self.folder / RESULT
        if note.is_file() and read_json(note) == self.settings:
            return read_json(result)["numbers"] if result.is_file() else None
        if note.is_file():
            print(f"{self.folder} was run with other settings; running it anew", flush=True)
        if self.folder.is_dir():
            rmtree(self.folder)
        write_json(note, self.settings)
        return None

    def finish(self, numbers: Numbers) -> Numbers:
        """Write the result; return it with None for every number that is none.

        What only an interrupted training needs is removed: a study has many runs.
        """
        clean = {
            key: None if value is None or not math.isfinite(value) else float(value)
            for key, value in numbers.items()
        }
        write_json(self.folder / RESULT, {"settings": self.settings, "numbers": clean})
        (self.folder / LAST).unlink(missing_ok=True)
        return clean


def settings_of(experiment: Experiment, *groups: str, **more: Any) -> Any:
    """Return what a run depends on: its seed and some groups of an experiment's settings."""
    config = experiment.config.as_dict()
    chosen = {"seed": experiment.seed, **{name: config[name] for name in groups}, **more}
    return json.loads(json.dumps(without(chosen), default=str))


def without(content: Any) -> Any:
    """Return nested settings without the irrelevant ones."""
    if isinstance(content, dict):
        return {key: without(value) for key, value in content.items() if key not in IRRELEVANT}
    return content


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file that appears whole or not at all."""
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text("utf-8"))


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
