"""A brush that paints in units of the image's side, so that one scene fits every image size.

Coordinates run from (0, 0) at the top left to (1, 1) at the bottom right. Colours are 8-bit RGB.
"""

import random
from collections.abc import Callable, Iterable
from math import cos, sin
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

WHITE: Colour = (248, 248, 246)
BRIGHT: tuple[Colour, ...] = (
    (225, 45, 50),
    (245, 150, 30),
    (250, 215, 50),
    (70, 180, 75),
    (40, 130, 220),
    (145, 75, 190),
    (240, 110, 170),
)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return the colour that lies ``share`` (0..1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def around(x: float, y: float, r: float, angle: float) -> Point:
    """Return the point at ``angle`` radians on the circle of radius r around (x, y)."""
    return x + r * cos(angle), y + r * sin(angle)


class Passage(NamedTuple):
    """A passage in one-point perspective; its far end is a square of 2r around (x, y)."""

    x: float
    y: float
    r: float

    def at(self, u: float, v: float, depth: float) -> Point:
        """Map a point of the canvas, the near end, inwards; depth 1 is the far end."""
        share = depth**0.6
        far_u, far_v = self.x + (u - 0.5) * 2 * self.r, self.y + (v - 0.5) * 2 * self.r
        return u + (far_u - u) * share, v + (far_v - v) * share

    def strip(self, first: Point, second: Point, d0: float, d1: float) -> list[Point]:
        """Return the corners of the strip between two points, from depth d0 to d1.

        Pillow fills some polygons otherwise when their corners come in another order.
        """
        return [
            self.at(*first, d0),
            self.at(*second, d0),
            self.at(*second, d1),
            self.at(*first, d1),
        ]


class Brush:
    """Paints on a square canvas; every random choice comes from one generator.

    Args:
        side: Side of the canvas in pixels.
        rng: Source of every random choice.
    """

    def __init__(self, side: int, rng: random.Random) -> None:
        self.side = side
        self.rng = rng
        self.image = Image.new("RGB", (side, side))
        self._draw = ImageDraw.Draw(self.image)

    # Random choices.

    def between(self, low: float, high: float) -> float:
        """Return a number drawn uniformly from [low, high]."""
        return low + (high - low) * self.rng.random()

    def count(self, low: int, high: int) -> int:
        """Return a whole number drawn uniformly from low..high, both included."""
        return low + int((high - low + 1) * self.rng.random())

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self.rng.random() < probability

    def pick(self, colours: tuple[Colour, ...]) -> Colour:
        """Return one of the colours."""
        return colours[int(len(colours) * self.rng.random())]

    def mirror(self) -> Callable[[float], float]:
        """Return x -> x or, as often, x -> 1 - x."""
        return (lambda x: 1 - x) if self.chance(0.5) else lambda x: x

    def near(self, colour: Colour, spread: float = 16) -> Colour:
        """Return a colour near this one: lightness moves by up to ``spread``, channels by half."""
        light = self.between(-spread, spread)
        red, green, blue = (
            min(255, max(0, round(value + light + self.between(-spread, spread) / 2)))
            for value in colour
        )
        return red, green, blue

    # Shapes.

    def gradient(self, top: Colour, bottom: Colour, y0: float = 0, y1: float = 1) -> None:
        """Fill the rows y0..y1 with a colour that runs from top to bottom."""
        first, last = round(y0 * self.side), round(y1 * self.side)
        if last <= first:
            return
        share = np.linspace(0, 1, last - first)[:, None, None]
        rows = np.array(top) * (1 - share) + np.array(bottom) * share  # [rows, 1, 3]
        strip = Image.fromarray(rows.astype(np.uint8))
        stretched = strip.resize((self.side, last - first), Image.Resampling.NEAREST)
        self.image.paste(stretched, (0, first))

    def polygon(self, points: Iterable[Point], colour: Colour) -> None:
        """Fill a polygon."""
        side = self.side
        self._draw.polygon([(x * side, y * side) for x, y in points], fill=colour)

    def trapezoid(
        self, x: float, y0: float, half0: float, y1: float, half1: float, colour: Colour
    ) -> None:
        """Fill a trapezoid around x, 2 half0 wide at y0 and 2 half1 wide at y1."""
        self.polygon([(x - half0, y0), (x + half0, y0), (x + half1, y1), (x - half1, y1)], colour)

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fill a rectangle; its corners may come in any order."""
        left, right = sorted((x0 * self.side, x1 * self.side))
        top, bottom = sorted((y0 * self.side, y1 * self.side))
        self._draw.rectangle((left, top, right, bottom), fill=colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill an ellipse around (x, y) with radii rx and ry."""
        self._draw.ellipse(self._box(x, y, rx, ry), fill=colour)

    def ring(self, x: float, y: float, rx: float, ry: float, colour: Colour, width: float) -> None:
        """Draw the outline of an ellipse, its width in units of the side."""
        pixels = max(1, round(width * self.side))
        self._draw.ellipse(self._box(x, y, rx, ry), outline=colour, width=pixels)

    def _box(self, x: float, y: float, rx: float, ry: float) -> tuple[float, float, float, float]:
        side = self.side
        return (x - rx) * side, (y - ry) * side, (x + rx) * side, (y + ry) * side

    def line(self, points: Iterable[Point], colour: Colour, width: float) -> None:
        """Draw a line through the points, its width in units of the side."""
        side = self.side
        path = [(x * side, y * side) for x, y in points]
        self._draw.line(path, fill=colour, width=max(1, round(width * side)))

    # Shapes that many scenes share.

    def ridge(self, base: float, height: float, steps: int, colour: Colour) -> None:
        """Fill everything below a jagged line that rises up to ``height`` above ``base``."""
        skyline = [(i / steps, base - height * self.rng.random()) for i in range(steps + 1)]
        self.polygon([(0, 1), *skyline, (1, 1)], colour)

    def blobs(
        self,
        area: tuple[float, float, float, float],
        radius: tuple[float, float],
        colours: tuple[Colour, ...],
        count: int,
        flat: float = 1,
    ) -> None:
        """Scatter ellipses over area (x0, y0, x1, y1); ``flat`` is their height over width."""
        x0, y0, x1, y1 = area
        for _ in range(count):
            r = self.between(*radius)
            x, y = self.between(x0, x1), self.between(y0, y1)
            self.ellipse(x, y, r, r * flat, self.pick(colours))

    def clouds(self, y0: float, y1: float, colour: Colour, count: int) -> None:
        """Paint flat clouds of three puffs each between the heights y0 and y1."""
        for _ in range(count):
            x, y, r = self.between(0, 1), self.between(y0, y1), self.between(0.03, 0.06)
            for shift in (-1.3, 0, 1.2):
                self.ellipse(x + shift * r, y, r * 1.3, r * (0.8 if shift else 1.1) * 0.7, colour)
