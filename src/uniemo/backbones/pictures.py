"""Endless fresh pictures: scene and object independent of each other and of any emotion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES, compose
from data_modules.emoscenes.compose import MAX_TILT, NEUTRAL_TONE

SIZE = 64
"""Side of a picture in pixels."""

_PRETRAINING = 0x5EED
"""Keeps these pictures' seeds apart from those of EmoScenes."""

NO_SCENE = 0.15
"""Share of pictures on a plain ground."""

NO_OBJECT = 0.1
"""Share of pictures without an object, among those with a scene."""

TONED = 0.5
"""Share of pictures with a tone of brightness and colorfulness, as EmoScenes' pictures have."""

ALL_OBJECTS = range(len(OBJECT_NAMES))


@dataclass(frozen=True)
class Subject:
    """How the pictures of a stage show their object."""

    objects: Sequence[int] = ALL_OBJECTS
    """What is drawn from, by index; what stands there twice comes twice as often."""
    large: float = 0.7
    """Share of pictures whose object spans 50 to 75 % of the width instead of 35 to 75 %; shapes
    are learnt sooner from large objects."""
    tilt: float = MAX_TILT
    """Degrees that the object is turned by at most, either way."""


class Pictures(Dataset[dict[str, Tensor]]):
    """Pictures ``start`` to ``start + length`` of the endless sequence of one seed.

    An item holds ``image`` [3, 64, 64] uint8, ``scene`` and ``object`` (long, -1 for none) and
    ``mask`` [16, 16], the share of each 4 x 4 block that the object covers.

    Args:
        seed: Names the sequence; different seeds share no picture.
        start: First picture.
        length: Number of pictures.
        subject: How they show their object.
    """

    def __init__(self, seed: int, start: int, length: int, subject: Subject = Subject()) -> None:
        self.seed, self.start, self.length, self.subject = seed, start, length, subject

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        subject = self.subject
        rng = np.random.default_rng([_PRETRAINING, self.seed, self.start + i])
        scene = -1 if rng.random() < NO_SCENE else int(rng.integers(len(SCENE_NAMES)))
        bare = scene >= 0 and rng.random() < NO_OBJECT
        object_ = -1 if bare else subject.objects[int(rng.integers(len(subject.objects)))]
        tone = rng.random(2).tolist() if rng.random() < TONED else [NEUTRAL_TONE] * 2
        picture = compose(
            rng,
            SCENE_NAMES[scene] if scene >= 0 else None,
            OBJECT_NAMES[object_] if object_ >= 0 else None,
            size=SIZE,
            object_size=(0.5 if rng.random() < subject.large else 0.35, 0.75),
            object_tilt=subject.tilt,
            brightness=tone[0],
            colorfulness=tone[1],
        )
        mask = picture.mask.reshape(16, 4, 16, 4).mean((1, 3))
        return {
            "image": torch.from_numpy(np.ascontiguousarray(picture.image.transpose(2, 0, 1))),
            "scene": torch.tensor(scene),
            "object": torch.tensor(object_),
            "mask": torch.from_numpy(mask.astype(np.float32)),
        }


def loader(
    seed: int, start: int, length: int, batch_size: int, subject: Subject = Subject()
) -> DataLoader[dict[str, Tensor]]:
    """Return a loader over :class:`Pictures` in order, composed by one other process."""
    pictures = Pictures(seed, start, length, subject)
    return DataLoader(pictures, batch_size, num_workers=1, prefetch_factor=8)


def to_unit_range(image: Tensor) -> Tensor:
    """Return uint8 pictures as floats in [-1, 1]."""
    return image.float() / 127.5 - 1
