"""Checkpoint files of UniEmo: read without trusting them, and a model made from one."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import lightning
import torch

from uniemo.config.model import Settings
from uniemo.errors import UserError, first_line


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Open a checkpoint file of UniEmo, tensors and plain types only; tensors are read when used.

    Raises:
        UserError: If it is missing, broken or another model's.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist; train first or give another path")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # zip, pickle and torch raise a dozen kinds
        raise UserError(
            f"checkpoint {path} cannot be read ({first_line(error)}); give another"
        ) from error
    if not isinstance(checkpoint, dict) or "names" not in checkpoint:
        raise UserError(f"{path} is no checkpoint of UniEmo; give one that training wrote")
    return checkpoint


def trained_word_width(checkpoint: dict[str, Any]) -> int:
    """Return W, the width of a word that a trained model's mappers write."""
    return len(checkpoint["state_dict"]["emotion_head.hidden.bias"])


class Restorable(lightning.LightningModule, ABC):
    """What a model keeps in its checkpoints; :class:`UniEmo` brings the parts."""

    scene_names: list[str]
    object_names: list[str]

    @abstractmethod
    def size_bases(self, scene_names: list[str], object_names: list[str]) -> None:
        """Give the attribute bases the size of these names; they are empty then."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the names that the attribute bases number."""
        checkpoint["names"] = {"scene": self.scene_names, "object": self.object_names}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Give the attribute bases the checkpoint's size.

        Raises:
            UserError: If the names are another data set's.
        """
        names = checkpoint["names"]
        if self.scene_names and (self.scene_names, self.object_names) != (
            names["scene"],
            names["object"],
        ):
            raise UserError(
                "the checkpoint was trained with other scene or object names than info.json has; "
                "use the data set it was trained on"
            )
        if not self.scene_names:
            self.size_bases(names["scene"], names["object"])
            self.to(self.device)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Load a checkpoint's weights, as torch does.

        Raises:
            UserError: If they are of another structure.
        """
        try:
            return super().load_state_dict(*args, **kwargs)
        except RuntimeError as error:
            first = str(error).splitlines()[1].strip()
            raise UserError(
                f"the checkpoint is of a model with other settings ({first}); give its own"
            ) from None

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Take over all that a checkpoint holds of trained weights, bases and emotion space.

        Args:
            checkpoint: From :func:`read_checkpoint`.

        Raises:
            UserError: If it is of another structure.
        """
        self.on_load_checkpoint(checkpoint)
        self.load_state_dict(checkpoint["state_dict"])

    @classmethod
    def from_checkpoint(cls, path: str | Path) -> Self:
        """Load a trained model from a checkpoint file, CLIP and head from where it was built.

        Raises:
            UserError: If the file is missing or no checkpoint of UniEmo.
        """
        saved = read_checkpoint(path)["hyper_parameters"]
        module = cls(
            **Settings.of_trained(saved).groups(),
            understanding_epochs=saved["understanding_epochs"],
            start_from=str(path),
            seed=saved["seed"],
        )
        return module.eval()
