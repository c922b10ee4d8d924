r"""Mean squared distance over *all* pairs of images of one emotion, computed from sums.

With n images of an emotion and features x, the mean over its n (n - 1) / 2 pairs is
:math:`\frac{2}{n (n - 1)} \left(n \sum \|x\|^2 - \|\sum x\|^2\right)`, so neither pairs nor images
are stored, and the order of images and processes does not matter.

Legend: B images, F feature width, C emotions.
"""

from typing import Any

import torch
from torch import Tensor

from uniemo.metrics.accumulation import SumMetric, check_rows, check_width, sum_per_emotion


class PairwiseDiversity(SumMetric):
    """Base of the diversities: streaming mean squared distance within each emotion.

    The sums are float64, because the difference of two large numbers is taken. They are C (F + 2)
    numbers, whatever the number of images.

    Args:
        num_features: Width F of the features.
        **kwargs: Of :class:`SumMetric` and torchmetrics.
    """

    count: Tensor
    features_sum: Tensor
    squares_sum: Tensor

    def __init__(self, num_features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_features = num_features
        self.add_sums("count", "squares_sum")
        self.add_sums("features_sum", shape=(self.num_classes, num_features))

    def update(self, features: Tensor, emotion: Tensor) -> None:
        """Add features ``[B, F]`` of emotions ``[B]`` long.

        Raises:
            ValueError: If the shapes do not fit.
        """
        check_width("features", features, self.num_features)
        check_rows(features=features, emotion=emotion)
        features = features.double()
        self.count += sum_per_emotion(torch.ones_like(emotion), emotion, self.num_classes)
        self.features_sum += sum_per_emotion(features, emotion, self.num_classes)  # [C, F]
        squares = features.square().sum(dim=1)  # [B]
        self.squares_sum += sum_per_emotion(squares, emotion, self.num_classes)  # [C]

    def mean_squared_distance(self) -> Tensor:
        """Return the mean of ||x - x'||^2 over pairs, ``[C]``; NaN below two images."""
        spread = self.count * self.squares_sum - self.features_sum.square().sum(dim=1)  # [C]
        pairs = self.count * (self.count - 1) / 2  # [C]
        # Rounding may make the spread of equal images slightly negative.
        return torch.where(pairs > 0, spread.clamp(min=0) / pairs, torch.nan)
