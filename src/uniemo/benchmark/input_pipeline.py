"""Reading of training images, beside EmoSet's published way of reading them.

Legend: h side of CLIP's view in pixels.
"""

import io
import json
from typing import Any

import numpy as np
from PIL import Image
from torchvision import transforms

from data_modules.views import ViewTransform
from uniemo.benchmark.measuring import Work
from uniemo.model import UniEmo

SIZE = 1000, 750
N_IMAGES = 24


def photos() -> list[bytes]:
    """Return JPEGs of smooth noise, about as many bytes each as photos of their size."""
    generator, made = np.random.default_rng(0), []
    for _ in range(N_IMAGES):
        noise = generator.integers(0, 256, (94, 125, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize(SIZE, Image.Resampling.BICUBIC)
        file = io.BytesIO()
        image.save(file, "JPEG", quality=90)
        made.append(file.getvalue())
    return made


def _rgb(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def input_works(model: UniEmo) -> list[Work]:
    """Training views of photos: ours, and as the published data set reads them."""
    size, *statistics = model.clip_view
    mean, std = map(_rgb, statistics)
    files = photos()
    annotation = json.dumps({"emotion": "awe", "scene": "coast", "object": ["Lion", "Cake"]})
    ours = ViewTransform(size, None, mean, std, crop_scale=(0.08, 1.0))
    published = transforms.Compose(
        [
            transforms.RandomResizedCrop(size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )

    def read_ours() -> None:
        for number, file in enumerate(files):
            ours(Image.open(io.BytesIO(file)), np.random.default_rng(number))

    def read_published() -> None:
        for file in files:
            _: Any = json.loads(annotation)
            published(Image.open(io.BytesIO(file)).convert("RGB"))

    return [Work("ours", read_ours, N_IMAGES), Work("published", read_published, N_IMAGES)]
