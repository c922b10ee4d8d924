r"""KID: the unbiased squared maximum mean discrepancy with a cubic kernel.

Binkowski et al., "Demystifying MMD GANs", ICLR 2018: :math:`k(x, y) = (x^T y / F + 1)^3`.

Legend: R real and G generated images, F feature width.
"""

from typing import Any

import torch
from torch import Tensor

from uniemo.metrics.accumulation import GatheringMetric, check_width

CHUNK = 1024
"""Rows of the kernel in memory at once."""


def kernel_sum(first: Tensor, second: Tensor) -> Tensor:
    """Sum the cubic kernel over all pairs of rows of ``[N, F]`` and ``[M, F]``, chunk by chunk."""
    width = first.shape[1]
    total = first.new_zeros(())
    for chunk in first.split(CHUNK):
        total += (chunk @ second.T / width + 1).pow(3).sum()
    return total


def unbiased_mean_discrepancy(real: Tensor, generated: Tensor) -> Tensor:
    """Estimate the squared discrepancy from all pairs, without pairs of an image with itself.

    Args:
        real: ``[R, F]``.
        generated: ``[G, F]``.

    Returns:
        float64 scalar, near 0 and possibly negative for equal distributions; NaN unless R, G > 1.
    """
    real, generated = real.double(), generated.double()
    if min(len(real), len(generated)) < 2:
        return real.new_tensor(torch.nan)

    def within(features: Tensor) -> Tensor:
        count = len(features)
        itself = (features.square().mean(dim=1) + 1).pow(3).sum()
        return (kernel_sum(features, features) - itself) / (count * (count - 1))

    between = kernel_sum(real, generated) / (len(real) * len(generated))
    return within(real) + within(generated) - 2 * between


class KernelDistance(GatheringMetric):
    """KID on precomputed features, over all images instead of random subsets.

    torchmetrics' KID averages this estimate over 100 subsets, drawn without a seed in each process,
    and hangs if processes have different numbers of batches. The estimate is unbiased for any
    number of images, so using all of them has the same expectation, a lower variance and needs no
    random numbers.

    ``compute`` returns a float64 scalar (see :func:`unbiased_mean_discrepancy`).

    Args:
        num_features: Width F of the features.
        feature_name: Network and resizing of the features, for reports.
        kwargs: Arguments of ``torchmetrics.Metric``.
    """

    higher_is_better = False
    is_differentiable = False

    def __init__(self, num_features: int, feature_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_features = num_features
        self.feature_name = feature_name
        self.add_rows("real_features", num_features)
        self.add_rows("generated_features", num_features)

    def update(self, features: Tensor, real: bool) -> None:
        """Add a batch.

        Args:
            features: ``[B, F]`` float.
            real: Whether the images are real; else they are generated.

        Raises:
            ValueError: If the features have another width.
        """
        check_width("features", features, self.num_features)
        self.append_rows("real_features" if real else "generated_features", features)

    def compute(self) -> Tensor:
        """Return the distance (see the class)."""
        return unbiased_mean_discrepancy(
            self.rows("real_features"), self.rows("generated_features")
        )
