"""FID on the features of a network of the caller's, mended where torchmetrics' own needs it."""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.utilities import rank_zero_warn

from uniemo.metrics.accumulation import check_width

MINIMUM_IMAGES = 2048
"""Images of either kind below which the distance is too high by its bias."""


class FrechetDistance(FrechetInceptionDistance):
    """torchmetrics' FID on ready features, in float64 to the end.

    It is *the* FID only when the features are Inception's 2,048 of images resized as its authors
    did; whatever they are, ``feature_name`` says so in warnings and reports. Sums are all it keeps,
    so every process computes the same, also one that has seen no image.

    ``compute`` returns a float64 scalar, NaN while either kind has fewer than two images; it warns
    once below 2,048 of either.

    Args:
        num_features: Width F of the features.
        feature_name: Network and resize the features come from, as the report shall name them.
        kwargs: Arguments of ``torchmetrics.Metric``.
    """

    def __init__(self, num_features: int, feature_name: str, **kwargs: Any) -> None:
        features = nn.Identity()
        features.num_features = num_features  # type: ignore[assignment]
        super().__init__(feature=features, **kwargs)
        self.persistent(True)
        self.num_features = num_features
        self.feature_name = feature_name
        # torchmetrics sets this in `update` alone, and fails where another process had the images.
        self.orig_dtype = torch.float64
        self._warned = False

    def update(self, features: Tensor, real: bool) -> None:
        """Add a batch.

        Args:
            features: ``[B, F]`` float.
            real: Whether these are real images, or else generated ones.

        Raises:
            ValueError: If the features have another width.
        """
        check_width("features", features, self.num_features)
        super().update(features.detach().double(), real)

    def compute(self) -> Tensor:
        """Return the distance (see the class)."""
        n_real, n_generated = (
            int(self.real_features_num_samples),
            int(self.fake_features_num_samples),
        )
        if min(n_real, n_generated) < MINIMUM_IMAGES and not self._warned:
            self._warned = True
            rank_zero_warn(
                f"Frechet distance of {self.feature_name} on {n_real} real and {n_generated} "
                f"generated images: below {MINIMUM_IMAGES} of either it is too high by its bias; "
                "compare it only at equal numbers."
            )
        if min(n_real, n_generated) < 2:
            return self.real_features_sum.new_tensor(torch.nan)
        return super().compute()
