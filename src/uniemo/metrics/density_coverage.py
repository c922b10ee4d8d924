"""Density, coverage, precision and recall of generated images (PRDC).

Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML 2020. Precision
and recall: Kynkäänniemi et al., NeurIPS 2019.

Legend: R real and G generated images, F feature width, c rows of a chunk.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from uniemo.metrics.accumulation import TwoSampleMetric

CHUNK = 1024
"""Rows of distances in memory at once."""


class NeighbourScores(NamedTuple):
    """The four scores of one set of generated images, float64 scalars."""

    density: Tensor  # mean number of real balls around a generated image, over k; may exceed 1
    coverage: Tensor  # fraction of real balls that contain a generated image
    precision: Tensor  # fraction of generated images inside a real ball
    recall: Tensor  # fraction of real images inside a generated ball


def kth_neighbour_distance(features: Tensor, k: int) -> Tensor:
    """Return each row's Euclidean distance to its k-th nearest other row, ``[N]``; k > 0.

    For features ``[N, F]`` of any length with N > k, in float64, so that reported values do not
    depend on rounding; the filter's :func:`uniemo.filtering.ball_radii` is a faster float32 form
    for unit features.
    """
    chunks = features.split(CHUNK)
    # Every row is its own nearest, hence k + 1.
    return torch.cat([torch.cdist(chunk, features).kthvalue(k + 1).values for chunk in chunks])


def neighbour_scores(real: Tensor, generated: Tensor, k: int = 5) -> NeighbourScores:
    """Compare real ``[R, F]`` and generated images ``[G, F]`` (Naeem et al. 2020, sections 2, 3).

    A ball's radius is the distance to the k-th nearest neighbour, k > 0. All scores are NaN unless
    R > k and G > 0; recall also unless G > k.
    """
    real, generated = real.double(), generated.double()
    nothing = real.new_tensor(torch.nan)
    if len(real) <= k or len(generated) == 0:
        return NeighbourScores(nothing, nothing, nothing, nothing)
    radii = kth_neighbour_distance(real, k)  # [R]
    has_recall = len(generated) > k
    generated_radii = (
        kth_neighbour_distance(generated, k) if has_recall else real.new_zeros(len(generated))
    )

    balls, inside = real.new_zeros(()), real.new_zeros(())
    nearest = torch.full_like(radii, torch.inf)  # [R], distance to the nearest generated image
    recalled = torch.zeros_like(radii, dtype=torch.bool)  # [R]
    for chunk, chunk_radii in zip(
        generated.split(CHUNK), generated_radii.split(CHUNK), strict=True
    ):
        distance = torch.cdist(chunk, real)  # [c, R]
        within = distance < radii  # [c, R]
        balls += within.sum()
        inside += within.any(dim=1).sum()
        nearest = torch.minimum(nearest, distance.amin(dim=0))
        recalled |= (distance < chunk_radii[:, None]).any(dim=0)
    return NeighbourScores(
        density=balls / (k * len(generated)),
        coverage=(nearest < radii).double().mean(),
        precision=inside / len(generated),
        recall=recalled.double().mean() if has_recall else nothing,
    )


class DensityCoverage(TwoSampleMetric):
    """Density, coverage, precision and recall of generated images, per emotion and pooled.

    ``compute`` returns a dict of float64: ``density``, ``coverage``, ``precision`` and ``recall``
    over the images of all emotions together, and each with the suffix ``_per_emotion``, ``[C]``,
    within one emotion; NaN where :func:`neighbour_scores` has too few images.

    Args:
        num_features: Width F of the features.
        k: Which neighbour's distance is a ball's radius.
    """

    def __init__(self, num_features: int, k: int = 5, **kwargs: Any) -> None:
        super().__init__(num_features, **kwargs)
        self.k = k

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Return the scores of generated images ``[G, F]`` beside real ones ``[R, F]``."""
        return neighbour_scores(real, generated, self.k)._asdict()
