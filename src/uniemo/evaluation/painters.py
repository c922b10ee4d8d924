"""Where the pictures to be evaluated come from: a model, a folder, plain Stable Diffusion.

Legend: B pictures, H their side.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from uniemo.diffusion import SamplingConfig, StableDiffusion, image_generator, sample
from uniemo.emotions import EMOTIONS, N_EMOTIONS
from uniemo.errors import UserError
from uniemo.module import UniEmo

BASELINE_PROMPT = "an image of {}"  # METHOD: EmoGen's prompt for Stable Diffusion
SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, eq=False)
class Painted:
    """Some generated pictures."""

    image: Tensor  # [B, 3, H, H] in [0, 1]
    emotion: Tensor  # [B] long, what each was made for
    index: Tensor  # [B] long, 0, 1, 2, ... within its emotion


def numbered(per_emotion: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield emotions [B] and indices [B] of all pictures, emotion by emotion."""
    emotion = torch.arange(N_EMOTIONS).repeat_interleave(per_emotion)
    index = torch.arange(per_emotion).repeat(N_EMOTIONS)
    yield from zip(emotion.split(batch_size), index.split(batch_size), strict=True)


def painted_by_model(
    module: UniEmo, per_emotion: int, batch_size: int, sampling: SamplingConfig
) -> Iterator[Painted]:
    """Paint pictures 0, 1, ... of every emotion from the emotion space."""
    for emotion, index in numbered(per_emotion, batch_size):
        yield Painted(module.generate(emotion, index, sampling)[0], emotion, index)


def painted_by_prompt(
    head: StableDiffusion, per_emotion: int, batch_size: int, sampling: SamplingConfig, seed: int
) -> Iterator[Painted]:
    """Paint with Stable Diffusion alone and EmoGen's baseline prompt, "an image of {emotion}".

    Source: METHOD, "Metrics", first row of the published table.
    """
    states = head.prompts.encode([BASELINE_PROMPT.format(name) for name in EMOTIONS])  # [C, T, W]
    for emotion, index in numbered(per_emotion, batch_size):
        pairs = zip(emotion.tolist(), index.tolist(), strict=True)
        generators = [image_generator(seed, e, i) for e, i in pairs]
        conditions = states[emotion.to(states.device)]  # [B, T, W]
        yield Painted(sample(head, conditions, generators, sampling), emotion, index)


class ImageFolder:
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

    def batches(self, batch_size: int) -> Iterator[Painted]:
        """Yield all pictures.

        Raises:
            UserError: If one cannot be decoded; none is ever replaced by another.
        """
        for start in range(0, len(self.files), batch_size):
            rows = self.files[start : start + batch_size]
            yield Painted(
                torch.stack([read_picture(path, self.size) for _, _, path in rows]),
                torch.tensor([emotion for emotion, _, _ in rows]),
                torch.tensor([index for _, index, _ in rows]),
            )


def read_picture(path: Path, size: int) -> Tensor:
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
