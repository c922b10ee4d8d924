"""Photos as users have them: paths, PIL images, arrays, tensors; to tensors of one form.

Legend: H side of the square that is read, in pixels, Q queries of a set, gh x gw patches.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from uniemo.errors import UserError
from uniemo.utils.pictures import MAX_PIXELS, open_picture, upright_rgb
from uniemo.vision.images import square

Photo: TypeAlias = str | Path | Image.Image | np.ndarray | Tensor
"""One image: a file; a PIL image; an array [height, width, 3] or [height, width]; a tensor
[3, height, width]. Arrays and tensors hold whole numbers in [0, 255] (uint8) or real ones in
[0, 1]."""


def open_photo(photo: Photo) -> Image.Image:
    """Return a photo as a PIL image in RGB, turned as its camera says.

    Raises:
        UserError: If it is no image, broken, or has too many pixels.
    """
    if isinstance(photo, str | Path):
        return _read(Path(photo))
    if isinstance(photo, Image.Image):
        _check_size(photo.size, "the photo")
        return upright_rgb(photo)
    if isinstance(photo, np.ndarray):
        photo = torch.from_numpy(np.array(photo))  # a copy, which may be written to
        photo = photo.movedim(-1, 0) if photo.ndim == 3 else photo
    if not isinstance(photo, Tensor):
        raise UserError(
            f"a photo is a {type(photo).__name__}; give a path, a PIL image, an array or a tensor"
        )
    return _of_tensor(photo)


def photo_squares(photos: Sequence[Photo], size: int) -> Tensor:
    """Return the centre squares of photos, resized to H: [B, 3, H, H] in [0, 1].

    Raises:
        UserError: If there is none, or one is unusable.
    """
    if not len(photos):
        raise UserError("there is no photo; give at least one")
    return torch.stack([square(open_photo(photo), size) for photo in photos])


def as_list(photos: Photo | Sequence[Photo]) -> list[Photo]:
    """Return one photo, several, or a batch (an array or tensor of four dimensions) as a list."""
    if isinstance(photos, np.ndarray | Tensor):
        return list(photos) if photos.ndim == 4 else [photos]
    if isinstance(photos, str | Path | Image.Image):
        return [photos]
    if not isinstance(photos, Sequence):
        return [photos]  # open_photo says what is wrong
    return list(photos)


def attention_picture(photo: Photo, maps: np.ndarray, size: int = 512) -> Image.Image:
    """Return a photo's square, bright where the queries [Q, gh, gw] look on average."""
    mean = maps.mean(0)
    mean = (mean - mean.min()) / max(float(np.ptp(mean)), 1e-12)
    wide = Image.fromarray((mean * 255).astype("uint8")).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    light = 0.2 + 0.8 * np.asarray(wide, np.float32) / 255
    pixels = square(open_photo(photo), size).permute(1, 2, 0).numpy()
    return Image.fromarray((pixels * light[..., None] * 255).round().astype("uint8"))


def _read(path: Path) -> Image.Image:
    if not path.is_file():
        raise UserError(f"photo {path} does not exist; give an image file")
    try:
        with open_picture(path) as opened:
            _check_size(opened.size, f"photo {path}")
            return upright_rgb(opened)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"photo {path} cannot be read ({reason}); give an image file that is whole"
        ) from None


def _check_size(size: tuple[int, int], what: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise UserError(
            f"{what} has {width} x {height} pixels; shrink it to {MAX_PIXELS:,} pixels or fewer"
        )
    if min(size) < 1 or max(size) > 20 * min(size):
        raise UserError(f"{what} has {width} x {height} pixels; crop it to a usual shape")


def _of_tensor(photo: Tensor) -> Image.Image:
    if photo.ndim == 2:
        photo = photo[None]
    if photo.ndim != 3 or photo.shape[0] not in (1, 3):
        raise UserError(
            f"a photo has the shape {tuple(photo.shape)}; give arrays as [height, width, 3], "
            "tensors as [3, height, width]"
        )
    _check_size((photo.shape[2], photo.shape[1]), "the photo")
    photo = photo.detach().cpu()
    if photo.dtype.is_floating_point:
        if not bool(((photo >= 0) & (photo <= 1)).all()):
            raise UserError("a photo's numbers lie outside [0, 1]; scale them, or give uint8")
        photo = (photo.float() * 255).round().to(torch.uint8)
    elif photo.dtype != torch.uint8:
        raise UserError(f"a photo's numbers are {photo.dtype}; give uint8, or floats in [0, 1]")
    return F.to_pil_image(photo).convert("RGB")
