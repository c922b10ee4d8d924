"""The data filter: which generated images are true to their emotion, realistic, new and diverse.

The paper says only that its filter selects high-quality and diverse images; this one is *ours*,
built from what FIELD ("Filters") shows to work. Steps of :func:`select`:

1. Fidelity: a calibrated verifier puts the target first, with more than a threshold.
2. Realism: the image lies inside the k-NN balls of the real images of its emotion, and not in the
   lowest share of its emotion's pool.
3. Novelty: it is no near copy of a real image of any emotion.
4. Diversity: within each emotion the images that best cover the real ones are kept, up to the
   budget, no two near copies of each other, no scene or object above its quota.

Promises (each a property test):

- Whether an image is *eligible* (steps 1 to 3) does not depend on which others are; loosening any
  threshold never makes an eligible image ineligible.
- No two kept images are near copies, also across emotions.
- The budget is kept wherever it can be, in this sense: an emotion falls short only if every
  eligible image left out is a near copy of a kept one, or of a group whose quota is full; its
  ``reason`` says which. (The largest such set would be a maximum independent set, which is NP-hard;
  so a maximal one it is.) Without near copies and quotas exactly min(budget, eligible) are kept.
- The order of the candidates does not matter: all is computed in an order fixed by content.
- Per emotion, F of the kept set is at least that of top-k by confidence on the same images and
  under the same constraints; :mod:`uniemo.filtering.diversity` gives F and what is proven of its
  optimum.

Emotions choose one after the other, the one with the fewest eligible images first; what is a near
copy of an earlier choice is out. Each keeps what passes: no emotion is cut down to another's
shortfall.

Legend: N candidates, M real images, C emotions, E width of CLIP's image embedding.
"""

import math
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor

from uniemo.errors import UserError
from uniemo.filtering.content import content_order
from uniemo.filtering.diversity import cover_kernel, select_diverse
from uniemo.filtering.duplicates import calibrate_duplicate_threshold, copy_graph, near_copies
from uniemo.filtering.fidelity import fidelity_scores
from uniemo.filtering.realism import ball_radii, lowest_kept, realism_scores
from uniemo.filtering.similarity import unit


@dataclass(frozen=True)
class FilterConfig:
    """Thresholds and budget of the filter.

    Attributes:
        budget: Images to keep per emotion; half of the pool's mean per emotion if absent.
        confidence_threshold: The verifier's calibrated p(target) must exceed this, in [0, 1). With
            the target on top it is at least 1/C in any case.
        neighbours: k of the real images' k-NN balls, at least 1.
        realism_threshold: Least realism score: 1 asks for a place inside a ball, less widens all
            balls to radius / threshold, 0 asks nothing.
        realism_drop: Share of each emotion's pool, the least realistic, that is dropped; in [0, 1).
        duplicate_cosine: Least cosine of CLIP features at which two images may count as near
            copies.
        duplicate_quantile: Raises that cosine, where needed, to this quantile of real images'
            similarity to their nearest other real image, in (0, 1); absent: never raised.
        scene_share: Most of an emotion's budget that images of one scene may fill, in (0, 1]. 0.4
            can still be met by an emotion of three scenes.
        object_share: The same for one object. 0.25 can still be met by an emotion of four objects.
        utility_weight: Worth of one unit of confidence in the diversity objective, counted in real
            images covered; 0 or more. At 0 the choice is by coverage alone.

    Raises:
        UserError: If one is out of range.
    """

    budget: int | None = None
    confidence_threshold: float = 0.3
    neighbours: int = 5
    realism_threshold: float = 1.0
    realism_drop: float = 0.2
    duplicate_cosine: float = 0.95
    duplicate_quantile: float | None = 0.99
    scene_share: float = 0.4
    object_share: float = 0.25
    utility_weight: float = 0.0

    def __post_init__(self) -> None:
        quantile = 0.5 if self.duplicate_quantile is None else self.duplicate_quantile
        allowed = {
            "budget": (self.budget is None or self.budget >= 1, "at least 1, or null"),
            "confidence_threshold": (0 <= self.confidence_threshold < 1, "in [0, 1)"),
            "neighbours": (self.neighbours >= 1, "at least 1"),
            "realism_threshold": (self.realism_threshold >= 0, "0 or more"),
            "realism_drop": (0 <= self.realism_drop < 1, "in [0, 1)"),
            "duplicate_cosine": (-1 <= self.duplicate_cosine <= 1, "in [-1, 1]"),
            "duplicate_quantile": (0 < quantile < 1, "in (0, 1), or null"),
            "scene_share": (0 < self.scene_share <= 1, "in (0, 1]"),
            "object_share": (0 < self.object_share <= 1, "in (0, 1]"),
            "utility_weight": (self.utility_weight >= 0, "0 or more"),
        }
        for name, (valid, rule) in allowed.items():
            if not valid:
                raise UserError(f"filter {name} is {getattr(self, name)}; it must be {rule}")


class Reason(IntEnum):
    """Why an image was kept or not; the first step that refuses it counts."""

    KEPT = 0
    WRONG_EMOTION = 1
    LOW_CONFIDENCE = 2
    UNREALISTIC = 3
    COPY_OF_TRAINING = 4
    NEAR_DUPLICATE = 5  # of a kept image
    OVER_QUOTA = 6  # its scene or its object has filled its share
    NOT_SELECTED = 7  # the budget was full


@dataclass(frozen=True, eq=False)
class Candidates:
    """Generated images as the filter sees them.

    Attributes:
        features: [N, E] float, CLIP's image features, of any length.
        logits: [N, C] float, the verifier's logits.
        target: [N] long in [0, C), the emotion each image was made for.
        scene: [N] long, the retrieved scene, -1 for none.
        object: [N] long, the retrieved object, -1 for none.
        clip_probability: [N] float, CLIP's own zero-shot p(target); only a baseline reads it.

    Raises:
        ValueError: If a shape does not fit, a target is out of range or a feature is not finite.
    """

    features: Tensor
    logits: Tensor
    target: Tensor
    scene: Tensor
    object: Tensor
    clip_probability: Tensor | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            n_axes = 2 if field.name in ("features", "logits") else 1
            if value is not None and (value.ndim != n_axes or len(value) != len(self.target)):
                raise ValueError(
                    f"candidates' {field.name} has shape {tuple(value.shape)}; give {n_axes} axes,"
                    f" the first of length {len(self.target)} as target's"
                )
        _require_finite("candidates' features", self.features)
        _require_finite("candidates' logits", self.logits)
        _require_labels("candidates' target", self.target, self.n_emotions)

    def __len__(self) -> int:
        return len(self.target)

    @property
    def n_emotions(self) -> int:
        """C, the number of emotions the verifier knows."""
        return self.logits.shape[1]

    def order(self, seed: int = 0) -> Tensor:
        """Return the rows [N] in an order that their content fixes."""
        return content_order(
            [self.features, self.logits, self.target, self.scene, self.object], seed
        )


@dataclass(frozen=True, eq=False)
class Reference:
    """The real training images that the candidates are held against.

    Attributes:
        features: [M, E] float, CLIP's image features, of any length.
        emotion: [M] long, true emotions.
        temperature: Of the verifier's logits, over 0; from
            :func:`uniemo.filtering.fidelity.calibrate_temperature` on the validation split.

    Raises:
        ValueError: If a shape does not fit, a feature is not finite or the temperature not
            positive.
    """

    features: Tensor
    emotion: Tensor
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or self.emotion.shape != self.features.shape[:1]:
            raise ValueError(
                f"reference features {tuple(self.features.shape)} and emotion"
                f" {tuple(self.emotion.shape)} must be [M, E] and [M]"
            )
        _require_finite("reference features", self.features)
        if not self.temperature > 0:
            raise ValueError(f"reference temperature is {self.temperature}; it must be over 0")


class Scores(NamedTuple):
    """All that the filter decides from.

    Valid for every config with the same ``neighbours`` and ``duplicate_`` fields.
    """

    agrees: Tensor  # [N] bool, whether the verifier's first emotion is the target
    confidence: Tensor  # [N] float in [0, 1], its calibrated p(target)
    realism: Tensor  # [N] float >= 0, at least 1 inside the real images' balls
    nearest_cosine: Tensor  # [N] float, to the nearest real image of the same emotion
    copied: Tensor  # [N] bool, near copy of a real image of any emotion
    radii: Tensor  # [M] float, radius of every real image's ball within its emotion
    duplicate_threshold: float  # cosine above which two images are near copies


class Selection(NamedTuple):
    """What the filter decided."""

    kept: Tensor  # [N] bool
    reason: Tensor  # [N] long, codes of Reason
    shortfall: Tensor  # [C] long, images missing from each emotion's budget
    scores: Scores

    @property
    def eligible(self) -> Tensor:
        """[N] bool, whether an image passed every step before the choice for diversity."""
        return (self.reason == Reason.KEPT) | (self.reason >= Reason.NEAR_DUPLICATE)

    def reason_names(self) -> list[str]:
        """Return the N reasons in words, such as ``"low_confidence"``."""
        return [Reason(code).name.lower() for code in self.reason.tolist()]


def score(candidates: Candidates, reference: Reference, config: FilterConfig) -> Scores:
    """Measure every candidate (steps 1 to 3); the same for :func:`select` and the baselines.

    Raises:
        UserError: If an emotion that was asked for has fewer than two real images.
    """
    order = candidates.order()
    images, target = unit(candidates.features[order]), candidates.target[order]
    real = unit(reference.features)

    threshold = config.duplicate_cosine
    if config.duplicate_quantile is not None:
        threshold = max(threshold, calibrate_duplicate_threshold(real, config.duplicate_quantile))

    realism, nearest = images.new_zeros(len(images)), images.new_zeros(len(images))
    radii = real.new_zeros(len(real))
    for emotion in target.unique().tolist():
        ours, theirs = target == emotion, reference.emotion == emotion
        if theirs.sum() < 2:
            raise UserError(
                f"emotion {emotion} has {int(theirs.sum())} real image(s) but candidates; give the"
                " reference at least 2, or leave that emotion out of the pool"
            )
        radii[theirs] = ball_radii(real[theirs], config.neighbours)
        realism[ours], nearest[ours] = realism_scores(images[ours], real[theirs], radii[theirs])

    fidelity = fidelity_scores(candidates.logits, candidates.target, reference.temperature)
    back = order.argsort()
    return Scores(
        agrees=fidelity.agrees,
        confidence=fidelity.confidence,
        realism=realism[back],
        nearest_cosine=nearest[back],
        copied=near_copies(images, real, threshold)[back],
        radii=radii,
        duplicate_threshold=threshold,
    )


def select(
    candidates: Candidates,
    reference: Reference,
    config: FilterConfig,
    scores: Scores | None = None,
) -> Selection:
    """Filter the candidates (steps 1 to 4 of the module).

    Working memory, beyond copies of the features: 4 n M' + 2 n^2 bytes, n eligible and M' real
    images of the largest emotion.

    Args:
        candidates: N generated images.
        reference: M real images.
        config: Thresholds and budget.
        scores: :func:`score` of the same arguments, where they are at hand.

    Returns:
        The kept images, every image's reason and scores, and what each emotion lacks of its budget.

    Raises:
        UserError: If an emotion that was asked for has fewer than two real images.
    """
    scores = scores or score(candidates, reference, config)
    budget = emotion_budget(candidates, config)
    reason = _first_refusal(candidates, scores, config)
    emotions = candidates.target[reason == Reason.NOT_SELECTED].bincount(
        minlength=candidates.n_emotions
    )
    chosen = unit(candidates.features[:0])  # [kept so far, E]
    order = candidates.order()
    for emotion in emotions.argsort(stable=True).tolist():  # fewest eligible first
        rows = order[((candidates.target == emotion) & (reason == Reason.NOT_SELECTED))[order]]
        images = unit(candidates.features[rows])
        free = ~near_copies(images, chosen, scores.duplicate_threshold)
        reason[rows[~free]] = Reason.NEAR_DUPLICATE
        rows, images = rows[free], images[free]
        theirs = reference.emotion == emotion
        kept, reason[rows] = _select_emotion(
            images,
            scores.confidence[rows],
            torch.stack([candidates.scene[rows], candidates.object[rows]], dim=1),
            unit(reference.features[theirs]),
            scores.radii[theirs],
            scores.duplicate_threshold,
            budget,
            config,
        )
        chosen = torch.cat([chosen, images[kept]])
    return selection(candidates, reason, budget, scores)


def emotion_budget(candidates: Candidates, config: FilterConfig) -> int:
    """Return how many images each emotion is to keep."""
    return config.budget or max(1, len(candidates) // (2 * candidates.n_emotions))


def selection(candidates: Candidates, reason: Tensor, budget: int, scores: Scores) -> Selection:
    """Sum up ``reason`` [N]."""
    kept = reason == Reason.KEPT
    n_kept = candidates.target[kept].bincount(minlength=candidates.n_emotions)  # [C]
    return Selection(kept, reason, (budget - n_kept).clamp_min(0), scores)


def unrealistic(candidates: Candidates, scores: Scores, config: FilterConfig) -> Tensor:
    """Return which candidates step 2 refuses: [N] bool."""
    least = torch.full_like(scores.realism, config.realism_threshold)
    for emotion in candidates.target.unique().tolist():
        ours = candidates.target == emotion
        least[ours] = max(
            config.realism_threshold, lowest_kept(scores.realism[ours], config.realism_drop)
        )
    return scores.realism < least


def _first_refusal(candidates: Candidates, scores: Scores, config: FilterConfig) -> Tensor:
    """Return each image's reason [N] after steps 1 to 3: NOT_SELECTED if none refuses it."""
    reason = torch.full_like(candidates.target, Reason.NOT_SELECTED)
    reason[scores.copied] = Reason.COPY_OF_TRAINING
    reason[unrealistic(candidates, scores, config)] = Reason.UNREALISTIC
    reason[scores.confidence <= config.confidence_threshold] = Reason.LOW_CONFIDENCE
    reason[~scores.agrees] = Reason.WRONG_EMOTION
    return reason


def _select_emotion(
    images: Tensor,
    confidence: Tensor,
    groups: Tensor,
    real: Tensor,
    radii: Tensor,
    duplicate_threshold: float,
    budget: int,
    config: FilterConfig,
) -> tuple[Tensor, Tensor]:
    """Run step 4 within one emotion: rows of the kept among n images, and every reason [n]."""
    copies = copy_graph(images, duplicate_threshold)  # [n, n]
    shares = (config.scene_share, config.object_share)
    quotas = [math.ceil(round(share * budget, 6)) for share in shares]  # 0.07 * 100 is 7, not 8
    kept = select_diverse(
        cover_kernel(images, real, radii),
        confidence,
        budget,
        copies=copies,
        groups=groups,
        quotas=quotas,
        utility=config.utility_weight * confidence,
    )
    reason = torch.full_like(groups[:, 0], Reason.NOT_SELECTED)
    for groups_of, quota in zip(groups.T, quotas, strict=True):
        names, sizes = groups_of[kept].unique(return_counts=True)
        full = names[(sizes >= quota) & (names >= 0)]
        reason[torch.isin(groups_of, full)] = Reason.OVER_QUOTA
    reason[copies[kept].any(dim=0)] = Reason.NEAR_DUPLICATE
    reason[kept] = Reason.KEPT
    return kept, reason


def _require_finite(name: str, values: Tensor) -> None:
    if not values.isfinite().all():
        raise ValueError(f"{name} hold NaN or infinite values; leave those images out")


def _require_labels(name: str, labels: Tensor, n_labels: int) -> None:
    if ((labels < 0) | (labels >= n_labels)).any():
        raise ValueError(f"{name} must lie in [0, {n_labels}), one per column of the logits")
