"""Novelty: is the image no near copy of another?

Two images are near copies where the cosine of their CLIP features exceeds a threshold. 0.95 is the
field's figure for a large CLIP (FIELD, "Filters"); a small CLIP puts unrelated images that close,
so the threshold is read off the real data as well. Legend: N images, M real images, E feature
width.
"""

import torch
from torch import Tensor

from uniemo.filtering.similarity import largest_products, neighbour_cosine, row_blocks

_SCREEN_WIDTH = 63  # and one column for the rest
_ROUNDING = 1e-5
_IDENTICAL = 0.9999  # the same image twice is a copy, however often the real data repeat


def calibrate_duplicate_threshold(
    real: Tensor, quantile: float = 0.99, *, max_queries: int = 2048
) -> float:
    """Return the cosine that only ``1 - quantile`` of real images reach with another real image.

    So a fresh real image would be refused as a copy of these with probability 1 - quantile, and a
    generated image is a copy if it lies closer to a real one than real ones do to each other
    (*ours*).

    Args:
        real: [M, E], unit features of different real images, all emotions.
        quantile: In (0, 1). A few repeats among the real images are below 1 - 0.99 and do no harm.
        max_queries: Images whose neighbour is looked up, evenly spaced; always among all M.

    Returns:
        A cosine, at most 0.9999.

    Raises:
        ValueError: If there are fewer than two real images.
    """
    if len(real) < 2:
        raise ValueError(f"{len(real)} real image(s) have no neighbours; give at least 2")
    rows = torch.linspace(0, len(real) - 1, min(max_queries, len(real)), device=real.device)
    nearest = neighbour_cosine(real[rows.round().long()], real, 2)  # 1 is the image itself
    return min(nearest.quantile(quantile).item(), _IDENTICAL)


def near_copies(images: Tensor, others: Tensor, threshold: float) -> Tensor:
    """Tell which images have a cosine above ``threshold`` with any of ``others``.

    Exact, though most pairs meet only in 64 dimensions. On a basis of the leading directions of
    ``others`` every feature splits into a and a rest r, and by Cauchy-Schwarz
    cos(x, y) <= a(x) a(y) + |r(x)| |r(y)|. Where that bound stays below the threshold for all
    others there is no copy; only the remaining images are compared in full.

    Args:
        images: [N, E], unit features.
        others: [M, E], unit features.
        threshold: Cosine.

    Returns:
        [N] bool.
    """
    if images.shape[1] <= 2 * _SCREEN_WIDTH:
        return largest_products(images, others) > threshold
    copied = _screen(images, others, threshold)
    copied[copied.clone()] = largest_products(images[copied], others) > threshold
    return copied


def _screen(images: Tensor, others: Tensor, threshold: float) -> Tensor:
    """Tell which images may have a near copy among ``others``: [N] bool, no copy left out."""
    moment = others.T @ others  # [E, E]
    basis = torch.linalg.eigh(moment).eigenvectors[:, -_SCREEN_WIDTH:]  # [E, 63]

    def shorten(features: Tensor) -> Tensor:
        leading = features @ basis  # [., 63]
        rest = (1 - leading.square().sum(dim=1, keepdim=True)).clamp_min(0).sqrt()  # [., 1]
        return torch.cat([leading, rest], dim=1)

    return largest_products(shorten(images), shorten(others)) > threshold - _ROUNDING


def copy_graph(images: Tensor, threshold: float) -> Tensor:
    """Return which pairs of ``images`` are near copies: [N, N] bool, symmetric, diagonal True."""
    graph = torch.zeros(len(images), len(images), dtype=torch.bool, device=images.device)
    for rows in row_blocks(len(images)):  # the upper triangle
        graph[rows, rows.start :] = images[rows] @ images[rows.start :].T > threshold
    graph.fill_diagonal_(True)
    return graph.logical_or_(graph.T.clone())
