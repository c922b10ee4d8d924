"""What our metrics share: sums per emotion, and rows gathered over batches and processes.

Legend: B images of a batch, N images of all batches and processes, F feature width, C = 8 emotions.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from uniemo.emotions import N_EMOTIONS


def sum_per_emotion(values: Tensor, emotion: Tensor) -> Tensor:
    """Sum the rows of each emotion in float64.

    Args:
        values: ``[B]`` or ``[B, F]``, any number type.
        emotion: ``[B]`` long, index into ``EMOTIONS``.

    Returns:
        ``[C]`` or ``[C, F]`` float64; an emotion without rows has 0.
    """
    sums = torch.zeros(N_EMOTIONS, *values.shape[1:], dtype=torch.float64, device=values.device)
    return sums.index_add_(0, emotion, values.detach().double())


def mean_over_emotions(per_emotion: Tensor) -> Tensor:
    """Average ``[C]`` over the emotions that have a value; NaN where none has one."""
    return per_emotion.nanmean()


def check_rows(**columns: Tensor) -> None:
    """Raise ``ValueError`` unless all arguments have one row per image."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"every argument needs one row per image, got {lengths} rows")


def check_width(name: str, features: Tensor, num_features: int) -> None:
    """Raise ``ValueError`` unless ``features`` is ``[B, num_features]``."""
    if features.ndim != 2 or features.shape[1] != num_features:
        raise ValueError(
            f"{name} has shape {list(features.shape)}, expected [B, {num_features}]; "
            "flatten it, or construct the metric with the width of these features"
        )


class GatheringMetric(Metric):
    """A metric that keeps one row per image and computes from the rows of all processes.

    torchmetrics gathers a list state wrongly from a process that has seen no image: its stand-in
    has neither the width nor the type of the others' rows. Here such a process joins with an empty
    block of the right kind, and a metric without any data computes from zero rows.
    """

    full_state_update = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._kinds: dict[str, tuple[tuple[int, ...], torch.dtype]] = {}

    def add_rows(self, name: str, *shape: int, dtype: torch.dtype = torch.float32) -> None:
        """Declare a state of rows ``[N, *shape]``, saved in the state dict."""
        self.add_state(name, [], dist_reduce_fx="cat", persistent=True)
        self._kinds[name] = (shape, dtype)

    def append_rows(self, name: str, block: Tensor) -> None:
        """Add the rows ``[B, *shape]`` of a batch to a state."""
        getattr(self, name).append(block.detach().to(self._kinds[name][1]))

    def rows(self, name: str) -> Tensor:
        """Return all rows ``[N, *shape]`` of a state; only inside ``compute``."""
        return dim_zero_cat(getattr(self, name))

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather the rows of all processes; ``compute`` calls this, distributed or not."""
        for name, (shape, dtype) in self._kinds.items():
            blocks = getattr(self, name)
            if not blocks:
                blocks.append(torch.empty(0, *shape, dtype=dtype, device=self.device))
        super().sync(*args, **kwargs)
