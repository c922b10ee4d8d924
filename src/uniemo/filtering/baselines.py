"""Simpler filters that :func:`uniemo.filtering.select` is compared with (extension).

All take the arguments of :func:`uniemo.filtering.select`, keep up to the same budget per emotion
and return a :class:`uniemo.filtering.Selection`. They have no quotas and do not search for near
copies. With ``scores`` from :func:`uniemo.filtering.score` they measure nothing again. Random
choices are hashes of an image's content and ``seed``, so the order of the candidates does not
matter. Each raises :class:`uniemo.errors.UserError` as ``score`` does.
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
    """Keep all candidates, whatever the budget."""
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
    return _keep_first(candidates, candidates.order(seed), config, scores)


def keep_most_confident(
    candidates: Candidates, reference: Reference, config: FilterConfig, scores: Scores | None = None
) -> Selection:
    """Keep the images of each emotion with the highest p(target) of the verifier (top-k)."""
    scores = scores or score(candidates, reference, config)
    order = candidates.order()
    order = order[scores.confidence[order].argsort(descending=True, stable=True)]
    return _keep_first(candidates, order, config, scores)


def keep_clip_probable(
    candidates: Candidates,
    reference: Reference,
    config: FilterConfig,
    scores: Scores | None = None,
    *,
    seed: int = 0,
) -> Selection:
    """Keep a random subset of the images with CLIP's p(target) > 1/C (He et al., ICLR 2023).

    Raises:
        ValueError: If the candidates have no ``clip_probability``.
    """
    if candidates.clip_probability is None:
        raise ValueError("candidates have no clip_probability; give CLIP's zero-shot p(target) [N]")
    scores = scores or score(candidates, reference, config)
    rejected = candidates.clip_probability <= 1 / candidates.n_emotions
    order = candidates.order(seed)
    return _keep_first(candidates, order, config, scores, rejected, Reason.LOW_CONFIDENCE)


def keep_realistic(
    candidates: Candidates,
    reference: Reference,
    config: FilterConfig,
    scores: Scores | None = None,
    *,
    seed: int = 0,
) -> Selection:
    """Keep a random subset of the images that pass step 2 of the filter, k-NN realism."""
    scores = scores or score(candidates, reference, config)
    rejected = unrealistic(candidates, scores, config)
    order = candidates.order(seed)
    return _keep_first(candidates, order, config, scores, rejected, Reason.UNREALISTIC)


def keep_nearest_confidence(
    candidates: Candidates,
    reference: Reference,
    config: FilterConfig,
    scores: Scores | None = None,
    *,
    confidence: float,
    confirmed: Tensor,
) -> Selection:
    """Keep the images whose p(target) of the verifier is nearest to ``confidence``.

    One half are those that a student finds neither easy nor hopeless, which taught most in
    arXiv 2411.18109 (AAAI 2026). An image is kept only if another classifier confirms its target:
    most of what is hard for the student is simply wrong.

    Args:
        candidates: The candidates.
        reference: The real images.
        config: The budget.
        scores: Of the candidates, if they are known.
        confidence: In [0, 1].
        confirmed: [N] bool, by a classifier that is not the verifier.
    """
    scores = scores or score(candidates, reference, config)
    order = candidates.order()
    order = order[(scores.confidence[order] - confidence).abs().argsort(stable=True)]
    return _keep_first(candidates, order, config, scores, ~confirmed, Reason.WRONG_EMOTION)


def _keep_first(
    candidates: Candidates,
    order: Tensor,
    config: FilterConfig,
    scores: Scores,
    rejected: Tensor | None = None,
    why: Reason = Reason.NOT_SELECTED,
) -> Selection:
    """Keep each emotion's first images in ``order`` [N] that are not ``rejected`` [N]."""
    reason = torch.full_like(candidates.target, Reason.NOT_SELECTED)
    if rejected is not None:
        reason[rejected] = why
    budget = emotion_budget(candidates, config)
    for emotion in range(candidates.n_emotions):
        eligible = (candidates.target == emotion) & (reason == Reason.NOT_SELECTED)
        reason[order[eligible[order]][:budget]] = Reason.KEPT
    return selection(candidates, reason, budget, scores)
