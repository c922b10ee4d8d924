import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from uniemo.backbones import classifier, scores, word_mapper
from uniemo.diffusion import SamplingConfig
from uniemo.vision.networks import ImageNetwork


def means(size: int) -> ImageNetwork:
    """A network that sees nothing but an image's mean red, green and blue."""
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return ImageNetwork(network, "means", 3, size, (0.0,) * 3, (1.0,) * 3)


def test_psnr_of_a_known_error() -> None:
    image = torch.zeros(2, 3, 4, 4)
    other = image + torch.tensor([0.1, 0.01])[:, None, None, None]
    assert math.isclose(scores.psnr(image, other), 30, abs_tol=1e-4)


def test_captions_are_different_and_show_every_object_and_scene_equally_often() -> None:
    labels = scores.caption_labels(scores.N_TEST)
    for kind, names in scores.NAMES.items():
        counts = labels[kind].bincount(minlength=len(names))
        assert counts.max() - counts.min() <= 1
    pairs = {tuple(pair) for pair in torch.stack(list(labels.values()), 1).tolist()}
    assert len(pairs) == scores.N_TEST


def test_scores_are_written_group_by_group(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "N_TEST", 16)
    monkeypatch.setattr(scores, "N_ONE_WORD", 8)
    monkeypatch.setattr(scores, "SAMPLING", SamplingConfig("UniPCMultistepScheduler", 2, 3.0, 16))
    monkeypatch.setattr(classifier, "efficientnet_lite0", means)
    monkeypatch.setattr(classifier, "STEPS", 2)
    monkeypatch.setattr(word_mapper, "STEPS", 1)
    train_word_mapper = scores.train_word_mapper
    kinds = [
        "zero_shot_{}",
        "classifier_{}_real",
        "classifier_{}_reconstructed",
        "text_to_image_{}",
        "one_word_{}",
    ]
    names = [{kind.format(name) for name in ("object", "scene")} for kind in kinds]

    def interrupt(*_: object) -> Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(scores, "train_word_mapper", interrupt)
    with pytest.raises(KeyboardInterrupt):
        scores.write_scores(weights)
    found = json.loads((weights / "scores.json").read_text())
    assert set(found) == {"reconstruction_psnr_db"}.union(*names[:-1])
    assert (weights / "samples.png").is_file()

    monkeypatch.setattr(scores, "train_word_mapper", train_word_mapper)
    scores.write_scores(weights)
    again = json.loads((weights / "scores.json").read_text())
    assert set(again) == {"reconstruction_psnr_db"}.union(*names)
    assert found.items() <= again.items()
    assert all(0 <= again[name] <= 1 for name in set(again) - {"reconstruction_psnr_db"})
