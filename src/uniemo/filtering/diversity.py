"""Diversity: selects the images that together cover the real data best.

A set S covers the real image x by K(x, S) = max over s in S of exp(-d(x, s)^2 / (2 r_x^2)), where
r_x is the radius of the k-NN ball of x: 1 at x, 0.61 at the edge of its ball, about 0 far away,
whatever the scale of the embedding. The objective

    F(S) = sum over x of K(x, S) + sum over s in S of u_s

is facility location with an optional utility u >= 0 (the kernel is an extension): monotone and
submodular. Covering the *real* images rather than the candidates counteracts the tendency of
generated images to concentrate in few modes.

The greedy algorithm adds the image that raises F most, as long as the constraints hold: at most
``budget`` images, at most a quota of each group (one partition matroid for scenes, one for
objects), no two near copies. Proven lower bounds of F(greedy) / F(best):

- budget alone: 1 - 1/e (Nemhauser et al. 1978);
- with one or two binding quota systems: 1/2 or 1/3 (Fisher et al. 1978);
- with near copies as well: 1 / (1 + g + q), for g quota systems, where q is the largest number of
  images that are near copies of one image but not of each other (greedy on a p-extendible system,
  p = g + q; Mestre 2006, Calinescu et al. 2011). If being a near copy is transitive, q = 1.

:func:`select_diverse` also runs top-k by confidence under the same constraints and returns the
better result. All bounds still hold, and F is never below that of top-k. If no image raises F any
more, the rest of the budget is filled by confidence. The result is always maximal: if the budget is
not reached, every other image is a near copy of a kept one or belongs to a full group.

Legend: n eligible images and M real images, all of one emotion; G group systems; E feature width.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from uniemo.filtering.similarity import row_blocks

_REFRESHED = 16  # outdated bounds recomputed at a time
_SMALLEST_RADIUS = 1e-3


def cover_kernel(images: Tensor, real: Tensor, radii: Tensor) -> Tensor:
    """Return how well every image [n, E] covers every real one [M, E]: K [n, M] in [0, 1].

    Both are unit features; ``radii`` [M] come from :func:`uniemo.filtering.realism.ball_radii`.
    """
    kernel = images.new_empty(len(images), len(real))
    inverse = radii.clamp_min(_SMALLEST_RADIUS).square().reciprocal()  # [M]
    for rows in row_blocks(len(images)):
        cosine = torch.mm(images[rows], real.T, out=kernel[rows])
        # -d^2 / (2 r^2) = (cos - 1) / r^2
        cosine.sub_(1).clamp_max_(0).mul_(inverse).exp_()
    return kernel


def select_diverse(
    kernel: Tensor,
    confidence: Tensor,
    budget: int,
    *,
    copies: Tensor,
    groups: Tensor,
    quotas: Sequence[int],
    utility: Tensor | None = None,
) -> Tensor:
    """Select at most ``budget`` images that cover the real ones, under the constraints above.

    Args:
        kernel: [n, M] in [0, 1], from :func:`cover_kernel`.
        confidence: [n], the score of top-k.
        budget: Largest number of images, 0 or more.
        copies: [n, n] bool, symmetric: which pairs are near copies, from
            :func:`uniemo.filtering.duplicates.copy_graph`.
        groups: [n, G] long, the group of every image in each system; -1 for none.
        quotas: G numbers, the largest number of images of a group in each system.
        utility: [n], u >= 0 of the objective; 0 if absent.

    Returns:
        Rows of the selected images [kept] long, in the order of selection. Ties are resolved by row
        order, so rows in an order fixed by content give a selection fixed by content.
    """
    utility = torch.zeros_like(confidence) if utility is None else utility
    constraints = _Constraints(copies, groups, quotas)
    by_gain = _greedy(kernel, utility, budget, constraints)
    by_gain = torch.cat([by_gain, _top(confidence, budget - len(by_gain), constraints)])
    by_confidence = _top(confidence, budget, _Constraints(copies, groups, quotas))
    return max(by_gain, by_confidence, key=lambda rows: objective(kernel, rows, utility))


def objective(kernel: Tensor, rows: Tensor, utility: Tensor) -> float:
    """Return the objective F of the images in some rows [kept] long of ``kernel`` [n, M]."""
    covered = kernel.new_zeros(kernel.shape[1])  # [M]
    for block in row_blocks(len(rows)):
        torch.maximum(covered, kernel[rows[block]].amax(dim=0), out=covered)
    return (covered.double().sum() + utility[rows].double().sum()).item()


def _greedy(kernel: Tensor, utility: Tensor, budget: int, constraints: "_Constraints") -> Tensor:
    """Lazy greedy (Minoux 1978): gains never grow, so an old gain is an upper bound of the new one.

    Stops when no image raises the objective any more.
    """
    covered = kernel.new_zeros(kernel.shape[1])  # [M]
    bound = kernel.sum(dim=1) + utility  # [n]
    kept: list[int] = []
    while len(kept) < budget and constraints.allowed.any():
        bound.masked_fill_(~constraints.allowed, -torch.inf)
        highest, rows = bound.topk(min(_REFRESHED + 1, len(bound)))
        stale = rows[:_REFRESHED].sort().values
        bound[stale] = (kernel[stale] - covered).clamp_min_(0).sum(dim=1) + utility[stale]
        bound.masked_fill_(~constraints.allowed, -torch.inf)
        best = stale[bound[stale] == bound[stale].amax()][0]
        if len(rows) > _REFRESHED and bound[best] < highest[-1]:
            continue  # an image whose bound is outdated may gain more
        if bound[best] <= 0:
            break
        torch.maximum(covered, kernel[best], out=covered)
        constraints.take(int(best))
        kept.append(int(best))
    return torch.tensor(kept, dtype=torch.long, device=kernel.device)


def _top(confidence: Tensor, budget: int, constraints: "_Constraints") -> Tensor:
    """Select the most confident images that the constraints allow."""
    kept: list[int] = []
    for row in confidence.argsort(descending=True, stable=True).tolist():
        if len(kept) == budget:
            break
        if constraints.allowed[row]:
            constraints.take(row)
            kept.append(row)
    return torch.tensor(kept, dtype=torch.long, device=confidence.device)


class _Constraints:
    """Which images can still be selected, given those that already are: ``allowed`` [n] bool."""

    def __init__(self, copies: Tensor, groups: Tensor, quotas: Sequence[int]) -> None:
        self.allowed = torch.ones(len(copies), dtype=torch.bool, device=copies.device)
        self._copies = copies
        self._groups = groups
        self._group_rows = groups.tolist()
        self._quotas = quotas
        self._taken: list[Counter[int]] = [Counter() for _ in quotas]

    def take(self, row: int) -> None:
        self.allowed.masked_fill_(self._copies[row], False)  # the image itself among them
        for system, group in enumerate(self._group_rows[row]):
            self._taken[system][group] += 1
            if group >= 0 and self._taken[system][group] == self._quotas[system]:
                self.allowed.masked_fill_(self._groups[:, system] == group, False)
