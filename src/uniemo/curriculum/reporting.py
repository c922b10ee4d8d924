"""What a training shows: parameters, progress, results, paths, and a grid of samples."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torchvision.utils import make_grid, save_image

from uniemo.config.experiment import Experiment
from uniemo.curriculum.resuming import mark_begun
from uniemo.model import UniEmo
from uniemo.model.optimizer import trained_parameters
from uniemo.model.saving import BestCheckpoint
from uniemo.utils.files import atomic_path

SAMPLES = "samples.png"
PARTS = {
    "visual": "CLIP's visual tower",
    "queries": "expert queries",
    "heads": "heads and projections",
    "mappers": "mappers",
}
"""Names of the parameter groups in the table."""


class PhaseStart(Callback):
    """Begin a phase in its folder, and write its settings, once model and data are known to fit."""

    def __init__(self, experiment: Experiment, path: Path) -> None:
        self.experiment, self.path = experiment, path

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Note that the phase has begun; write the file."""
        if trainer.is_global_zero:
            mark_begun(self.experiment)
            self.experiment.save(self.path)


class FitReport(Callback):
    """Print which parts are trained, at which rate in which stage, before the training starts."""

    def on_fit_start(self, trainer: Trainer, module: Any) -> None:
        """Print the table."""
        if trainer.is_global_zero:
            Console().print(parameter_table(module, f"{trainer.precision} on {module.device}"))


def parameter_table(model: UniEmo, where: str) -> Table:
    """Return a table of the parts: number of parameters, peak learning rate in each stage."""
    stages = ("understanding", model.last_stage)
    table = Table(f"UniEmo, {where}", box=SIMPLE_HEAD)
    for name in ("parameters", *(f"rate, {stage}" for stage in stages)):
        table.add_column(name, justify="right")
    counts: dict[str, int] = {}
    for group, _, parameter in trained_parameters(model):
        counts[group] = counts.get(group, 0) + parameter.numel()
    for group, count in counts.items():
        rates = [getattr(getattr(model.settings.optimizer, stage), group) for stage in stages]
        shown = (f"{rate:g}" if rate else "frozen" for rate in rates)
        table.add_row(PARTS[group], f"{count:,}", *shown)
    for part, count in frozen_parameters(model).items():
        table.add_row(part, f"{count:,}", "frozen", "frozen")
    return table


def frozen_parameters(model: UniEmo) -> dict[str, int]:
    """Count the parameters that are used and that no stage trains."""
    trained = {id(parameter) for *_, parameter in trained_parameters(model)}
    clip = model.understanding.backbone.model.parameters()
    counts = {"rest of CLIP": sum(p.numel() for p in clip if id(p) not in trained)}
    if model.head is not None:
        counts["Stable Diffusion"] = sum(p.numel() for p in model.head.parameters())
    return counts


class ProgressBar(RichProgressBar):
    """Lightning's progress bar with the loss alone; :class:`EpochTable` has the rest."""

    def get_metrics(self, trainer: Trainer, module: Any) -> dict[str, Any]:
        """Return what stands at the end of the bar."""
        metrics = super().get_metrics(trainer, module)
        return {name: value for name, value in metrics.items() if name == "loss"}


class EpochTable(Callback):
    """Print a line of metrics after every epoch, 78 columns wide."""

    METRICS = {
        "loss": "loss",
        "val/loss": "val loss",
        "val/accuracy": "accuracy",
        "val/f1_macro": "macro F1",
        "val/theta": "L(theta)",
    }
    """Names that are logged, and their titles; those from "val loss" on are of validation."""

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Print the titles, and the metrics of trained weights that the fit starts from."""
        self._print(trainer, "epoch", "stage", self.METRICS.values(), "time")
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, BestCheckpoint) and callback.start is not None:
                self._print(trainer, "0", "start", self._cells(callback.start), "")
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Print the epoch's metrics; its validation has ended."""
        cells = self._cells(trainer.progress_bar_metrics)
        minutes, seconds = divmod(round(time.monotonic() - self.started), 60)
        epoch = f"{trainer.current_epoch + 1}/{trainer.max_epochs}"
        self._print(trainer, epoch, module.stage, cells, f"{minutes}:{seconds:02}")
        self.started = time.monotonic()

    @classmethod
    def _cells(cls, logged: Mapping[str, float]) -> list[str]:
        return [f"{logged[name]:.4f}" if name in logged else "" for name in cls.METRICS]

    @staticmethod
    def _print(
        trainer: Trainer, epoch: str, stage: str, cells: Iterable[str], duration: str
    ) -> None:
        if trainer.is_global_zero:
            numbers = "".join(f"{cell:>10}" for cell in cells)
            print(f"{epoch:>7}  {stage:<13}{numbers}{duration:>6}", flush=True)


def progress_arguments(enabled: bool | None) -> dict[str, Any]:
    """Return the trainer's arguments that show its progress; a bar on terminals alone.

    ``enabled`` is the trainer's own setting, None for yes; the callbacks add to its own.
    """
    bar = enabled is not False and Console().is_terminal
    callbacks = [ProgressBar()] if bar else []
    return {"enable_progress_bar": bar, "callbacks": [EpochTable(), *callbacks]}


def save_sample_grid(model: UniEmo, trainer: Trainer, path: Path) -> None:
    """Generate images 0 to 7 of every emotion, a row each; save and log the grid."""
    per_emotion, n_emotions = 8, len(model.emotions)
    emotion = torch.arange(n_emotions).repeat_interleave(per_emotion)
    index = torch.arange(per_emotion).repeat(n_emotions)
    training = model.training
    model.eval()
    images, _ = model.painter.generate(emotion, index)
    model.train(training)
    image = make_grid(images.cpu(), nrow=per_emotion, padding=2)  # [3, height, width]
    with atomic_path(path) as part:
        save_image(image, part, format="png")
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image("samples", image, trainer.global_step)
            logger.save()


def kept_weights(callbacks: Iterable[Any]) -> str:
    """Say which weights a fit has kept, and by how much they are better on validation."""
    best = next((each for each in callbacks if isinstance(each, BestCheckpoint)), None)
    if best is None or best.start is None or best.trained is None:
        return "best epoch on validation"
    start, trained = 100 * best.start["val/accuracy"], 100 * best.trained
    if best.start_stays:
        return f"no epoch beats the start on validation ({trained:.2f} to {start:.2f} %); it stays"
    return f"best epoch on validation ({trained:.2f} %, at the start {start:.2f} %)"


def print_results(results: Mapping[str, float], title: str) -> None:
    """Print named numbers as a table."""
    table = Table(title, "", box=SIMPLE_HEAD)
    for name, value in sorted(results.items()):
        table.add_row(name, f"{value:.4f}")
    Console().print(table)


def print_paths(*entries: tuple[str, Path]) -> None:
    """Print what lies where, unwrapped, so that a path can be copied."""
    for name, path in entries:
        Console(soft_wrap=True).print(f"{name}: {path}", highlight=False)
