"""One line for whatever a command raises."""

import errno
import re
import traceback
from pathlib import Path

import torch
from jsonargparse import ArgumentError

from uniemo.errors import first_line, user_error

_WORKER = re.compile(r"Caught UserError in \w+ .*\nuniemo\.errors\.UserError: ", re.DOTALL)
"""What PyTorch puts before the message of an error in one of a loader's processes."""


def explain_failure(error: Exception) -> tuple[str, int]:
    """Return one line for an error, and the exit code: 2 for the user's, 1 for a bug."""
    own = user_error(error) or (error if isinstance(error, ArgumentError) else None)
    if own is not None:
        return " ".join(_WORKER.sub("", str(own)).split()), 2
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return (
            "memory is exhausted; lower data.init_args.batch_size, model.diffusion.images_at_once "
            "or model.sampling.batch_size",
            2,
        )
    if isinstance(error, OSError) and error.errno is not None:
        what = (error.strerror or "").lower()
        where = "" if error.filename is None else f"{error.filename}: "
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space" if full else "check the path, its owner and the disk"
        return f"{where}{what}; {remedy}", 2
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"this is a bug of uniemo: {type(error).__name__}: {first_line(error)} "
        f"({Path(place.filename).name}, line {place.lineno}); report it with what the same command "
        "prints with --debug",
        1,
    )
