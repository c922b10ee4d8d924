"""Images on disk: reading one, and folders of any system's.

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

from uniemo.emotions import EMOTIONS, N_EMOTIONS
from uniemo.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg")

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class GeneratedBatch:
    """Some generated pictures."""

    image: Tensor  # [B, 3, H, H] in [0, 1]
    emotion: Tensor  # [B] long, what each was made for
    index: Tensor  # [B] long, 0, 1, 2, ... within its emotion


class EmotionImageFolder:
    """Pictures of any system: ``<emotion>/*.png|jpg``, in the order of their names.

    Args:
        folder: The folder.
        per_emotion: At most so many of each emotion.
        size: H; the centre square is taken, resized with antialiasing as real pictures are.

    Raises:
        UserError: If an emotion has fewer than two pictures.
    """

    def __init__(self, folder: Path, per_emotion: int, size: int) -> None:
        if not folder.is_dir():
            raise UserError(f"folder {folder} does not exist; give one of <emotion>/*.png|jpg")
        self.size = size
        self.files: list[tuple[int, int, Path]] = []
        for emotion, name in enumerate(EMOTIONS):
            inside = (folder / name).iterdir() if (folder / name).is_dir() else ()
            files = sorted(path for path in inside if path.suffix.lower() in SUFFIXES)
            if len(files) < 2:
                raise UserError(
                    f"{folder / name} holds {len(files)} pictures; each emotion needs at least 2 "
                    ".png or .jpg files"
                )
            self.files += [(emotion, i, path) for i, path in enumerate(files[:per_emotion])]

    @property
    def counts(self) -> Tensor:
        """Pictures of each emotion, [C] long."""
        return torch.tensor([row[0] for row in self.files]).bincount(minlength=N_EMOTIONS)

    def batches(self, batch_size: int) -> Iterator[GeneratedBatch]:
        """Yield all pictures.

        Raises:
            UserError: If one cannot be decoded; none is ever replaced by another.
        """
        for start in range(0, len(self.files), batch_size):
            rows = self.files[start : start + batch_size]
            yield GeneratedBatch(
                torch.stack([read_image(path, self.size) for _, _, path in rows]),
                torch.tensor([emotion for emotion, _, _ in rows]),
                torch.tensor([index for _, index, _ in rows]),
            )


def read_image(path: Path, size: int) -> Tensor:
    """Read a picture's centre square, resized with antialiasing as real pictures are.

    Args:
        path: Of a file that Pillow reads.
        size: H.

    Returns:
        [3, H, H] in [0, 1].

    Raises:
        UserError: If it cannot be decoded.
    """
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise
        raise UserError(f"picture {path} cannot be read ({error}); remove it") from None
    picture = F.resize(picture, [size], InterpolationMode.BICUBIC, antialias=True)
    square = F.center_crop(picture, [size, size])
    return F.to_dtype(F.pil_to_tensor(square), torch.float32, scale=True)


def evenly_spaced(items: Sequence[T], n: int) -> list[T]:
    """Return up to ``n`` items, evenly spread."""
    n = min(n, len(items))
    return [items[i * len(items) // n] for i in range(n)]
