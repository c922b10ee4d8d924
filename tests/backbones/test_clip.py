"""The small CLIP's contrast, and the folder that it is written to."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from transformers import CLIPTokenizer

from data_modules.emoscenes import SCENE_NAMES
from uniemo.backbones import clip
from uniemo.backbones.clip import PATCH_DROPOUT, ClipStage
from uniemo.understanding import load_clip

SCENE = torch.tensor([3, -1, 0, 3, 23])
OBJECT = torch.tensor([5, 5, -1, 9, 63])


@pytest.fixture
def stage(
    monkeypatch: pytest.MonkeyPatch, clip_config: dict[str, Any], tokenizer: CLIPTokenizer
) -> ClipStage:
    monkeypatch.setattr(clip, "model_config", lambda _: copy.deepcopy(clip_config))
    return ClipStage(tokenizer, seed=0, steps=10, batch_size=4, learning_rate=1e-3)


@torch.no_grad()
def test_images_of_the_same_caption_are_not_each_others_negatives(stage: ClipStage) -> None:
    image = F.normalize(torch.randn(5, 16), dim=1)
    has = [0, 1, 3, 4]
    text = stage.clip.encode_text(stage.object_tokens, normalize=True)
    scale = stage.clip.logit_scale.exp()
    to_text, to_image = [], []
    for i in has:
        mine = (scale * image[i] @ text[OBJECT[i]]).exp()
        captions = OBJECT[has].unique()
        to_text.append(-(mine / (scale * text[captions] @ image[i]).exp().sum()).log())
        others = [j for j in has if OBJECT[j] != OBJECT[i]]
        negatives = (scale * image[others] @ text[OBJECT[i]]).exp().sum()
        to_image.append(-(mine / (mine + negatives)).log())
    expected = (torch.stack(to_text).mean() + torch.stack(to_image).mean()) / 2
    found = stage.contrast(image, OBJECT, stage.object_tokens)
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_the_loss_counts_objects_twice_and_names_them_with_an_article_in_every_other_batch(
    stage: ClipStage, tokenizer: CLIPTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def contrast(_image: torch.Tensor, caption: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        seen.append([texts[i].strip() if i >= 0 else "" for i in caption.tolist()])
        return torch.tensor(10.0 ** (len(seen) - 1))

    monkeypatch.setattr(stage, "contrast", contrast)
    batch = {
        "image": torch.randint(256, (5, 3, 64, 64), dtype=torch.uint8),
        "scene": SCENE,
        "object": torch.tensor([5, 5, -1, 0, 63]),
    }
    assert stage.loss(batch, 0) == 2 * 1 + 10 + 100
    objects, scenes, pairs = seen
    assert scenes == [SCENE_NAMES[i].replace("_", " ").lower() if i >= 0 else "" for i in SCENE]
    assert all(text.startswith(("a ", "an ")) for text in objects if text)
    joined = zip(objects, scenes, strict=True)
    assert [pair.replace(" ,", ",") for pair in pairs] == [
        f"{o}, {s}" if o and s else "" for o, s in joined
    ]
    stage.loss(batch, 1)
    assert seen[3] == [text.removeprefix("an ").removeprefix("a ") for text in objects]


@pytest.mark.parametrize(("share", "dropped"), [(0.79, PATCH_DROPOUT), (0.8, 0.0)])
def test_the_last_steps_see_whole_images(
    stage: ClipStage, monkeypatch: pytest.MonkeyPatch, share: float, dropped: float
) -> None:
    monkeypatch.setattr(ClipStage, "share_done", share)
    monkeypatch.setattr(ClipStage, "global_step", 0)
    monkeypatch.setattr(ClipStage, "global_rank", 0)
    stage.on_train_batch_start()
    assert stage.clip.visual.patch_dropout.prob == dropped


@torch.no_grad()
def test_what_is_saved_is_loaded_as_the_same_clip_in_half_precision(
    stage: ClipStage, tokenizer: CLIPTokenizer, tmp_path: Path
) -> None:
    stage.save(tmp_path)
    backbone = load_clip(f"local-dir:{tmp_path / 'clip'}")
    trained = stage.clip.half().float().eval()
    for name, value in trained.state_dict().items():
        assert torch.equal(backbone.model.state_dict()[name], value), name
    names = ["Lion", "amusement_park"]
    tokens = tokenizer(
        ["lion", "amusement park"], padding="max_length", return_tensors="pt"
    ).input_ids
    torch.testing.assert_close(
        backbone.encode_names(names, "{}"), trained.encode_text(tokens, normalize=True)
    )
    image = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    mean, std = (torch.tensor(v)[:, None, None] for v in (backbone.mean, backbone.std))
    torch.testing.assert_close(
        backbone.model.eval().encode_image((image / 255 - mean) / std, normalize=True),
        stage.eval().encode(image),
    )
