"""Fidelity: checks with a calibrated classifier, the verifier, that an image has its emotion.

Sources: temperature scaling: Guo et al. (ICML 2017); the threshold max(1/C, 0.3) combines He et al.
(ICLR 2023) and EmoEdit (CVPR 2025).

Legend: N images, V images of a validation split, C emotions.
"""

import math
from typing import NamedTuple

from scipy.optimize import brentq
from torch import Tensor
from torch.nn import functional

TEMPERATURE_RANGE = (0.05, 20.0)


class Fidelity(NamedTuple):
    """The verifier's predictions."""

    confidence: Tensor  # [N] float in [0, 1], p(target | image)
    agrees: Tensor  # [N] bool, whether the target is (or shares) the most probable emotion


def calibrate_temperature(logits: Tensor, labels: Tensor) -> float:
    """Fit the temperature T that minimises the cross-entropy of ``logits / T``.

    The loss is convex in b = 1/T, so its minimum is the root of its derivative
    mean(E_p[z] - z_label), p = softmax(b z).

    Args:
        logits: [V, C], the verifier's logits on a split that it was not trained on.
        labels: [V] long in [0, C), the true emotions of that split.

    Returns:
        T within ``TEMPERATURE_RANGE``: the lower end if the verifier makes no errors.

    Raises:
        ValueError: If the split is empty or the shapes do not belong together.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(
            f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)} must be [V, C] and [V]"
            " with V > 0; give those of the validation split"
        )
    logits = logits.double()
    margin = logits - logits.gather(1, labels[:, None])  # [V, C], z - z_label

    def slope(log_inverse: float) -> float:
        probability = functional.softmax(margin * math.exp(log_inverse), dim=1)  # [V, C]
        return (probability * margin).sum(dim=1).mean().item()

    lowest, highest = TEMPERATURE_RANGE
    if slope(-math.log(lowest)) < 0:
        return lowest
    if slope(-math.log(highest)) >= 0:
        return highest
    return math.exp(-brentq(slope, -math.log(highest), -math.log(lowest), xtol=1e-14))


def fidelity_scores(logits: Tensor, target: Tensor, temperature: float = 1.0) -> Fidelity:
    """Return the calibrated p(target) of every image, and whether it is the highest.

    Args:
        logits: [N, C], the verifier's logits.
        target: [N] long in [0, C), the emotion each image was generated for.
        temperature: T > 0, from :func:`calibrate_temperature`.
    """
    chosen = logits.gather(1, target[:, None]).squeeze(1)  # [N]
    probability = functional.softmax(logits.float() / temperature, dim=1)  # [N, C]
    confidence = probability.gather(1, target[:, None]).squeeze(1)  # [N]
    return Fidelity(confidence, chosen == logits.amax(dim=1))
