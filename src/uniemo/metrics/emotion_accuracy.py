"""Emo-A: accuracy of an emotion classifier on generated images (docs/method.md, "Metrics").

Legend: B images, C emotions.
"""

from typing import Any

import torch
from torch import Tensor

from uniemo.emotions import Emotions
from uniemo.metrics.accumulation import SumMetric, check_rows, check_width, sum_per_emotion


class EmotionAccuracy(SumMetric):
    """Fraction of images for which a classifier predicts the intended emotion or its polarity.

    The classifier should be independent of the model that generated the images. Its polarity is
    that of the predicted emotion. Source: Emo-A of EmoGen (Yang et al., CVPR 2024). torchmetrics'
    ``MulticlassAccuracy`` returns 0 instead of NaN for an emotion without images.

    ``compute`` returns a dict of float64, each in [0, 1], NaN where there is no image. With eight
    emotions it has:

    - ``emo_a_8``, ``emo_a_2``: scalars over all images.
    - ``emo_a_8_per_emotion``, ``emo_a_2_per_emotion``: ``[8]``, by the intended emotion.

    With C emotions the first is ``emo_a_C``; the second is left out where they have no polarity.

    Args:
        emotions: What the classifier distinguishes; None for Mikels' eight.

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

    def __init__(self, emotions: Emotions | None = None, **kwargs: Any) -> None:
        emotions = emotions or Emotions()
        super().__init__(len(emotions), **kwargs)
        self.polarity = emotions.two_classes
        self.add_sums("count", "correct", *(["correct_polarity"] if self.polarity else []))

    def update(self, logits: Tensor, emotion: Tensor) -> None:
        """Add a classifier's logits or probabilities ``[B, C]`` for the intended emotions ``[B]``.

        Raises:
            ValueError: If the shapes do not fit.
        """
        check_width("logits", logits, self.num_classes)
        check_rows(logits=logits, emotion=emotion)
        predicted = logits.argmax(dim=1)  # [B]
        self.count += sum_per_emotion(torch.ones_like(emotion), emotion, self.num_classes)
        self.correct += sum_per_emotion(predicted == emotion, emotion, self.num_classes)
        if self.polarity:
            polarity = torch.tensor(self.polarity, device=logits.device)  # [C]
            right = polarity[predicted] == polarity[emotion]  # [B]
            self.correct_polarity += sum_per_emotion(right, emotion, self.num_classes)

    def compute(self) -> dict[str, Tensor]:
        """Return the accuracies (see the class)."""
        sums = {f"emo_a_{self.num_classes}": self.correct}
        if self.polarity:
            sums["emo_a_2"] = self.correct_polarity
        return {name: right.sum() / self.count.sum() for name, right in sums.items()} | {
            f"{name}_per_emotion": right / self.count for name, right in sums.items()
        }
