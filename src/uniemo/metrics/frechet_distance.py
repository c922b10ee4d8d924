"""FID on features of any network: torchmetrics' own, with corrections.

Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
NeurIPS 2017.

Legend: B images, F feature width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.utilities import rank_zero_warn

from uniemo.metrics.accumulation import check_width

MINIMUM_IMAGES = 2048
"""Number of images of either kind below which the bias of the distance is large."""


class FrechetDistance(FrechetInceptionDistance):
    """torchmetrics' FID on precomputed features, in float64 throughout.

    It is *the* FID only for the 2,048 features of Inception with the published resizing;
    ``feature_name`` names the features in warnings and reports. Its states are sums, so all
    processes compute the same value, also those without images.

    ``compute`` returns a float64 scalar, NaN while either kind has fewer than two images; it warns
    once below 2,048 of either.

    Args:
        num_features: Width F of the features.
        feature_name: Network and resizing of the features, for warnings and reports.
    """

    def __init__(self, num_features: int, feature_name: str, **kwargs: Any) -> None:
        features = nn.Identity()
        features.num_features = num_features  # type: ignore[assignment]
        super().__init__(feature=features, **kwargs)
        self.persistent(True)
        self.num_features = num_features
        self.feature_name = feature_name
        # torchmetrics sets this in `update` only, and fails on a process without images.
        self.orig_dtype = torch.float64
        self._warned = False

    def update(self, features: Tensor, real: bool) -> None:
        """Add features ``[B, F]`` of real or of generated images.

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
                f"generated images: below {MINIMUM_IMAGES} of either its bias is large; "
                "compare it only at equal numbers."
            )
        if min(n_real, n_generated) < 2:
            return self.real_features_sum.new_tensor(torch.nan)
        return super().compute()
