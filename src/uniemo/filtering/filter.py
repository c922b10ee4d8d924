"""The data filter: keeps images that show their emotion and are realistic, new and diverse.

The paper says only that its filter selects high-quality and diverse images. This filter is an
extension that combines rules of published filters (named in the module of each step); see
docs/method.md, "Generate and filter". Steps of :func:`select`:

1. Fidelity: the target is the first choice of a calibrated verifier, with a probability above a
   threshold.
2. Realism: the image lies inside the k-NN balls of the real images of its emotion, and is not among
   the least realistic candidates of its emotion.
3. Novelty: it is not a near copy of a real image of any emotion.
4. Diversity: of each emotion, up to the budget, the images are kept that best cover the real ones,
   with no two near copies and no scene or object above its quota.

Guarantees (each has a property test):

- Whether an image is *eligible* (steps 1 to 3) does not depend on which others are; loosening a
  threshold never makes an eligible image ineligible.
- No two kept images are near copies, also across emotions.
- An emotion keeps fewer images than its budget only if every other eligible image is a near copy of
  a kept one or belongs to a group with a full quota; its ``reason`` says which. (Such a set is
  maximal; the largest one would be a maximum independent set, an NP-hard problem.) Without near
  copies and quotas exactly min(budget, eligible) images are kept.
- The order of the candidates does not matter: everything is computed in an order fixed by content.
- Per emotion, the objective F of the kept set is at least that of top-k by confidence on the same
  images under the same constraints; :mod:`uniemo.filtering.diversity` defines F and lists its
  bounds.

Emotions are processed one after the other, the one with the fewest eligible images first; near
copies of images kept earlier are excluded. An emotion with a shortfall does not reduce the budget
of the others.

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
        budget: Images to keep per emotion; if absent, half the mean number of candidates per
            emotion.
        confidence_threshold: The verifier's calibrated p(target) must exceed this value, in [0, 1).
            p(target) is at least 1/C in any case, because the target must be the first choice.
        neighbours: k of the k-NN balls of the real images, at least 1.
        realism_threshold: Smallest realism score, 0 or more: 1 requires a position inside a ball, a
            lower value enlarges all balls to radius / threshold, 0 disables the check.
        realism_drop: Fraction of each emotion's candidates, the least realistic, that is dropped;
            in [0, 1).
        duplicate_cosine: Cosine similarity of CLIP features above which two images are near copies,
            in [-1, 1].
        duplicate_quantile: Raises ``duplicate_cosine``, if it is lower, to this quantile of the
            similarity of real images to their nearest other real image; in (0, 1), absent: never.
        scene_share: Largest fraction of an emotion's budget with the same scene, in (0, 1]. 0.4
            still allows a full budget with three scenes.
        object_share: The same for objects. 0.25 still allows a full budget with four objects.
        utility_weight: Weight of confidence in the diversity objective, in covered real images per
            unit of confidence; 0 or more. 0 selects by coverage alone.

    Raises:
        UserError: If a value is out of range.
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
    """Why an image was kept or rejected; the first step that rejects it counts."""

    KEPT = 0
    WRONG_EMOTION = 1
    LOW_CONFIDENCE = 2
    UNREALISTIC = 3
    COPY_OF_TRAINING = 4
    NEAR_DUPLICATE = 5  # of a kept image
    OVER_QUOTA = 6  # its scene or its object has reached its quota
    NOT_SELECTED = 7  # the budget was reached


@dataclass(frozen=True, eq=False)
class Candidates:
    """Features, predictions and labels of the N generated images.

    Attributes:
        features: [N, E] float, CLIP image features; they need not be normalised.
        logits: [N, C] float, the verifier's logits.
        target: [N] long in [0, C), the emotion each image was generated for.
        scene: [N] long, the retrieved scene, -1 for none.
        object: [N] long, the retrieved object, -1 for none.
        clip_probability: [N] float in [0, 1], CLIP's zero-shot p(target); used by one baseline.

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
        if ((self.target < 0) | (self.target >= self.n_emotions)).any():
            raise ValueError(
                f"candidates' target must lie in [0, {self.n_emotions}), one per column of"
                " the logits"
            )

    def __len__(self) -> int:
        return len(self.target)

    @property
    def n_emotions(self) -> int:
        """C, the number of emotions that the verifier distinguishes."""
        return self.logits.shape[1]

    def order(self, seed: int = 0) -> Tensor:
        """Return the rows [N] in an order that depends on their content and ``seed`` alone."""
        return content_order(
            [self.features, self.logits, self.target, self.scene, self.object], seed
        )


@dataclass(frozen=True, eq=False)
class Reference:
    """The M real training images that the candidates are compared with.

    Attributes:
        features: [M, E] float, CLIP image features; they need not be normalised.
        emotion: [M] long, true emotions.
        temperature: Temperature of the verifier's logits, above 0; from
            :func:`uniemo.filtering.fidelity.calibrate_temperature` on the validation split.

    Raises:
        ValueError: If a shape does not fit, a feature is not finite or the temperature is not
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
            raise ValueError(f"reference temperature is {self.temperature}; it must be above 0")


class Scores(NamedTuple):
    """Measurements of the candidates, on which the filter's decisions are based.

    They are valid for every config with the same ``neighbours`` and ``duplicate_`` fields.
    """

    agrees: Tensor  # [N] bool, whether the target is the verifier's first choice
    confidence: Tensor  # [N] float in [0, 1], the verifier's calibrated p(target)
    realism: Tensor  # [N] float >= 0, at least 1 inside a ball of a real image
    nearest_cosine: Tensor  # [N] float in [-1, 1], to the nearest real image of the emotion
    copied: Tensor  # [N] bool, whether it is a near copy of a real image of any emotion
    radii: Tensor  # [M] float in [0, 2], radius of every real image's ball within its emotion
    duplicate_threshold: float  # cosine similarity above which two images are near copies


class Selection(NamedTuple):
    """Result of a filter."""

    kept: Tensor  # [N] bool
    reason: Tensor  # [N] long, codes of Reason
    shortfall: Tensor  # [C] long, images missing to each emotion's budget
    scores: Scores

    @property
    def eligible(self) -> Tensor:
        """[N] bool, whether an image passes steps 1 to 3."""
        return (self.reason == Reason.KEPT) | (self.reason >= Reason.NEAR_DUPLICATE)

    def reason_names(self) -> list[str]:
        """Return the names of the N reasons, such as ``"low_confidence"``."""
        return [Reason(code).name.lower() for code in self.reason.tolist()]


def score(candidates: Candidates, reference: Reference, config: FilterConfig) -> Scores:
    """Measure every candidate for steps 1 to 3, for :func:`select` and the baselines.

    Of ``config``, the fields ``neighbours`` and ``duplicate_`` are used.

    Raises:
        UserError: If an emotion of the candidates has fewer than two real images.
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
        own, own_real = target == emotion, reference.emotion == emotion
        if own_real.sum() < 2:
            raise UserError(
                f"emotion {emotion} has candidates but {int(own_real.sum())} real image(s); give"
                " the reference at least 2, or remove that emotion from the candidates"
            )
        radii[own_real] = ball_radii(real[own_real], config.neighbours)
        realism[own], nearest[own] = realism_scores(images[own], real[own_real], radii[own_real])

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
    candidates: Candidates, reference: Reference, config: FilterConfig, scores: Scores | None = None
) -> Selection:
    """Filter the candidates (steps 1 to 4 of the module).

    Working memory, besides copies of the features: 4 n M' + 2 n^2 bytes for n eligible and M' real
    images of the largest emotion.

    With ``scores``, :func:`score` of the same arguments, nothing is measured again.

    Raises:
        UserError: If an emotion of the candidates has fewer than two real images.
    """
    scores = scores or score(candidates, reference, config)
    budget = emotion_budget(candidates, config)
    reason = _first_rejection(candidates, scores, config)
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
        own_real = reference.emotion == emotion
        kept, reason[rows] = _select_emotion(
            images,
            scores.confidence[rows],
            torch.stack([candidates.scene[rows], candidates.object[rows]], dim=1),
            unit(reference.features[own_real]),
            scores.radii[own_real],
            scores.duplicate_threshold,
            budget,
            config,
        )
        chosen = torch.cat([chosen, images[kept]])
    return selection(candidates, reason, budget, scores)


def emotion_budget(candidates: Candidates, config: FilterConfig) -> int:
    """Return the budget per emotion: that of the config, else half the mean per emotion."""
    return config.budget or max(1, len(candidates) // (2 * candidates.n_emotions))


def selection(candidates: Candidates, reason: Tensor, budget: int, scores: Scores) -> Selection:
    """Return the result of a filter from the reasons [N] long and the budget per emotion."""
    kept = reason == Reason.KEPT
    n_kept = candidates.target[kept].bincount(minlength=candidates.n_emotions)  # [C]
    return Selection(kept, reason, (budget - n_kept).clamp_min(0), scores)


def unrealistic(candidates: Candidates, scores: Scores, config: FilterConfig) -> Tensor:
    """Return which candidates step 2 rejects: [N] bool."""
    lowest = torch.full_like(scores.realism, config.realism_threshold)
    for emotion in candidates.target.unique().tolist():
        own = candidates.target == emotion
        lowest[own] = max(
            config.realism_threshold, lowest_kept(scores.realism[own], config.realism_drop)
        )
    return scores.realism < lowest


def _first_rejection(candidates: Candidates, scores: Scores, config: FilterConfig) -> Tensor:
    """Return the reason of each image [N] after steps 1 to 3; NOT_SELECTED if it is eligible."""
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
    """Run step 4 for the n eligible images of one emotion: kept rows, and reasons [n]."""
    copies = copy_graph(images, duplicate_threshold)  # [n, n]
    shares = (config.scene_share, config.object_share)
    quotas = [math.ceil(round(share * budget, 6)) for share in shares]  # else 0.07 * 100 gives 8
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
        raise ValueError(f"{name} hold NaN or infinite values; remove those images")
