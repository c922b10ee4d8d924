r"""KID: the unbiased squared maximum mean discrepancy with a cubic kernel.

Binkowski et al., "Demystifying MMD GANs", ICLR 2018: :math:`k(x, y) = (x^T y / F + 1)^3`.

Legend: R real and G generated images, F feature width.
"""

import torch
from torch import Tensor

from uniemo.metrics.accumulation import TwoSampleMetric

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

    Of real ``[R, F]`` and generated images ``[G, F]``: a float64 scalar, near 0 and possibly
    negative for equal distributions; NaN unless R, G > 1.
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


class KernelDistance(TwoSampleMetric):
    """KID on precomputed features, over all images instead of random subsets.

    torchmetrics' KID averages this estimate over 100 subsets, drawn without a seed in each process,
    and hangs if processes have different numbers of batches. The estimate is unbiased for any
    number of images, so using all of them has the same expectation, a lower variance and needs no
    random numbers.

    ``compute`` returns a dict of float64 (see :func:`unbiased_mean_discrepancy`): ``kid`` over the
    images of all emotions together, and ``kid_per_emotion`` ``[C]``.

    Args:
        num_features: Width F of the features.
    """

    higher_is_better = False

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Return the distance of generated images ``[G, F]`` from real ones ``[R, F]``."""
        return {"kid": unbiased_mean_discrepancy(real, generated)}
