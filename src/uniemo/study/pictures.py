"""What single pictures scored, kept small: intervals hold seeds and pictures together.

The score of a prediction is the posterior of the predicted emotion where the data set knows it
(EmoScenes), else 1 or 0. Its mean is the expected accuracy over all labels that a picture might
have been given, which has the accuracy's mean and less of its chance.

Legend: B pictures of a batch, P of a split, C emotions.
"""

import base64
import zlib
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uniemo.evaluation.understanding_metrics import read_composed_annotations

STEPS = 255
"""Scores are kept in 8 bits: the mean of a split moves by less than 0.0001."""


class Predictions(lightning.Callback):
    """Keeps the predicted emotions of a validation or a test; no use for several processes."""

    def __init__(self) -> None:
        self.batches: list[Tensor] = []

    def on_validation_batch_end(self, trainer: Any, model: Any, logits: Any, *_: Any) -> None:
        """Keep the predictions of a batch, from the logits [B, C] of the model's step."""
        self.batches.append(logits.argmax(1).cpu())

    def on_test_batch_end(self, trainer: Any, model: Any, logits: Any, *_: Any) -> None:
        """Keep the predictions of a batch, as of validation."""
        self.batches.append(logits.argmax(1).cpu())

    def take(self) -> Tensor:
        """Return the predictions [P] since the last time."""
        predictions, self.batches = torch.cat(self.batches), []
        return predictions


def picture_scores(predictions: Tensor, data: Any, split: str) -> NDArray[np.float64]:
    """Return the scores [P] of the predicted emotions [P] of a split's pictures."""
    composed = read_composed_annotations(data, split)
    if composed is None:
        scores = (predictions == data.annotations(split).emotion).double()
    else:
        scores = composed.posterior.double().gather(1, predictions[:, None])[:, 0]
    return scores.numpy()


def packed(scores: NDArray[np.float64]) -> str:
    """Write scores [P] in [0, 1] as text."""
    content = np.round(scores * STEPS).astype(np.uint8).tobytes()
    return base64.b64encode(zlib.compress(content, 9)).decode()


def unpacked(text: str) -> NDArray[np.float64]:
    """Read the scores [P] that :func:`packed` has written."""
    content = zlib.decompress(base64.b64decode(text))
    return np.frombuffer(content, np.uint8) / STEPS
