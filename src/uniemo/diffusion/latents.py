"""A cache on disk of the latents of every training picture and of its mirror image.

The VAE is frozen, so its work is done once, not at every step. The mirror of a latent is not the
latent of the mirror, so both are encoded. Ours; the public code encodes at every step.

Legend: N pictures of the split, B of a batch, c, h latent channels and side, H side of a picture.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from uniemo.errors import UserError
from uniemo.utils.fingerprints import fingerprint


def latent_fingerprint(vae: AutoencoderKL, image_size: int, dataset: str) -> str:
    """Name a set of latents by all that determines it.

    Args:
        vae: The encoder; its configuration and every weight count.
        image_size: H in pixels.
        dataset: What names the pictures, their order and their crop, for instance a data set's own
            fingerprint.

    Returns:
        32 hexadecimal digits.
    """
    weights = (part for pair in sorted(vae.state_dict().items()) for part in pair)
    return fingerprint(vae.to_json_string(), str(image_size), dataset, *weights)


class LatentCache:
    """Latents [N, 2, c, h, h] as one memory-mapped float16 file; 6 GB at paper scale.

    A folder named by the fingerprint holds ``latents.npy`` and ``encoded.npy``, one byte per
    picture that is set once its latents are safely on disk: a run that was interrupted goes on
    where it stopped, and the cache is complete when every byte is set. Several processes may open
    and fill it at once, as long as they encode different pictures (:meth:`missing_rows`).

    Args:
        folder: Where caches lie; this one becomes a subfolder.
        fingerprint: See :func:`latent_fingerprint`.
        n_pictures: N.
        latent_shape: (c, h, h).

    Raises:
        UserError: If the disk has no room, or the folder holds a cache of another shape.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        n_pictures: int,
        latent_shape: tuple[int, int, int],
    ) -> None:
        self.path = folder / fingerprint
        shape = (n_pictures, 2, *latent_shape)
        if not self.path.is_dir():
            _create(self.path, shape)
        self._latents = np.load(self.path / "latents.npy", mmap_mode="r+")
        self._encoded = np.load(self.path / "encoded.npy", mmap_mode="r+")
        if self._latents.shape != shape:
            raise UserError(
                f"latent cache {self.path} holds {self._latents.shape}, not {shape}; delete it"
            )

    @property
    def complete(self) -> bool:
        """Whether every picture is encoded."""
        return bool(self._encoded.all())

    def missing_rows(self, rank: int = 0, world_size: int = 1) -> list[int]:
        """List the pictures that one of several processes has still to encode.

        Rows are dealt out by number, not by what is missing, so processes that ask at different
        moments never get the same row.

        Args:
            rank: Number of this process.
            world_size: Number of processes.
        """
        rows = np.arange(rank, len(self._encoded), world_size)
        return rows[self._encoded[rows] == 0].tolist()

    def fill(
        self,
        encode: Callable[[Tensor], Tensor],
        batches: Iterable[tuple[Tensor, Tensor]],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Encode pictures and their mirror images and keep the latents.

        Args:
            encode: From pictures [B, 3, H, H] in [-1, 1] to scaled latents [B, c, h, h].
            batches: Pairs of row numbers [B] and upright pictures [B, 3, H, H], best those of
                :meth:`missing_rows`.
            progress: Called after each batch with the number of pictures encoded in this call.

        Raises:
            ValueError: If a latent does not fit into float16.
        """
        done = 0
        for index, image in batches:
            latents = encode(torch.cat([image, image.flip(-1)])).float().cpu()  # [2 B, c, h, h]
            pair = torch.stack(latents.chunk(2), dim=1).half()  # [B, 2, c, h, h]
            if not pair.isfinite().all():
                raise ValueError("a latent is infinite or not a number in float16; check the VAE")
            rows = index.cpu().numpy()
            self._latents[rows] = pair.numpy()
            self._latents.flush()  # first the latents, then the mark that they are there
            self._encoded[rows] = 1
            self._encoded.flush()
            done += len(rows)
            if progress is not None:
                progress(done)

    def lookup(self, index: Tensor, flipped: Tensor) -> Tensor:
        """Read the latents of a batch.

        Args:
            index: Row numbers [B] long.
            flipped: Whether the mirror image is meant [B] bool.

        Returns:
            Latents [B, c, h, h] float32 on the device of ``index``.

        Raises:
            ValueError: If one of them was never encoded.
        """
        rows = index.cpu().numpy()
        if not self._encoded[rows].all():
            raise ValueError(f"latent cache {self.path} is not complete; fill it first")
        latents = self._latents[rows, flipped.cpu().numpy().astype(np.intp)]  # [B, c, h, h]
        return torch.from_numpy(latents).to(index.device).float()


def _create(path: Path, shape: tuple[int, ...]) -> None:
    """Create an empty cache, whole or not at all, also when several processes try."""
    path.parent.mkdir(parents=True, exist_ok=True)
    needed, free = 2 * int(np.prod(shape)), shutil.disk_usage(path.parent).free
    if needed > free:  # a full disk would kill the process when it writes to the memory map
        raise UserError(
            f"latent cache {path} needs {needed / 1e9:.1f} GB but {free / 1e9:.1f} GB are free; "
            "make room or choose another folder"
        )
    draft = Path(tempfile.mkdtemp(prefix=f"{path.name}.", dir=path.parent))
    try:
        for name, dtype, size in (("latents", np.float16, shape), ("encoded", np.uint8, shape[:1])):
            np.lib.format.open_memmap(draft / f"{name}.npy", mode="w+", dtype=dtype, shape=size)
        draft.chmod(0o755)
        draft.rename(path)
    except OSError:
        if not path.is_dir():  # another process was first, or something is really wrong
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
