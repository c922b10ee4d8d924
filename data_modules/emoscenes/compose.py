"""Compose one image: a painted scene, an object on it, distractors and a tone (extension).

Everything is painted at twice the size and box-filtered once, which antialiases edges.
"""

import random
from functools import cache
from math import ceil, cos, radians, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from data_modules.emoscenes.brush import BRIGHT, Brush
from data_modules.emoscenes.objects import DISTRACTORS, OBJECTS, twemoji
from data_modules.emoscenes.scenes import SCENES, plain

NEUTRAL_TONE = 0.5
MAX_TILT = 25.0  # degrees


class Composition(NamedTuple):
    """A composed image of side S and what is known of its object."""

    image: NDArray[np.uint8]  # [S, S, 3] RGB
    box: tuple[float, float, float, float] | None  # x0, y0, x1, y1 in pixels; None: no object
    mask: NDArray[np.float32]  # [S, S] in [0, 1], how much of each pixel is the object


def compose(
    rng: np.random.Generator,
    scene: str | None,
    object: str | None,
    *,
    size: int = 64,
    object_size: tuple[float, float] = (0.35, 0.75),
    object_tilt: float = MAX_TILT,
    distractors: tuple[int, int] = (0, 3),
    brightness: float = NEUTRAL_TONE,
    colorfulness: float = NEUTRAL_TONE,
) -> Composition:
    """Compose an image; the same generator state and arguments give the same bytes.

    Args:
        rng: Source of all randomness; exactly one number is drawn from it.
        scene: One of ``SCENE_NAMES``, or None for a plain ground.
        object: One of ``OBJECT_NAMES``, or None for no object.
        size: Side S of the image in pixels.
        object_size: Range of the object's longer side (before its tilt), in sides of the image.
        object_tilt: Degrees that the object is turned by at most, either way.
        distractors: Range of the number of small neutral things, both ends included.
        brightness: Tone in [0, 1]; 0.5 leaves the image as painted.
        colorfulness: Tone in [0, 1]; 0.5 leaves the image as painted.

    Raises:
        ValueError: If the scene or the object is unknown.
        UserError: If the twemoji images are not installed.
    """
    if scene is not None and scene not in SCENES:
        raise ValueError(f"scene {scene!r} is unknown; choose one of {', '.join(SCENES)}")
    if object is not None and object not in OBJECTS:
        raise ValueError(f"object {object!r} is unknown; choose one of {', '.join(OBJECTS)}")
    # Python's generator draws single numbers ten times as fast as NumPy's.
    brush = Brush(2 * size, random.Random(int(rng.integers(2**63))))
    (SCENES[scene] if scene else plain)(brush)

    count, mask = brush.count(*distractors), Image.new("L", (size, size))
    if object is None:
        _paint_distractors(brush, count, None)
        image = brush.image.reduce(2)
    else:
        sprite = _object_sprite(brush, object, object_size, object_tilt)
        left, top = brush.count(0, size - sprite.width), brush.count(0, size - sprite.height)
        right, bottom = left + sprite.width, top + sprite.height
        _paint_distractors(brush, count, (2 * left, 2 * top, 2 * right, 2 * bottom))
        image = brush.image.reduce(2)
        _paste_with_halo(image, sprite, left, top)
        mask.paste(sprite.getchannel("A"), (left, top))
    coverage = np.asarray(mask, np.float32) / np.float32(255)
    return Composition(_tone(image, brightness, colorfulness), _bounding_box(coverage), coverage)


def _object_sprite(
    brush: Brush, name: str, object_size: tuple[float, float], object_tilt: float
) -> Image.Image:
    """Return the object as RGBA at the image's size, at random size, tilt, mirror and tint."""
    longer = brush.between(*object_size) * brush.side
    tilt = brush.between(-object_tilt, object_tilt)
    large = _turned(OBJECTS[name], longer, tilt, mirror=brush.chance(0.5), limit=brush.side - 2)
    tint = np.array([*(brush.between(0.85, 1.1) for _ in range(3)), 1], np.float32)
    pixels = np.asarray(large.reduce(2).convert("RGBA")) * tint  # [height, width, RGBA]
    return Image.fromarray(np.minimum(pixels, 255).astype(np.uint8))


def _turned(
    code_point: str, longer: float, degrees: float, *, mirror: bool, limit: int
) -> Image.Image:
    """Scale, mirror and turn a twemoji in one resampling, to at most ``limit`` wide and high."""
    original = twemoji(code_point)
    scale = longer / max(original.size)
    c, s = cos(radians(degrees)), sin(radians(degrees))
    wide = scale * (abs(c) * original.width + abs(s) * original.height)
    high = scale * (abs(s) * original.width + abs(c) * original.height)
    fit = min(1.0, limit / max(wide, high))
    width, height, scale = ceil(wide * fit), ceil(high * fit), scale * fit
    sign = -1 if mirror else 1
    # Maps a pixel of the result to one of the original.
    xx, xy, yx, yy = sign * c / scale, sign * s / scale, -s / scale, c / scale
    x0 = original.width / 2 - xx * width / 2 - xy * height / 2
    y0 = original.height / 2 - yx * width / 2 - yy * height / 2
    return original.transform(
        (width, height), Image.Transform.AFFINE, (xx, xy, x0, yx, yy, y0), Image.Resampling.BILINEAR
    )


def _paint_distractors(
    brush: Brush, count: int, keep_free: tuple[int, int, int, int] | None
) -> None:
    """Scatter small confetti and neutral twemoji whose boxes stay clear of the object's box."""
    side = brush.side
    for _ in range(count):
        r = brush.between(0.035, 0.07) * side
        x, y = brush.between(r, side - r), brush.between(r, side - r)
        if keep_free is not None:
            x0, y0, x1, y1 = keep_free
            if x0 - r < x < x1 + r and y0 - r < y < y1 + r:
                continue
        if brush.chance(0.5):
            thing, mirror = DISTRACTORS[brush.count(0, len(DISTRACTORS) - 1)], brush.chance(0.5)
            small = _turned(thing, 2 * r, brush.between(-90, 90), mirror=mirror, limit=side)
            small = small.convert("RGBA")
            corner = (round(x - small.width / 2), round(y - small.height / 2))
            brush.image.paste(small, corner, small)
            continue
        colour, turn = brush.near(brush.pick(BRIGHT), 30), brush.between(0, 6.3)
        x, y, r = x / side, y / side, r / side
        corners = brush.count(2, 5)
        if corners == 2:
            brush.ellipse(x, y, r * 0.8, r * 0.8, colour)
        else:
            angles = [turn + 6.2832 * k / corners for k in range(corners)]
            brush.polygon([(x + r * cos(angle), y + r * sin(angle)) for angle in angles], colour)


def _paste_with_halo(ground: Image.Image, sprite: Image.Image, left: int, top: int) -> None:
    """Paste the object, with a soft light or dark rim that is stronger the lower the contrast."""
    # Nearest samples on a 12 x 12 grid are enough to compare the object with the ground below it.
    box = (left, top, left + sprite.width, top + sprite.height)
    above = np.asarray(sprite.resize((12, 12), Image.Resampling.NEAREST), np.float32)
    below = np.asarray(ground.resize((12, 12), Image.Resampling.NEAREST, box), np.float32)
    covered = above[:, :, 3] > 127  # [12, 12]
    object_colour, ground_colour = above[covered, :3].mean(0), below[covered].mean(0)  # [RGB]
    contrast = float(np.abs(object_colour - ground_colour).mean())
    strength = min(1.0, max(0.0, (90 - contrast) / 60))
    if strength > 0:
        pad = max(1, ground.width // 40)
        wide = Image.new("L", (sprite.width + 2 * pad, sprite.height + 2 * pad))
        wide.paste(sprite.getchannel("A"), (pad, pad))
        rim = wide.filter(ImageFilter.BoxBlur(0.6 * pad)).point(_rim_table(round(strength * 10)))
        shade = 255 if ground_colour.mean() < 140 else 25
        ground.paste((shade,) * 3, (left - pad, top - pad), rim)
    ground.paste(sprite, (left, top), sprite)


@cache
def _rim_table(tenths: int) -> list[int]:
    """Return the look-up table blurred alpha -> opacity of the rim, at a strength in tenths."""
    return [min(255, round(value * 2.2 * 0.085 * tenths)) for value in range(256)]


def _tone(image: Image.Image, brightness: float, colorfulness: float) -> NDArray[np.uint8]:
    """Apply a saturation of 0.5 + colorfulness, then a gamma of 2^(0.8 - 1.6 brightness)."""
    saturated = ImageEnhance.Color(image).enhance(0.5 + colorfulness)
    return _gamma_table(round(brightness, 2))[np.asarray(saturated)]


@cache
def _gamma_table(brightness: float) -> NDArray[np.uint8]:
    """Return the look-up table [256] of the brightness tone."""
    exponent = 2 ** (0.8 - 1.6 * brightness)
    return np.round(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)


def _bounding_box(coverage: NDArray[np.float32]) -> tuple[float, float, float, float] | None:
    """Return x0, y0, x1, y1 of the pixels at least a quarter covered, or None."""
    rows, columns = (np.flatnonzero((coverage >= 0.25).any(axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
