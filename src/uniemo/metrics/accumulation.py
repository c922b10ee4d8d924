"""Base classes of the metrics: sums per emotion, and rows gathered over batches and processes.

Legend: B images of a batch, N of all batches and processes, R real and G generated ones, F feature
width, C emotions.
"""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from uniemo.emotions import N_EMOTIONS


def sum_per_emotion(values: Tensor, emotion: Tensor, num_classes: int = N_EMOTIONS) -> Tensor:
    """Sum rows ``[B]`` or ``[B, F]`` of any number type by emotion ``[B]`` long.

    Returns:
        ``[C]`` or ``[C, F]`` float64, C = ``num_classes``; 0 for an emotion without rows.
    """
    sums = torch.zeros(num_classes, *values.shape[1:], dtype=torch.float64, device=values.device)
    return sums.index_add_(0, emotion, values.detach().double())


def mean_over_emotions(per_emotion: Tensor) -> Tensor:
    """Average ``[C]`` over the emotions that are not NaN; NaN if all are."""
    return per_emotion.nanmean()


def check_rows(**columns: Tensor) -> None:
    """Check that all arguments have the same number of rows.

    Raises:
        ValueError: If they differ.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"every argument needs one row per image, got {lengths} rows")


def check_width(name: str, features: Tensor, num_features: int) -> None:
    """Check that ``features``, which the message calls ``name``, is ``[B, num_features]``.

    Raises:
        ValueError: If the shape differs.
    """
    if features.ndim != 2 or features.shape[1] != num_features:
        raise ValueError(
            f"{name} has shape {list(features.shape)}, expected [B, {num_features}]; "
            "flatten it, or construct the metric with the width of these features"
        )


class SumMetric(Metric):
    """Base of metrics whose states are float64 sums; the higher their value, the better.

    Args:
        num_classes: Number C of emotions.
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False

    def __init__(self, num_classes: int = N_EMOTIONS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes

    def add_sums(self, *names: str, shape: tuple[int, ...] | None = None) -> None:
        """Declare states of zeros, by default ``[C]``, summed over processes and saved."""
        shape = (self.num_classes,) if shape is None else shape
        for name in names:
            zeros = torch.zeros(shape, dtype=torch.float64)
            self.add_state(name, zeros, dist_reduce_fx="sum", persistent=True)


class GatheringMetric(Metric):
    """Base of metrics that keep one row per image and compute from the rows of all processes.

    torchmetrics gathers a list state incorrectly from a process without images: its placeholder has
    neither the width nor the type of the other rows. Here such a process contributes zero rows of
    the right width and type, and a metric without any data computes from zero rows.
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._kinds: dict[str, tuple[tuple[int, ...], torch.dtype]] = {}

    def add_rows(self, name: str, *shape: int, dtype: torch.dtype = torch.float32) -> None:
        """Declare a state of rows ``[N, *shape]`` that is saved in the state dict."""
        self.add_state(name, [], dist_reduce_fx="cat", persistent=True)
        self._kinds[name] = (shape, dtype)

    def append_rows(self, name: str, block: Tensor) -> None:
        """Add the rows ``[B, *shape]`` of a batch to a state."""
        getattr(self, name).append(block.detach().to(self._kinds[name][1]))

    def rows(self, name: str) -> Tensor:
        """Return all rows ``[N, *shape]`` of a state; for use in ``compute`` only."""
        return dim_zero_cat(getattr(self, name))

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather the rows of all processes; called by ``compute``, distributed or not."""
        for name, (shape, dtype) in self._kinds.items():
            blocks = getattr(self, name)
            if not blocks:
                blocks.append(torch.empty(0, *shape, dtype=dtype, device=self.device))
        super().sync(*args, **kwargs)


class TwoSampleMetric(GatheringMetric):
    """Base of metrics that compare generated with real images, over all and within each emotion.

    The metric stores the features of all images: 4 F bytes each. Subclasses define ``compare``.

    Args:
        num_features: Width F of the features.
        num_classes: Number C of emotions.
    """

    def __init__(self, num_features: int, num_classes: int = N_EMOTIONS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_features, self.num_classes = num_features, num_classes
        for kind in ("real", "generated"):
            self.add_rows(f"{kind}_features", num_features)
            self.add_rows(f"{kind}_emotion", dtype=torch.long)

    def update(self, features: Tensor, emotion: Tensor, real: bool) -> None:
        """Add features ``[B, F]`` of emotions ``[B]`` long, of real or of generated images.

        Raises:
            ValueError: If the shapes do not fit.
        """
        check_width("features", features, self.num_features)
        check_rows(features=features, emotion=emotion)
        kind = "real" if real else "generated"
        self.append_rows(f"{kind}_features", features)
        self.append_rows(f"{kind}_emotion", emotion)

    @abstractmethod
    def compare(self, real: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Return scalars of real ``[R, F]`` and generated images ``[G, F]``."""

    def compute(self) -> dict[str, Tensor]:
        """Return the scalars of all images, and of each emotion ``[C]`` as ``_per_emotion``."""
        real, generated = self.rows("real_features"), self.rows("generated_features")
        real_emotion, emotion = self.rows("real_emotion"), self.rows("generated_emotion")
        values = self.compare(real, generated)
        by_emotion = [
            self.compare(real[real_emotion == index], generated[emotion == index])
            for index in range(self.num_classes)
        ]
        return values | {
            f"{name}_per_emotion": torch.stack([own[name] for own in by_emotion]) for name in values
        }
