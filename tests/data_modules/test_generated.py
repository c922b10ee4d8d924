"""Real and generated images together."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules import GeneratedConfig
from data_modules.generated import epoch_length, mixed_rows
from uniemo.errors import UserError


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 60),
    st.lists(st.integers(0, 7), min_size=1, max_size=40),
    st.floats(0.01, 3),
    st.integers(0, 9),
)
def test_an_epoch_has_every_real_row_and_the_ratio_of_generated_ones(n_real, pool, ratio, epoch):
    emotion = np.array(pool)
    rows = mixed_rows(n_real, emotion, ratio, seed=0, mixed_epochs=10, epoch=epoch)
    counts = np.bincount(rows, minlength=n_real + len(pool))
    assert len(counts) == n_real + len(pool)
    assert (counts[:n_real] == 1).all()
    drawn = counts[n_real:]
    assert drawn.sum() == round(ratio * n_real)
    for label in np.unique(emotion):
        assert np.ptp(drawn[emotion == label]) <= 1
    assert np.ptp([drawn[emotion == label].sum() for label in np.unique(emotion)]) <= 1
    assert len(rows) == epoch_length(n_real, ratio)
    again = mixed_rows(n_real, emotion, ratio, seed=0, mixed_epochs=10, epoch=epoch)
    assert np.array_equal(rows, again)


def test_later_epochs_are_as_long_and_real():
    rows = mixed_rows(20, np.arange(5), 0.5, seed=0, mixed_epochs=2, epoch=2)
    counts = np.bincount(rows)
    assert len(rows) == epoch_length(20, 0.5)
    assert len(counts) == 20
    assert counts.min() == 1


def test_epochs_and_seeds_draw_differently():
    draws = {
        tuple(mixed_rows(40, np.arange(40) % 8, 0.25, seed, 3, epoch))
        for seed in range(2)
        for epoch in range(3)
    }
    assert len(draws) == 6


def test_batches_mark_generated_images_and_number_them_after_the_real(
    data_module, emoset_root, pool_root
):
    config = GeneratedConfig(str(pool_root), ratio=0.5)
    module = data_module(crop_epochs=1, generated=config, batch_size=4, fraction=0.5)
    module.prepare_data()
    module.setup("fit")
    batches = list(module.train_dataloader())
    index = torch.cat([batch["index"] for batch in batches])
    generated = torch.cat([batch["generated"] for batch in batches])
    names = [name for batch in batches for name in batch["image_id"]]
    assert len(index) == 24
    assert torch.equal(generated, index >= 16)
    assert sorted(index.tolist()) == list(range(24))
    pool = json.loads((pool_root / "train.json").read_text())
    for row, name in zip(index.tolist(), names, strict=True):
        if row >= 16:
            assert pool[row - 16][-2].endswith(f"{name}.jpg")
    assert len(module.annotations("train").emotion) == 16  # real images only
    assert not any(batch["generated"].any() for batch in module.val_dataloader())


def test_attributes_of_the_pool_are_numbered_as_the_real_ones(data_module, pool_root, tmp_path):
    info = json.loads((pool_root / "info.json").read_text())
    names = list(reversed(info["scene"]["label2idx"]))
    info["scene"]["label2idx"] = {name: index for index, name in enumerate(names)}
    copy = tmp_path / "pool"
    copy.mkdir()
    for folder in ("image", "annotation"):
        (copy / folder).symlink_to(pool_root / folder)
    (copy / "train.json").write_text((pool_root / "train.json").read_text())
    (copy / "info.json").write_text(json.dumps(info))
    module = data_module(
        crop_epochs=1, generated=GeneratedConfig(str(copy), ratio=0.25), batch_size=40
    )
    (batch,) = list(module.train_dataloader())
    for row in batch["generated"].nonzero().flatten().tolist():
        annotation = next((copy / "annotation").rglob(f"{batch['image_id'][row]}.json"))
        scene = json.loads(annotation.read_text()).get("scene")
        assert (
            module.scene_names[batch["scene"][row]] if batch["scene"][row] >= 0 else None
        ) == scene


def test_impossible_settings_are_named(data_module, tmp_path):
    with pytest.raises(UserError, match="ratio is 0"):
        GeneratedConfig("pool", ratio=0)
    with pytest.raises(UserError, match="nowhere does not exist"):
        data_module(
            crop_epochs=1, generated=GeneratedConfig(str(tmp_path / "nowhere"))
        ).prepare_data()
