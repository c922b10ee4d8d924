"""Rows of a table -> samples -> ``uniemo.batch.Batch``.

Legend: B images of a batch, N rows of a table, O object names.
"""

from typing import Any, cast

import datasets
import numpy as np
import pyarrow.compute as pc
import torch
from torch.utils.data import Dataset, default_collate

from data_modules.epoch_sampler import EpochRow
from data_modules.views import ViewTransform, open_image, unreadable
from uniemo.batch import Annotations, Batch
from uniemo.utils.data import DiffusionInputs
from uniemo.utils.seeding import Stream


class EmotionImages(Dataset[dict[str, Any]]):
    """The images of a table, with their two views and their labels.

    Args:
        table: Rows with the columns ``data_modules.layout.FEATURES``.
        transform: Makes the views of the images.
        n_objects: Length O of the multi-hot object vectors.
        n_emotions: Length C of the votes, where the data have them.
        seed: With the epoch and the row, all that the flip and the crop of an image depend on;
            None for neither flip nor crop.
        n_real: Rows from here on are generated images; None if there are none.
        crop_transform: Makes the views of the first epochs in place of ``transform``.
        crop_epochs: How many epochs those are.
        diffusion_inputs: Adds entries to the samples of later epochs; None for none.
    """

    def __init__(
        self,
        table: datasets.Dataset,
        transform: ViewTransform,
        n_objects: int,
        n_emotions: int,
        seed: int | None = None,
        n_real: int | None = None,
        crop_transform: ViewTransform | None = None,
        crop_epochs: int = 0,
        diffusion_inputs: DiffusionInputs | None = None,
    ) -> None:
        self.table = table
        self.transform = transform
        self.n_objects, self.n_emotions = n_objects, n_emotions
        self.numbers = [key for key in ("valence", "arousal") if key in table.column_names]
        self.has_votes = "votes" in table.column_names
        self.seed = seed
        self.n_real = len(table) if n_real is None else n_real
        self.crop_transform = crop_transform or transform
        self.crop_epochs = crop_epochs
        self.diffusion_inputs = diffusion_inputs

    def __len__(self) -> int:
        return len(self.table)

    def __getitems__(self, keys: list[EpochRow] | list[int]) -> list[dict[str, Any]]:
        """Return the samples of one batch, whose inputs of diffusion are looked up together.

        Args:
            keys: Rows and their epoch, as :class:`EpochSampler` yields them; a row alone, as of the
                sampler that Lightning puts in its place for ``overfit_batches``, is of epoch 0.

        Raises:
            UserError: If an image cannot be read.
        """
        rows = [key if isinstance(key, EpochRow) else EpochRow(key, 0) for key in keys]
        samples = [self[row] for row in rows]
        epoch = rows[0].epoch
        if self.diffusion_inputs is not None and epoch >= self.crop_epochs:
            index, flipped = (
                torch.tensor([sample[key] for sample in samples]) for key in ("index", "flipped")
            )
            for name, values in self.diffusion_inputs(index, flipped, epoch).items():
                for sample, value in zip(samples, values, strict=True):
                    sample[name] = value
        return samples

    def __getitem__(self, key: EpochRow) -> dict[str, Any]:
        """Return one sample: the entries of ``uniemo.batch.Batch`` without the first dimension.

        Raises:
            UserError: If the image cannot be read.
        """
        index, epoch = key
        row = self.table[index]
        generator = None
        if self.seed is not None:
            generator = np.random.default_rng([Stream.AUGMENTATION, self.seed, epoch, index])
        transform = self.crop_transform if epoch < self.crop_epochs else self.transform
        source = row["image"] or {"path": None, "bytes": None}  # of a hub's copy it may be null
        with open_image(source, row["image_id"]) as image:
            try:
                clip, diffusion, flipped = transform(image, generator)
            except Exception as error:  # Pillow's decoders raise a dozen kinds
                raise unreadable(source["path"] or row["image_id"], error) from None
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
        if self.has_votes:
            certain = [float(i == row["emotion"]) for i in range(self.n_emotions)]
            sample["votes"] = torch.tensor(row["votes"] or certain)  # [C]; generated have none
        for name in self.numbers:
            sample[name] = torch.tensor(float("nan") if row[name] is None else row[name])
        return sample


def collate(samples: list[dict[str, Any]]) -> Batch:
    """Stack samples into a batch."""
    return cast(Batch, default_collate(samples))


def read_annotations(table: datasets.Dataset, n_objects: int) -> Annotations:
    """Read the labels of a table, without decoding an image."""
    columns = table.select_columns(["emotion", "scene", "objects"]).with_format("arrow")[:]
    lists = columns["objects"].combine_chunks()
    objects = torch.zeros(len(table), n_objects, dtype=torch.bool)  # [N, O]
    row, name = (
        torch.tensor(indices.to_pylist(), dtype=torch.long)
        for indices in (pc.list_parent_indices(lists), pc.list_flatten(lists))
    )
    objects[row, name] = True
    return Annotations(
        torch.from_numpy(columns["emotion"].to_numpy().copy()),  # [N]
        torch.from_numpy(columns["scene"].to_numpy().copy()),  # [N]
        objects,
    )
