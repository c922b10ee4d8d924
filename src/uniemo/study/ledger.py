"""Finished runs: their settings and their numbers.

The folder of a run holds ``settings.json`` from its start and ``result.json`` from its end. A run
whose settings have changed is removed and run again. The numbers of an arm are also kept in the
ledger of its trial, so that a study can be resumed on another machine.
"""

import hashlib
import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from shutil import rmtree
from typing import Any

import torch

from uniemo.config.experiment import Experiment, relevant_settings
from uniemo.model.saving import LAST
from uniemo.study.trial import Trial
from uniemo.utils.files import read_json, write_json
from uniemo.utils.sources import weights_digest

Numbers = Mapping[str, float | str | None]
"""Measures of a run by name; None where there is nothing to measure.

Text under ``SPLIT/pictures`` holds what ``SPLIT/score`` is the mean of (:mod:`pictures`).
"""

SETTINGS, RESULT = "settings.json", "result.json"


@dataclass(frozen=True)
class Record:
    """A run on disk."""

    folder: Path
    settings: Any
    """All that its result depends on, as JSON would hold it."""

    def load(self) -> Numbers | None:
        """Return the numbers of a finished run; else None, and the folder is ready to resume in."""
        settings, result = self.folder / SETTINGS, self.folder / RESULT
        if settings.is_file() and read_json(settings) == self.settings:
            return read_json(result)["numbers"] if result.is_file() else None
        if settings.is_file():
            print(f"{self.folder} was run with other settings; running it again", flush=True)
        if self.folder.is_dir():
            rmtree(self.folder)
        write_json(settings, self.settings)
        return None

    def finish(self, numbers: Numbers) -> Numbers:
        """Write the numbers; return them with None for every one that is not finite.

        The checkpoint to resume from is removed: a study has many runs.
        """
        clean = {key: finite(value) for key, value in numbers.items()}
        write_json(self.folder / RESULT, {"settings": self.settings, "numbers": clean})
        (self.folder / LAST).unlink(missing_ok=True)
        return clean


@dataclass(frozen=True)
class ArmRecord(Record):
    """An arm on disk: its folder, and its entry in the trial's ledger."""

    trial: Trial
    name: str
    """``CLAIM/ARM``."""

    @property
    def digest(self) -> str:
        """A short name of the settings."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:16]

    def numbers(self) -> Numbers | None:
        """Return the numbers if the ledger or the folder has them, else None.

        An entry of other settings is removed from the ledger.
        """
        entries = read_ledger(self.trial)
        if self.name in entries:
            if entries[self.name]["settings"] == self.digest:
                return entries[self.name]["numbers"]
            del entries[self.name]
            write_json(self.trial.ledger, entries)
        done = self.load()
        if done is not None:
            self._enter(done)
        return done

    def finish(self, numbers: Numbers) -> Numbers:
        """Write the numbers into the folder and the ledger."""
        clean = super().finish(numbers)
        self._enter(clean)
        return clean

    def _enter(self, numbers: Numbers) -> None:
        entry = {
            "settings": self.digest,
            "numbers": numbers,
            "machine": machine(self.trial.experiment),
            "date": date.today().isoformat(),
        }
        write_json(self.trial.ledger, read_ledger(self.trial) | {self.name: entry})


def finite(value: float | str | None) -> float | str | None:
    """Return a number as JSON can hold it; None for one that is not finite."""
    if value is None or isinstance(value, str):
        return value
    return float(value) if math.isfinite(value) else None


def read_ledger(trial: Trial) -> dict[str, Any]:
    """Return the entries of a trial's ledger by ``CLAIM/ARM``."""
    return read_json(trial.ledger) if trial.ledger.is_file() else {}


def machine(experiment: Experiment) -> str:
    """Describe the machine in words."""
    device = f"{experiment.device} in {experiment.precision}"
    return f"{processor()}, {os.cpu_count()} cores, {device}, PyTorch {torch.__version__}"


def processor() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def settings_of(experiment: Experiment, *groups: str, **more: Any) -> Any:
    """Return what a run depends on: seed, pretrained weights, some groups of an experiment."""
    config = experiment.config.as_dict()
    config["trainer"]["precision"] = experiment.precision  # "auto" differs between machines
    clip, head = config["model"]["clip"], config["model"]["diffusion"]
    sources = [clip["model"], clip["pretrained"], None if head is None else head["source"]]
    weights = [None if source is None else weights_digest(source) for source in sources]
    chosen = relevant_settings({name: config[name] for name in groups})
    chosen |= {"seed": experiment.seed, "weights": weights, **more}
    return json.loads(json.dumps(chosen, default=str))
