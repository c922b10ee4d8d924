"""The data module: EmoSet, or any folder in its layout, as loaders of ``uniemo.batch.Batch``."""

from functools import cached_property, partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from lightning import LightningDataModule

from data_modules.generated import GeneratedConfig, epoch_length, mixed_rows
from data_modules.hub_copy import HubCopy
from data_modules.layout import EmoSetLayout
from data_modules.pictures import Pictures, collate, read_annotations
from data_modules.sampler import EpochSampler, ResumableLoader
from data_modules.source import cache_folder, open_source
from data_modules.views import CLIP_MEAN, CLIP_STD, Views
from uniemo.batch import Annotations
from uniemo.errors import UserError
from uniemo.utils.emoset import SPLITS
from uniemo.utils.seeding import shuffled_rows, stratified_rows

_STAGE_SPLITS = {
    "fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": (), None: SPLITS,
}  # fmt: skip


def training_views(crop: Views, aligned: Views, crop_epochs: int, epoch: int) -> Views:
    """Return what makes the views of an epoch's training pictures."""
    return crop if epoch < crop_epochs else aligned


def plain_views(views: Views, _epoch: int) -> Views:
    """Return the same views for every epoch."""
    return views


class EmoSetDataModule(LightningDataModule):
    """EmoSet's layout, or a hub's copy of it, as batches with both views of each picture.

    Everything random depends on ``seed``, the epoch and the row alone: not on ranks, workers,
    restarts or sanity checks. The train loader resumes in mid-epoch.

    Args:
        root: Folder in EmoSet's layout (METHOD, "Data"), or a hub's copy of EmoSet: a
            ``DatasetDict`` saved to disk, or Parquet files. Copies have no attributes: no scenes,
            no objects, and NaN as brightness and colorfulness.
        batch_size: Pictures per training step and process; what is left of an epoch is dropped.
        eval_batch_size: Pictures per evaluation step and process.
        clip_size: Side of the CLIP view in pixels; the open_clip model's own.
        diffusion_size: Side of the diffusion view in pixels; null for no such view.
        clip_mean: Mean that the CLIP weights were trained with, R, G, B in [0, 1].
        clip_std: Standard deviation that the CLIP weights were trained with.
        crop_epochs: Epochs, from the first, that train understanding alone: a random part of the
            picture, mirrored at random. Later epochs show the centre square, mirrored at random,
            just what the plain loaders' diffusion view shows, so that its latents can be cached;
            training batches do not repeat that view.
        crop_scale: Least and greatest share of the picture's area in a random crop.
        num_workers: Processes that decode pictures; 0 for the main process.
        seed: Of the order, the augmentation and the choice of a fraction.
        fraction: Share of the training split to train on, in (0, 1], chosen per emotion; a smaller
            one is part of a greater one. The rows are then those of the reduced split everywhere.
        cache_dir: Folder of the Arrow files; null for one in the cache of HF datasets.
        generated: Generated pictures to train on together with the real ones, in the first
            ``crop_epochs`` epochs; null for none.

    Raises:
        UserError: If a setting is impossible.
    """

    def __init__(
        self,
        root: str,
        batch_size: int = 64,
        eval_batch_size: int = 64,
        clip_size: int = 224,
        diffusion_size: int | None = 512,
        clip_mean: tuple[float, float, float] = CLIP_MEAN,
        clip_std: tuple[float, float, float] = CLIP_STD,
        crop_epochs: int = 0,
        crop_scale: tuple[float, float] = (0.08, 1.0),
        num_workers: int = 4,
        seed: int = 0,
        fraction: float = 1.0,
        cache_dir: str | None = None,
        generated: GeneratedConfig | None = None,
    ) -> None:
        super().__init__()
        if not 0 < fraction <= 1:
            raise UserError(f"fraction is {fraction}; give a share above 0 and up to 1")
        if not 0 < crop_scale[0] <= crop_scale[1] <= 1:
            raise UserError(
                f"crop_scale is {crop_scale}; give two shares, 0 < least <= greatest <= 1"
            )
        if seed < 0:
            raise UserError(f"seed is {seed}; give 0 or more")
        for key, number in [
            ("batch_size", batch_size), ("eval_batch_size", eval_batch_size),
            ("clip_size", clip_size), ("diffusion_size", diffusion_size),
        ]:  # fmt: skip
            if number is not None and number < 1:
                raise UserError(f"{key} is {number}; give 1 or more")
        self.root = root
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.fraction = fraction
        self.cache_dir = cache_folder(cache_dir)
        self.generated = generated
        self.crop_epochs = crop_epochs
        self.both_views = Views(clip_size, diffusion_size, clip_mean, clip_std)
        self.aligned_views = Views(clip_size, None, clip_mean, clip_std)
        self.crop_views = Views(clip_size, None, clip_mean, clip_std, crop_scale)
        self._tables: dict[str, datasets.Dataset] = {}
        self._train_loader: ResumableLoader | None = None
        self._place: dict[str, int] | None = None  # where the next train loader starts

    @cached_property
    def _source(self) -> EmoSetLayout | HubCopy:
        return open_source(self.root)

    @property
    def scene_names(self) -> list[str]:
        """Scene names in index order; empty for a copy without attributes."""
        return self._source.scene_names

    @property
    def object_names(self) -> list[str]:
        """Object names in index order; empty for a copy without attributes."""
        return self._source.object_names

    def annotations(self, split: str) -> Annotations:
        """Return the labels of a split's real pictures, in the order of ``Batch.index``.

        Args:
            split: "train" (reduced to ``fraction``), "val" or "test".

        Raises:
            UserError: If the split is missing or broken.
        """
        return read_annotations(self._table(split), len(self.object_names))

    def prepare_data(self) -> None:
        """Read the annotations into the cache, in one process."""
        for split in self._source.splits:
            self._source.table(split, self.cache_dir)
        if self.generated is not None:
            self._generated_table(self.generated)

    def setup(self, stage: str | None = None) -> None:
        """Open the tables that a stage needs, in every process.

        Raises:
            UserError: If a split of that stage is missing or broken.
        """
        for split in _STAGE_SPLITS[stage]:
            self._table(split)

    def train_dataloader(self) -> ResumableLoader:
        """Return the shuffled, augmented training pictures, and the generated ones if any.

        Raises:
            UserError: If an epoch would be shorter than one step, or no epoch would show the
                generated pictures.
        """
        real = self._table("train")
        if self.generated is None:
            table, length = real, len(real)
            rows = partial(shuffled_rows, length, self.seed)
        else:
            if self.crop_epochs < 1:
                raise UserError(
                    "generated pictures are shown in the first crop_epochs epochs, which are "
                    f"{self.crop_epochs}; give at least 1"
                )
            pool = self._generated_table(self.generated)
            table = datasets.concatenate_datasets([real, pool])
            length = epoch_length(len(real), self.generated.ratio)
            rows = partial(
                mixed_rows,
                len(real),
                read_annotations(pool, len(self.object_names)).emotion.numpy(),
                self.generated.ratio,
                self.seed,
                self.crop_epochs,
            )
        sampler = EpochSampler(rows, length, even=True)
        if len(sampler) < self.batch_size:
            raise UserError(
                f"an epoch has {length} pictures, too few for batch_size {self.batch_size} on "
                f"{sampler.num_replicas} process(es); make batch_size smaller"
            )
        pictures = Pictures(
            table,
            partial(training_views, self.crop_views, self.aligned_views, self.crop_epochs),
            len(self.object_names),
            self.seed,
            n_real=len(real),
        )
        loader = self._loader(pictures, sampler, self.batch_size, drop_last=True)
        if self._place is not None:
            loader.start_at(self._place)
        self._train_loader, self._place = loader, None
        return loader

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the epoch, for Lightning's checkpoints.

        The loader does not tell Lightning itself: where an optimiser's schedule has asked for the
        number of batches, Lightning opens the loader before it restores the loader's state.
        """
        return {} if self._train_loader is None else {"train": self._train_loader.place}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next train loader start where a checkpoint was written."""
        self._place = state_dict.get("train")

    def val_dataloader(self) -> ResumableLoader:
        """Return the validation pictures, as :meth:`plain_dataloader` does."""
        return self.plain_dataloader("val")

    def test_dataloader(self) -> ResumableLoader:
        """Return the test pictures, as :meth:`plain_dataloader` does."""
        return self.plain_dataloader("test")

    def fingerprint(self, split: str) -> str:
        """Name a split's pictures, their order and their plain views, for caches.

        Regenerating the pictures in place changes it, and so does another ``fraction``.
        """
        return self._table(split)._fingerprint

    def plain_dataloader(self, split: str, rows: list[int] | None = None) -> ResumableLoader:
        """Return a split's real pictures in the order of its rows, without any augmentation.

        Ranks share the rows out in turn, none twice; they may so get unequal numbers of batches,
        and a step must not wait for other ranks (a metric's ``compute`` may).

        Args:
            split: "train" (reduced to ``fraction``), "val" or "test".
            rows: The rows this process wants; None for its share of all.
        """
        pictures = Pictures(
            self._table(split), partial(plain_views, self.both_views), len(self.object_names)
        )
        if rows is None:
            every = np.arange(len(pictures))
            sampler = EpochSampler(lambda epoch: every, len(every), even=False)
        else:
            own = np.array(rows)
            sampler = EpochSampler(lambda epoch: own, len(own), even=False, rank=0, world_size=1)
        return self._loader(pictures, sampler, self.eval_batch_size, drop_last=False)

    def _table(self, split: str) -> datasets.Dataset:
        if split not in self._tables:
            table = self._source.table(split, self.cache_dir)
            if split == "train" and self.fraction < 1:
                emotion = read_annotations(table, len(self.object_names)).emotion.numpy()
                table = table.select(stratified_rows(emotion, self.fraction, self.seed))
            self._tables[split] = table
        return self._tables[split]

    def _generated_table(self, generated: GeneratedConfig) -> datasets.Dataset:
        # The real pictures' names number the pool's attributes, so that the two agree.
        pool = EmoSetLayout(Path(generated.root).expanduser(), self.scene_names, self.object_names)
        return pool.table("train", self.cache_dir)

    def _loader(
        self, pictures: Pictures, sampler: EpochSampler, batch_size: int, drop_last: bool
    ) -> ResumableLoader:
        # Workers run torch on one thread each: torch's own default for them.
        return ResumableLoader(
            pictures,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=collate,
            drop_last=drop_last,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.trainer is not None
            and self.trainer.strategy.root_device.type == "cuda",
        )
