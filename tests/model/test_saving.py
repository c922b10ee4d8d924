"""Which epoch's weights are kept."""

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from uniemo.errors import UserError
from uniemo.model.callbacks import best_checkpoint
from uniemo.model.saving import AtomicCheckpointIO, BestCheckpoint


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
    module = Scripted(accuracy, 2, None)
    trainer.validate(module, loader, verbose=False)  # as a fit of trained weights begins
    trainer.fit(module, loader, loader)
    assert best.trained == pytest.approx(max(accuracy))
    weight = torch.load(best.best_model_path, weights_only=True)["state_dict"]["weight"]
    assert weight == kept  # it counts epochs
    assert best.start_stays == (kept == 0)
    assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]


def test_an_older_checkpoint_lies_aside_until_the_fit_has_ended(tmp_path):
    older = tmp_path / "best.ckpt"
    older.write_text("older")
    seen = []

    class Look(lightning.Callback):
        def on_train_epoch_start(self, trainer, module):
            seen.append({path.name for path in tmp_path.iterdir()})
            if trainer.current_epoch:
                return
            assert (tmp_path / "best.ckpt.previous").read_text() == "older"

    trainer = lightning.Trainer(
        max_epochs=2,
        callbacks=[BestCheckpoint(tmp_path), Look()],
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = DataLoader([0.0])
    trainer.fit(Scripted([0.5, 0.4], 2, None), loader, loader)
    assert seen == [{"best.ckpt.previous"}, {"best.ckpt", "best.ckpt.previous"}]
    assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path, io = tmp_path / "last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint({"step": 1}, path)

    def half(content, file):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(UserError, match="No space"):
        io.save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]
