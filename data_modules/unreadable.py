"""Images that cannot be decoded: found once, left out up to a limit, and listed."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import datasets

from data_modules.pixels import signature
from data_modules.views import encoded
from uniemo.errors import UserError, first_line
from uniemo.utils.files import read_json, write_json


def reason(images: datasets.Dataset, index: int) -> str | None:
    """Return why an image of a table cannot be decoded; None if it can."""
    try:
        signature(encoded(images[index]["image"] or {"path": None, "bytes": None}))
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise
        return first_line(error)
    return None


def without_unreadable(
    table: datasets.Dataset, split: str, limit: int, cache_dir: Path
) -> datasets.Dataset:
    """Return a table without the images that cannot be decoded, which a file in the cache lists.

    All images are decoded once; later calls read the list.

    Raises:
        UserError: If there are more than ``limit``.
    """
    file = cache_dir / f"unreadable-{table._fingerprint}.json"
    if not file.is_file():
        images = table.select_columns(["image", "image_id"])
        with ThreadPoolExecutor(os.cpu_count()) as readers:
            found = list(readers.map(lambda index: reason(images, index), range(len(table))))
        names = list(table["image_id"])
        write_json(file, [[i, names[i], text] for i, text in enumerate(found) if text])
    rows = read_json(file)
    if len(rows) > limit:
        _, name, text = rows[0]
        raise UserError(
            f"{len(rows)} images of {split} cannot be read, more than "
            f"data.init_args.max_unreadable {limit} (first: {name}, {text}); {file} lists them"
        )
    if not rows:
        return table
    print(f"{len(rows)} images of {split} cannot be read and are left out: {file}", flush=True)
    left_out = {row[0] for row in rows}
    return table.select([index for index in range(len(table)) if index not in left_out])
