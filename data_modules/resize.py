"""``uniemo data resize``: a copy of a data set with smaller images, which load faster.

Decoding the files takes most of a loader's time, and networks read far smaller images than cameras
take. The copy is in EmoSet's layout, so it is used like the original.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from shutil import copyfile

from PIL import Image
from rich.progress import track

from data_modules.views import open_image, unreadable
from uniemo.errors import UserError
from uniemo.utils.command import run_command
from uniemo.utils.emoset_files import SPLITS, SplitRow, read_info, read_split, write_split
from uniemo.utils.files import atomic_path, read_json, write_json
from uniemo.utils.pictures import upright_rgb

NOTE = "resized.json"
"""Says what the copy is, and that this command may go on with it."""


def resize(root: Path, out: Path, side: int = 512, quality: int = 95) -> None:
    """Write a copy of a data set in EmoSet's layout with images of a given shorter side.

    Smaller images keep their size. An interrupted copy is completed by the same command.

    Args:
        root: Folder of the data set.
        out: Folder of the copy.
        side: Shorter side in pixels, at least that of the diffusion view; for understanding alone
            320 are enough for crops of 224.
        quality: Of the JPEG files, 1 to 95.

    Raises:
        UserError: If an argument is impossible, ``out`` holds something else, or a file of the data
            set is broken.
    """
    if side < 32 or not 1 <= quality <= 95:
        raise UserError(
            f"side is {side} and quality {quality}; give 32 pixels or more and a quality of 1 to 95"
        )
    note = {"source": str(root.resolve()), "side": side, "quality": quality}
    if out.exists() and not ((out / NOTE).is_file() and read_json(out / NOTE) == note):
        raise UserError(f"{out} exists and is no such copy of {root}; remove it or give another")
    emotions = read_info(root).emotions
    splits = {split: read_split(root, split, emotions) for split in SPLITS}
    write_json(out / NOTE, note)

    rows = [row for split in splits.values() for row in split]
    copy = partial(copy_image, root, out, side=side, quality=quality)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in track(pool.map(copy, rows), "Resizing", len(rows)):
            pass
    # Last, so that an incomplete copy cannot be opened.
    for split, own in splits.items():
        write_split(out, split, [SplitRow.of(row.emotion, row.image_id) for row in own])
    copyfile(root / "info.json", out / "info.json")
    print(f"The copy is in {out}")


def copy_image(root: Path, out: Path, row: SplitRow, side: int, quality: int) -> None:
    """Copy an image, resized, and its annotation, unless the copy is there."""
    target = SplitRow.of(row.emotion, row.image_id).absolute(out)
    if Path(target.annotation).is_file():
        return
    source = row.absolute(root)
    with atomic_path(Path(target.image)) as part:
        image = open_image({"path": source.image, "bytes": None}, row.image_id)
        try:
            # JPEG is decoded at half or a quarter of its size where that is still large enough.
            image.draft(None, (2 * side, 2 * side))
            image = upright_rgb(image)
        except (OSError, SyntaxError, ValueError) as error:
            raise unreadable(source.image, error) from None
        scale = side / min(image.size)
        if scale < 1:
            size = max(round(image.width * scale), side), max(round(image.height * scale), side)
            image = image.resize(size, Image.Resampling.BICUBIC)
        image.save(part, "JPEG", quality=quality)
    with atomic_path(Path(target.annotation)) as part:
        copyfile(source.annotation, part)


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    return run_command(resize, arguments, "uniemo data resize")
