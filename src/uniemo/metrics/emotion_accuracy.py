"""Emo-A: how often a judge sees the emotion that an image was made for (METHOD, "Metrics")."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from uniemo.emotions import N_EMOTIONS, POLARITY
from uniemo.metrics.accumulation import check_rows, check_width, sum_per_emotion


class EmotionAccuracy(Metric):
    """Share of images whose emotion, or polarity, the judge's highest logit names.

    The judge is the caller's: an emotion classifier independent of the model that made the images.
    Its polarity is that of its chosen emotion. Source: METHOD, "Metrics" (Emo-A).

    ``compute`` returns a dict of float64, each in [0, 1], NaN where there was no image:

    - ``emo_a_8``, ``emo_a_2``: scalars over all images.
    - ``emo_a_8_per_emotion``, ``emo_a_2_per_emotion``: ``[8]``, by the intended emotion.

    Example:
        >>> metric = EmotionAccuracy()
        >>> metric.update(torch.eye(8)[[0, 1]], torch.tensor([0, 4]))  # awe seen, anger meant
        >>> metric.compute()["emo_a_8"]
        tensor(0.5000, dtype=torch.float64)
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False

    count: Tensor
    correct: Tensor
    correct_polarity: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("count", "correct", "correct_polarity"):
            zeros = torch.zeros(N_EMOTIONS, dtype=torch.float64)
            self.add_state(name, zeros, dist_reduce_fx="sum", persistent=True)

    def update(self, logits: Tensor, emotion: Tensor) -> None:
        """Count a batch.

        Args:
            logits: The judge's logits or probabilities, ``[B, 8]``.
            emotion: The emotion each image was made for, ``[B]`` long.

        Raises:
            ValueError: If the shapes do not fit.
        """
        check_width("logits", logits, N_EMOTIONS)
        check_rows(logits=logits, emotion=emotion)
        polarity = torch.tensor(POLARITY, device=logits.device)  # [8]
        seen = logits.argmax(dim=1)  # [B]
        self.count += sum_per_emotion(torch.ones_like(emotion), emotion)
        self.correct += sum_per_emotion(seen == emotion, emotion)
        self.correct_polarity += sum_per_emotion(polarity[seen] == polarity[emotion], emotion)

    def compute(self) -> dict[str, Tensor]:
        """Return the accuracies (see the class)."""
        return {
            "emo_a_8": self.correct.sum() / self.count.sum(),
            "emo_a_2": self.correct_polarity.sum() / self.count.sum(),
            "emo_a_8_per_emotion": self.correct / self.count,
            "emo_a_2_per_emotion": self.correct_polarity / self.count,
        }
