"""The base class of the pretraining stages, and a resumable run of one."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from timm.optim import Muon
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from uniemo.backbones.composed_images import ObjectSettings, loader
from uniemo.curriculum.curves import curve_logger
from uniemo.utils.attention import SHORT, training_attention
from uniemo.utils.precision import native_precision


class Stage(lightning.LightningModule, ABC):
    """A pretraining stage: learning-rate schedule, and images that continue after a checkpoint.

    The rate rises over the first ``warmup`` steps, stays constant, and falls linearly to zero over
    the last 30 %, so that a longer run can continue from a checkpoint of the constant part.

    Args:
        seed: Seed of weights and images.
        steps: Length of the run in optimiser steps.
        batch_size: Images per step, of all processes together.
        learning_rate: Rate of the constant part.
        warmup: Steps of the rise.
    """

    steps_per_epoch = 100
    object_settings = ObjectSettings()

    def __init__(
        self, seed: int, steps: int, batch_size: int, learning_rate: float, warmup: int = 200
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)  # for the weights, which subclasses build next
        self.seed, self.steps, self.batch_size = seed, steps, batch_size
        self.learning_rate, self.warmup = learning_rate, warmup

    def rate(self, step: int) -> float:
        """Return the factor on the learning rate at a step, in [0, 1]."""
        rise = (step + 1) / self.warmup
        fall = (self.steps - step) / (0.3 * self.steps)
        return max(min(1.0, rise, fall), 0.0)

    @property
    def share_done(self) -> float:
        """Share of the steps taken so far."""
        return self.global_step / self.steps

    def on_train_batch_start(self, *_: Any) -> None:
        """Seed all noise by (seed, step, process), so that resuming gives identical weights."""
        torch.manual_seed(hash((self.seed, self.global_step, self.global_rank)) % 2**32)

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Return the loss of a batch."""
        with training_attention(self.device, SHORT):
            return self.loss(batch, batch_index)

    @abstractmethod
    def loss(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Return the loss of a batch of images."""

    def save(self, weights: Path) -> None:
        """Write the trained networks, in half precision, to their folder in ``weights``."""

    def build_optimizer(self) -> Optimizer:
        """Return the optimiser: by default AdamW with one rate for all trained weights."""
        trained = [p for p in self.parameters() if p.requires_grad]
        return torch.optim.AdamW(
            trained, lr=self.learning_rate, betas=(0.9, 0.99), weight_decay=0.01
        )

    def configure_optimizers(self) -> Any:
        """Return the optimiser and the rate schedule."""
        optimizer = self.build_optimizer()
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Return this process's images of the next hundred steps, or of the remaining ones."""
        share = self.steps_per_epoch * self.batch_size // self.trainer.world_size
        number = self.trainer.current_epoch * self.trainer.world_size + self.trainer.global_rank
        batch_size = self.batch_size // self.trainer.world_size
        left = self.steps - self.trainer.current_epoch * self.steps_per_epoch
        length = min(self.steps_per_epoch, left) * batch_size
        return loader(self.seed, number * share, length, batch_size, self.object_settings)


def build_muon(parts: Sequence[tuple[nn.Module, float, tuple[str, ...]]]) -> Optimizer:
    """Return Muon (arXiv 2502.16982), with AdamW for vectors and some layers.

    Args:
        parts: A module, its learning rate, and parts of the names of layers that AdamW trains:
            the first and the last one, and embeddings.
    """
    groups: list[dict[str, Any]] = []
    for module, rate, ends in parts:
        for at_ends in False, True:
            parameters = [
                parameter
                for name, parameter in module.named_parameters()
                if any(end in name for end in ends) == at_ends
            ]
            groups.append({"params": parameters, "lr": rate, "use_fallback": at_ends})
    return Muon(groups, weight_decay=0.01, nesterov=True, betas=(0.9, 0.99))


def run(stage: Stage, folder: Path, processes: int = 1) -> None:
    """Train a stage to its end, resuming from ``folder`` if it holds a checkpoint.

    Args:
        stage: The stage, with fresh weights.
        processes: Processes that share a step; on few cores two of one thread are faster than one
            of two.
        folder: Takes ``last.ckpt`` every hundred steps and the curves.
    """
    last = folder / "last.ckpt"
    checkpoints = ModelCheckpoint(
        folder, filename="last", every_n_epochs=1, save_top_k=1, enable_version_counter=False
    )
    trainer = lightning.Trainer(
        accelerator="auto",
        precision=native_precision("auto"),
        devices=processes,
        strategy="auto" if processes == 1 else "ddp",
        use_distributed_sampler=False,
        # With max_steps, Lightning 2.6 resumes with one more batch of the finished epoch.
        max_epochs=math.ceil(stage.steps / stage.steps_per_epoch),
        reload_dataloaders_every_n_epochs=1,
        gradient_clip_val=1.0,
        callbacks=[checkpoints, RichProgressBar(refresh_rate=20)],
        logger=curve_logger(folder),
        log_every_n_steps=20,
        enable_model_summary=False,
    )
    trainer.fit(stage, ckpt_path=str(last) if last.is_file() else None, weights_only=True)


def run_once(stage: Stage) -> None:
    """Train a short stage to its end without keeping files."""
    with TemporaryDirectory() as folder:
        run(stage, Path(folder))
