"""Realism: does the image lie where real images of its emotion lie?

Every real image carries a ball that reaches to its k-th nearest real neighbour (k = 5, as in PRDC);
an image inside any ball is as close to the real data as they are to each other. How deep inside is
the realism score of Kynkäänniemi et al. (NeurIPS 2019, eq. 3): the largest radius / distance.

The balls are drawn per emotion (*ours*): fear that looks like real joy is not realistic fear, and
it costs C times less. Distances are Euclidean between unit features, |a - b|^2 = 2 - 2 cos(a, b).
Everything is exact. Legend: N images, M real images of the same emotion, E width of CLIP's
embedding.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from uniemo.filtering.similarity import BLOCK_COLUMNS, neighbour_cosine, row_blocks

# Float32's resolution of a squared distance, and so the smallest one there is: repeated real images
# have a ball of radius 0, into which one more of them must still fall.
_SMALLEST_SQUARE = 1e-6


def ball_radii(real: Tensor, k: int = 5) -> Tensor:
    """Return the distance of every real image to its ``k``-th nearest other real image.

    Args:
        real: [M, E], unit features of the real images of one emotion.
        k: Neighbours, at least 1; of fewer than k + 1 images all others count.

    Returns:
        [M] float in [0, 2].

    Raises:
        ValueError: If there are fewer than two real images.
    """
    if len(real) < 2:
        raise ValueError(f"{len(real)} real image(s) span no ball; give at least 2 per emotion")
    cosine = neighbour_cosine(real, real, min(k, len(real) - 1) + 1)  # [M], itself comes first
    return (2 - 2 * cosine).clamp_min(0).sqrt()


class Realism(NamedTuple):
    """Where every image lies among the real images of its emotion."""

    score: Tensor  # [N] float, the largest radius / distance: 1 or more inside any ball
    nearest_cosine: Tensor  # [N] float in [-1, 1], to the nearest real image


def realism_scores(images: Tensor, real: Tensor, radii: Tensor) -> Realism:
    """Measure images against the balls of the real images, and against their centres.

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
    """Return the score under which the lowest share ``drop`` of ``scores`` [N] lies (N > 0)."""
    position = min(int(drop * len(scores)), len(scores) - 1)
    return scores.sort().values[position].item()
