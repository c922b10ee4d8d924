"""Which checkpoints a fit keeps, where, and how a later phase finds them."""

from pathlib import Path
from typing import TYPE_CHECKING

from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from uniemo.errors import UserError

if TYPE_CHECKING:
    from uniemo.module import UniEmo

BEST = "best.ckpt"
LAST = "last.ckpt"


class BestCheckpoint(ModelCheckpoint):
    """Keep the weights of the epoch with the highest validation accuracy as ``best.ckpt``.

    A fit that ends in joint epochs keeps one of those: before them the mappers are untrained.

    Args:
        folder: Where it goes.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            filename=BEST.removesuffix(".ckpt"),
            monitor="val/accuracy",
            mode="max",
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        )

    def on_train_start(self, trainer: Trainer, module: "UniEmo") -> None:  # type: ignore[override]
        """Remove an older run's weights, unless this fit goes on from them."""
        super().on_train_start(trainer, module)
        if trainer.ckpt_path is None and trainer.is_global_zero:
            (Path(str(self.dirpath)) / BEST).unlink(missing_ok=True)

    def on_validation_end(self, trainer: Trainer, module: "UniEmo") -> None:  # type: ignore[override]
        """Consider the epoch, unless it is one of a warm-up that joint epochs follow."""
        epochs = trainer.max_epochs or 0
        joint_follows = module.head is not None and epochs > module.understanding_epochs
        if module.stage == "joint" or not joint_follows:
            super().on_validation_end(trainer, module)


class LastCheckpoint(ModelCheckpoint):
    """Keep the newest state as ``last.ckpt``, to go on from after an interruption.

    After the last epoch there is nothing to go on with: a fit that starts there would skip what is
    done at the end of training, so one interrupted in just that repeats its last epoch.

    Args:
        folder: Where it goes.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            filename=LAST.removesuffix(".ckpt"),
            every_n_epochs=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )

    def on_train_epoch_end(self, trainer: Trainer, module: "UniEmo") -> None:  # type: ignore[override]
        """Save, unless the epoch is the last."""
        if trainer.current_epoch + 1 != trainer.max_epochs:
            super().on_train_epoch_end(trainer, module)


def best_path(trainer: Trainer) -> str:
    """Return where a trainer's :class:`BestCheckpoint` lies; empty if there is none."""
    keepers = [each for each in trainer.checkpoint_callbacks if isinstance(each, BestCheckpoint)]
    return keepers[0].best_model_path if keepers else ""


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
