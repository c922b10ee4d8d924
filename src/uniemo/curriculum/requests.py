"""Which images the generate phase asks for, batch by batch.

A batch is always asked for whole and in the same composition, on whatever rank and in whatever run,
so that resuming gives identical files.

Legend: B images of a batch.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import lightning
import torch
from torch.utils.data import DataLoader, IterableDataset

from uniemo.batch import Request
from uniemo.config.curriculum import PoolConfig


def build_requests(
    n_emotions: int, n_images: int, pools: list[PoolConfig], batch_size: int
) -> list[Request]:
    """Return the batches that make ``n_images`` of every emotion, of all pools (one or more).

    Within an emotion the first images belong to the first pool, and so on; the last batch of a pool
    may be smaller than the others.
    """
    requests: list[Request] = []
    shares = torch.tensor([0.0, *(pool.share for pool in pools)], dtype=torch.float64).cumsum(0)
    edges = (shares / shares[-1] * n_images).round().long().tolist()
    for pool, start, stop in zip(pools, edges[:-1], edges[1:], strict=True):
        emotion = torch.arange(n_emotions).repeat_interleave(stop - start)
        index = torch.arange(start, stop).repeat(n_emotions)
        for part in zip(emotion.split(batch_size), index.split(batch_size), strict=True):
            if len(part[0]):
                request = Request(
                    len(requests), *part, pool.guidance_scale, pool.num_inference_steps
                )
                requests.append(request)
    return requests


def finished(folder: Path, number: int) -> Path:
    """Return the file that says what is on the images of a batch; there once all of them are."""
    return folder / "painted" / f"{number:06d}.parquet"


class _Pending(IterableDataset[Request]):
    """What one rank has still to generate; without a sampler, so Lightning leaves it alone."""

    def __init__(self, requests: list[Request]) -> None:
        self.requests = requests

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)


class Requests(lightning.LightningDataModule):
    """The requests that are not finished yet, dealt to the ranks by their numbers.

    Args:
        requests: All of them.
        folder: The phase's folder.
        prepare: Empties the folder of what was made for other requests; called by the first rank
            alone.
    """

    def __init__(self, requests: list[Request], folder: Path, prepare: Callable[[], None]) -> None:
        super().__init__()
        self.requests = requests
        self.folder = folder
        self.prepare_data_per_node = False
        # A rank that has finished its share waits for the others.
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.prepare = prepare

    def prepare_data(self) -> None:
        """Prepare the folder, while the other ranks wait."""
        self.prepare()

    def predict_dataloader(self) -> DataLoader[Request]:
        """Return this rank's requests."""
        assert self.trainer is not None  # Lightning set it
        own = self.requests[self.trainer.global_rank :: self.trainer.world_size]
        pending = [r for r in own if not finished(self.folder, r.number).is_file()]
        return DataLoader(_Pending(pending), batch_size=None)
