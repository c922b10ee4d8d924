"""The pointing game (Zhang et al., ECCV 2016): does a query's attention peak on the object?"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from uniemo.metrics.accumulation import check_rows


def attention_peak(attention: Tensor) -> Tensor:
    """Return where each attention map peaks once it is enlarged to the image.

    Bilinear enlargement has its maximum at the centre of the highest cell, so that centre is the
    peak at any resolution.

    Args:
        attention: ``[B, gh, gw]``.

    Returns:
        ``[B, 2]``: x and y relative to the image's width and height, in (0, 1).
    """
    height, width = attention.shape[1:]
    cell = attention.flatten(1).argmax(dim=1)  # [B]
    return torch.stack([(cell % width + 0.5) / width, (cell // width + 0.5) / height], dim=1)


class PointingGame(Metric):
    """Share of attention maps whose peak lies in the object's box, with what chance would give.

    Source: Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016; without
    their 15-pixel margin, and chance as the mean share of the image that the boxes cover (ours).

    ``compute`` returns a dict of float64 in [0, 1], NaN where there was no map: ``pointing``,
    ``pointing_chance``.

    Example:
        >>> metric = PointingGame()
        >>> metric.update(torch.eye(4)[None, :1].mT, torch.tensor([[0.0, 0.0, 0.5, 0.5]]))
        >>> metric.compute()["pointing_chance"]
        tensor(0.2500, dtype=torch.float64)
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False

    count: Tensor
    hits: Tensor
    area_sum: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("count", "hits", "area_sum"):
            zero = torch.zeros((), dtype=torch.float64)
            self.add_state(name, zero, dist_reduce_fx="sum", persistent=True)

    def update(self, attention: Tensor, box: Tensor) -> None:
        """Count a batch; leave out images without the object.

        Args:
            attention: ``[B, gh, gw]``, higher is more.
            box: ``[B, 4]``: left, top, right, bottom, relative to the image, in [0, 1].

        Raises:
            ValueError: If the shapes do not fit or a box is no box within the image.
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
        return {
            "pointing": self.hits / self.count,
            "pointing_chance": self.area_sum / self.count,
        }
