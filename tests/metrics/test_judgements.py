"""Emo-A, Sem-C, the pointing game and bootstrap intervals against counting by hand."""

import numpy as np
import pytest
import scipy.stats
import torch
from torch.nn.functional import interpolate

from uniemo.metrics import (
    EmotionAccuracy,
    PointingGame,
    SemanticClarity,
    bootstrap_interval,
    image_clarity,
)
from uniemo.metrics.pointing_game import attention_peak


def test_emotion_accuracy_counts_emotions_and_polarities() -> None:
    seen = torch.tensor([0, 1, 4, 5, 5, 3])
    meant = torch.tensor([0, 0, 0, 5, 6, 6])
    metric = EmotionAccuracy()
    metric.update(torch.eye(8)[seen], meant)
    value = metric.compute()
    assert value["emo_a_8"].item() == pytest.approx(2 / 6)
    assert value["emo_a_2"].item() == pytest.approx(4 / 6)  # awe for amusement, disgust for fear
    nan = float("nan")
    of_emotion = [1 / 3, nan, nan, nan, nan, 1, 0, nan]
    of_polarity = [2 / 3, nan, nan, nan, nan, 1, 1 / 2, nan]
    np.testing.assert_allclose(value["emo_a_8_per_emotion"], of_emotion)
    np.testing.assert_allclose(value["emo_a_2_per_emotion"], of_polarity)


def test_semantic_clarity_takes_the_clearer_of_object_and_scene() -> None:
    objects = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.6, 0.4]])
    scenes = torch.tensor([[0.4, 0.3, 0.3], [0.7, 0.2, 0.1], [0.2, 0.4, 0.4]])
    metric = SemanticClarity()
    metric.update(objects, scenes, torch.tensor([2, 2, 7]))
    value = metric.compute()
    assert value["sem_c"].item() == pytest.approx((0.9 + 0.7 + 0.6) / 3)
    assert value["sem_c_per_emotion"][2].item() == pytest.approx(0.8)
    assert value["sem_c_per_emotion"][7].item() == pytest.approx(0.6)
    assert value["sem_c_per_emotion"][0].isnan()


@pytest.mark.parametrize("wrong", [torch.tensor([[3.0, -1.0]]), torch.tensor([[-2.0, -1.0]])])
def test_logits_are_refused_as_probabilities(wrong: torch.Tensor) -> None:
    right = torch.tensor([[0.5, 0.5]])
    for arguments in ((wrong, right), (right, wrong)):
        with pytest.raises(ValueError, match="softmax"):
            image_clarity(*arguments)


def test_the_peak_is_that_of_the_enlarged_map() -> None:
    maps = torch.rand(50, 5, 7, generator=torch.Generator().manual_seed(0))
    maps[:, 0] = maps[:, -1] = maps[:, :, 0] = maps[:, :, -1] = 0  # no plateau at the border
    factor = 9  # odd: each cell's centre is a pixel's centre
    large = interpolate(maps[:, None], scale_factor=factor, mode="bilinear", align_corners=False)
    pixel = large.flatten(1).argmax(dim=1)
    width, height = 7 * factor, 5 * factor
    expected = torch.stack([(pixel % width + 0.5) / width, (pixel // width + 0.5) / height], dim=1)
    torch.testing.assert_close(attention_peak(maps), expected)


def test_pointing_counts_peaks_in_boxes() -> None:
    attention = torch.zeros(3, 4, 4)
    attention[0, 0, 3] = attention[1, 0, 3] = attention[2, 2, 1] = 1  # row, column
    box = torch.tensor([[0.5, 0.0, 1.0, 0.5], [0.0, 0.5, 0.5, 1.0], [0.25, 0.5, 0.5, 1.0]])
    metric = PointingGame()
    metric.update(attention, box)
    value = metric.compute()
    assert value["pointing"].item() == pytest.approx(2 / 3)
    assert value["pointing_chance"].item() == pytest.approx((0.25 + 0.25 + 0.125) / 3)


def test_pointing_blindly_hits_at_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    corner = torch.randint(0, 10, (4000, 2), generator=generator) / 16
    box = torch.cat([corner, corner + torch.tensor([4, 6]) / 16], dim=1)
    metric = PointingGame()
    metric.update(torch.rand(4000, 16, 16, generator=generator), box)
    value = metric.compute()
    assert value["pointing"].item() == pytest.approx(value["pointing_chance"].item(), abs=0.02)


@pytest.mark.parametrize("box", [[0, 0, 0, 1], [0, 0, 224, 224], [0.5, 0, 0.2, 1], [-1, 0, 1, 1]])
def test_what_is_no_box_is_refused(box: list[float]) -> None:
    with pytest.raises(ValueError, match="relative to the image"):
        PointingGame().update(torch.rand(1, 4, 4), torch.tensor([box]))


def test_the_bootstrap_interval_is_scipys() -> None:
    values = torch.rand(200, generator=torch.Generator().manual_seed(0)) < 0.3
    low, high = bootstrap_interval(values, n=4000)
    expected = scipy.stats.bootstrap(
        (values.double().numpy(),), np.mean, n_resamples=4000, method="percentile", rng=0
    ).confidence_interval
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_the_bootstrap_takes_a_statistic_and_a_seed() -> None:
    values = torch.randn(99, generator=torch.Generator().manual_seed(0))
    medians = [
        bootstrap_interval(values, lambda x: x.median(dim=1).values, seed=s) for s in (0, 0, 1)
    ]
    assert medians[0] == medians[1] != medians[2]
    assert medians[0][0] <= values.median() <= medians[0][1]


def test_the_bootstrap_of_nothing_and_of_a_constant() -> None:
    assert np.isnan(bootstrap_interval(torch.empty(0))).all()
    assert bootstrap_interval(torch.full((5,), 2.0)) == (2, 2)
    with pytest.raises(ValueError, match="one per image"):
        bootstrap_interval(torch.zeros(2, 2))
