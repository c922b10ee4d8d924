"""Statistics of a stream of vectors per emotion, mergeable over batches and processes (extension).

Legend: B vectors of a batch, M their width, C emotions, R capacity of a reservoir.
"""

import torch
from torch import Tensor, distributed, nn

from uniemo.emotions import N_EMOTIONS
from uniemo.utils.processes import is_distributed

EMPTY = 2**32
"""Priority of an empty slot: above that of any row."""


class Moments(nn.Module):
    """Count, mean and sum of squared deviations per emotion, in float64.

    Batches merge by Chan's pairwise update, which loses nothing where the mean is far from zero.

    Args:
        width: M.
        n_emotions: C.
    """

    count: Tensor  # [C, 1]
    mean: Tensor  # [C, M]
    squares: Tensor  # [C, M], sums of squared deviations from the mean

    def __init__(self, width: int, n_emotions: int = N_EMOTIONS) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(n_emotions, 1, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(n_emotions, width, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(n_emotions, width, dtype=torch.float64))

    def reset(self) -> None:
        """Forget everything."""
        for buffer in self.buffers():
            buffer.zero_()

    def update(self, vectors: Tensor, emotion: Tensor) -> None:
        """Add vectors [B, M] of emotions [B] long."""
        vectors = vectors.double()
        member = nn.functional.one_hot(emotion, len(self.count)).double().T  # [C, B]
        count = member.sum(dim=1, keepdim=True)  # [C, 1]
        mean = member @ vectors / count.clamp(min=1)  # [C, M]
        squares = member @ (vectors - mean[emotion]).square()  # [C, M]
        total = (self.count + count).clamp(min=1)
        shift = mean - self.mean
        self.squares += squares + shift.square() * self.count * count / total
        self.mean += shift * count / total
        self.count += count

    def synchronise(self) -> None:
        """Merge with the other processes; nothing to do without a process group."""
        if not is_distributed():
            return
        count, total = self.count.clone(), self.count * self.mean
        distributed.all_reduce(self.count)
        distributed.all_reduce(total)
        mean = total / self.count.clamp(min=1)
        self.squares += count * (self.mean - mean).square()
        distributed.all_reduce(self.squares)
        self.mean.copy_(mean)

    def std(self) -> Tensor:
        """Return the population standard deviation: [C, M]."""
        return (self.squares / self.count.clamp(min=1)).sqrt()


class Reservoir(nn.Module):
    """A fixed random subset of rows per emotion: those with the R smallest hashes of their index.

    What is kept depends on the indices alone, not on order, batches or number of processes, and a
    row met twice counts once.

    Args:
        width: M.
        capacity: R, rows kept per emotion.
        persistent: Whether it is part of a checkpoint.
        n_emotions: C.

    Raises:
        ValueError: If capacity is below 1.
    """

    rows: Tensor  # [C, R, M] float32, by rising priority
    priority: Tensor  # [C, R] long, EMPTY where no row is kept

    def __init__(
        self, width: int, capacity: int, persistent: bool, n_emotions: int = N_EMOTIONS
    ) -> None:
        super().__init__()
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; keep at least 1 row per emotion")
        rows = torch.zeros(n_emotions, capacity, width)
        priority = torch.full((n_emotions, capacity), EMPTY)
        self.register_buffer("rows", rows, persistent=persistent)
        self.register_buffer("priority", priority, persistent=persistent)

    def reset(self) -> None:
        """Forget everything."""
        self.rows.zero_()
        self.priority.fill_(EMPTY)

    def update(self, vectors: Tensor, emotion: Tensor, index: Tensor) -> None:
        """Offer vectors [B, M] of emotions [B] long and rows [B] long of the split."""
        priority = _hash(index)
        for label in emotion.unique().tolist():
            chosen = (emotion == label) & (priority < self.priority[label, -1])
            if chosen.any():
                self._merge(label, vectors[chosen].float(), priority[chosen])

    def synchronise(self) -> None:
        """Merge with the other processes; nothing to do without a process group."""
        if not is_distributed():
            return
        for label in range(len(self.rows)):
            rows = [torch.empty_like(self.rows[label]) for _ in range(distributed.get_world_size())]
            priority = [torch.empty_like(self.priority[label]) for _ in rows]
            distributed.all_gather(rows, self.rows[label])
            distributed.all_gather(priority, self.priority[label])
            self._merge(label, torch.cat(rows), torch.cat(priority))

    def of(self, emotion: int) -> Tensor:
        """Return the rows kept of an emotion: [n, M], n <= R."""
        return self.rows[emotion, : int((self.priority[emotion] < EMPTY).sum())]

    def _merge(self, label: int, vectors: Tensor, priority: Tensor) -> None:
        rows = torch.cat((self.rows[label], vectors))
        priority, order = torch.cat((self.priority[label], priority)).sort(stable=True)
        first = priority < EMPTY
        first[1:] &= priority[1:] != priority[:-1]  # the hash is one to one: equal means same row
        kept = first.nonzero().squeeze(1)[: self.rows.shape[1]]
        self.rows[label, : len(kept)] = rows[order[kept]]
        self.priority[label, : len(kept)] = priority[kept]


def _hash(index: Tensor) -> Tensor:
    """Mix row indices [B] below 2^32, one to one, into [0, 2^32) (C. Wellons' lowbias32)."""
    mask = 0xFFFFFFFF
    x = index.long()
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & mask
    x = ((x ^ (x >> 15)) * 0x846CA68B) & mask
    return x ^ (x >> 16)
