"""What frozen networks see in a data set, read once and kept on disk.

Legend: N pictures, F feature width, O object names, H side of the diffusion view.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from rich.progress import track
from safetensors.torch import load_file
from torch import Tensor

from uniemo.batch import Batch
from uniemo.utils.files import write_tensors
from uniemo.utils.fingerprints import fingerprint
from uniemo.utils.seeding import stratified_rows
from uniemo.vision.networks import ImageNetwork


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


class FeatureRequest(NamedTuple):
    """What a network is to see of a split."""

    network: ImageNetwork
    view: View
    reconstruction: Reconstruction | None = None  # done to the pictures before; None for nothing
    limit: int | None = None  # about so many pictures, the same share of each emotion; None: all


@dataclass(frozen=True)
class FeatureCache:
    """Reads the splits of a data set with frozen networks; what was read before comes from disk.

    Attributes:
        data: The data module.
        cache: Folder of the tables.
        device: Where the work is done; the networks must be there.
    """

    data: Any
    cache: Path
    device: torch.device

    def tables(self, looks: Sequence[FeatureRequest], split: str) -> list[FeatureTable]:
        """Read a split's real pictures; one pass over them serves all looks that are not on disk.

        Args:
            looks: Who is to see what.
            split: "train", "val" or "test".

        Returns:
            A table for each look.
        """
        emotion = self.data.annotations(split).emotion  # [n]
        wanted = [chosen_rows(emotion, look.limit) for look in looks]
        paths = [self._path(look, split, rows) for look, rows in zip(looks, wanted, strict=True)]
        asked = zip(paths, looks, wanted, strict=True)
        missing = {path: (look, rows) for path, look, rows in asked if not path.is_file()}
        if missing:
            self._read(missing, split)
        return [FeatureTable(**load_file(path)) for path in paths]

    def _path(self, look: FeatureRequest, split: str, rows: Tensor) -> Path:
        made = look.reconstruction
        kind = "as it is" if made is None else made.fingerprint
        data = self.data.fingerprint(split)
        name = fingerprint(look.network.fingerprint, data, look.view.name, kind, rows)
        return self.cache / f"features-{name}.safetensors"

    def _read(self, missing: dict[Path, tuple[FeatureRequest, Tensor]], split: str) -> None:
        """Make the missing tables, each of some rows of the split [n] bool."""
        anyone = torch.stack([rows for _, rows in missing.values()]).any(dim=0)  # [n]
        loader = self.data.plain_dataloader(split, anyone.nonzero()[:, 0].tolist())
        parts: dict[Path, list[FeatureTable]] = {path: [] for path in missing}
        for batch in track(loader, f"Reading {split} pictures", total=len(loader), transient=True):
            for path, (look, rows) in missing.items():
                mine = rows[batch["index"]]  # [B]
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
            write_tensors(path, FeatureTable(*(torch.cat(column) for column in columns))._asdict())


def chosen_rows(emotion: Tensor, limit: int | None) -> Tensor:
    """Mark about ``limit`` of a split's rows [n], at random but always the same, per emotion [n].

    At random: rows often come in an order that goes by emotion, so that every second one may be of
    every second emotion.
    """
    wanted = torch.ones(len(emotion), dtype=torch.bool)
    if limit is not None and limit < len(emotion):
        wanted[:] = False
        wanted[stratified_rows(emotion.numpy(), limit / len(emotion), seed=0)] = True
    return wanted
