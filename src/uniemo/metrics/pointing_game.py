"""The pointing game: how often the maximum of an attention map lies on the object.

Legend: B attention maps, gh and gw their height and width in cells.
"""

from typing import Any

import torch
from torch import Tensor

from uniemo.metrics.accumulation import SumMetric, check_rows


def attention_peak(attention: Tensor) -> Tensor:
    """Return where attention maps ``[B, gh, gw]``, resized to the image, have their maximum.

    Bilinear resizing has its maximum at the centre of the highest cell, at any resolution.

    Returns:
        ``[B, 2]``: x and y relative to the image's width and height, in (0, 1).
    """
    height, width = attention.shape[1:]
    cell = attention.flatten(1).argmax(dim=1)  # [B]
    return torch.stack([(cell % width + 0.5) / width, (cell // width + 0.5) / height], dim=1)


class PointingGame(SumMetric):
    """Fraction of attention maps with their maximum in the object's box, and its chance level.

    Source: Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016, but without
    their margin of 15 pixels. The chance level is the mean fraction of the image that the boxes
    cover (extension).

    ``compute`` returns a dict of float64 in [0, 1], NaN without maps: ``pointing`` and
    ``pointing_chance``.

    Example:
        >>> metric = PointingGame()
        >>> metric.update(torch.eye(4)[None, :1].mT, torch.tensor([[0.0, 0.0, 0.5, 0.5]]))
        >>> metric.compute()["pointing_chance"]
        tensor(0.2500, dtype=torch.float64)
    """

    count: Tensor
    hits: Tensor
    area_sum: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_sums("count", "hits", "area_sum", shape=())

    def update(self, attention: Tensor, box: Tensor) -> None:
        """Add a batch, which must not contain images without the object.

        Args:
            attention: ``[B, gh, gw]``; higher values mean more attention.
            box: ``[B, 4]`` with left, top, right, bottom, relative to the image, in [0, 1].

        Raises:
            ValueError: If the shapes do not fit, or a box is empty or not within the image.
        """
        check_rows(attention=attention, box=box)
        corner, opposite = box.double().split(2, dim=1)  # [B, 2] each
        if not ((corner >= 0) & (corner < opposite) & (opposite <= 1)).all():
            raise ValueError(
                "a box is not left < right, top < bottom within [0, 1]; give boxes relative to the "
                "image and leave out images without the object"
            )
        peak = attention_peak(attention)  # [B, 2]
        self.count += len(box)
        self.hits += ((corner <= peak) & (peak <= opposite)).all(dim=1).sum()
        self.area_sum += (opposite - corner).prod(dim=1).sum()

    def compute(self) -> dict[str, Tensor]:
        """Return the rates (see the class)."""
        return {"pointing": self.hits / self.count, "pointing_chance": self.area_sum / self.count}
