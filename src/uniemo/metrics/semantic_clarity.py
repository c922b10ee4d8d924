"""Sem-C: how clearly an image shows an object or a scene (docs/method.md, "Metrics").

Legend: B images, C emotions, K_o objects, K_s scenes.
"""

from typing import Any

import torch
from torch import Tensor

from uniemo.metrics.accumulation import SumMetric, check_rows, sum_per_emotion


def image_clarity(object_probabilities: Tensor, scene_probabilities: Tensor) -> Tensor:
    """Return each image's clarity: the larger of its top object and top scene probability, ``[B]``.

    Args:
        object_probabilities: ``[B, K_o]`` in [0, 1], rows sum to 1.
        scene_probabilities: ``[B, K_s]`` in [0, 1], rows sum to 1.

    Raises:
        ValueError: If the numbers of rows differ, or values are not probabilities.
    """
    check_rows(object_probabilities=object_probabilities, scene_probabilities=scene_probabilities)
    top_object = object_probabilities.amax(dim=1)  # [B]
    top_scene = scene_probabilities.amax(dim=1)  # [B]
    clarity = torch.maximum(top_object, top_scene)  # [B]
    # The highest of K probabilities lies in (0, 1]; that of logits usually does not.
    if not ((torch.minimum(top_object, top_scene) > 0) & (clarity <= 1 + 1e-3)).all():
        raise ValueError("Sem-C needs probabilities in [0, 1]; apply softmax to the logits first")
    return clarity


class SemanticClarity(SumMetric):
    """Mean over images of max(top object probability, top scene probability).

    Source: Sem-C of EmoGen (Yang et al., CVPR 2024), with the probabilities of ResNet-50 trained on
    ImageNet and on Places365. Report which classifiers the probabilities come from.

    ``compute`` returns a dict of float64, each in [0, 1], NaN where there is no image: ``sem_c``,
    over all images, and ``sem_c_per_emotion`` ``[C]``.
    """

    count: Tensor
    clarity_sum: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_sums("count", "clarity_sum")

    def update(
        self, object_probabilities: Tensor, scene_probabilities: Tensor, emotion: Tensor
    ) -> None:
        """Add probabilities ``[B, K_o]`` and ``[B, K_s]`` for images of emotions ``[B]`` long.

        Raises:
            ValueError: If the numbers of rows differ, or values are not probabilities.
        """
        clarity = image_clarity(object_probabilities, scene_probabilities)  # [B]
        check_rows(object_probabilities=object_probabilities, emotion=emotion)
        self.count += sum_per_emotion(torch.ones_like(emotion), emotion, self.num_classes)
        self.clarity_sum += sum_per_emotion(clarity, emotion, self.num_classes)

    def compute(self) -> dict[str, Tensor]:
        """Return the mean clarity (see the class)."""
        return {
            "sem_c": self.clarity_sum.sum() / self.count.sum(),
            "sem_c_per_emotion": self.clarity_sum / self.count,
        }
