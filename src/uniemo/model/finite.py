"""Watch over a fit: a loss or gradient that is not finite ends it before it spoils what is kept."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning import Callback, Trainer
from torch import Tensor
from torch.nn.utils import get_total_norm

from uniemo.errors import UserError


class Step(NamedTuple):
    """What has to be finite in a training step."""

    number: int
    images: list[str]
    loss: Tensor  # []
    gradient_norm: Tensor  # []


class FiniteSteps(Callback):
    """Stop a fit at a step whose loss or gradient is not finite, or skip some such steps.

    The gradient's norm is logged. A GPU is asked every ``trainer.log_every_n_steps`` steps, because
    each time it must finish its work first; and always before a validation and a checkpoint, so
    nothing of such a step is ever kept.

    Args:
        skip: Steps that may be skipped, their weights left as they are, before the fit stops.

    Attributes:
        skipped: Steps that were.
    """

    def __init__(self, skip: int = 0) -> None:
        self.skip, self.skipped = skip, 0
        self.pending: list[Step] = []
        self.gradient_norm: Tensor | None = None  # of a step that is to be checked

    def on_before_optimizer_step(self, trainer: Trainer, module: Any, optimizer: Any) -> None:
        """Log the gradient's norm; take the gradients away where it is not finite."""
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        norm = get_total_norm([p.grad for p in weights if p.grad is not None])
        module.log("train/gradient_norm", norm)
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        # A scaler of float16 looks for its scale by steps that overflow, and skips them itself.
        self.gradient_norm = torch.zeros(()) if scaled else norm
        if not scaled and self.skipped < self.skip and not norm.isfinite():
            self.skipped += 1
            self.gradient_norm = None
            for weight in weights:
                weight.grad = None  # AdamW leaves such a weight alone
            print(
                f"Step {trainer.global_step} is skipped: its gradient is not finite "
                f"({self.skipped} of at most {self.skip})",
                flush=True,
            )

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the step; a GPU's is checked with others, later."""
        norm, self.gradient_norm = self.gradient_norm, None
        if norm is None:  # skipped, or gradients are still being accumulated
            return
        loss = outputs["loss"].detach()
        self.pending.append(
            Step(trainer.global_step, batch["image_id"], loss, norm.to(loss.device))
        )
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if loss.device.type == "cpu" or len(self.pending) >= every:
            self.check(trainer)

    def on_validation_start(self, trainer: Trainer, module: Any) -> None:
        """Check what has not been checked."""
        self.check(trainer)

    def on_save_checkpoint(self, trainer: Trainer, module: Any, checkpoint: Any) -> None:
        """Check what has not been checked, before anything is written."""
        self.check(trainer)

    def check(self, trainer: Trainer) -> None:
        """Check the steps since the last check.

        Raises:
            UserError: If a loss or a gradient was not finite.
        """
        steps, self.pending = self.pending, []
        if not steps:
            return
        sums = torch.stack([step.loss.float() + step.gradient_norm for step in steps]).tolist()
        for step, total in zip(steps, sums, strict=True):
            if not math.isfinite(total):
                raise UserError(_diverged(step, trainer))


def _diverged(step: Step, trainer: Trainer) -> str:
    callbacks: list[Any] = trainer.checkpoint_callbacks
    paths = {Path(path) for c in callbacks for path in (c.last_model_path, c.best_model_path)}
    kept = sorted((path for path in paths if path.is_file()), key=lambda path: path.stat().st_mtime)
    images = ", ".join(step.images[:3]) + (" ..." if len(step.images) > 3 else "")
    what = "gradient" if step.loss.isfinite() else "loss"
    return (
        f"the {what} of step {step.number} is not finite, on the images {images}; the last good "
        f"checkpoint is {kept[-1] if kept else 'none yet'}: lower the rates (model.optimizer), "
        "give trainer.gradient_clip_val, or let some steps be skipped (model.optimizer.skip)"
    )
