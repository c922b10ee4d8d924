"""Tables of images on disk, kept as Arrow files that are named by what they were made from."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import datasets
from datasets.arrow_writer import ArrowWriter
from pyarrow import ArrowInvalid

from uniemo.utils.files import atomic_path, remove_leftovers


def status_digest(paths: Iterable[str | Path], content: Any) -> str:
    """Name a content that JSON can express together with its files' times and sizes."""
    digest = blake2b(json.dumps(content).encode(), digest_size=16)
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue  # missing: whoever reads it says so
        digest.update(f"{status.st_mtime_ns} {status.st_size};".encode())
    return digest.hexdigest()


def cached_table(
    arrow: Path,
    features: Mapping[str, Any],
    columns: Callable[[], Mapping[str, Sequence[Any]]],
) -> datasets.Dataset:
    """Return a memory-mapped table; a process that finds none, or a broken one, writes it.

    Args:
        arrow: The file.
        features: Its columns.
        columns: Makes their content.
    """
    if arrow.is_file():
        try:
            return datasets.Dataset.from_file(str(arrow))
        except (OSError, ArrowInvalid):
            print(f"{arrow} is broken; it is written again", flush=True)
    content = dict(columns())
    remove_leftovers(arrow.parent)
    with (
        atomic_path(arrow) as part,
        ArrowWriter(features=datasets.Features(features), path=str(part)) as writer,
    ):
        writer.write_batch(content)
        writer.finalize()
    return datasets.Dataset.from_file(str(arrow))
