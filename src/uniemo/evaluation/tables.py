"""What frozen networks see in a data set, read once and kept on disk.

Legend: N pictures, F feature width, O object names, H side of the diffusion view.
"""

import hashlib
from collections.abc import Callable, Sequence
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


class View(NamedTuple):
    """How pictures are taken out of a batch, and a name of it; part of a table's name."""

    name: str
    pictures: Callable[[Batch], Tensor]  # -> [B, 3, H, H] in [0, 1]


def diffusion_view(side: int) -> View:
    """Return a batch's diffusion view, pictures of H = ``side`` pixels."""
    return View(f"{side} px", lambda batch: batch["diffusion_image"] / 2 + 0.5)


class Look(NamedTuple):
    """What a network is to see of a split."""

    network: PictureNetwork
    view: View
    reconstruction: Reconstruction | None = None  # done to the pictures before; None for nothing
    limit: int | None = None  # at most so many pictures, evenly spread over the split; None for all


@dataclass(frozen=True)
class Library:
    """Reads the splits of a data set with frozen networks; what was read before comes from disk.

    Attributes:
        data: The data module.
        cache: Folder of the tables.
        device: Where the work is done; the networks must be there.
    """

    data: Any
    cache: Path
    device: torch.device

    def tables(self, looks: Sequence[Look], split: str) -> list[FeatureTable]:
        """Read a split's real pictures; one pass over them serves all looks that are not on disk.

        Args:
            looks: Who is to see what.
            split: "train", "val" or "test".

        Returns:
            A table for each look.
        """
        n = len(self.data.annotations(split).emotion)
        steps = [1 if look.limit is None else max(-(-n // look.limit), 1) for look in looks]
        paths = [self._path(look, split, step) for look, step in zip(looks, steps, strict=True)]
        asked = zip(paths, looks, steps, strict=True)
        missing = {path: (look, step) for path, look, step in asked if not path.is_file()}
        if missing:
            self._read(missing, split, n)
        return [FeatureTable(**load_file(path)) for path in paths]

    def _path(self, look: Look, split: str, step: int) -> Path:
        made = look.reconstruction
        kind = "as it is" if made is None else made.fingerprint
        data = self.data.fingerprint(split)
        name = fingerprint(look.network.fingerprint, data, look.view.name, kind, str(step))
        return self.cache / f"features-{name}.safetensors"

    def _read(self, missing: dict[Path, tuple[Look, int]], split: str, n: int) -> None:
        """Make the missing tables, each of every ``step``-th of the split's n pictures."""
        rows = sorted({row for _, step in missing.values() for row in range(0, n, step)})
        loader = self.data.plain_dataloader(split, rows)
        parts: dict[Path, list[FeatureTable]] = {path: [] for path in missing}
        for batch in track(loader, f"Reading {split} pictures", total=len(loader), transient=True):
            for path, (look, step) in missing.items():
                mine = batch["index"] % step == 0  # [B]
                if not mine.any():
                    continue
                image = look.view.pictures(batch)[mine].to(self.device)
                if look.reconstruction is not None:
                    image = look.reconstruction.function(image)
                labels = (batch["emotion"], batch["scene"], batch["objects"], batch["index"])
                features = look.network(image).cpu()  # [B, F]
                parts[path].append(FeatureTable(features, *(column[mine] for column in labels)))
        for path, tables in parts.items():
            columns = zip(*tables, strict=True)
            save_whole(FeatureTable(*(torch.cat(column) for column in columns))._asdict(), path)


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
