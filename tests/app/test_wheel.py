"""A point of the wheel is a blend of two neighbours at an intensity."""

import math

import pytest

from uniemo.app.wheel import RADIUS, SIDE, chosen_at, wheel_picture
from uniemo.emotions import EMOTIONS


@pytest.mark.parametrize("i", range(8))
def test_the_middle_of_a_sector_is_its_emotion_alone(i):
    angle = i * math.tau / 8
    x, y = SIDE / 2 + RADIUS / 2 * math.sin(angle), SIDE / 2 - RADIUS / 2 * math.cos(angle)
    first, _, share, intensity = chosen_at(x, y, EMOTIONS)
    assert (first, share, intensity) == (EMOTIONS[i], 0, 1)


def test_between_two_emotions_is_their_blend_and_outside_is_the_most_intense():
    angle = 1.4 * math.tau / 8
    x, y = SIDE / 2 + 900 * math.sin(angle), SIDE / 2 - 900 * math.cos(angle)
    assert chosen_at(x, y, EMOTIONS) == (EMOTIONS[1], EMOTIONS[2], 0.4, 2)
    first, second, share, _ = chosen_at(SIDE / 2 - 1, 0, EMOTIONS)  # left of the top
    assert (first, second) == (EMOTIONS[0], EMOTIONS[7])
    assert 0 < share < 0.1


def test_the_picture_has_the_size_that_points_refer_to():
    assert wheel_picture(EMOTIONS).size == (SIDE, SIDE)
