"""Curves of training, written by Lightning's CSV logger, one file for every start of a run."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import rank_zero_experiment

from uniemo.utils.files import atomic_path

FOLDER = "curves"


class Series(NamedTuple):
    """One curve."""

    name: str  # "train" or "val"
    points: list[tuple[float, float]]  # step, value


class CurveWriter(ExperimentWriter):
    """Lightning's writer; a kill while a new column is added costs no row."""

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        with atomic_path(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames)
            writer.writeheader()
            writer.writerows(rows)


class CurveLogger(CSVLogger):
    """Lightning's logger; every row is on the disk at once, so that a kill loses none."""

    def __init__(self, run: Path, version: int) -> None:
        super().__init__(run, name=FOLDER, version=version, flush_logs_every_n_steps=1)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """What writes the rows."""
        if self._experiment is None:
            self._experiment = CurveWriter(self.log_dir)
        return self._experiment


def curve_logger(run: Path) -> CurveLogger:
    """Return a logger that writes ``curves/version_K/metrics.csv``, K counting the run's starts.

    Lightning's logger would delete what an earlier start has written to the same file.
    """
    return CurveLogger(run, len(list((run / FOLDER).glob("version_*"))))


def read_curves(run: Path) -> dict[str, list[Series]]:
    """Read the curves of a run by quantity; empty if there are none.

    Columns are ``train/QUANTITY`` and ``val/QUANTITY``; a row holds some of them. From its first
    step on, a later start of the run replaces the earlier ones.
    """
    rows: list[dict[str, str]] = []
    for start in range(len(list((run / FOLDER).glob("version_*")))):
        path = run / FOLDER / f"version_{start}" / "metrics.csv"
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as lines:
                later = [row for row in csv.DictReader(lines) if row.get("step")]
            first = min((float(row["step"]) for row in later), default=float("inf"))
            rows = [row for row in rows if float(row["step"]) < first] + later
    curves: dict[str, dict[str, Series]] = {}
    for row in rows:
        for column, value in row.items():
            stage, _, quantity = (column or "").partition("/")
            if value and stage in ("train", "val"):
                series = curves.setdefault(quantity, {})
                curve = series.setdefault(stage, Series(stage, []))
                curve.points.append((float(row["step"]), float(value)))
    return {quantity: list(series.values()) for quantity, series in sorted(curves.items())}


def start_and_best(curves: Mapping[str, Sequence[Series]]) -> tuple[float, float] | None:
    """Return the validation accuracy of the weights a fit started from, and the best after it.

    Args:
        curves: Of :func:`read_curves`.

    Returns:
        Two rates in [0, 1]; None for a fit that started from fresh weights, or has no epoch yet.
    """
    points = [p for s in curves.get("accuracy", []) if s.name == "val" for p in s.points]
    start = [accuracy for step, accuracy in points if step == 0]
    later = [accuracy for step, accuracy in points if step > 0]
    return (start[0], max(later)) if start and later else None
