"""A fit whose numbers are not finite stops and keeps nothing of them; equal runs are equal."""

import math

import pytest
import torch
from lightning import Trainer

from data_modules import EmoSetDataModule
from tests.tiny import tiny_model
from uniemo.errors import UserError
from uniemo.model.checkpoint import check_finite, read_checkpoint
from uniemo.model.finite import FiniteSteps
from uniemo.model.saving import BestCheckpoint, LastCheckpoint


def fit(tiny_files, folder, skip=0, bad_steps=(), **changes):
    """Fit two epochs of understanding, four steps each; some steps get an infinite loss."""
    model = tiny_model(tiny_files)
    model.settings.optimizer.skip = skip
    model.settings.understanding_epochs = 2
    size, mean, std = model.clip_view
    data = EmoSetDataModule(
        str(tiny_files["emoset"]), batch_size=8, clip_size=size, diffusion_size=model.image_size,
        clip_mean=mean, clip_std=std, crop_epochs=2, num_workers=0,
        cache_dir=str(tiny_files["cache"]),
    )  # fmt: skip
    loss = model.understanding_loss

    def understanding_loss(losses):
        return loss(losses) * (math.inf if model.global_step in bad_steps else 1.0)

    model.understanding_loss = understanding_loss
    torch.manual_seed(0)
    trainer = Trainer(
        accelerator="cpu", max_epochs=2, num_sanity_val_steps=0, logger=False,
        callbacks=[BestCheckpoint(folder), LastCheckpoint(folder)], enable_progress_bar=False,
        enable_model_summary=False, **changes,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    return model, trainer


def test_an_infinite_loss_stops_the_fit_and_names_step_images_and_the_last_good_state(
    tiny_files, tmp_path
):
    with pytest.raises(UserError) as error:
        fit(tiny_files, tmp_path, bad_steps={5})
    line = str(error.value)
    assert "step 6" in line
    assert "_train0" in line  # images' names
    assert str(tmp_path) in line  # the newest of best.ckpt and last.ckpt
    check_finite(read_checkpoint(tmp_path / "last.ckpt")["state_dict"], tmp_path / "last.ckpt")


def test_steps_are_skipped_up_to_a_limit(tiny_files, tmp_path):
    model, trainer = fit(tiny_files, tmp_path, skip=2, bad_steps={1, 5}, limit_val_batches=1)
    (watch,) = (c for c in trainer.callbacks if isinstance(c, FiniteSteps))
    assert watch.skipped == 2
    assert all(bool(weight.isfinite().all()) for weight in model.parameters())
    with pytest.raises(UserError, match="step 6 is not finite"):
        fit(tiny_files, tmp_path, skip=1, bad_steps={1, 5})


def test_weights_that_are_not_finite_are_refused(tiny_files, tmp_path):
    fit(tiny_files, tmp_path, limit_train_batches=1, limit_val_batches=1)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    checkpoint["state_dict"]["understanding.emotion_head.hidden.bias"][0] = math.nan
    torch.save(checkpoint, tmp_path / "nan.ckpt")
    with pytest.raises(UserError, match=r"nan\.ckpt holds numbers that are not finite"):
        read_checkpoint(tmp_path / "nan.ckpt")


def test_the_same_run_twice_gives_the_same_checkpoint(tiny_files, tmp_path):
    for name in ("first", "second"):
        fit(tiny_files, tmp_path / name)
    for name in ("best.ckpt", "last.ckpt"):
        first, second = (
            torch.load(tmp_path / run / name, weights_only=True) for run in ("first", "second")
        )
        assert first["state_dict"].keys() == second["state_dict"].keys()
        for key, tensor in first["state_dict"].items():
            assert torch.equal(tensor, second["state_dict"][key]), key
