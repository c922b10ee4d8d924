"""Realism: checks that an image lies within the distribution of the real images of its emotion.

Every real image has a ball whose radius is the distance to its k-th nearest real neighbour (k = 5,
as in Naeem et al., ICML 2020). The realism score of an image is the largest radius / distance over
all balls (Kynkäänniemi et al., NeurIPS 2019, equation 3): at least 1 inside some ball.

The balls are those of the same emotion (extension): an image of fear that looks like real images of
awe is not a realistic image of fear. Distances are Euclidean between unit features,
|a - b|^2 = 2 - 2 cos(a, b).

Legend: N images, M real images of the same emotion, E width of CLIP's embedding.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from uniemo.filtering.similarity import BLOCK_COLUMNS, neighbour_cosine, row_blocks

# The resolution of a squared distance in float32, used as the smallest one: identical real images
# have a ball of radius 0, and a further identical image must still lie inside it.
_SMALLEST_SQUARE = 1e-6


def ball_radii(real: Tensor, k: int = 5) -> Tensor:
    """Return the distance of every real image to its ``k``-th nearest other one: [M] in [0, 2].

    In float32 from cosine similarities, for speed; the metric
    :class:`uniemo.metrics.DensityCoverage` computes the same for any features in float64.

    Args:
        real: [M, E], unit features of the real images of one emotion.
        k: Which neighbour, at least 1; with fewer than k others, the farthest.

    Raises:
        ValueError: If there are fewer than two real images.
    """
    if len(real) < 2:
        raise ValueError(f"{len(real)} real image(s) have no neighbours; give at least 2")
    cosine = neighbour_cosine(real, real, min(k, len(real) - 1) + 1)  # [M], itself comes first
    return (2 - 2 * cosine).clamp_min(0).sqrt()


class Realism(NamedTuple):
    """Position of images relative to the real images of their emotion."""

    score: Tensor  # [N] float >= 0, the largest radius / distance
    nearest_cosine: Tensor  # [N] float in [-1, 1], to the nearest real image


def realism_scores(images: Tensor, real: Tensor, radii: Tensor) -> Realism:
    """Compute the realism of images and their similarity to the nearest real image.

    Args:
        images: [N, E], unit features.
        real: [M, E], unit features of the real images of the same emotion.
        radii: [M], from :func:`ball_radii`.
    """
    ratio = images.new_zeros(len(images))  # of squares
    nearest = images.new_full((len(images),), -torch.inf)
    for rows in row_blocks(len(images)):
        for columns in row_blocks(len(real), BLOCK_COLUMNS):
            cosine = images[rows] @ real[columns].T  # [rows, columns]
            torch.maximum(nearest[rows], cosine.amax(dim=1), out=nearest[rows])
            squared = cosine.mul_(-2).add_(2).clamp_min_(_SMALLEST_SQUARE)
            within = radii[columns].square().clamp_min(_SMALLEST_SQUARE) / squared
            torch.maximum(ratio[rows], within.amax(dim=1), out=ratio[rows])
    return Realism(ratio.sqrt(), nearest)


def lowest_kept(scores: Tensor, drop: float) -> float:
    """Return the lowest of N > 0 scores that remains if the fraction ``drop`` is removed."""
    position = min(int(drop * len(scores)), len(scores) - 1)
    return scores.sort().values[position].item()
