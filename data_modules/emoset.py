"""The data module: EmoSet, or any folder in its layout, as loaders of ``uniemo.batch.Batch``."""

from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import datasets
import numpy as np
from lightning import LightningDataModule

from data_modules.dataset import EmotionImages, collate, read_annotations
from data_modules.epoch_sampler import EpochSampler, ResumableLoader
from data_modules.generated import GeneratedConfig, epoch_length, mixed_rows
from data_modules.layout import EmoSetLayout
from data_modules.source import Reader, ReaderConfig, Source, cache_folder, open_source
from data_modules.splits import Shares
from data_modules.unreadable import without_unreadable
from data_modules.views import CLIP_MEAN, CLIP_STD, ViewTransform
from uniemo.batch import Annotations
from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.utils.data import DiffusionInputs, EmotionData
from uniemo.utils.emoset_files import SPLITS
from uniemo.utils.seeding import shuffled_rows, stratified_rows

_STAGE_SPLITS = {
    "fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": (), None: SPLITS,
}  # fmt: skip


class EmoSetDataModule(LightningDataModule, EmotionData):
    """EmoSet's layout, or a hub's copy of it, as batches with both views of each image.

    All randomness depends on ``seed``, the epoch and the row only, not on ranks, workers, restarts
    or sanity checks. The train loader can resume within an epoch.

    Args:
        root: The data set: a folder in EmoSet's layout (docs/method.md, "Data"), a folder of class
            folders, a table of files, or what HF ``datasets`` reads (docs/guides/own-data.md).
        batch_size: Images per training step and process; the incomplete last batch is dropped.
        eval_batch_size: Images per evaluation step and process.
        clip_size: Side of the CLIP view in pixels; the open_clip model's own.
        diffusion_size: Side of the diffusion view in pixels; null for no such view.
        clip_mean: Mean that the CLIP weights were trained with, R, G, B in [0, 1].
        clip_std: Standard deviation that the CLIP weights were trained with.
        crop_epochs: Epochs, from the first, that train understanding only: a random crop of the
            image, flipped at random. Later epochs have the centre square, flipped at random: the
            same part as the diffusion view of the plain loaders, whose latents can so be cached.
            Training batches have no diffusion view.
        crop_scale: Least and greatest share of the image's area in a random crop.
        num_workers: Processes that decode images; 0 for the main process.
        seed: Seed of the order, the augmentation and the choice of a fraction.
        fraction: Share of the training split to train on, in (0, 1], chosen per emotion; a smaller
            one is part of a greater one. The rows are then those of the reduced split everywhere.
        cache_dir: Folder of the Arrow files; null for one in the cache of HF datasets.
        generated: Generated images to train on together with the real ones, in the first
            ``crop_epochs`` epochs; null for none.
        reader: Which kind of data set ``root`` is.
        columns: What is in which column of a table: image, label, votes (one column, or a list of
            columns named by emotions), scene, objects, valence, arousal, image_id and split.
        emotions: YAML file of the emotions' names, polarity and labels; null for those that the
            data set has.
        shares: Of the images in train, val and test, where the data set has no splits.
        max_unreadable: Images of a split that may be unreadable: they are left out and listed in a
            file in the cache. 0: none may be, and none is looked for before it is needed.
        squash: Whether the diffusion view is the whole image, squashed to a square; the published
            FID is computed from such images.

    Attributes:
        diffusion_inputs: What a joint step needs of training images beside their views
            (:data:`uniemo.utils.data.DiffusionInputs`); None for nothing. The model sets it before
            the first training batch of a fit. Training batches have it from epoch ``crop_epochs``
            on. It is called in the loader's workers, which copy it at the first batch (it is forked
            or pickled), but not before epoch ``crop_epochs``.

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
        reader: Reader = "auto",
        columns: dict[str, str | list[str]] | None = None,
        emotions: str | None = None,
        shares: Shares = (0.8, 0.1, 0.1),
        max_unreadable: int = 0,
        squash: bool = False,
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
        if num_workers < 0:
            raise UserError(f"num_workers is {num_workers}; give 0 or more")
        self.root = root
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.fraction = fraction
        self.cache_dir = cache_folder(cache_dir)
        self.generated = generated
        self.reader = ReaderConfig(reader, columns, emotions, shares)
        self.max_unreadable = max_unreadable
        self.crop_epochs = crop_epochs
        self.plain_transform = ViewTransform(
            clip_size, diffusion_size, clip_mean, clip_std, squash=squash
        )
        self.aligned_transform = ViewTransform(clip_size, None, clip_mean, clip_std)
        self.crop_transform = ViewTransform(clip_size, None, clip_mean, clip_std, crop_scale)
        self._tables: dict[str, datasets.Dataset] = {}
        self._train_loader: ResumableLoader | None = None
        self._position: dict[str, int] | None = None  # where the next train loader resumes
        self._diffusion_inputs: DiffusionInputs | None = None

    @cached_property
    def _source(self) -> Source:
        return open_source(self.root, self.reader, self.cache_dir)

    @property
    def emotions(self) -> Emotions:
        """What the images are labelled with."""
        return self._source.emotions

    @property
    def licence(self) -> str | None:
        """The terms of the data; None if they are not known."""
        return self._source.licence

    @property
    def scene_names(self) -> list[str]:
        """Scene names in index order; empty for a copy without attributes."""
        return self._source.scene_names

    @property
    def object_names(self) -> list[str]:
        """Object names in index order; empty for a copy without attributes."""
        return self._source.object_names

    @property
    def diffusion_inputs(self) -> DiffusionInputs | None:
        """What joins the batches of joint epochs; see the class."""
        return self._diffusion_inputs

    @diffusion_inputs.setter
    def diffusion_inputs(self, inputs: DiffusionInputs | None) -> None:
        self._diffusion_inputs = inputs
        if self._train_loader is not None:  # an optimiser's schedule may have opened it already
            cast(EmotionImages, self._train_loader.dataset).diffusion_inputs = inputs

    def annotations(self, split: str) -> Annotations:
        """Return the labels of a split's real images, in the order of ``Batch.index``.

        Args:
            split: "train" (reduced to ``fraction``), "val" or "test".

        Raises:
            UserError: If the split is missing or broken.
        """
        return read_annotations(self._table(split), len(self.object_names))

    def image_ids(self, split: str) -> list[str]:
        """Return the names of a split's real images, in the order of ``Batch.index``."""
        return list(self._table(split)["image_id"])

    def prepare_data(self) -> None:
        """Read the annotations into the cache, in one process.

        Raises:
            UserError: If a row is wrong, or an image is listed twice.
        """
        split_of: dict[str, str] = {}
        for split in self._source.splits:
            table = self._source.table(split, self.cache_dir)
            if self.max_unreadable:
                without_unreadable(table, split, self.max_unreadable, self.cache_dir)
            for name in table["image_id"]:
                if name in split_of:
                    raise UserError(
                        f"image {name} of {self.root} is listed twice, in {split_of[name]} and in "
                        f"{split}; remove a row (uniemo data check lists all)"
                    )
                split_of[name] = split
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
        """Return the shuffled, augmented training images, and the generated ones if any.

        Raises:
            UserError: If an epoch would be shorter than one step, or no epoch would have generated
                images.
        """
        real = self._table("train")
        if self.generated is None:
            table, length = real, len(real)
            rows = partial(shuffled_rows, length, self.seed)
        else:
            if self.crop_epochs < 1:
                raise UserError(
                    "generated images are used in the first crop_epochs epochs, which are "
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
                f"an epoch has {length} images, too few for batch_size {self.batch_size} on "
                f"{sampler.num_replicas} process(es); make batch_size smaller"
            )
        images = EmotionImages(
            table,
            self.aligned_transform,
            len(self.object_names),
            len(self.emotions),
            self.seed,
            n_real=len(real),
            crop_transform=self.crop_transform,
            crop_epochs=self.crop_epochs,
            diffusion_inputs=self._diffusion_inputs,
        )
        loader = self._loader(images, sampler, self.batch_size, drop_last=True)
        if self._position is not None:
            loader.resume_at(self._position)
        self._train_loader, self._position = loader, None
        return loader

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the epoch, for Lightning's checkpoints.

        It is not the loader's own state: where an optimiser's schedule has asked for the number of
        batches, Lightning opens the loader before it restores the loader's state.
        """
        return {} if self._train_loader is None else {"train": self._train_loader.position}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next train loader resume where a checkpoint was written."""
        self._position = state_dict.get("train")

    def val_dataloader(self) -> ResumableLoader:
        """Return the validation images, as :meth:`plain_dataloader` does."""
        return self.plain_dataloader("val")

    def test_dataloader(self) -> ResumableLoader:
        """Return the test images, as :meth:`plain_dataloader` does."""
        return self.plain_dataloader("test")

    def fingerprint(self, split: str) -> str:
        """Return a name of a split's images, their order and their plain views, for caches.

        It changes with any image or annotation file, and with ``fraction``.
        """
        return self._table(split)._fingerprint

    def plain_dataloader(self, split: str, rows: list[int] | None = None) -> ResumableLoader:
        """Return a split's real images in the order of its rows, without augmentation.

        The rows are distributed over the ranks in turn, none twice. Ranks may so get unequal
        numbers of batches, and a step must not wait for other ranks (a metric's ``compute`` may).

        Args:
            split: "train" (reduced to ``fraction``), "val" or "test".
            rows: The rows of this process; None for its share of all.
        """
        sizes = len(self.object_names), len(self.emotions)
        images = EmotionImages(self._table(split), self.plain_transform, *sizes)
        chosen = np.arange(len(images)) if rows is None else np.array(rows)
        share = {} if rows is None else {"rank": 0, "world_size": 1}
        sampler = EpochSampler(lambda epoch: chosen, len(chosen), even=False, **share)
        return self._loader(images, sampler, self.eval_batch_size, drop_last=False)

    def _table(self, split: str) -> datasets.Dataset:
        if split not in self._tables:
            table = self._source.table(split, self.cache_dir)
            if self.max_unreadable:
                table = without_unreadable(table, split, self.max_unreadable, self.cache_dir)
            if split == "train" and self.fraction < 1:
                emotion = read_annotations(table, len(self.object_names)).emotion.numpy()
                table = table.select(stratified_rows(emotion, self.fraction, self.seed))
            self._tables[split] = table
        return self._tables[split]

    def _generated_table(self, generated: GeneratedConfig) -> datasets.Dataset:
        # The pool's attributes are numbered by the names of the real images, so that the two agree.
        folder = Path(generated.root).expanduser()
        pool = EmoSetLayout(folder, self.emotions, self.scene_names, self.object_names)
        return pool.table("train", self.cache_dir)

    def _loader(
        self, images: EmotionImages, sampler: EpochSampler, batch_size: int, drop_last: bool
    ) -> ResumableLoader:
        return ResumableLoader(
            images,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=collate,
            drop_last=drop_last,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.trainer is not None
            and self.trainer.strategy.root_device.type == "cuda",
        )
