"""Which epoch's weights are kept."""

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from uniemo.model.callbacks import best_checkpoint
from uniemo.model.saving import BestCheckpoint


class Scripted(lightning.LightningModule):
    """One weight that counts epochs, and an accuracy told beforehand."""

    def __init__(self, accuracy: list[float], understanding_epochs: int, head: object) -> None:
        super().__init__()
        self.accuracy, self.understanding_epochs, self.head = accuracy, understanding_epochs, head
        self.weight = torch.nn.Parameter(torch.zeros(()))

    @property
    def stage_ends(self) -> tuple[int, int]:  # of one step an epoch
        epochs = len(self.accuracy)
        return min(self.understanding_epochs, epochs), epochs

    @property
    def stage(self) -> str:
        if self.current_epoch < self.understanding_epochs:
            return "understanding"
        return "joint" if self.head else "refresh"

    def training_step(self, batch: object, _: int) -> torch.Tensor:
        return -self.weight

    def validation_step(self, batch: object, _: int) -> None:
        self.log("val/accuracy", self.accuracy[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 1.0)


@pytest.mark.parametrize(
    ("accuracy", "understanding_epochs", "head", "kept"),
    [
        ([0.2, 0.5, 0.4], 3, None, 1),
        ([0.5, 0.4, 0.3], 2, None, 0),  # the refresh made it worse
        ([0.2, 0.3, 0.4, 0.3], 1, "head", 2),
        ([0.9, 0.8, 0.3, 0.2], 2, "head", 2),  # the mappers of a warm-up are untrained
        ([0.9, 0.8, 0.3, 0.4], 2, "head", 3),
        ([0.3, 0.9, 0.8], 3, "head", 1),  # a fit that ends before any joint epoch
    ],
)
def test_the_best_epoch_on_validation_is_kept(tmp_path, accuracy, understanding_epochs, head, kept):
    trainer = lightning.Trainer(
        max_epochs=len(accuracy),
        callbacks=[BestCheckpoint(tmp_path)],
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    loader = DataLoader([0])
    trainer.fit(Scripted(accuracy, understanding_epochs, head), loader, loader)
    assert best_checkpoint(trainer) == str(tmp_path / "best.ckpt")
    checkpoint = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert checkpoint["state_dict"]["weight"] == kept + 1
    assert "optimizer_states" not in checkpoint


@pytest.mark.parametrize(
    ("accuracy", "kept"), [([0.4, 0.5], 0), ([0.4, 0.3], 0), ([0.4, 0.6], 2), ([0.6, 0.5], 1)]
)
def test_trained_weights_that_a_fit_starts_from_stay_unless_an_epoch_beats_them(
    tmp_path, accuracy, kept
):
    best = BestCheckpoint(tmp_path)
    best.start = {"val/accuracy": 0.5}
    trainer = lightning.Trainer(
        max_epochs=2,
        callbacks=[best],
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = DataLoader([0.0])
    trainer.fit(Scripted(accuracy, 2, None), loader, loader)
    weight = torch.load(best.best_model_path, weights_only=True)["state_dict"]["weight"]
    assert weight == kept  # it counts epochs
    assert best.start_stays == (kept == 0)
    assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]
