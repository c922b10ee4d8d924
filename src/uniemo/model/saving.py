"""Which checkpoints a fit keeps, and where."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.trainer.states import TrainerFn

from uniemo.utils.files import atomic_path

BEST = "best.ckpt"
LAST = "last.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints beside their target and rename them once they are on the disk.

    Lightning's own writes to the system's temporary folder, and copies where that is another file
    system: an interruption or a full disk would leave a part of a checkpoint in place of a whole.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Save; after an interruption the path holds the old content or the new."""
        with atomic_path(Path(path)) as part, part.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())


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

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """Remove what was moved aside, if there is a new one in its place."""
        super().on_train_end(trainer, module)
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
        """Go on from a state."""
        super().load_state_dict(state_dict)
        self.start, self.trained = state_dict["start"], state_dict["trained"]


class LastCheckpoint(PhaseCheckpoint):
    """Keep the newest state as ``last.ckpt``, to go on from after an interruption.

    After the last epoch there is nothing to go on with: a fit that starts there would skip what is
    done at the end of training, so one interrupted in just that repeats its last epoch.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, LAST, every_n_epochs=1, save_on_train_epoch_end=True)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Go on with the epoch after a finished one.

        Under ``max_steps`` Lightning 2.6 takes any epoch that a checkpoint was written in for
        unfinished, and would begin with a batch more of it.
        """
        super().on_train_start(trainer, module)
        loop = trainer.fit_loop
        progress: Any = loop.epoch_progress.current
        if progress.ready == progress.started == progress.processed > progress.completed:
            progress.completed = progress.processed
            loop.epoch_loop.restarting = False
            loop.reset_restart_stage()

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Save, unless the epoch is the last."""
        if trainer.current_epoch + 1 != trainer.max_epochs:
            super().on_train_epoch_end(trainer, module)
