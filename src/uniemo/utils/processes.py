"""Whether several processes work together."""

from torch import distributed


def in_group() -> bool:
    """Return whether this process is one of a process group."""
    return distributed.is_available() and distributed.is_initialized()
