"""How alike pictures look.

Legend: N pictures, P pairs.
"""

from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image

from uniemo.utils.pictures import open_picture, upright_rgb

THUMBNAIL: Final = 16
"""Side of what is compared to find near duplicates."""

FLAT: Final = 2.0
"""Grey levels that a picture must deviate from one colour for it to be comparable."""


def signature(content: bytes) -> np.ndarray:
    """Return how an encoded picture looks, as a unit vector [768] float32.

    That is its 16 x 16 thumbnail without its mean colour and its contrast, so that the product of
    two is their correlation. A picture of one colour has the vector 0. JPEG is decoded at reduced
    scale, which still reads the whole file.

    Raises:
        OSError: If the picture cannot be decoded.
    """
    with open_picture(BytesIO(content)) as image:
        image.draft("RGB", (4 * THUMBNAIL, 4 * THUMBNAIL))
        small = upright_rgb(image).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float32)  # [16, 16, 3]
    values = (pixels - pixels.mean(axis=(0, 1))).flatten()
    length = np.linalg.norm(values)
    return values / length if length > FLAT * len(values) ** 0.5 else np.zeros_like(values)


def near_pairs(signatures: np.ndarray, least: float, chunk: int = 512) -> np.ndarray:
    """Return all pairs of pictures that correlate by at least ``least``: [P, 2], i < j.

    Args:
        signatures: [N, 768], from :func:`signature`.
        least: Of the correlation, in (0, 1].
        chunk: Pictures compared with all later ones at once.
    """
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(signatures), chunk):
        cosine = signatures[start : start + chunk] @ signatures[start:].T  # [chunk, rest]
        first, second = (cosine >= least).nonzero()
        found.append(np.stack([first, second], axis=1)[second > first] + start)
    return np.concatenate(found)


def tones(content: bytes) -> tuple[float, float]:
    """Return mean grey level and mean saturation of an encoded picture, both from 0 to 1.

    Saturation is that of HSV, chroma / greatest channel.

    Raises:
        OSError: If the picture cannot be decoded.
    """
    with open_picture(BytesIO(content)) as image:
        image.draft("RGB", (4 * THUMBNAIL, 4 * THUMBNAIL))
        pixels = np.asarray(upright_rgb(image), np.float32) / 255  # [height, width, 3]
    high, low = pixels.max(axis=2), pixels.min(axis=2)
    return float(pixels.mean()), float(((high - low) / np.maximum(high, 1e-6)).mean())
