"""Pictures that others have made: opened with care, decoded as people see them."""

import warnings
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from uniemo.errors import first_line

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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # checked here
            image = Image.open(source, formats=FORMATS)
    except Exception as error:  # Pillow's decoders raise a dozen kinds
        raise OSError(first_line(error)) from error
    if image.width * image.height > MAX_PIXELS:
        raise OSError(f"it has {image.width} x {image.height} pixels; {MAX_PIXELS:,} are the most")
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
        values = np.nan_to_num(np.asarray(upright, np.float64))
        highest = values.max(initial=0)
        usual = (255, 65535) if upright.mode[0] == "I" else (1, 255, 65535)
        white = next((each for each in usual if highest <= each), highest)
        upright = Image.fromarray((values.clip(0) * 255 / white).round().astype(np.uint8))
    if "A" in upright.getbands() or "transparency" in upright.info:
        upright = upright.convert("RGBA")
        ground = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(ground, upright)
    return upright.convert("RGB")


def middle(image: Image.Image) -> Image.Image:
    """Return a picture, or of an extreme panorama its middle: resized whole it would be huge."""
    width, height = image.size
    longest = LONGEST * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
    return image.crop((left, top, width - left, height - top))
