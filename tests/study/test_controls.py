"""Targets that controls learn from, against torch's own loss and by their properties."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from uniemo.emotions import N_EMOTIONS, Emotions
from uniemo.study.controls import LabelSmoothing, Mixup, SoftLabels, write_soft_labels
from uniemo.understanding import emotion_classification_loss

EPOCH = SimpleNamespace(current_epoch=1, emotions=Emotions())


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return {
        "clip_image": torch.rand(6, 3, 4, 4, generator=generator),
        "emotion": torch.tensor([0, 1, 2, 3, 7, 7]),
        "image_id": list("abcdef"),
    }


def test_smoothed_labels_give_torchs_smoothed_loss(batch):
    logits = torch.randn(6, N_EMOTIONS, generator=torch.Generator().manual_seed(1))
    LabelSmoothing(0.1).on_train_batch_start(None, EPOCH, batch, 0)
    expected = F.cross_entropy(logits, batch["emotion"], label_smoothing=0.1)
    torch.testing.assert_close(emotion_classification_loss(logits, batch["votes"]), expected)


def test_mixed_images_have_mixed_labels_and_depend_on_the_batch_alone(batch):
    before, state = batch["clip_image"], torch.get_rng_state()
    mixed = [dict(batch) for _ in range(3)]
    for copy, number in zip(mixed, (0, 0, 1), strict=True):
        Mixup(1.0).on_train_batch_start(None, EPOCH, copy, number)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(mixed[0]["clip_image"], mixed[1]["clip_image"])
    assert not torch.equal(mixed[0]["clip_image"], mixed[2]["clip_image"])
    image, target = mixed[0]["clip_image"], mixed[0]["votes"]
    for row in range(6):
        own = F.one_hot(batch["emotion"], N_EMOTIONS)[row]
        found = False
        for other in range(6):
            theirs = F.one_hot(batch["emotion"], N_EMOTIONS)[other]
            part = 1 - (image[row] - before[row]).norm() / (before[other] - before[row]).norm()
            if other == row or not 0.5 <= part <= 1:
                continue
            same = torch.allclose(before[other].lerp(before[row], part), image[row], atol=1e-5)
            label = torch.allclose(part * own + (1 - part) * theirs, target[row], atol=1e-5)
            found |= same and label
        assert found or torch.equal(image[row], before[row])


def test_soft_labels_replace_those_of_the_named_images(batch, tmp_path):
    own = torch.full((2, N_EMOTIONS), 1 / N_EMOTIONS)
    write_soft_labels(tmp_path / "table.parquet", ["b", "f"], own)
    SoftLabels(tmp_path / "table.parquet").on_train_batch_start(None, EPOCH, batch, 0)
    torch.testing.assert_close(batch["votes"][[1, 5]], own)
    rest = [0, 2, 3, 4]
    assert batch["votes"][rest].argmax(1).tolist() == batch["emotion"][rest].tolist()
    assert batch["votes"].sum(1).tolist() == pytest.approx([1.0] * 6)
