"""Ways to learn more from the same images, as callbacks of a training: what a pool must beat.

A configuration names them: ``trainer.callbacks: [{class_path: uniemo.study.controls.Mixup}]``.

Legend: B images of a batch, N of a table, C emotions.
"""

from pathlib import Path
from typing import Any

import lightning
import pyarrow
import torch
from pyarrow import parquet
from torch import Tensor
from torch.nn import functional as F

from uniemo.batch import Batch
from uniemo.utils.files import write_table


class LabelSmoothing(lightning.Callback):
    """Learn from smoothed labels (Szegedy et al., CVPR 2016).

    Args:
        smoothing: The share of a label that all emotions share equally, in [0, 1).
    """

    def __init__(self, smoothing: float = 0.1) -> None:
        self.smoothing = smoothing

    def on_train_batch_start(self, trainer: Any, model: Any, batch: Batch, batch_idx: int) -> None:
        """Give the batch its targets."""
        label = one_hot(batch, len(model.emotions))
        batch["votes"] = (1 - self.smoothing) * label + self.smoothing / label.shape[1]


class Mixup(lightning.Callback):
    """Learn from mixed images and labels (Zhang et al., ICLR 2018).

    Scene and object names are those of the image that has the greater part.

    Args:
        alpha: Of the beta distribution of the parts.
        seed: With epoch and batch, all that they depend on.
    """

    def __init__(self, alpha: float = 0.2, seed: int = 0) -> None:
        self.parts = torch.distributions.Beta(alpha, alpha)
        self.seed = seed

    def on_train_batch_start(self, trainer: Any, model: Any, batch: Batch, batch_idx: int) -> None:
        """Mix the batch's images with others of it, and give it its targets."""
        image = batch["clip_image"]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(hash((self.seed, model.current_epoch, batch_idx)) % 2**32)
            part = self.parts.sample(torch.Size([len(image)]))  # [B]
            other = torch.randperm(len(image)).to(image.device)  # [B]
        part = torch.maximum(part, 1 - part).to(image.device)
        batch["clip_image"] = torch.lerp(image[other], image, part[:, None, None, None])
        target = one_hot(batch, len(model.emotions))
        batch["votes"] = torch.lerp(target[other], target, part[:, None])


class SoftLabels(lightning.Callback):
    """Learn from the probabilities that a table has; images that it lacks keep their labels.

    Args:
        table: File of :func:`write_soft_labels`.
    """

    def __init__(self, table: Path) -> None:
        content = parquet.read_table(table)
        probability = torch.tensor(content["probability"].to_pylist())  # [N, C]
        self.targets = dict(zip(content["image_id"].to_pylist(), probability, strict=True))

    def on_train_batch_start(self, trainer: Any, model: Any, batch: Batch, batch_idx: int) -> None:
        """Give the batch its targets."""
        target = one_hot(batch, len(model.emotions))
        for row, name in enumerate(batch["image_id"]):
            if name in self.targets:
                target[row] = self.targets[name]
        batch["votes"] = target


def write_soft_labels(path: Path, image_ids: list[str], probability: Tensor) -> None:
    """Write the probabilities [N, C] of named images for :class:`SoftLabels`."""
    columns = {"image_id": image_ids, "probability": probability.tolist()}
    write_table(path, pyarrow.table(columns))


def one_hot(batch: Batch, n_emotions: int) -> Tensor:
    """Return the labels of a batch as probabilities [B, C]."""
    return F.one_hot(batch["emotion"], n_emotions).float()
