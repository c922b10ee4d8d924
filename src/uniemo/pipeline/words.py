"""Words of emotions: which emotions are meant, and the pseudo-words that express them.

Legend: B images, C emotions, W width of a word.
"""

import difflib
import math
from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from uniemo.batch import Features
from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.fusion import Condition
from uniemo.model import Painter

Emotion: TypeAlias = str | Mapping[str, float]
"""The name of an emotion, or weights by name that sum to 1."""

SUM_TOLERANCE = 1e-3


def emotion_index(name: str, emotions: Emotions) -> int:
    """Return the label index of an emotion.

    Raises:
        UserError: If there is none of that name; the nearest is offered.
    """
    if name in emotions.names:
        return emotions.index(name)
    near = difflib.get_close_matches(str(name).lower(), emotions.names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of {emotions}"
    raise UserError(f"emotion {name!r} is unknown; {hint}")


def emotion_weights(emotion: Emotion, emotions: Emotions) -> dict[int, float]:
    """Return the weight of each emotion that is meant, by label index; they sum to 1.

    Args:
        emotion: A name, or weights by name.
        emotions: Those that the model knows.

    Raises:
        UserError: If a name is unknown, or the weights are negative or do not sum to 1.
    """
    if isinstance(emotion, str):
        return {emotion_index(emotion, emotions): 1.0}
    if not isinstance(emotion, Mapping):
        raise UserError(f"emotion is {emotion!r}; give a name, or a dictionary of weights")
    weights = {emotion_index(name, emotions): float(w) for name, w in emotion.items()}
    for label, weight in weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise UserError(f"the weight of {emotions.names[label]} is {weight}; give 0 or more")
    total = sum(weights.values())
    if abs(total - 1) > SUM_TOLERANCE:
        raise UserError(f"the weights of the emotions sum to {total:g}; make them sum to 1")
    return {label: weight for label, weight in weights.items() if weight > 0}


def strongest(weights: Mapping[int, float]) -> int:
    """Return the emotion with the largest weight, the first of several."""
    return max(weights, key=weights.__getitem__)


def drawn_words(
    painter: Painter, weights: Mapping[int, float], index: Tensor, draws: int
) -> Condition:
    """Return words [B, W] drawn from the emotion space: c = sum of w_y c_y.

    Source: docs/method.md, "Sampling": features are drawn for each emotion and fused; a mix of
    conditions fuses emotions.

    Args:
        painter: Draws and fuses.
        weights: w_y by label index.
        index: [B] long, number of each image: with seed and emotion, all that is drawn.
        draws: Of so many draws the one that the model reads most surely is used.

    Returns:
        The words; names and coefficients are those of the strongest emotion.
    """
    conditions = {
        label: painter.draw_conditions(torch.full_like(index, label), index, draws)
        for label in weights
    }
    return _mix(conditions, weights)


def fused_words(painter: Painter, weights: Mapping[int, float], features: Features) -> Condition:
    """Return the words that express emotions with the features [B, D] of photos.

    Source: docs/method.md, "Condition"; blending as in :func:`drawn_words`.
    """
    n, device = len(features.emotion), features.emotion.device
    conditions = {
        label: painter.fuse_features(features, torch.full((n,), label, device=device))
        for label in weights
    }
    return _mix(conditions, weights)


def mean_words(painter: Painter) -> Condition:
    """Return one word for each emotion [C, W], fused from the mean of its features (extension)."""
    mean = painter.space.moments.mean.float()  # [C, 3 D]
    features = Features(*mean.chunk(3, dim=1))
    return painter.fuse_features(features, torch.arange(len(mean), device=mean.device))


def mix_means(painter: Painter, weights: Mapping[int, float]) -> Tensor:
    """Return the weighted sum [W] of the emotions' mean words (extension)."""
    means = mean_words(painter).word  # [C, W]
    return torch.stack([weight * means[label] for label, weight in weights.items()]).sum(dim=0)


def neutral_word(painter: Painter) -> Tensor:
    """Return the word [1, W] of no emotion: the mean of all emotions' mean words (extension)."""
    return mean_words(painter).word.mean(dim=0, keepdim=True)


def _mix(conditions: Mapping[int, Condition], weights: Mapping[int, float]) -> Condition:
    if len(weights) == 1:
        return next(iter(conditions.values()))
    words = [weight * conditions[label].word for label, weight in weights.items()]
    return conditions[strongest(weights)]._replace(word=torch.stack(words).sum(dim=0))
