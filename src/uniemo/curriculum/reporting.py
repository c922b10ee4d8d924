"""What a fit shows when it is done: a table, the checkpoint's path, a grid of painted pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from lightning import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchvision.utils import make_grid, save_image

from uniemo.curriculum.checkpoints import best_path
from uniemo.emotions import N_EMOTIONS
from uniemo.model.optimizer import trained_parameters

if TYPE_CHECKING:
    from uniemo.model.uniemo import UniEmo

SAMPLES = "samples.png"
SAMPLES_PER_EMOTION = 8


class Report(Callback):
    """Say what is trained before, and where lies what came out after.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_fit_start(self, trainer: Trainer, module: "UniEmo") -> None:  # type: ignore[override]
        """Print the counts of trainable and frozen parameters, and the precision."""
        if not trainer.is_global_zero:
            return
        table = Table("part", "parameters", title="UniEmo", title_justify="left")
        counts: dict[str, int] = {}
        for group, _, parameter in trained_parameters(module):
            counts[group] = counts.get(group, 0) + parameter.numel()
        for group, count in counts.items():
            stages = ("understanding", module.last_stage)
            when = [s for s in stages if getattr(getattr(module.rates, s), group)]
            table.add_row(f"{group} (trained: {', '.join(when) or 'never'})", f"{count:,}")
        for part, count in frozen_parameters(module).items():
            table.add_row(f"{part} (frozen)", f"{count:,}")
        Console().print(table)
        Console().print(f"Precision {trainer.precision} on {module.device}", highlight=False)

    def on_fit_end(self, trainer: Trainer, module: "UniEmo") -> None:  # type: ignore[override]
        """Print the paths of what was written."""
        if trainer.is_global_zero:
            if best := best_path(trainer):
                print_paths(("Checkpoint", Path(best)))
            if module.head is not None and (self.folder / SAMPLES).is_file():
                print_paths(("Samples", self.folder / SAMPLES))


def frozen_parameters(module: "UniEmo") -> dict[str, int]:
    """Count the weights that are used and that no stage trains."""
    trained = {id(parameter) for *_, parameter in trained_parameters(module)}
    clip = module.backbone.model.parameters()
    counts = {"rest of CLIP": sum(p.numel() for p in clip if id(p) not in trained)}
    if module.head is not None:
        counts["Stable Diffusion"] = sum(p.numel() for p in module.head.parameters())
    return counts


class SampleGrid(Callback):
    """Paint a grid beside the best checkpoint once the emotion space is measured.

    At the end of training, not of the fit, when a module on an accelerator has left it.
    """

    def on_train_end(self, trainer: Trainer, module: "UniEmo") -> None:  # type: ignore[override]
        """Paint eight emotions (rows) by eight pictures into ``samples.png``."""
        best = best_path(trainer)
        if module.head is not None and trainer.is_global_zero and best:
            image = sample_grid(module)
            save_image(image, Path(best).parent / SAMPLES)
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    logger.experiment.add_image("samples", image, trainer.global_step)


def sample_grid(module: "UniEmo", per_emotion: int = SAMPLES_PER_EMOTION) -> Tensor:
    """Paint images 0 to ``per_emotion`` - 1 of every emotion: one row each, [3, height, width]."""
    emotion = torch.arange(N_EMOTIONS).repeat_interleave(per_emotion)
    index = torch.arange(per_emotion).repeat(N_EMOTIONS)
    training = module.training
    module.eval()
    image, _ = module.generate(emotion, index)
    module.train(training)
    return make_grid(image.cpu(), nrow=per_emotion, padding=2)


def print_results(results: Mapping[str, float], title: str) -> None:
    """Print named numbers as a table."""
    table = Table("measure", "value", title=title, title_justify="left")
    for name, value in sorted(results.items()):
        table.add_row(name, f"{value:.4f}")
    Console().print(table)


def print_paths(*entries: tuple[str, Path]) -> None:
    """Print what lies where, unwrapped, so that a path can be copied."""
    for name, path in entries:
        Console(soft_wrap=True).print(f"{name}: {path}", highlight=False)
