"""Which picture comes when: from (seed, epoch) alone, on any number of ranks and workers.

Every draw carries its epoch to the data set, wherever that runs, so that a picture's augmentation
is keyed by (seed, epoch, row).
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import torch.distributed as dist
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from uniemo.batch import Batch
from uniemo.errors import UserError
from uniemo.utils.processes import in_group


class Draw(NamedTuple):
    """A row of the data set, and the epoch that it is drawn in."""

    row: int
    epoch: int


class EpochSampler(DistributedSampler[Draw]):
    """Deal the rows of an epoch out to the ranks in turn.

    The rows of step t of all ranks together are those that one process draws in step t with the
    batch of all of them. Being a ``DistributedSampler``, it is left alone by Lightning, whose
    ``set_epoch`` it hears.

    Args:
        rows: epoch -> the rows of that epoch in order, [length] int.
        length: How many rows every epoch has.
        even: Whether all ranks get equally many, dropping up to ``world_size - 1`` rows; otherwise
            every row is dealt, none twice.
        rank: This process; None: as in ``torch.distributed``, 0 without it.
        world_size: Number of processes; None: as in ``torch.distributed``, 1 without it.
    """

    def __init__(
        self,
        rows: Callable[[int], np.ndarray],
        length: int,
        even: bool,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        parallel = in_group()
        if rank is None:
            rank = dist.get_rank() if parallel else 0
        if world_size is None:
            world_size = dist.get_world_size() if parallel else 1
        super().__init__(cast(Dataset, range(length)), world_size, rank, shuffle=False)
        self.rows = rows
        self.length = length
        self.even = even
        self.skip = 0

    def __len__(self) -> int:
        if self.even:
            return self.length // self.num_replicas
        return len(range(self.rank, self.length, self.num_replicas))

    def __iter__(self) -> Iterator[Draw]:
        """Yield this rank's draws of the epoch set, without the first ``skip``."""
        rows = self.rows(self.epoch)[self.rank :: self.num_replicas][self.skip : len(self)]
        return iter([Draw(row, self.epoch) for row in rows.tolist()])


class ResumableLoader(DataLoader[Any]):
    """A loader whose place in the epoch can be noted and taken up again.

    Iteration begins with the first batch asked for, not before: Lightning opens a loader before it
    tells the sampler its epoch. The place counts batches handed out, not those that workers prepare
    ahead; it is for the epoch that it was saved in, and for the next iteration only.
    """

    _epoch: int = 0
    _batches: int = 0
    _start: dict[str, int] | None = None

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Yield the batches of the sampler's epoch, from the place loaded, if any, to its end.

        Raises:
            UserError: If a picture cannot be read, in one line also when a worker met it.
        """
        sampler = self.sampler
        self._epoch, self._batches = getattr(sampler, "epoch", 0), 0
        if self._start is not None and self._start["epoch"] == self._epoch:
            self._batches = self._start["batches"]
        self._start = None
        if isinstance(sampler, EpochSampler):
            sampler.skip = self._batches * (self.batch_size or 1)
        batches = super().__iter__()
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except UserError as error:
                # A worker's error arrives as its whole traceback; the message is the last line.
                line = str(error).splitlines()[-1]
                raise UserError(line.removeprefix(f"{UserError.__module__}.UserError: ")) from None
            self._batches += 1
            yield batch

    @property
    def place(self) -> dict[str, int]:
        """The epoch, and how many of its batches have been handed out."""
        return self._start or {"epoch": self._epoch, "batches": self._batches}

    def start_at(self, place: dict[str, int]) -> None:
        """Take up a place at the next iteration, if it is of the same epoch."""
        self._start = dict(place)
        if isinstance(self.sampler, EpochSampler):
            self.sampler.set_epoch(place["epoch"])
