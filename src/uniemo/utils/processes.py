"""State of distributed training."""

from torch import distributed


def is_distributed() -> bool:
    """Return whether this process belongs to an initialised process group."""
    return distributed.is_available() and distributed.is_initialized()
