"""Checkpoint files of UniEmo, read without trusting them."""

from pathlib import Path
from typing import Any

import torch

from uniemo.errors import UserError, first_line

WORD_WIDTH = "understanding.emotion_head.hidden.bias"  # a tensor of that length


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Open a checkpoint file of UniEmo, tensors and plain types only; tensors are read when used.

    Raises:
        UserError: If it is missing, broken, or of another model or version.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist; train first or give another path")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # zip, pickle and torch raise a dozen kinds
        raise UserError(
            f"checkpoint {path} cannot be read ({first_line(error)}); give another"
        ) from error
    if not isinstance(checkpoint, dict) or "names" not in checkpoint:
        raise UserError(f"{path} is no checkpoint of UniEmo; give one that training wrote")
    if WORD_WIDTH not in checkpoint["state_dict"]:
        raise UserError(
            f"{path} was written by another version of uniemo; train anew with this one"
        )
    return checkpoint


def trained_word_width(checkpoint: dict[str, Any]) -> int:
    """Return W, the width of a word that a trained model's mappers write."""
    return len(checkpoint["state_dict"][WORD_WIDTH])
