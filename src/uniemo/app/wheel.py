"""The wheel of emotions: a direction is a blend of two neighbours, a distance an intensity.

Legend: x, y pixels from the top left; angles run clockwise from the top.
"""

import colorsys
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from uniemo.pipeline.picture_request import MAX_INTENSITY

SIDE = 320
RADIUS = 0.49 * SIDE  # where the intensity is 2


def wheel_picture(emotions: Sequence[str]) -> Image.Image:
    """Draw the wheel, a sector for each emotion."""
    large = 2 * SIDE
    image = Image.new("RGB", (large, large), "white")
    draw = ImageDraw.Draw(image)
    centre, radius = large / 2, 2 * RADIUS
    step = 360 / len(emotions)
    for i, emotion in enumerate(emotions):
        rgb = colorsys.hls_to_rgb(i / len(emotions), 0.42, 0.5)
        colour = tuple(round(255 * part) for part in rgb)
        box = (centre - radius, centre - radius, centre + radius, centre + radius)
        draw.pieslice(box, (i - 0.5) * step - 90, (i + 0.5) * step - 90, colour, "white", 4)
        angle = math.radians(i * step)
        place = centre + 0.7 * radius * math.sin(angle), centre - 0.7 * radius * math.cos(angle)
        draw.text(place, emotion, "white", anchor="mm", font_size=26)
    half = radius / MAX_INTENSITY  # where the intensity is 1
    draw.ellipse((centre - half, centre - half, centre + half, centre + half), outline="white")
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def chosen_at(x: float, y: float, emotions: Sequence[str]) -> tuple[str, str, float, float]:
    """Return what a point of the wheel means.

    Returns:
        The nearest emotion, the neighbour on the point's side, the neighbour's weight in [0, 0.5]
        and the intensity in [0, 2].
    """
    dx, dy = x - SIDE / 2, SIDE / 2 - y
    position = math.atan2(dx, dy) / math.tau * len(emotions)
    nearest = round(position)
    neighbour = nearest + (1 if position > nearest else -1)
    intensity = min(MAX_INTENSITY, MAX_INTENSITY * math.hypot(dx, dy) / RADIUS)
    first, second = (emotions[i % len(emotions)] for i in (nearest, neighbour))
    return first, second, round(abs(position - nearest), 2), round(intensity, 2)
