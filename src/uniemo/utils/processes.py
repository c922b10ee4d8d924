"""The processes of distributed work, and how they share it out."""

import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest
from typing import TypeVar

from torch import distributed

T = TypeVar("T")
_NOTHING = object()


def is_distributed() -> bool:
    """Return whether this process belongs to an initialised process group."""
    return distributed.is_available() and distributed.is_initialized()


def rank_and_size() -> tuple[int, int]:
    """Return this process's number, and how many there are."""
    return (distributed.get_rank(), distributed.get_world_size()) if is_distributed() else (0, 1)


def is_first() -> bool:
    """Return whether this process is the one that speaks for all."""
    return rank_and_size()[0] == 0


def is_first_of_node() -> bool:
    """Return whether this process writes what the processes of its machine read."""
    return os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")) == "0"


def barrier() -> None:
    """Wait for all processes."""
    if is_distributed():
        distributed.barrier()


def share(items: Iterable[T]) -> Iterator[T]:
    """Yield this process's share of items, which are dealt out in turn; all without others."""
    rank, size = rank_and_size()
    return islice(items, rank, None, size)


def gathered(own: list[T]) -> list[T]:
    """Return the items of all processes, in the order in which :func:`share` has dealt them out.

    Tensors among them must lie on the CPU. Every process must call it.
    """
    if not is_distributed():
        return own
    parts: list[list[T]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(parts, own)
    dealt = chain.from_iterable(zip_longest(*parts, fillvalue=_NOTHING))
    return [item for item in dealt if item is not _NOTHING]  # type: ignore[misc]
