"""Emo-A: accuracy of an emotion classifier on generated images (docs/method.md, "Metrics")."""

from typing import Any

import torch
from torch import Tensor

from uniemo.emotions import N_EMOTIONS, POLARITY
from uniemo.metrics.accumulation import SumMetric, check_rows, check_width, sum_per_emotion


class EmotionAccuracy(SumMetric):
    """Fraction of images for which a classifier predicts the intended emotion or its polarity.

    The classifier should be independent of the model that generated the images. Its polarity is
    that of the predicted emotion. Source: Emo-A of EmoGen (Yang et al., CVPR 2024). torchmetrics'
    ``MulticlassAccuracy`` returns 0 instead of NaN for an emotion without images.

    ``compute`` returns a dict of float64, each in [0, 1], NaN where there is no image:

    - ``emo_a_8``, ``emo_a_2``: scalars over all images.
    - ``emo_a_8_per_emotion``, ``emo_a_2_per_emotion``: ``[8]``, by the intended emotion.

    Example:
        >>> metric = EmotionAccuracy()
        >>> predicted, intended = torch.eye(8)[[0, 1]], torch.tensor([0, 4])
        >>> metric.update(predicted, intended)
        >>> metric.compute()["emo_a_8"]
        tensor(0.5000, dtype=torch.float64)
    """

    count: Tensor
    correct: Tensor
    correct_polarity: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_sums("count", "correct", "correct_polarity")

    def update(self, logits: Tensor, emotion: Tensor) -> None:
        """Add a classifier's logits or probabilities ``[B, 8]`` for the intended emotions ``[B]``.

        Raises:
            ValueError: If the shapes do not fit.
        """
        check_width("logits", logits, N_EMOTIONS)
        check_rows(logits=logits, emotion=emotion)
        polarity = torch.tensor(POLARITY, device=logits.device)  # [8]
        predicted = logits.argmax(dim=1)  # [B]
        self.count += sum_per_emotion(torch.ones_like(emotion), emotion)
        self.correct += sum_per_emotion(predicted == emotion, emotion)
        self.correct_polarity += sum_per_emotion(polarity[predicted] == polarity[emotion], emotion)

    def compute(self) -> dict[str, Tensor]:
        """Return the accuracies (see the class)."""
        return {
            "emo_a_8": self.correct.sum() / self.count.sum(),
            "emo_a_2": self.correct_polarity.sum() / self.count.sum(),
            "emo_a_8_per_emotion": self.correct / self.count,
            "emo_a_2_per_emotion": self.correct_polarity / self.count,
        }
