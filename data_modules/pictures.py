"""Rows of a table -> samples -> ``uniemo.batch.Batch``."""

from collections.abc import Callable
from typing import Any, cast

import datasets
import numpy as np
import pyarrow.compute as pc
import torch
from torch.utils.data import Dataset, default_collate

from data_modules.sampler import Draw
from data_modules.views import Views, open_picture, unreadable
from uniemo.batch import Annotations, Batch
from uniemo.utils.seeding import Stream


class Pictures(Dataset[dict[str, Any]]):
    """The pictures of a table, with their two views.

    Args:
        table: Rows with the columns ``data_modules.layout.FEATURES``.
        views: Epoch -> what makes the views of its pictures.
        n_objects: Length of the multi-hot object vectors.
        seed: With the epoch and the row, all that the flip and the crop of a picture depend on;
            None for neither flip nor crop.
        n_real: Rows from here on are generated pictures; None if there are none.
    """

    def __init__(
        self,
        table: datasets.Dataset,
        views: Callable[[int], Views],
        n_objects: int,
        seed: int | None = None,
        n_real: int | None = None,
    ) -> None:
        self.table = table
        self.views = views
        self.n_objects = n_objects
        self.seed = seed
        self.n_real = len(table) if n_real is None else n_real

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, draw: Draw | int) -> dict[str, Any]:
        """Return one sample: the entries of ``uniemo.batch.Batch`` without the first dimension.

        Args:
            draw: Row and epoch, as the sampler yields them; a row alone stands for epoch 0.

        Raises:
            UserError: If the picture cannot be read.
        """
        index, epoch = draw if isinstance(draw, tuple) else (draw, 0)
        row = self.table[index]
        generator = None
        if self.seed is not None:
            generator = np.random.default_rng([Stream.AUGMENTATION, self.seed, epoch, index])
        with open_picture(row["image"], row["image_id"]) as image:
            try:
                clip, diffusion, flipped = self.views(epoch)(image, generator)
            except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise
                raise unreadable(row["image"]["path"] or row["image_id"], error) from None
        objects = torch.zeros(self.n_objects, dtype=torch.bool)  # [O]
        objects[row["objects"]] = True
        sample = {
            "clip_image": clip,
            "emotion": row["emotion"],
            "scene": row["scene"],
            "objects": objects,
            "brightness": torch.tensor(row["brightness"], dtype=torch.float32),
            "colorfulness": torch.tensor(row["colorfulness"], dtype=torch.float32),
            "index": index,
            "flipped": flipped,
            "generated": index >= self.n_real,
            "image_id": row["image_id"],
        }
        if diffusion is not None:
            sample["diffusion_image"] = diffusion
        return sample


def collate(samples: list[dict[str, Any]]) -> Batch:
    """Stack samples into a batch."""
    return cast(Batch, default_collate(samples))


def read_annotations(table: datasets.Dataset, n_objects: int) -> Annotations:
    """Read the labels of a table, decoding no picture."""
    columns = table.select_columns(["emotion", "scene", "objects"]).with_format("arrow")[:]
    lists = columns["objects"].combine_chunks()
    objects = torch.zeros(len(table), n_objects, dtype=torch.bool)  # [N, O]
    row, name = pc.list_parent_indices(lists), pc.list_flatten(lists)
    objects[
        torch.tensor(row.to_pylist(), dtype=torch.long), torch.tensor(name.to_pylist()).long()
    ] = True
    return Annotations(
        torch.from_numpy(columns["emotion"].to_numpy().copy()),  # [N]
        torch.from_numpy(columns["scene"].to_numpy().copy()),  # [N]
        objects,
    )
