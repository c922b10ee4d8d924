import json
import math
from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor, nn
from transformers import CLIPTokenizer

from uniemo.backbones import scores
from uniemo.backbones.scores import Judge, OneWordStage, fit_probe
from uniemo.backbones.stage import run
from uniemo.diffusion import SamplingConfig, StableDiffusion
from uniemo.evaluation.features import PictureNetwork
from uniemo.understanding import ClipBackbone


def means() -> PictureNetwork:
    """A network that sees nothing but a picture's mean red, green and blue."""
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return PictureNetwork(network, "means", 3, 8, (0.0,) * 3, (1.0,) * 3)


def coloured(label: Tensor, strength: float) -> Tensor:
    """Pictures whose colour, one of three, tells the label."""
    image = torch.rand(len(label), 3, 8, 8) * 0.1
    image[torch.arange(len(label)), label % 3] += strength
    return image


def test_judge_reads_crisp_and_reconstructed_pictures_and_skips_those_without_label(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scores, "NAMES", {"object": ["a", "b", "c"], "scene": ["d", "e", "f"]})
    label = torch.arange(48) % 3
    labels = {"object": label, "scene": torch.where(torch.arange(48) % 5 == 0, -1, label)}
    judge = Judge(means(), coloured(label, 0.8), coloured(label, 0.3), labels)

    shown = torch.tensor([0, 1, 2, 2])
    told = {"object": torch.tensor([0, 1, 2, 0]), "scene": torch.tensor([0, -1, -1, 0])}
    for strength in 0.8, 0.3:
        found = judge.scores("it_{}", coloured(shown, strength), told)
        assert found == {"it_object": 0.75, "it_scene": 0.5}


def test_penalty_is_chosen_on_pictures_that_the_probe_saw_neither_crisp_nor_reconstructed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Tensor] = []

    def keep(fit: Tensor, _label: Tensor, _n: int, validation: tuple[Tensor, Tensor]) -> None:
        given.extend((fit, validation[0]))

    monkeypatch.setattr(scores, "fit_linear_probe", keep)
    number = torch.arange(40.0)[:, None]
    fit_probe(torch.stack([number, number + 100]), torch.arange(40) % 7 - 1, 6)
    fit, validation = ({int(x) % 100 for x in part.flatten()} for part in given)
    assert len(given[0]) == 2 * len(fit)
    assert not fit & validation
    assert fit | validation == {i for i in range(40) if i % 7}


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


@pytest.fixture
def backbone(clip: open_clip.CLIP, tokenizer: CLIPTokenizer) -> ClipBackbone:
    def tokenize(texts: list[str]) -> Tensor:
        return tokenizer(texts, padding="max_length", return_tensors="pt").input_ids

    return ClipBackbone(clip, tokenize, 64, (0.5,) * 3, (0.25,) * 3)


@pytest.fixture
def one_word(backbone: ClipBackbone, head: StableDiffusion) -> OneWordStage:
    return OneWordStage(backbone, head, seed=1, steps=2, batch_size=2, learning_rate=1e-2)


def test_words_start_among_the_real_ones(one_word: OneWordStage) -> None:
    table = one_word.head.text_encoder.get_input_embeddings().weight
    torch.testing.assert_close(one_word.word_mean, table.mean(0))
    torch.testing.assert_close(one_word.word_std, (table - table.mean(0)).std(correction=0))
    seen = []
    one_word.head.prompts.inject = lambda words, prompt: seen.append((words, prompt))  # type: ignore[method-assign]
    one_word.encode(torch.rand(8, 3, 64, 64))
    words, prompt = seen[0]
    assert prompt == "a *"
    assert 0 < (words - one_word.word_mean).std() < 2 * one_word.word_std


def test_training_moves_the_map_and_no_frozen_weight(
    one_word: OneWordStage, tmp_path: Path
) -> None:
    frozen = [*one_word.head.parameters(), *one_word.clip.parameters()]
    before = [weight.clone() for weight in frozen]
    moving = [weight.clone() for weight in one_word.mapper.parameters()]
    run(one_word, tmp_path)
    assert one_word.global_step == 2
    assert all(torch.equal(a, b) for a, b in zip(before, frozen, strict=True))
    assert all(weight.grad is None for weight in frozen)
    after = one_word.mapper.parameters()
    assert not any(torch.equal(a, b) for a, b in zip(moving, after, strict=True))


def test_scores_are_written_group_by_group(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "N_TEST", 16)
    monkeypatch.setattr(scores, "N_FIT", 64)
    monkeypatch.setattr(scores, "N_ONE_WORD", 8)
    monkeypatch.setattr(scores, "SAMPLING", SamplingConfig("UniPCMultistepScheduler", 2, 3.0, 16))
    monkeypatch.setattr(scores, "efficientnet_lite0", lambda size: means())
    kinds = [
        "zero_shot_{}",
        "judge_{}_real",
        "judge_{}_reconstructed",
        "text_to_image_{}",
        "one_word_{}",
    ]
    names = [{kind.format(name) for name in ("object", "scene")} for kind in kinds]

    def interrupt(*_: object) -> Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(scores, "paint_from_one_word", interrupt)
    with pytest.raises(KeyboardInterrupt):
        scores.write_scores(weights)
    found = json.loads((weights / "scores.json").read_text())
    assert set(found) == {"reconstruction_psnr_db"}.union(*names[:-1])
    assert (weights / "samples.png").is_file()

    monkeypatch.setattr(scores, "paint_from_one_word", lambda _clip, _head, image: image)
    scores.write_scores(weights)
    again = json.loads((weights / "scores.json").read_text())
    assert set(again) == {"reconstruction_psnr_db"}.union(*names)
    assert found.items() <= again.items()
    assert all(0 <= again[name] <= 1 for name in set(again) - {"reconstruction_psnr_db"})


def test_pictures_are_painted_from_one_word_of_a_trained_map(
    backbone: ClipBackbone, head: StableDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "ONE_WORD_STEPS", 1)
    monkeypatch.setattr(scores, "ONE_WORD_BATCH", 2)
    monkeypatch.setattr(scores, "SAMPLING", SamplingConfig("UniPCMultistepScheduler", 2, 3.0, 4))
    image = torch.rand(3, 3, 64, 64)
    painted = scores.paint_from_one_word(backbone, head, image)
    assert painted.shape == image.shape
    assert painted.min() >= 0
    assert painted.max() <= 1
    assert not torch.equal(painted[0], painted[1])
