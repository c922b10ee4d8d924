"""Checkpoint files of UniEmo, read without trusting them."""

from pathlib import Path
from typing import Any

import torch

from uniemo.errors import UserError


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint file of UniEmo, tensors and plain types only.

    Raises:
        UserError: If it is missing, broken or another model's.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist; train first or give another path")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch raise a dozen kinds
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"checkpoint {path} cannot be read ({first}); give another") from error
    if not isinstance(checkpoint, dict) or "names" not in checkpoint:
        raise UserError(f"{path} is no checkpoint of UniEmo; give one that training wrote")
    return checkpoint
