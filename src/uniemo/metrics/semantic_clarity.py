"""Sem-C: how clearly an image shows some object or some scene (METHOD, "Metrics")."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from uniemo.emotions import N_EMOTIONS
from uniemo.metrics.accumulation import check_rows, sum_per_emotion


def image_clarity(object_probabilities: Tensor, scene_probabilities: Tensor) -> Tensor:
    """Return each image's clarity: its top object or top scene probability, the larger.

    Args:
        object_probabilities: ``[B, K_o]`` in [0, 1], rows sum to 1.
        scene_probabilities: ``[B, K_s]`` in [0, 1], rows sum to 1.

    Returns:
        ``[B]`` in [0, 1].

    Raises:
        ValueError: If the numbers of rows differ, or if a value is no probability.
    """
    check_rows(object_probabilities=object_probabilities, scene_probabilities=scene_probabilities)
    top_object = object_probabilities.amax(dim=1)  # [B]
    top_scene = scene_probabilities.amax(dim=1)  # [B]
    clarity = torch.maximum(top_object, top_scene)  # [B]
    # The highest of K probabilities lies in (0, 1]; logits seldom do.
    if not ((torch.minimum(top_object, top_scene) > 0) & (clarity <= 1 + 1e-3)).all():
        raise ValueError("Sem-C needs probabilities in [0, 1]; apply softmax to the logits first")
    return clarity


class SemanticClarity(Metric):
    """Mean over images of max(top object probability, top scene probability).

    Which classifiers give the probabilities is the caller's to choose and to name; the published
    numbers use ResNet-50 of ImageNet and of Places365. Source: METHOD, "Metrics" (Sem-C).

    ``compute`` returns a dict of float64, each in [0, 1], NaN where there was no image:
    ``sem_c``, over all images, and ``sem_c_per_emotion`` ``[8]``.
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False

    count: Tensor
    clarity_sum: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("count", "clarity_sum"):
            zeros = torch.zeros(N_EMOTIONS, dtype=torch.float64)
            self.add_state(name, zeros, dist_reduce_fx="sum", persistent=True)

    def update(
        self, object_probabilities: Tensor, scene_probabilities: Tensor, emotion: Tensor
    ) -> None:
        """Add a batch.

        Args:
            object_probabilities: ``[B, K_o]`` in [0, 1].
            scene_probabilities: ``[B, K_s]`` in [0, 1].
            emotion: ``[B]`` long.

        Raises:
            ValueError: If the numbers of rows differ, or if a value is no probability.
        """
        clarity = image_clarity(object_probabilities, scene_probabilities)  # [B]
        check_rows(object_probabilities=object_probabilities, emotion=emotion)
        self.count += sum_per_emotion(torch.ones_like(emotion), emotion)
        self.clarity_sum += sum_per_emotion(clarity, emotion)

    def compute(self) -> dict[str, Tensor]:
        """Return the mean clarity (see the class)."""
        return {
            "sem_c": self.clarity_sum.sum() / self.count.sum(),
            "sem_c_per_emotion": self.clarity_sum / self.count,
        }
