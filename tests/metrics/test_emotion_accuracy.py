"""Emo-A, compared with counting by hand."""

import numpy as np
import pytest
import torch

from uniemo.metrics import EmotionAccuracy


def test_emotion_accuracy_counts_emotions_and_polarities() -> None:
    predicted = torch.tensor([0, 1, 4, 5, 5, 3])
    intended = torch.tensor([0, 0, 0, 5, 6, 6])
    metric = EmotionAccuracy()
    metric.update(torch.eye(8)[predicted], intended)
    value = metric.compute()
    assert value["emo_a_8"].item() == pytest.approx(2 / 6)
    assert value["emo_a_2"].item() == pytest.approx(4 / 6)  # awe for amusement, disgust for fear
    nan = float("nan")
    of_emotion = [1 / 3, nan, nan, nan, nan, 1, 0, nan]
    of_polarity = [2 / 3, nan, nan, nan, nan, 1, 1 / 2, nan]
    np.testing.assert_allclose(value["emo_a_8_per_emotion"], of_emotion)
    np.testing.assert_allclose(value["emo_a_2_per_emotion"], of_polarity)
