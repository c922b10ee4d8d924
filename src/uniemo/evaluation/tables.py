"""What frozen networks see in a data set, read once and kept on disk.

Legend: N pictures, F feature width, O object names, H side of the diffusion view.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor

from uniemo.batch import Batch
from uniemo.evaluation.features import PictureNetwork


class FeatureTable(NamedTuple):
    """A network's view of some pictures, and their labels; on the CPU."""

    features: Tensor  # [N, F] float
    emotion: Tensor  # [N] long
    scene: Tensor  # [N] long, -1 where none
    objects: Tensor  # [N, O] bool
    row: Tensor  # [N] long, the picture's in its split

    def joined(self, other: Self) -> "FeatureTable":
        """Return the rows of both tables."""
        return FeatureTable(*(torch.cat(pair) for pair in zip(self, other, strict=True)))


class Reconstruction(NamedTuple):
    """What a VAE makes of pictures, and a name of it that changes with any of its weights."""

    function: Callable[[Tensor], Tensor]  # [B, 3, H, H] in [0, 1] -> alike
    fingerprint: str


def diffusion_pictures(batch: Batch) -> Tensor:
    """Return a batch's diffusion view in [0, 1]: [B, 3, H, H]."""
    return batch["diffusion_image"] / 2 + 0.5


@dataclass(frozen=True)
class Library:
    """Reads the splits of a data set with frozen networks; what was read before comes from disk.

    Attributes:
        data: The data module.
        cache: Folder of the tables.
        device: Where the work is done; the networks must be there.
        pictures: Takes pictures in [0, 1] out of a batch.
        view: Name of what ``pictures`` returns; part of a table's name.
    """

    data: Any
    cache: Path
    device: torch.device
    pictures: Callable[[Batch], Tensor] = diffusion_pictures
    view: str = "diffusion"

    def table(
        self,
        network: PictureNetwork,
        split: str,
        reconstruction: Reconstruction | None = None,
        limit: int | None = None,
    ) -> FeatureTable:
        """Read a split's real pictures with a network.

        Args:
            network: The network.
            split: "train", "val" or "test".
            reconstruction: What is done to the pictures before; None for nothing.
            limit: At most so many pictures, evenly spread over the split; None for all.
        """
        n = len(self.data.annotations(split).emotion)
        step = 1 if limit is None else max(-(-n // limit), 1)
        kind = "as it is" if reconstruction is None else reconstruction.fingerprint
        parts = [network.fingerprint, self.data.fingerprint(split), self.view, kind, str(step)]
        path = self.cache / f"features-{fingerprint(*parts)}.safetensors"
        if path.is_file():
            return FeatureTable(**load_file(path))

        loader = self.data.plain_dataloader(split, list(range(0, n, step)))
        what = "Reading" if reconstruction is None else "Reconstructing and reading"
        rows = []
        for batch in track(loader, f"{what} {split} pictures", total=len(loader), transient=True):
            image = self.pictures(batch).to(self.device)
            if reconstruction is not None:
                image = reconstruction.function(image)
            labels = (batch["emotion"], batch["scene"], batch["objects"], batch["index"])
            rows.append((network(image).cpu(), *labels))
        table = FeatureTable(*(torch.cat(column) for column in zip(*rows, strict=True)))
        save_whole(table._asdict(), path)
        return table


def fingerprint(*parts: str | Tensor) -> str:
    """Name texts and tensors by all their bytes, in 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype} {list(part.shape)}".encode())
            digest.update(part.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:32]


def save_whole(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a safetensors file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part)
    part.replace(path)
