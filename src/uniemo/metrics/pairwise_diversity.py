r"""Mean squared distance over *all* pairs of one emotion, exactly, from sums.

With n images of an emotion and features x, the mean over its n (n - 1) / 2 pairs is
:math:`\frac{2}{n (n - 1)} \left(n \sum \|x\|^2 - \|\sum x\|^2\right)`: no pair is ever formed, no
image is kept, and the order of images and processes cannot matter.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from uniemo.emotions import N_EMOTIONS
from uniemo.metrics.accumulation import check_rows, check_width, sum_per_emotion


class PairwiseDiversity(Metric):
    """Base of the diversities: streaming mean squared distance within each emotion.

    The sums are float64, for the difference of two large numbers is taken. They hold 16 F numbers,
    whatever the number of images.

    Args:
        num_features: Width F of the features.
        kwargs: Arguments of ``torchmetrics.Metric``.
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False

    count: Tensor
    features_sum: Tensor
    squares_sum: Tensor

    def __init__(self, num_features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_features = num_features
        shapes = {"count": (), "features_sum": (num_features,), "squares_sum": ()}
        for name, shape in shapes.items():
            zeros = torch.zeros(N_EMOTIONS, *shape, dtype=torch.float64)
            self.add_state(name, zeros, dist_reduce_fx="sum", persistent=True)

    def update(self, features: Tensor, emotion: Tensor) -> None:
        """Add a batch.

        Args:
            features: ``[B, F]`` float.
            emotion: ``[B]`` long.

        Raises:
            ValueError: If the shapes do not fit.
        """
        check_width("features", features, self.num_features)
        check_rows(features=features, emotion=emotion)
        features = features.double()
        self.count += sum_per_emotion(torch.ones_like(emotion), emotion)
        self.features_sum += sum_per_emotion(features, emotion)  # [C, F]
        self.squares_sum += sum_per_emotion(features.square().sum(dim=1), emotion)  # [C]

    def mean_squared_distance(self) -> Tensor:
        """Return ``[C]``: the mean over pairs of ||x - x'||^2; NaN below two images."""
        evenly_spaced = self.count * self.squares_sum - self.features_sum.square().sum(dim=1)  # [C]
        pairs = self.count * (self.count - 1) / 2  # [C]
        # Rounding may leave the spread of equal images just below 0.
        return torch.where(pairs > 0, evenly_spaced.clamp(min=0) / pairs, torch.nan)
