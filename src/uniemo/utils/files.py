"""Atomic writing of files: a reader finds the old content, the new content or no file."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow
from pyarrow import parquet
from safetensors.torch import save
from torch import Tensor


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and rename it to ``path`` when the block ends.

    Several processes may do so at once; the last one wins. Missing parent folders are created. If
    the block raises, what it wrote is deleted and ``path`` stays as it was. A process that is
    killed may leave a ``*.part`` behind (:func:`remove_leftovers`).

    Args:
        path: File to replace, or folder to create.

    Yields:
        A path that does not exist yet, for the block to write a file or a folder to.

    Raises:
        OSError: If writing fails, or if a folder is to be created where a filled one exists.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    try:
        yield part
        part.replace(path)
    finally:
        _remove(part)


def part_of(path: Path) -> Path:
    """Return a path beside another that no other process uses; it names machine and process."""
    writer = f"{socket.gethostname()}-{os.getpid()}"
    return path.with_name(f"{path.name}.{writer}-{uuid4().hex}.part")


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Remove what processes of this machine were writing into a folder when they were killed.

    Args:
        folder: It may be missing.
        name: Of the files or folders that were written, or a pattern.
    """
    for part in folder.glob(f"{name}.{socket.gethostname()}-*.part"):
        process = part.name.rsplit("-", 2)[1]
        if process.isdecimal() and not _is_alive(int(process)):
            _remove(part)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """Read a JSON file in UTF-8.

    Raises:
        OSError: If the file cannot be read.
        json.JSONDecodeError: If it is not JSON.
    """
    return json.loads(path.read_text("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically (see :func:`atomic_path`)."""
    with atomic_path(path) as part:
        part.write_bytes(content)


def write_json(path: Path, content: Any, compact: bool = False) -> None:
    """Write a JSON file atomically, indented by one space or, if ``compact``, on one line.

    Raises:
        TypeError: If JSON cannot express the content; nothing is written.
    """
    text = json.dumps(content) if compact else json.dumps(content, indent=1) + "\n"
    write_bytes(path, text.encode())


def write_table(path: Path, table: pyarrow.Table) -> None:
    """Write a Parquet file atomically."""
    with atomic_path(path) as part:
        parquet.write_table(table, part)


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file atomically; tensors may be of any layout and on any device."""
    write_bytes(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))
