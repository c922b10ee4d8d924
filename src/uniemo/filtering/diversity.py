"""Diversity: of the images that may be kept, which together cover the real data best?

A kept set S covers the real image x by its best member, K(x, S) = max over s in S of
exp(-d(x, s)^2 / (2 r_x^2)), where r_x is the radius of x's k-NN ball: 1 on the image, 0.61 at the
edge of its ball, nothing far off, whatever the scale of the embedding. The objective

    F(S) = sum over x of K(x, S) + sum over s in S of u_s

is facility location with an optional utility u >= 0 (the kernel is *ours*): monotone and
submodular. Covering the *real* images rather than the candidates pulls the choice out of the modes
in which generated images sit.

The greedy rule adds what raises F most, among what the constraints still allow: at most ``budget``
images, at most a quota of each group (one partition matroid for scenes, one for objects), no two
near copies. What is proven of F(greedy) / F(best):

- budget alone: 1 - 1/e (Nemhauser et al. 1978);
- with one or two binding quota systems: 1/2 or 1/3 (Fisher et al. 1978);
- with near copies as well: 1 / (1 + g + q), for g quota systems, where q counts the most images
  that are near copies of one image and not of each other (greedy on a p-extendible system, p = g +
  q; Mestre 2006, Calinescu et al. 2011). If being a near copy is transitive, q = 1. This is the
  inner loop of GIST at one fixed distance; GIST's own bound is for another objective and not
  claimed.

:func:`select_diverse` also runs top-k by confidence under the same constraints and returns the
better of the two. That keeps every bound, and F never falls below top-k's (greedy alone may, by ill
luck). What is left of the budget when no image gains any more is filled by confidence. Both rules
stop early only where nothing more is allowed, so the result is always maximal: every image left out
while the budget is not full is a near copy of a kept one or of a full group.

Legend: n images that may be kept, M real images, all of one emotion; G group systems; E feature
width.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from uniemo.filtering.similarity import row_blocks

_REFRESHED = 16  # stale bounds renewed at a time
_SMALLEST_RADIUS = 1e-3


def cover_kernel(images: Tensor, real: Tensor, radii: Tensor) -> Tensor:
    """Return how well every image covers every real image: K [n, M] in [0, 1].

    Args:
        images: [n, E], unit features.
        real: [M, E], unit features.
        radii: [M], from :func:`uniemo.filtering.realism.ball_radii`.
    """
    kernel = images.new_empty(len(images), len(real))
    inverse = radii.clamp_min(_SMALLEST_RADIUS).square().reciprocal()  # [M]
    for rows in row_blocks(len(images)):
        cosine = torch.mm(images[rows], real.T, out=kernel[rows])
        # -d^2 / (2 r^2) = (cos - 1) / r^2
        cosine.sub_(1).clamp_max_(0).mul_(inverse).exp_()
    return kernel


def coverage(images: Tensor, real: Tensor, radii: Tensor) -> float:
    """Return PRDC's coverage: the share of real images with an image inside their own ball.

    Source: Naeem et al. (ICML 2020). Arguments as for :func:`cover_kernel`; 0 without images.
    """
    nearest = real.new_full((len(real),), -torch.inf)  # [M]
    for rows in row_blocks(len(images)):
        torch.maximum(nearest, (images[rows] @ real.T).amax(dim=0), out=nearest)
    return ((2 - 2 * nearest).clamp_min(0).sqrt() <= radii).float().mean().item()


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
    """Choose at most ``budget`` images that cover the real ones, under the constraints above.

    Args:
        kernel: [n, M] in [0, 1], from :func:`cover_kernel`.
        confidence: [n], orders top-k.
        budget: Images to keep, 0 or more.
        copies: [n, n] bool, symmetric, which pairs are near copies
            (:func:`uniemo.filtering.duplicates.copy_graph`).
        groups: [n, G] long, the group of every image in each system; -1 belongs to none.
        quotas: G numbers, the most images of any one group.
        utility: [n], u >= 0 of the objective; none if absent.

    Returns:
        Rows of the kept images, in the order in which they were taken. The choice depends on the
        values and on their row order alone, ties included: rows in an order fixed by content give a
        choice fixed by content.
    """
    utility = torch.zeros_like(confidence) if utility is None else utility
    constraints = _Constraints(copies, groups, quotas)
    by_gain = _greedy(kernel, utility, budget, constraints)
    by_gain = torch.cat([by_gain, _top(confidence, budget - len(by_gain), constraints)])
    by_confidence = _top(confidence, budget, _Constraints(copies, groups, quotas))
    return max(by_gain, by_confidence, key=lambda rows: objective(kernel, rows, utility))


def objective(kernel: Tensor, rows: Tensor, utility: Tensor) -> float:
    """Return F of the images ``rows``; ``kernel`` [n, M] and ``utility`` [n] as above."""
    covered = kernel.new_zeros(kernel.shape[1])  # [M]
    for block in row_blocks(len(rows)):
        torch.maximum(covered, kernel[rows[block]].amax(dim=0), out=covered)
    return (covered.double().sum() + utility[rows].double().sum()).item()


def _greedy(kernel: Tensor, utility: Tensor, budget: int, constraints: "_Constraints") -> Tensor:
    """Lazy greedy (Minoux 1978): gains only fall, so an old gain bounds the new one from above.

    Ends where nothing is gained any more: with every real image covered as well as can be.
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
            continue  # an image not renewed may gain more
        if bound[best] <= 0:
            break
        torch.maximum(covered, kernel[best], out=covered)
        constraints.take(int(best))
        kept.append(int(best))
    return torch.tensor(kept, dtype=torch.long, device=kernel.device)


def _top(confidence: Tensor, budget: int, constraints: "_Constraints") -> Tensor:
    """Take the most confident image that is still allowed, again and again."""
    kept: list[int] = []
    for row in confidence.argsort(descending=True, stable=True).tolist():
        if len(kept) == budget:
            break
        if constraints.allowed[row]:
            constraints.take(row)
            kept.append(row)
    return torch.tensor(kept, dtype=torch.long, device=confidence.device)


class _Constraints:
    """Which images may still be taken, given those that were: ``allowed`` [n] bool."""

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
