"""A disk cache of the latents of every training image and of its mirror image (extension).

The VAE is frozen, so each image is encoded once instead of at every step, as the public code does.
The mirror image of a latent is not the latent of the mirror image, so both are encoded.

Legend: N images of the split, B of a batch, c latent channels, h side length of a latent, H of an
image.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from uniemo.errors import UserError
from uniemo.utils.files import atomic_path, part_of, remove_leftovers
from uniemo.utils.fingerprints import fingerprint


def latent_fingerprint(vae: AutoencoderKL, image_size: int, dataset: str) -> str:
    """Hash everything that determines a set of latents.

    Args:
        vae: The encoder; its configuration and all its weights enter the hash, but neither its
            place nor diffusers' version.
        image_size: H in pixels.
        dataset: Fingerprint of the images, their order and their crop.
    """
    weights = (part for pair in sorted(vae.state_dict().items()) for part in pair)
    config = {key: value for key, value in vae.config.items() if not key.startswith("_")}
    text = json.dumps(config, sort_keys=True, default=str)
    return fingerprint(text, str(image_size), dataset, *weights)


class LatentCache:
    """Latents [N, 2, c, h, h] in one memory-mapped float16 file; 6 GB at paper scale.

    A folder named after the fingerprint holds ``latents.npy`` and ``encoded.npy``, one byte per
    image that is set after its latents are written: an interrupted run continues where it stopped,
    and the cache is complete when every byte is set. Several processes may open and fill it at
    once, if they encode different images (:meth:`missing_rows`).

    Args:
        folder: Folder of all caches; this one becomes a subfolder.
        fingerprint: Name of the subfolder, from :func:`latent_fingerprint`.
        n_images: N.
        latent_shape: (c, h, h).

    Raises:
        UserError: If the disk has no room.
    """

    def __init__(
        self, folder: Path, fingerprint: str, n_images: int, latent_shape: tuple[int, int, int]
    ) -> None:
        self.path = folder / fingerprint
        self._open((n_images, 2, *latent_shape))

    def _open(self, shape: tuple[int, ...]) -> None:
        """Map the files; make them anew if they are missing or broken."""
        if self.path.is_dir() and not _is_whole(self.path, shape):
            print(f"latent cache {self.path} is broken; it is made anew", flush=True)
            aside = part_of(self.path)
            with suppress(FileNotFoundError):  # another process was first
                self.path.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        if not self.path.is_dir():
            _create(self.path, shape)
        self._latents = np.load(self.path / "latents.npy", mmap_mode="r+")
        self._encoded = np.load(self.path / "encoded.npy", mmap_mode="r+")

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process open the files instead of sending it a copy of them."""
        n_images, _, *latent_shape = self._latents.shape
        return LatentCache, (self.path.parent, self.path.name, n_images, tuple(latent_shape))

    @property
    def complete(self) -> bool:
        """Whether every image is encoded."""
        return bool(self._encoded.all())

    def missing_rows(self, rank: int = 0, world_size: int = 1) -> list[int]:
        """List the rows that this process has still to encode, in ascending order.

        A row belongs to the process ``row % world_size``, whatever is missing, so processes that
        ask at different times never get the same row.
        """
        rows = np.arange(rank, len(self._encoded), world_size)
        return rows[self._encoded[rows] == 0].tolist()

    def fill(
        self, encode: Callable[[Tensor], Tensor], batches: Iterable[tuple[Tensor, Tensor]]
    ) -> None:
        """Encode images and their mirror images and store the latents.

        Args:
            encode: Function from images [B, 3, H, H] in [-1, 1] to scaled latents [B, c, h, h].
            batches: Pairs of row numbers [B] long, normally those of :meth:`missing_rows`, and the
                images themselves [B, 3, H, H], not mirrored.

        Raises:
            ValueError: If a latent is not finite in float16.
        """
        for index, image in batches:
            latents = encode(torch.cat([image, image.flip(-1)])).float().cpu()  # [2 B, c, h, h]
            pair = torch.stack(latents.chunk(2), dim=1).half()  # [B, 2, c, h, h]
            if not pair.isfinite().all():
                raise ValueError("a latent is infinite or NaN in float16; check the VAE")
            rows = index.cpu().numpy()
            self._latents[rows] = pair.numpy()
            self._latents.flush()  # before the mark that they are written
            self._encoded[rows] = 1
            self._encoded.flush()

    def lookup(self, index: Tensor, flipped: Tensor) -> Tensor:
        """Return the latents [B, c, h, h] float32 of rows [B] long, on their device.

        They are those of the mirror images where ``flipped`` [B] bool.

        Raises:
            ValueError: If an image is not yet encoded.
        """
        rows = index.cpu().numpy()
        if not self._encoded[rows].all():
            raise ValueError(f"latent cache {self.path} is not complete; fill it first")
        latents = self._latents[rows, flipped.cpu().numpy().astype(np.intp)]  # [B, c, h, h]
        return torch.from_numpy(latents).to(index.device).float()


def _arrays(shape: tuple[int, ...]) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Return type and shape of the files of a cache, by their names."""
    return {"latents.npy": (np.float16, shape), "encoded.npy": (np.uint8, shape[:1])}


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    """Return whether a cache has files of the right type and size, and marks that are marks."""
    for name, (dtype, size) in _arrays(shape).items():
        try:
            array: Any = np.load(path / name, mmap_mode="r")  # "r+" would extend a short file
        except (OSError, ValueError, EOFError):
            return False
        length = array.offset + array.nbytes
        if (array.dtype, array.shape) != (dtype, size) or (path / name).stat().st_size != length:
            return False
    return bool((array <= 1).all())  # of the second


def _create(path: Path, shape: tuple[int, ...]) -> None:
    """Create an empty cache if the disk has room; of several processes at once, one does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    needed, free = 2 * int(np.prod(shape)), shutil.disk_usage(path.parent).free
    if needed > free:  # writing to a memory map on a full disk kills the process
        raise UserError(
            f"latent cache {path} needs {needed / 1e9:.1f} GB but {free / 1e9:.1f} GB are free; "
            "make room or choose another folder"
        )
    try:
        with atomic_path(path) as part:
            part.mkdir()
            for name, (dtype, size) in _arrays(shape).items():
                np.lib.format.open_memmap(part / name, mode="w+", dtype=dtype, shape=size)
                with (part / name).open("r+b") as file:  # the pages of a map are no room yet
                    os.posix_fallocate(file.fileno(), 0, file.seek(0, os.SEEK_END))
    except OSError:
        if not path.is_dir():  # else another process was first
            raise
