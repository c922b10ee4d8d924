"""``uniemo data check``: is a copy of EmoSet whole, and what is in it?"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import datasets

from data_modules.pictures import read_annotations
from data_modules.source import cache_folder, open_source
from data_modules.views import open_picture, unreadable
from uniemo.emotions import EMOTIONS, N_EMOTIONS
from uniemo.errors import UserError


def check(root: str, cache_dir: str | None = None) -> str:
    """Read every annotation, decode every picture, and count.

    Args:
        root: Folder in EmoSet's layout, or a hub's copy of EmoSet.
        cache_dir: Folder of the Arrow files; None for one in the cache of HF ``datasets``.

    Returns:
        A table of lines: per split the pictures of each emotion, and the share of the pictures that
        have a scene and an object.

    Raises:
        UserError: On the first thing that is broken: a file, a row, a name, a picture, or a picture
            that stands in two splits.
    """
    source = open_source(root)
    lines = [
        f"{source.root}: {len(source.scene_names)} scenes and {len(source.object_names)} objects",
        " ".join(f"{name:>11}" for name in ("split", "pictures", *EMOTIONS, "scene", "object")),
    ]
    split_of: dict[str, str] = {}
    for split in source.splits:
        table = source.table(split, cache_folder(cache_dir))
        for name in table["image_id"]:
            if split_of.setdefault(name, split) != split:
                raise UserError(
                    f"picture {name} of {source.root} is in {split_of[name]} and in {split}; "
                    "remove one of its rows"
                )
        _decode_all(table)
        labels = read_annotations(table, len(source.object_names))
        counts = labels.emotion.bincount(minlength=N_EMOTIONS).tolist()
        shares = [(labels.scene >= 0).float().mean(), labels.objects.any(dim=1).float().mean()]
        cells = [split, len(table), *counts, *(f"{share.item():.1%}" for share in shares)]
        lines.append(" ".join(f"{cell:>11}" for cell in cells))
    return "\n".join(lines)


def _decode_all(table: datasets.Dataset) -> None:
    """Decode every picture, as small as its decoder can: that still reads the whole file."""
    pictures = table.select_columns(["image", "image_id"])
    with ThreadPoolExecutor(os.cpu_count()) as readers:
        for _ in readers.map(partial(_decode, pictures), range(len(pictures))):
            pass


def _decode(pictures: datasets.Dataset, index: int) -> None:
    row = pictures[index]
    with open_picture(row["image"], row["image_id"]) as image:
        try:
            image.draft(None, (1, 1))
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise unreadable(row["image"]["path"] or row["image_id"], error) from None
