"""Files that appear whole or not at all: the one place that writes results."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow
from pyarrow import parquet
from safetensors.torch import save
from torch import Tensor


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: beside its place, then renamed, whoever else writes it.

    Folders that are missing are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    part.write_bytes(content)
    part.replace(path)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically."""
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode())


def write_table(path: Path, table: pyarrow.Table) -> None:
    """Write a Parquet file atomically."""
    buffer = pyarrow.BufferOutputStream()
    parquet.write_table(table, buffer)
    write_bytes(path, buffer.getvalue().to_pybytes())


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file atomically."""
    write_bytes(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))
