"""Checkpoint files of UniEmo, read without trusting them."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from uniemo.errors import UserError, first_line

WORD_WIDTH = "understanding.emotion_head.hidden.bias"  # a tensor of that length


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Open a checkpoint file of UniEmo, tensors and plain types only; tensors are read when used.

    Raises:
        UserError: If it is missing, broken, not finite, or of another model or version.
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
    if not _is_ours(checkpoint):
        raise UserError(f"{path} is no checkpoint of UniEmo; give one that training wrote")
    if WORD_WIDTH not in checkpoint["state_dict"]:
        raise UserError(
            f"{path} was written by another version of uniemo; train anew with this one"
        )
    check_finite(checkpoint["state_dict"], path)
    return checkpoint


def _is_ours(checkpoint: Any) -> bool:
    """Return whether a file's content has the form of a checkpoint."""
    if not isinstance(checkpoint, dict):
        return False
    names, state, settings = (
        checkpoint.get(key) for key in ("names", "state_dict", "hyper_parameters")
    )
    return (
        isinstance(names, dict)
        and isinstance(settings, dict)
        and isinstance(state, dict)
        and all(isinstance(value, Tensor) for value in state.values())
        and all(
            isinstance(names.get(kind), list) and all(isinstance(n, str) for n in names[kind])
            for kind in ("scene", "object")
        )
    )


def check_finite(content: Any, path: Path) -> None:
    """Check all numbers of a checkpoint.

    Args:
        content: What :func:`read_checkpoint` returns, or a part of it.
        path: The file.

    Raises:
        UserError: If one is NaN or infinite.
    """
    for name, tensor in _tensors(content, ""):
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(
                f"checkpoint {path} holds numbers that are not finite ({name}): its training has "
                "diverged; give an earlier one, or train anew with lower rates"
            )


def check_resumable(path: Path) -> None:
    """Check that a training can go on from a checkpoint: whole, unchanged since, finite.

    Raises:
        UserError: If not.
    """
    checkpoint = read_checkpoint(path)
    if "optimizer_states" not in checkpoint or "loops" not in checkpoint:
        raise UserError(f"checkpoint {path} holds weights alone; go on from a last.ckpt")
    with zipfile.ZipFile(path) as file:
        broken = file.testzip()
    if broken is not None:
        raise UserError(f"checkpoint {path} is damaged ({broken}); give another")
    for key in ("state_dict", "optimizer_states"):
        check_finite(checkpoint[key], path)


def _tensors(content: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in nested dictionaries and lists, by their full keys."""
    if isinstance(content, Tensor):
        yield name, content
    elif isinstance(content, dict | list | tuple):
        pairs = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in pairs:
            yield from _tensors(value, f"{name}.{key}".lstrip("."))


def trained_word_width(checkpoint: dict[str, Any]) -> int:
    """Return W, the width of a word that a trained model's mappers write."""
    return len(checkpoint["state_dict"][WORD_WIDTH])
