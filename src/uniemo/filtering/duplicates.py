"""Novelty: detects near copies of other images.

Two images are near copies if the cosine similarity of their CLIP features exceeds a threshold. 0.95
suits a large CLIP; features of a small CLIP are that similar even for unrelated images, so the
threshold is also calibrated on the real data (extension).

Legend: N images, M other images, E feature width.
"""

import torch
from torch import Tensor

from uniemo.filtering.similarity import largest_products, neighbour_cosine, row_blocks

_SCREEN_WIDTH = 63  # plus one column for the norm of the rest
_ROUNDING = 1e-5
_IDENTICAL = 0.9999  # an identical image is a copy even if the real data contain duplicates


def calibrate_duplicate_threshold(
    real: Tensor, quantile: float = 0.99, *, max_queries: int = 2048
) -> float:
    """Return a quantile, at most 0.9999, of real images' cosine to their nearest other real image.

    With this threshold a new real image would count as a copy with probability 1 - quantile, and a
    generated image counts as one if it is closer to a real image than real images are to each other
    (extension).

    Args:
        real: [M, E], unit features of the real images of all emotions.
        quantile: In (0, 1). Duplicates among the real images have no effect if their fraction is
            below 1 - quantile.
        max_queries: Number of real images, evenly spaced, whose nearest neighbour among all M is
            searched.

    Raises:
        ValueError: If there are fewer than two real images.
    """
    if len(real) < 2:
        raise ValueError(f"{len(real)} real image(s) have no neighbours; give at least 2")
    rows = torch.linspace(0, len(real) - 1, min(max_queries, len(real)), device=real.device)
    nearest = neighbour_cosine(real[rows.round().long()], real, 2)  # 1 is the image itself
    return min(nearest.quantile(quantile).item(), _IDENTICAL)


def near_copies(images: Tensor, others: Tensor, threshold: float) -> Tensor:
    """Return which images [N, E] have a cosine above ``threshold`` with any of ``others`` [M, E].

    All are unit features. The result, [N] bool, is all False if there are no others.

    The result is exact, although most pairs are compared in 64 dimensions only: with a(x) the part
    of x in the leading principal directions of ``others`` and r(x) the rest, Cauchy-Schwarz gives
    cos(x, y) <= a(x) a(y) + |r(x)| |r(y)|. Only images for which this bound exceeds the threshold
    are compared in full.
    """
    if images.shape[1] <= 2 * _SCREEN_WIDTH:
        return largest_products(images, others) > threshold
    copied = _screen(images, others, threshold)
    copied[copied.clone()] = largest_products(images[copied], others) > threshold
    return copied


def _screen(images: Tensor, others: Tensor, threshold: float) -> Tensor:
    """Return which images may have a near copy among ``others``: [N] bool, True for all that do."""
    moment = others.T @ others  # [E, E]
    basis = torch.linalg.eigh(moment).eigenvectors[:, -_SCREEN_WIDTH:]  # [E, 63]

    def shorten(features: Tensor) -> Tensor:
        leading = features @ basis  # [., 63]
        rest = (1 - leading.square().sum(dim=1, keepdim=True)).clamp_min(0).sqrt()  # [., 1]
        return torch.cat([leading, rest], dim=1)

    return largest_products(shorten(images), shorten(others)) > threshold - _ROUNDING


def copy_graph(images: Tensor, threshold: float) -> Tensor:
    """Return which pairs of images [N, E], unit features, have a cosine above ``threshold``.

    The result is [N, N] bool, symmetric, with True on the diagonal.
    """
    graph = torch.zeros(len(images), len(images), dtype=torch.bool, device=images.device)
    for rows in row_blocks(len(images)):  # the upper triangle
        graph[rows, rows.start :] = images[rows] @ images[rows.start :].T > threshold
    graph.fill_diagonal_(True)
    return graph.logical_or_(graph.T.clone())
