"""One decode of an image -> the CLIP view and the diffusion view.

Legend: h side of the CLIP view, H side of the diffusion view, in pixels.

Both are bicubic with antialiasing, by Pillow, as open_clip's own preprocessing: the shortest side
is resized to h (or H) and the centre square is cut out. A random mirror image is the same in both;
a random crop, where asked for, concerns the CLIP view alone. Mirroring comes last, so a mirrored
view is exactly the mirror image of the other one, and latents of the two can be cached.
"""

import math
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from uniemo.errors import UserError, first_line
from uniemo.utils.pictures import middle, open_picture, upright_rgb

CLIP_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
"""Mean of CLIP's training images, R, G, B in [0, 1] (open_clip's OPENAI_DATASET_MEAN)."""

CLIP_STD: Final = (0.26862954, 0.26130258, 0.27577711)
"""Their standard deviation (open_clip's OPENAI_DATASET_STD)."""

_ASPECTS: Final = (3 / 4, 4 / 3)  # width / height of random crops, as torchvision's default
_OVERSAMPLING: Final = 2  # pixels per output pixel that a decoder's own downscaling leaves


class Box(NamedTuple):
    """A part of an image, in pixels of the upright image at full size."""

    top: int
    left: int
    height: int
    width: int


class ViewPair(NamedTuple):
    """Both views of one image."""

    clip: Tensor  # [3, h, h] float, normalised with CLIP's mean and standard deviation
    diffusion: Tensor | None  # [3, H, H] float in [-1, 1]
    flipped: bool


class ViewTransform:
    """Turn an opened image into its two views.

    Args:
        clip_size: h, CLIP's own input size.
        diffusion_size: H, a multiple of the autoencoder's stride; None for no such view.
        clip_mean: Mean that CLIP's weights were trained with, R, G, B in [0, 1].
        clip_std: Standard deviation that they were trained with.
        crop_scale: Least and greatest share of the image's area in a random crop of the CLIP
            view; None for the centre square.
        squash: Whether the diffusion view is the whole image, resized to a square whatever its
            shape, bilinearly and from full resolution, as the public FID script reads images.
    """

    def __init__(
        self,
        clip_size: int,
        diffusion_size: int | None,
        clip_mean: tuple[float, float, float] = CLIP_MEAN,
        clip_std: tuple[float, float, float] = CLIP_STD,
        crop_scale: tuple[float, float] | None = None,
        squash: bool = False,
    ) -> None:
        self.clip_size = clip_size
        self.diffusion_size = diffusion_size
        self.clip_mean = list(clip_mean)
        self.clip_std = list(clip_std)
        self.crop_scale = crop_scale
        self.squash = squash

    def __call__(self, image: Image.Image, generator: np.random.Generator | None) -> ViewPair:
        """Decode the image and return its views.

        Args:
            image: An opened image, preferably not yet decoded: JPEG is then decoded at the
                scale that the views need.
            generator: Source of the flip and of the crop; None for neither.

        Raises:
            OSError: If the image cannot be decoded.
        """
        # 1. Sample the flip first, so that it does not depend on whether there is a crop.
        width, height = _upright_size(image)
        flipped = generator is not None and bool(generator.random() < 0.5)
        box = None
        if generator is not None and self.crop_scale is not None:
            box = random_crop(width, height, self.crop_scale, generator)

        # 2. Decode once, no finer than needed.
        clip_side = min(width, height) if box is None else min(box.width, box.height)
        reduction = clip_side / self.clip_size
        if self.diffusion_size is not None:
            reduction = min(reduction, min(width, height) / self.diffusion_size)
        if reduction >= 2 * _OVERSAMPLING and not self.squash:
            factor = reduction / _OVERSAMPLING
            image.draft(None, (int(image.width / factor), int(image.height / factor)))
        upright = upright_rgb(image)

        # 3. Cut and resize: torch's kernel for bytes gives Pillow's result faster.
        if box is None:
            clip = _centre_square(upright, self.clip_size)
        else:
            scale = upright.width / width
            top, left, rows, columns = (round(side * scale) for side in box)
            part = upright.crop((left, top, left + columns, top + rows))
            side = self.clip_size
            clip = F.resize(F.pil_to_tensor(part), [side, side], InterpolationMode.BICUBIC)
        clip_view = F.normalize(_unit_tensor(clip), self.clip_mean, self.clip_std)  # [3, h, h]
        diffusion_view = None
        if self.diffusion_size is not None:
            side = self.diffusion_size
            if self.squash:
                square = F.pil_to_tensor(upright.resize((side, side), Image.Resampling.BILINEAR))
            else:
                square = _centre_square(upright, side)
            diffusion_view = _unit_tensor(square) * 2 - 1  # [3, H, H]

        # 4. Mirror.
        if flipped:
            clip_view = clip_view.flip(-1)
            diffusion_view = None if diffusion_view is None else diffusion_view.flip(-1)
        return ViewPair(clip_view, diffusion_view, flipped)


def encoded(source: dict[str, str | bytes | None]) -> bytes:
    """Return an image's file, from what a table of HF ``datasets`` holds in its image column.

    Raises:
        OSError: If it cannot be read.
    """
    content = source["bytes"]
    return content if isinstance(content, bytes) else Path(str(source["path"])).read_bytes()


def open_image(source: dict[str, str | bytes | None], name: str) -> Image.Image:
    """Open, but not yet decode, what a table of HF ``datasets`` holds in its image column.

    Args:
        source: ``{"path": ..., "bytes": ...}``; the bytes count where both are given.
        name: Name of the image in an error if it has no path.

    Raises:
        UserError: If it is missing or no image.
    """
    path, content = source["path"], source["bytes"]
    try:
        return open_picture(BytesIO(content) if isinstance(content, bytes) else str(path))
    except OSError as error:
        raise unreadable(path or name, error) from None


def unreadable(name: object, error: Exception) -> UserError:
    """Return the error for an image that cannot be read."""
    return UserError(
        f"image {name} cannot be read ({first_line(error)}); restore it or remove its row"
    )


def random_crop(
    width: int, height: int, scale: tuple[float, float], generator: np.random.Generator
) -> Box:
    """Return a random part of an image.

    Its share of the area is uniform in ``scale``, the logarithm of width / height uniform between
    those of 3/4 and 4/3 (Szegedy et al. 2015, as torchvision's ``RandomResizedCrop``). If ten
    samples do not fit, the centre square is taken.
    """
    for _ in range(10):
        area = width * height * generator.uniform(*scale)
        aspect = math.exp(generator.uniform(math.log(_ASPECTS[0]), math.log(_ASPECTS[1])))
        box_width, box_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < box_width <= width and 0 < box_height <= height:
            top = int(generator.integers(height - box_height, endpoint=True))
            left = int(generator.integers(width - box_width, endpoint=True))
            return Box(top, left, box_height, box_width)
    side = min(width, height)
    return Box((height - side) // 2, (width - side) // 2, side, side)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height after the rotation that the image's EXIF data ask for."""
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else (image.width, image.height)


def _centre_square(image: Image.Image, side: int) -> Tensor:
    """Return the middle of an image, resized, as bytes [3, side, side]."""
    pixels = F.pil_to_tensor(middle(image))
    resized = F.resize(pixels, [side], InterpolationMode.BICUBIC)
    return F.center_crop(resized, [side, side])


def _unit_tensor(pixels: Tensor) -> Tensor:
    """Return bytes [3, side, side] in [0, 1]."""
    return F.to_dtype(pixels.contiguous(), torch.float32, scale=True)
