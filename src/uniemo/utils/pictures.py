"""Pictures that others have made: opened with care, decoded as people see them."""

import warnings
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from uniemo.errors import first_line

# Pillow warns from half of its limit on; the limit here is MAX_PIXELS.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What is opened; of Pillow's other decoders some start further programs."""

MAX_PIXELS: Final = 100_000_000
"""Pixels of the largest picture that is decoded: 300 MB in memory."""

LONGEST: Final = 8
"""Sides that a picture may be longer than wide; of a longer one the middle is taken."""


def open_picture(source: str | Path | BytesIO) -> Image.Image:
    """Open, but not yet decode, a picture.

    Raises:
        OSError: If it is missing, of another format, broken or too large.
    """
    try:
        image = Image.open(source, formats=FORMATS)
    except Exception as error:  # Pillow's decoders raise a dozen kinds
        raise OSError(first_line(error)) from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise OSError(
            f"it has {width} x {height} pixels; shrink it to {MAX_PIXELS:,} pixels or fewer"
        )
    return image


def upright_rgb(image: Image.Image) -> Image.Image:
    """Decode a picture as people see it, in 8-bit RGB.

    It is turned as its EXIF data say; 16-bit and real grey keep their range; what is transparent
    lies on white; of an animation the first frame is taken.

    Raises:
        OSError: If it cannot be decoded.
    """
    try:
        return _upright_rgb(image)
    except Exception as error:  # Pillow's decoders raise a dozen kinds
        raise OSError(first_line(error)) from error


def _upright_rgb(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.mode[0] in "IF":  # whole or real numbers, which convert would clip
        upright = Image.fromarray(_grey(np.asarray(upright)))
    if "A" in upright.getbands() or "transparency" in upright.info:
        upright = upright.convert("RGBA")
        ground = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(ground, upright)
    return upright.convert("RGB")


def _grey(values: np.ndarray) -> np.ndarray:
    """Return whole numbers up to 255 or 65,535, or real ones up to 1 or these, as uint8."""
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype(np.float64))
        if values.max(initial=0) <= 1:
            values = values * 255
    values = np.round(values.clip(0, 65535)).astype(np.int64)
    return (values >> (8 if values.max(initial=0) > 255 else 0)).clip(0, 255).astype(np.uint8)


def middle(image: Image.Image) -> Image.Image:
    """Return a picture, or of an extreme panorama its middle: resized whole it would be huge."""
    width, height = image.size
    longest = LONGEST * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
    return image.crop((left, top, width - left, height - top))
