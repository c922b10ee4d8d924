"""Endless composed images: scene and object independent of each other and of any emotion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES, compose
from data_modules.emoscenes.compose import MAX_TILT, NEUTRAL_TONE

SIZE = 64
"""Side of an image in pixels."""

_PRETRAINING = 0x5EED
"""Separates the seeds of these images from those of EmoScenes."""

NO_SCENE = 0.15
"""Share of images on a plain ground."""

NO_OBJECT = 0.1
"""Share of images without an object, among those with a scene."""

TONED = 0.5
"""Share of images with a tone of brightness and colorfulness, as EmoScenes' images have."""

ALL_OBJECTS = range(len(OBJECT_NAMES))


@dataclass(frozen=True)
class ObjectSettings:
    """How the images of a stage show their object."""

    objects: Sequence[int] = ALL_OBJECTS
    """Indices to choose from; one that is listed twice is chosen twice as often."""
    large: float = 0.7
    """Share of images whose object spans 50 to 75 % of the width instead of 35 to 75 %; shapes
    are learned earlier from large objects."""
    tilt: float = MAX_TILT
    """Greatest rotation of the object in degrees, in either direction."""


@dataclass(eq=False)
class ComposedImages(Dataset[dict[str, Tensor]]):
    """Images ``start`` to ``start + length`` of the endless sequence of one seed.

    An item holds ``image`` [3, 64, 64] uint8, ``scene`` and ``object`` (long, -1 for none) and
    ``mask`` [16, 16], the share of each 4 x 4 block that the object covers. Sequences of different
    seeds share no image.
    """

    seed: int
    start: int
    length: int
    settings: ObjectSettings = ObjectSettings()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        settings = self.settings
        rng = np.random.default_rng([_PRETRAINING, self.seed, self.start + i])
        scene = -1 if rng.random() < NO_SCENE else int(rng.integers(len(SCENE_NAMES)))
        bare = scene >= 0 and rng.random() < NO_OBJECT
        object_ = -1 if bare else settings.objects[int(rng.integers(len(settings.objects)))]
        tone = rng.random(2).tolist() if rng.random() < TONED else [NEUTRAL_TONE] * 2
        image = compose(
            rng,
            SCENE_NAMES[scene] if scene >= 0 else None,
            OBJECT_NAMES[object_] if object_ >= 0 else None,
            size=SIZE,
            object_size=(0.5 if rng.random() < settings.large else 0.35, 0.75),
            object_tilt=settings.tilt,
            brightness=tone[0],
            colorfulness=tone[1],
        )
        mask = image.mask.reshape(16, 4, 16, 4).mean((1, 3))
        return {
            "image": torch.from_numpy(np.ascontiguousarray(image.image.transpose(2, 0, 1))),
            "scene": torch.tensor(scene),
            "object": torch.tensor(object_),
            "mask": torch.from_numpy(mask.astype(np.float32)),
        }


def loader(
    seed: int, start: int, length: int, batch_size: int, settings: ObjectSettings = ObjectSettings()
) -> DataLoader[dict[str, Tensor]]:
    """Return a loader over :class:`ComposedImages` in order, composed by one other process."""
    images = ComposedImages(seed, start, length, settings)
    return DataLoader(images, batch_size, num_workers=1, prefetch_factor=8)


def to_unit_range(image: Tensor) -> Tensor:
    """Return uint8 images as floats in [-1, 1]."""
    return image.float() / 127.5 - 1
