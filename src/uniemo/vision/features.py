"""Features of a data set by frozen networks, computed once and kept on disk.

Legend: n images of a split, N of a table, B of a batch, F feature width, O object names, H side of
the diffusion view.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from uniemo.batch import Batch
from uniemo.utils.files import remove_leftovers, write_tensors
from uniemo.utils.fingerprints import fingerprint
from uniemo.utils.processes import barrier, gathered, is_first_of_node, share
from uniemo.utils.progress import track
from uniemo.utils.seeding import stratified_rows
from uniemo.vision.networks import ImageNetwork


class FeatureTable(NamedTuple):
    """A network's features of some images, and the images' labels; on the CPU."""

    features: Tensor  # [N, F] float
    emotion: Tensor  # [N] long
    scene: Tensor  # [N] long, -1 where none
    objects: Tensor  # [N, O] bool
    row: Tensor  # [N] long, the image's in its split

    def joined(self, other: Self) -> "FeatureTable":
        """Return the rows of both tables."""
        return FeatureTable(*(torch.cat(pair) for pair in zip(self, other, strict=True)))


class Reconstruction(NamedTuple):
    """Encoding and decoding of images by a VAE."""

    function: Callable[[Tensor], Tensor]  # [B, 3, H, H] in [0, 1] -> alike
    fingerprint: str  # changes with any of the VAE's weights


class View(NamedTuple):
    """Which images of a batch are used."""

    name: str  # part of a table's file name
    images: Callable[[Batch], Tensor]  # -> [B, 3, H, H] in [0, 1]


def diffusion_view(side: int, squash: bool = False) -> View:
    """Return a batch's diffusion view, H = ``side`` pixels, of squashed images if so."""
    name = f"{side} px, squashed" if squash else f"{side} px"
    return View(name, lambda batch: batch["diffusion_image"] / 2 + 0.5)


class FeatureRequest(NamedTuple):
    """Which features of a split are needed."""

    network: ImageNetwork
    view: View
    reconstruction: Reconstruction | None = None  # applied to the images first
    limit: int | None = None  # about so many images, the same share of each emotion; None: all


@dataclass(frozen=True)
class FeatureCache:
    """Computes features of a data set's splits; those computed before are read from disk.

    Attributes:
        data: The data module.
        cache: Folder of the tables.
        device: Where the features are computed; the networks must be there.
    """

    data: Any
    cache: Path
    device: torch.device

    def load(self, requests: Sequence[FeatureRequest], split: str) -> list[FeatureTable]:
        """Return a table for each request; one pass computes all that are not on disk.

        Several processes share the images out; all must ask for the same.

        Args:
            requests: Which features.
            split: "train", "val" or "test".
        """
        emotion = self.data.annotations(split).emotion  # [n]
        pairs = [(request, chosen_rows(emotion, request.limit)) for request in requests]
        paths = [self._path(request, split, rows) for request, rows in pairs]
        wanted = dict(zip(paths, pairs, strict=True))
        lacking = gathered([p for p, pair in wanted.items() if not _is_whole(p, pair[1])])
        missing = {path: pair for path, pair in wanted.items() if path in lacking}
        if missing:
            self._compute(missing, split)
        return [FeatureTable(**load_file(path)) for path in paths]

    def _path(self, request: FeatureRequest, split: str, rows: Tensor) -> Path:
        reconstruction = request.reconstruction
        kind = "as it is" if reconstruction is None else reconstruction.fingerprint
        data = self.data.fingerprint(split)
        name = fingerprint(request.network.fingerprint, data, request.view.name, kind, rows)
        return self.cache / f"features-{name}.safetensors"

    def _compute(self, missing: dict[Path, tuple[FeatureRequest, Tensor]], split: str) -> None:
        """Write the missing tables, each of some rows of the split [n] bool."""
        remove_leftovers(self.cache)
        any_rows = torch.stack([rows for _, rows in missing.values()]).any(dim=0)  # [n]
        loader = self.data.plain_dataloader(split, list(share(any_rows.nonzero()[:, 0].tolist())))
        parts: dict[Path, list[FeatureTable]] = {path: [] for path in missing}
        for batch in track(loader, f"Features of the {split} split", len(loader)):
            seen: dict[Any, Tensor] = {}  # images that several networks read
            for path, (request, rows) in missing.items():
                chosen = rows[batch["index"]]  # [B]
                if not chosen.any():
                    continue
                key = request.view.name, request.reconstruction, request.limit
                if key not in seen:
                    image = request.view.images(batch)[chosen].to(self.device)
                    if request.reconstruction is not None:
                        image = request.reconstruction.function(image)
                    seen[key] = image
                image = seen[key]
                labels = (batch["emotion"], batch["scene"], batch["objects"], batch["index"])
                features = request.network(image).cpu()  # [B, F]
                parts[path].append(FeatureTable(features, *(column[chosen] for column in labels)))
        for path, own in parts.items():
            columns = (torch.cat(column) for column in zip(*gathered(own), strict=True))
            table = FeatureTable(*columns)
            order = table.row.argsort()
            if is_first_of_node():
                write_tensors(path, {key: rows[order] for key, rows in table._asdict().items()})
        barrier()


def _is_whole(path: Path, rows: Tensor) -> bool:
    """Return whether a file holds a table of some rows of a split [n] bool; name a broken one."""
    if not path.is_file():
        return False
    try:
        table = FeatureTable(**load_file(path))
        if torch.equal(table.row, rows.nonzero()[:, 0]) and table.features.isfinite().all():
            return True
    except (OSError, SafetensorError, TypeError):
        pass
    print(f"{path} is broken; its features are computed again", flush=True)
    return False


def chosen_rows(emotion: Tensor, limit: int | None) -> Tensor:
    """Mark about ``limit`` of a split's rows, at random but always the same: [n] bool.

    At random, because rows often come in an order that goes by emotion, so that every second one
    may be of every second emotion.

    Args:
        emotion: [n]; each emotion gives the same share of its rows.
        limit: How many; None for all.
    """
    chosen = torch.ones(len(emotion), dtype=torch.bool)
    if limit is not None and limit < len(emotion):
        chosen[:] = False
        chosen[stratified_rows(emotion.numpy(), limit / len(emotion), seed=0)] = True
    return chosen
