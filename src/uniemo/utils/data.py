"""What the library requires of a data module, whatever files it reads.

Legend: B images of a batch.
"""

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor
from torch.utils.data import DataLoader

from uniemo.batch import Annotations
from uniemo.emotions import Emotions

DiffusionInputs = Callable[[Tensor, Tensor, int], dict[str, Tensor]]
"""Row numbers [B] long and flips [B] bool of training images, and the epoch -> what a joint
step needs of them beside their views: ``latent``, ``noise`` and ``timestep`` of
``uniemo.batch.Batch``."""


class Labelled(Protocol):
    """What a data set's pictures are labelled with."""

    @property
    def licence(self) -> str | None:
        """The terms of the data; None if they are not known."""

    @property
    def emotions(self) -> Emotions:
        """What the images are labelled with, in index order."""

    @property
    def scene_names(self) -> list[str]:
        """Scene names in index order; empty without scene annotations."""

    @property
    def object_names(self) -> list[str]:
        """Object names in index order; empty without object annotations."""


class EmotionData(Labelled, Protocol):
    """A data module whose loaders yield ``uniemo.batch.Batch``.

    Splits are "train", "val" and "test". A row is the position of an image in its split.
    ``data_modules.EmoSetDataModule`` is one.
    """

    root: str
    """The folder that the images come from."""

    diffusion_inputs: DiffusionInputs | None
    """Set by the model: what it returns joins the batches of epochs with aligned views."""

    def prepare_data(self) -> None:
        """Prepare the files, in one process."""

    def setup(self, stage: str | None = None) -> None:
        """Open what a stage of Lightning needs, in every process."""

    def annotations(self, split: str) -> Annotations:
        """Return the labels of a split's real images, in the order of ``Batch.index``."""

    def image_ids(self, split: str) -> list[str]:
        """Return the names of a split's real images, in the order of ``Batch.index``."""

    def fingerprint(self, split: str) -> str:
        """Return a name of a split's images, their order and their plain views, for caches."""

    def plain_dataloader(self, split: str, rows: list[int] | None = None) -> DataLoader[Any]:
        """Return a split's real images without augmentation: ``rows``, or this rank's share."""

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the shuffled, augmented training images."""

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation images, as :meth:`plain_dataloader` does."""

    def test_dataloader(self) -> DataLoader[Any]:
        """Return the test images, as :meth:`plain_dataloader` does."""
