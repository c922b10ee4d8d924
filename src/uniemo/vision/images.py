"""Images on disk: one, or a folder of any system's.

Legend: B images, H side of an image in pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.utils.pictures import middle, open_picture, upright_rgb
from uniemo.utils.processes import share

SUFFIXES = (".png", ".jpg", ".jpeg")

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class GeneratedBatch:
    """A batch of generated images."""

    image: Tensor  # [B, 3, H, H] in [0, 1]
    emotion: Tensor  # [B] long, the target of each
    index: Tensor  # [B] long, 0, 1, 2, ... within its emotion


class EmotionImageFolder:
    """Generated images of any system: ``<emotion>/*.png|jpg``, in the order of their names.

    Args:
        folder: The folder.
        emotions: Those that it has images of.
        per_emotion: At most so many of each emotion.
        size: H; the centre square is taken, resized with antialiasing as real images are.

    Raises:
        UserError: If an emotion has fewer than two images.
    """

    def __init__(self, folder: Path, emotions: Emotions, per_emotion: int, size: int) -> None:
        if not folder.is_dir():
            raise UserError(f"folder {folder} does not exist; give one of <emotion>/*.png|jpg")
        self.size, self.emotions = size, emotions
        self.files: list[tuple[int, int, Path]] = []
        for emotion, name in enumerate(emotions.names):
            inside = (folder / name).iterdir() if (folder / name).is_dir() else ()
            files = sorted(path for path in inside if path.suffix.lower() in SUFFIXES)
            if len(files) < 2:
                raise UserError(
                    f"{folder / name} holds {len(files)} images; each emotion needs at least 2 "
                    ".png or .jpg files"
                )
            self.files += [(emotion, i, path) for i, path in enumerate(files[:per_emotion])]

    @property
    def counts(self) -> Tensor:
        """Number of images of each emotion, [C] long."""
        return torch.tensor([row[0] for row in self.files]).bincount(minlength=len(self.emotions))

    def batches(self, batch_size: int) -> Iterator[GeneratedBatch]:
        """Yield the images of this process: every batch, or every so many of them.

        Raises:
            UserError: If one cannot be decoded; none is ever replaced by another.
        """
        for start in share(range(0, len(self.files), batch_size)):
            rows = self.files[start : start + batch_size]
            yield GeneratedBatch(
                torch.stack([read_image(path, self.size) for _, _, path in rows]),
                torch.tensor([emotion for emotion, _, _ in rows]),
                torch.tensor([index for _, index, _ in rows]),
            )


def read_image(path: Path, size: int) -> Tensor:
    """Read an image's centre square, resized with antialiasing as real images are.

    Returns:
        [3, H, H] in [0, 1], H = ``size``.

    Raises:
        UserError: If it cannot be decoded.
    """
    try:
        with open_picture(path) as opened:
            image = upright_rgb(opened)
    except OSError as error:
        raise UserError(f"image {path} cannot be read ({error}); remove it") from None
    return square(image, size)


def square(image: Image.Image, size: int) -> Tensor:
    """Return an image's centre square, resized with antialiasing as real images are.

    Args:
        image: In RGB.
        size: H.

    Returns:
        [3, H, H] in [0, 1].
    """
    resized = F.resize(F.pil_to_tensor(middle(image)), [size], InterpolationMode.BICUBIC)
    return F.to_dtype(F.center_crop(resized, [size, size]), torch.float32, scale=True)


def squash(image: Tensor, side: int) -> Tensor:
    """Resize whole images [B, 3, H, W], in [0, 1], bilinearly to [B, 3, S, S], S = ``side``.

    Values are rounded to bytes before and after, as in files and in Pillow.
    """
    byte = (image * 255).round().to(torch.uint8)
    return F.resize(byte, [side, side], InterpolationMode.BILINEAR).float() / 255


def evenly_spaced(items: Sequence[T], n: int) -> list[T]:
    """Return up to ``n`` items, evenly spread."""
    n = min(n, len(items))
    return [items[i * len(items) // n] for i in range(n)]
