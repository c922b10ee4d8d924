"""Which checkpoints a fit keeps, and where."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.trainer.states import TrainerFn

from uniemo.errors import UserError, first_line
from uniemo.utils.files import atomic_path
from uniemo.utils.stopping import Stopped, stop_signals

BEST = "best.ckpt"
LAST = "last.ckpt"
BEFORE_LAST = "before-last.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints beside their target and rename them once they are on the disk.

    Lightning's own writes to the system's temporary folder, and copies where that is another file
    system: an interruption or a full disk would leave a part of a checkpoint in place of a whole.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Save; after an interruption the path holds the old content or the new.

        Raises:
            UserError: If the disk is full, or the folder cannot be written to.
        """
        try:
            with atomic_path(Path(path)) as part, part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:  # torch's writer hides the system's error
            cause = error if isinstance(error, OSError) else error.__context__ or error
            raise UserError(
                f"checkpoint {path} cannot be written ({first_line(cause)}); make room, then run "
                "the same command: it goes on from the state before"
            ) from error


class PhaseCheckpoint(ModelCheckpoint):
    """Keep one checkpoint under a name of its own.

    An older run's is moved aside, to ``<name>.previous``, until a fit has ended and has its own.

    Args:
        folder: Where it goes.
        name: Its file's.
        **settings: Of Lightning's ``ModelCheckpoint``.
    """

    def __init__(self, folder: Path, name: str, **settings: Any) -> None:
        super().__init__(folder, filename=Path(name).stem, enable_version_counter=False, **settings)
        self.path, self.previous = folder / name, folder / f"{name}.previous"

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Move an older run's aside, unless this fit goes on from a checkpoint."""
        super().on_train_start(trainer, module)
        if trainer.ckpt_path is None and trainer.is_global_zero and self.path.is_file():
            self.path.replace(self.previous)

    def on_fit_end(self, trainer: Trainer, module: Any) -> None:
        """Remove what was moved aside, if there is a new one in its place."""
        if trainer.is_global_zero and self.path.is_file():
            self.previous.unlink(missing_ok=True)


class BestCheckpoint(PhaseCheckpoint):
    """Keep the weights of the epoch with the highest validation accuracy as ``best.ckpt``.

    A fit that ends in joint epochs keeps one of those: before them the mappers are untrained. Of a
    fit that starts from trained weights, those are the first candidate and stay unless an epoch
    beats them (extension).

    Attributes:
        start: The validation metrics of the weights that the fit starts from; set them before the
            fit if those weights are a candidate.
        trained: The highest validation accuracy of an epoch; None before the first.
    """

    start: Mapping[str, float] | None = None
    trained: float | None = None

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            BEST,
            monitor="val/accuracy",
            mode="max",
            save_on_train_epoch_end=False,
            save_weights_only=True,  # what a fit goes on from is the last one
        )

    @property
    def start_stays(self) -> bool:
        """Whether no epoch has beaten the weights that the fit started from."""
        if self.start is None:
            return False
        return self.trained is None or self.trained <= self.start["val/accuracy"]

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Keep the weights that the fit starts from, where they are a candidate."""
        super().on_train_start(trainer, module)
        if self.start is not None and trainer.ckpt_path is None:
            path, accuracy = str(self.path), torch.tensor(self.start["val/accuracy"])
            trainer.save_checkpoint(path, weights_only=True)
            self.best_model_path = self.kth_best_model_path = path
            self.best_model_score = self.kth_value = accuracy
            self.best_k_models = {path: accuracy}

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        """Consider the epoch, unless it is one of a warm-up that joint epochs follow."""
        warm_up, end = module.stage_ends
        joint_follows = module.head is not None and warm_up < end
        fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        if not fitting or (module.stage != "joint" and joint_follows):
            return
        accuracy = float(trainer.callback_metrics["val/accuracy"])
        self.trained = accuracy if self.trained is None else max(self.trained, accuracy)
        super().on_validation_end(trainer, module)

    def state_dict(self) -> dict[str, Any]:
        """Return Lightning's state, and what the candidates have reached."""
        return {**super().state_dict(), "start": self.start, "trained": self.trained}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state, also where the folder has been moved."""
        moved: dict[str, Any] = {"dirpath": self.dirpath}
        if state_dict["best_model_path"]:
            path = str(self.path)
            moved |= {"best_model_path": path, "kth_best_model_path": path}
            moved["best_k_models"] = {path: state_dict["best_model_score"]}
        super().load_state_dict(state_dict | moved)
        self.start, self.trained = state_dict["start"], state_dict["trained"]


class LastCheckpoint(PhaseCheckpoint):
    """Keep the newest state as ``last.ckpt``, to go on from after an interruption.

    It is saved after an optimiser step, at the end of every epoch, and before a step that a
    validation follows: Lightning would not repeat an interrupted validation. The state saved before
    it lies beside it as ``before-last.ckpt``.

    After a signal to stop (:mod:`uniemo.utils.stopping`) the present step ends and its state is
    saved; a validation, or a pass before the first step, stops at once, because what it starts from
    is saved.

    Args:
        folder: Where it goes.
        every_minutes: Minutes between two saves.
        every_n_steps: Optimiser steps between two saves; None for minutes alone.
    """

    def __init__(
        self, folder: Path, every_minutes: float = 30.0, every_n_steps: int | None = None
    ) -> None:
        super().__init__(folder, LAST)
        self.every_minutes, self.every_n_steps = every_minutes, every_n_steps
        self.before = folder / BEFORE_LAST
        self.saved = time.monotonic()
        self.stops = False  # at the end of this step, on every process

    def save(self, trainer: Trainer) -> None:
        """Save on every process; whatever happens meanwhile, one whole state is on the disk."""
        if trainer.is_global_zero and self.path.is_file():
            self.path.replace(self.before)
        trainer.save_checkpoint(self.path, weights_only=False)
        self.saved = time.monotonic()

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Go on with the epoch after a finished one.

        Under ``max_steps`` Lightning 2.6 takes any epoch that a checkpoint was written in for
        unfinished, and would begin with a batch more of it.
        """
        super().on_train_start(trainer, module)
        if trainer.ckpt_path is None and trainer.is_global_zero:
            self.before.unlink(missing_ok=True)
        loop = trainer.fit_loop
        progress: Any = loop.epoch_progress.current
        if progress.ready == progress.started == progress.processed > progress.completed:
            progress.completed = progress.processed
            loop.epoch_loop.restarting = False
            loop.reset_restart_stage()
        self.saved = time.monotonic()
        stop_signals.postpone()

    def on_train_epoch_start(self, trainer: Trainer, module: Any) -> None:
        """From now on steps end before a stop."""
        stop_signals.postpone()

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Stop, once the step before is logged."""
        if self.stops:
            raise Stopped

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if it is time, or if a signal to stop has reached any process."""
        done, at_once = batch_idx + 1, trainer.accumulate_grad_batches
        if done % at_once or _validation_follows(trainer, done):
            return
        due = time.monotonic() - self.saved >= 60 * self.every_minutes
        due |= self.every_n_steps is not None and trainer.global_step % self.every_n_steps == 0
        due |= any(_validation_follows(trainer, done + 1 + k) for k in range(at_once))
        decision = torch.tensor([due, stop_signals.received is not None], dtype=torch.int)
        if trainer.world_size > 1:
            strategy = trainer.strategy
            decision = strategy.reduce(decision.to(strategy.root_device), reduce_op="max")
        due, self.stops = map(bool, decision.tolist())
        if due or self.stops:
            self.save(trainer)

    def on_validation_start(self, trainer: Trainer, module: Any) -> None:
        """Stop at once from now on."""
        if trainer.state.fn == TrainerFn.FITTING:
            stop_signals.allow()

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        """Save at the end of the epoch, not here."""
        if trainer.state.fn == TrainerFn.FITTING:
            stop_signals.postpone()

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Save; then stop at once, also in the passes after the last epoch."""
        self.save(trainer)
        stop_signals.allow()

    def on_fit_end(self, trainer: Trainer, module: Any) -> None:
        """Keep one state: it is that of the last step."""
        super().on_fit_end(trainer, module)
        if trainer.is_global_zero:
            self.before.unlink(missing_ok=True)

    def on_exception(self, trainer: Trainer, module: Any, exception: BaseException) -> None:
        """Wait for no step any more."""
        stop_signals.postponed = False


def _validation_follows(trainer: Trainer, batches: int) -> bool:
    """Return whether an epoch's first ``batches`` batches are followed by a validation."""
    every: Any = trainer.val_check_batch
    inner = trainer.check_val_every_n_epoch is not None and every and batches % every == 0
    return inner or batches == trainer.num_training_batches
