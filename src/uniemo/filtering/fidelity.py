"""Fidelity: does a calibrated verifier see the target emotion in the image?

Source: temperature scaling is Guo et al. (ICML 2017); the threshold max(1/C, 0.3) joins He et al.
(ICLR 2023) and EmoEdit (FIELD, "Filters"). Legend: N images, C emotions.
"""

import math
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

TEMPERATURE_RANGE = (0.05, 20.0)
_HALVINGS = 50


class Fidelity(NamedTuple):
    """What the verifier says of every image."""

    confidence: Tensor  # [N] float in [0, 1], p(target | image)
    agrees: Tensor  # [N] bool, whether the target is the most probable emotion


def calibrate_temperature(logits: Tensor, labels: Tensor) -> float:
    """Fit the one temperature T that minimises the cross-entropy of ``logits / T``.

    The loss is convex in b = 1/T, with the derivative mean(E_p[z] - z_label), p = softmax(b z),
    which only rises. So bisection finds the optimum, to rounding and without a step size.

    Args:
        logits: [V, C], the verifier's logits on a split that it was not trained on.
        labels: [V] long in [0, C), the true emotions of that split.

    Returns:
        T, within ``TEMPERATURE_RANGE``; a verifier that errs nowhere meets the lower end.

    Raises:
        ValueError: If the split is empty or the shapes do not belong together.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(
            f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)} must be [V, C] and [V]"
            " with V > 0; pass the validation split's"
        )
    logits = logits.double()
    margin = logits - logits.gather(1, labels[:, None])  # [V, C], z - z_label

    def slope(log_inverse: float) -> float:
        probability = functional.softmax(margin * math.exp(log_inverse), dim=1)  # [V, C]
        return (probability * margin).sum(dim=1).mean().item()

    low, high = (-math.log(end) for end in reversed(TEMPERATURE_RANGE))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if slope(middle) < 0:
            low = middle
        else:
            high = middle
    return math.exp(-(low + high) / 2)


def fidelity_scores(logits: Tensor, target: Tensor, temperature: float = 1.0) -> Fidelity:
    """Return the calibrated p(target) of every image, and whether the target comes first.

    Args:
        logits: [N, C], the verifier's logits.
        target: [N] long in [0, C), the emotion each image was made for.
        temperature: T > 0 from :func:`calibrate_temperature`.
    """
    chosen = logits.gather(1, target[:, None]).squeeze(1)  # [N]
    probability = functional.softmax(logits.float() / temperature, dim=1)  # [N, C]
    confidence = probability.gather(1, target[:, None]).squeeze(1)  # [N]
    return Fidelity(confidence, chosen == logits.amax(dim=1))
