"""A model fits with a trainer of the user's own, as in a notebook."""

import torch
from lightning import Trainer

from data_modules import EmoSetDataModule
from tests.tiny import tiny_model


def test_a_plain_trainer_fits_a_model_that_then_generates(tiny_files, tmp_path):
    model = tiny_model(tiny_files)
    model.settings.understanding_epochs = 1
    model.settings.cache = str(tmp_path / "latents")
    size, mean, std = model.clip_view
    data = EmoSetDataModule(
        str(tiny_files["emoset"]), batch_size=8, clip_size=size, diffusion_size=model.image_size,
        clip_mean=mean, clip_std=std, crop_epochs=1, num_workers=2, cache_dir=str(tmp_path),
    )  # fmt: skip
    model.fusion.set_names([], [])  # the data set's own take their place
    trainer = Trainer(
        accelerator="cpu", max_epochs=2, num_sanity_val_steps=0, default_root_dir=tmp_path,
        logger=False, enable_progress_bar=False,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    assert model.fusion.scene_names == data.scene_names
    assert trainer.callback_metrics["train/theta"] > 0
    images, _ = model.eval().painter.generate(torch.arange(8), torch.zeros(8, dtype=torch.long))
    assert images.shape == (8, 3, model.image_size, model.image_size)
    saved = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=True)
    assert saved["state_dict"]["painter.space.moments.count"].all()
