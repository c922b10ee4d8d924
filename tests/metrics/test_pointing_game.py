"""The pointing game, compared with counting by hand."""

import pytest
import torch
from torch.nn.functional import interpolate

from uniemo.metrics import PointingGame
from uniemo.metrics.pointing_game import attention_peak


def test_the_peak_is_that_of_the_resized_map() -> None:
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


def test_random_attention_is_at_chance_level() -> None:
    generator = torch.Generator().manual_seed(0)
    corner = torch.randint(0, 10, (4000, 2), generator=generator) / 16
    box = torch.cat([corner, corner + torch.tensor([4, 6]) / 16], dim=1)
    metric = PointingGame()
    metric.update(torch.rand(4000, 16, 16, generator=generator), box)
    value = metric.compute()
    assert value["pointing"].item() == pytest.approx(value["pointing_chance"].item(), abs=0.02)


@pytest.mark.parametrize("box", [[0, 0, 0, 1], [0, 0, 224, 224], [0.5, 0, 0.2, 1], [-1, 0, 1, 1]])
def test_invalid_boxes_are_rejected(box: list[float]) -> None:
    with pytest.raises(ValueError, match="relative to the image"):
        PointingGame().update(torch.rand(1, 4, 4), torch.tensor([box]))
