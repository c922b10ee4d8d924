"""Simpler filters, for the ablation: what :func:`uniemo.filtering.select` is compared with.

All have its signature, and its budget per emotion; ``scores`` spares them the measuring. They set
no quotas and look for no copies. Random choices are hashes of content and ``seed``: no order
matters.
"""

import torch
from torch import Tensor

from uniemo.filtering.filter import (
    Candidates,
    FilterConfig,
    Reason,
    Reference,
    Scores,
    Selection,
    emotion_budget,
    score,
    selection,
    unrealistic,
)


def keep_all(
    candidates: Candidates, reference: Reference, config: FilterConfig, scores: Scores | None = None
) -> Selection:
    """Keep the whole pool, whatever the budget."""
    scores = scores or score(candidates, reference, config)
    reason = torch.full_like(candidates.target, Reason.KEPT)
    return selection(candidates, reason, emotion_budget(candidates, config), scores)


def keep_random(
    candidates: Candidates,
    reference: Reference,
    config: FilterConfig,
    scores: Scores | None = None,
    *,
    seed: int = 0,
) -> Selection:
    """Keep a random subset of each emotion."""
    scores = scores or score(candidates, reference, config)
    reason = torch.full_like(candidates.target, Reason.NOT_SELECTED)
    return _keep_first(candidates, reason, candidates.order(seed), config, scores)


def keep_most_confident(
    candidates: Candidates, reference: Reference, config: FilterConfig, scores: Scores | None = None
) -> Selection:
    """Keep the top-k of each emotion by the verifier's p(target)."""
    scores = scores or score(candidates, reference, config)
    reason = torch.full_like(candidates.target, Reason.NOT_SELECTED)
    order = candidates.order()
    order = order[scores.confidence[order].argsort(descending=True, stable=True)]
    return _keep_first(candidates, reason, order, config, scores)


def keep_clip_probable(
    candidates: Candidates,
    reference: Reference,
    config: FilterConfig,
    scores: Scores | None = None,
    *,
    seed: int = 0,
) -> Selection:
    """Keep a random subset of where CLIP's zero-shot p(target) > 1/C (He et al., ICLR 2023).

    Raises:
        ValueError: If the candidates have no ``clip_probability``.
    """
    if candidates.clip_probability is None:
        raise ValueError("candidates have no clip_probability; give CLIP's zero-shot p(target) [N]")
    scores = scores or score(candidates, reference, config)
    reason = torch.full_like(candidates.target, Reason.NOT_SELECTED)
    reason[candidates.clip_probability <= 1 / candidates.n_emotions] = Reason.LOW_CONFIDENCE
    return _keep_first(candidates, reason, candidates.order(seed), config, scores)


def keep_realistic(
    candidates: Candidates,
    reference: Reference,
    config: FilterConfig,
    scores: Scores | None = None,
    *,
    seed: int = 0,
) -> Selection:
    """Keep a random subset of what passes the filter's k-NN realism (its step 2) alone."""
    scores = scores or score(candidates, reference, config)
    reason = torch.full_like(candidates.target, Reason.NOT_SELECTED)
    reason[unrealistic(candidates, scores, config)] = Reason.UNREALISTIC
    return _keep_first(candidates, reason, candidates.order(seed), config, scores)


def _keep_first(
    candidates: Candidates, reason: Tensor, order: Tensor, config: FilterConfig, scores: Scores
) -> Selection:
    """Keep each emotion's first eligible images in ``order`` [N], up to the budget."""
    budget = emotion_budget(candidates, config)
    for emotion in range(candidates.n_emotions):
        eligible = (candidates.target == emotion) & (reason == Reason.NOT_SELECTED)
        reason[order[eligible[order]][:budget]] = Reason.KEPT
    return selection(candidates, reason, budget, scores)
