"""The order of samples: from (seed, epoch) alone, on any number of ranks and workers.

Every row carries its epoch to the data set, also into workers, because the augmentation of an image
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
from uniemo.utils.processes import is_distributed


class EpochRow(NamedTuple):
    """A row of the data set, and the epoch that asks for it."""

    row: int
    epoch: int


class EpochSampler(DistributedSampler[EpochRow]):
    """Distribute the rows of an epoch over the ranks in turn.

    The rows of step t of all ranks together are those of step t of a single process with the same
    total batch. Lightning does not replace it, because it is a ``DistributedSampler``, and calls
    its ``set_epoch``.

    Args:
        rows: epoch -> the rows of that epoch in order, [length] int.
        length: How many rows every epoch has.
        even: Whether all ranks get equally many, dropping up to ``world_size - 1`` rows; otherwise
            every row comes exactly once.
        rank: This process; None: as in ``torch.distributed``, 0 without it.
        world_size: Number of processes; None: as there, 1 without it. Give both or neither.
    """

    def __init__(
        self,
        rows: Callable[[int], np.ndarray],
        length: int,
        even: bool,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        if rank is None or world_size is None:
            rank, world_size = 0, 1
            if is_distributed():
                rank, world_size = dist.get_rank(), dist.get_world_size()
        super().__init__(cast(Dataset, range(length)), world_size, rank, shuffle=False)
        self.rows = rows
        self.length = length
        self.even = even
        self.skip = 0

    def __len__(self) -> int:
        if self.even:
            return self.length // self.num_replicas
        return len(range(self.rank, self.length, self.num_replicas))

    def __iter__(self) -> Iterator[EpochRow]:
        """Yield this rank's rows of the current epoch, without the first ``skip``."""
        rows = self.rows(self.epoch)[self.rank :: self.num_replicas][self.skip : len(self)]
        return iter([EpochRow(row, self.epoch) for row in rows.tolist()])


class ResumableLoader(DataLoader[Any]):
    """A loader whose position in the epoch can be saved and resumed.

    Iteration begins when the first batch is requested: Lightning opens a loader before it sets the
    sampler's epoch. The position counts batches handed out, not those that workers prefetch; it
    holds for the epoch that it was saved in, and for the next iteration only.

    ``position`` and ``resume_at`` are not called ``state_dict`` and ``load_state_dict``, because
    Lightning would call them itself, too late (see ``EmoSetDataModule.state_dict``).
    """

    _epoch: int = 0
    _batches: int = 0
    _resume: dict[str, int] | None = None

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Yield the batches of the sampler's epoch, from the position to resume at if there is one.

        Raises:
            UserError: If an image cannot be read; one line also if a worker raised it.
        """
        sampler = self.sampler
        self._epoch, self._batches = getattr(sampler, "epoch", 0), 0
        if self._resume is not None and self._resume["epoch"] == self._epoch:
            self._batches = self._resume["batches"]
        self._resume = None
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
    def position(self) -> dict[str, int]:
        """The epoch, and how many of its batches have been handed out."""
        return self._resume or {"epoch": self._epoch, "batches": self._batches}

    def resume_at(self, position: dict[str, int]) -> None:
        """Start the next iteration at a position, if it is of the same epoch."""
        self._resume = dict(position)
        if isinstance(self.sampler, EpochSampler):
            self.sampler.set_epoch(position["epoch"])
