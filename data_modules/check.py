"""``uniemo data check``: validate a copy of EmoSet and count its images."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import datasets

from data_modules.dataset import read_annotations
from data_modules.source import cache_folder, open_source
from data_modules.views import open_image, unreadable
from uniemo.errors import UserError


def check(root: str, cache_dir: str | None = None) -> str:
    """Read every annotation, decode every image, and count.

    Args:
        root: Folder in EmoSet's layout, or a hub's copy of EmoSet.
        cache_dir: Folder of the Arrow files; None for one in the cache of HF ``datasets``.

    Returns:
        A table as text: for each split the number of images of each emotion, and the shares of
        images with a scene and with an object.

    Raises:
        UserError: If a file, a row, a name or an image is broken, or an image is in two splits.
    """
    source = open_source(root)
    names = source.emotions.names
    lines = [
        f"{source.root}: {len(source.scene_names)} scenes and {len(source.object_names)} objects",
        " ".join(f"{name:>11}" for name in ("split", "images", *names, "scene", "object")),
    ]
    split_of: dict[str, str] = {}
    for split in source.splits:
        table = source.table(split, cache_folder(cache_dir))
        for name in table["image_id"]:
            if split_of.setdefault(name, split) != split:
                raise UserError(
                    f"image {name} of {source.root} is in {split_of[name]} and in {split}; "
                    "remove one of its rows"
                )
        images = table.select_columns(["image", "image_id"])
        with ThreadPoolExecutor(os.cpu_count()) as readers:
            list(readers.map(partial(_decode, images), range(len(images))))
        labels = read_annotations(table, len(source.object_names))
        counts = labels.emotion.bincount(minlength=len(source.emotions)).tolist()
        shares = [(labels.scene >= 0).float().mean(), labels.objects.any(dim=1).float().mean()]
        cells = [split, len(table), *counts, *(f"{share.item():.1%}" for share in shares)]
        lines.append(" ".join(f"{cell:>11}" for cell in cells))
    return "\n".join(lines)


def _decode(images: datasets.Dataset, index: int) -> None:
    """Decode an image, as small as its decoder can: that still reads the whole file."""
    row = images[index]
    with open_image(row["image"], row["image_id"]) as image:
        try:
            image.draft(None, (1, 1))
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise unreadable(row["image"]["path"] or row["image_id"], error) from None
