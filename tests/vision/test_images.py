"""Folders of generated images."""

import pytest
import torch
from PIL import Image

from tests.evaluation.files import write_image_folder
from uniemo.emotions import EMOTIONS, Emotions
from uniemo.errors import UserError
from uniemo.vision.images import EmotionImageFolder


def test_folder_keeps_order_and_number_and_refuses_broken_random_images(tmp_path):
    folder = EmotionImageFolder(write_image_folder(tmp_path / "peer"), Emotions(), 2, 8)
    assert folder.counts.tolist() == [2] * 8
    batches = list(folder.batches(5))
    assert [len(batch.emotion) for batch in batches] == [5, 5, 5, 1]
    assert torch.cat([batch.index for batch in batches]).tolist() == [0, 1] * 8
    assert batches[0].image.shape == (5, 3, 8, 8)
    for name in EMOTIONS:
        (tmp_path / name).mkdir()
        for k in range(2):
            Image.new("RGB", (8, 8)).save(tmp_path / name / f"{k}.png")
    (tmp_path / "fear" / "1.png").write_bytes(b"broken")
    with pytest.raises(UserError, match="cannot be read"):
        list(EmotionImageFolder(tmp_path, Emotions(), 2, 8).batches(16))
    (tmp_path / "fear" / "1.png").unlink()
    with pytest.raises(UserError, match="fear holds 1 images"):
        EmotionImageFolder(tmp_path, Emotions(), 2, 8)
