import copy
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor, nn
from transformers import CLIPTokenizer

from uniemo.backbones import denoiser
from uniemo.backbones.denoiser import SCHEDULE, DenoiserStage
from uniemo.diffusion import StableDiffusion

SCENE = torch.tensor([3, -1, 0, 7, 3, 3, -1, 11])
OBJECT = torch.tensor([5, 5, -1, 9, 63, 0, 1, -1])
CAPTIONS = ["a lion, coast", "an umbrella", "amusement park", "", "a *"]


@pytest.fixture
def stage(
    monkeypatch: pytest.MonkeyPatch,
    clip: open_clip.CLIP,
    head: StableDiffusion,
    tokenizer: CLIPTokenizer,
) -> DenoiserStage:
    monkeypatch.setattr(denoiser, "build_unet", lambda: head.unet.requires_grad_(True))
    return DenoiserStage(
        clip, head.vae, tokenizer, seed=0, steps=4, batch_size=8, learning_rate=1e-3
    )


class Given(nn.Module):
    """Embeddings worked out beforehand, in the place of a table."""

    def __init__(self, embedded: Tensor) -> None:
        super().__init__()
        self.embedded = embedded

    def forward(self, _ids: Tensor) -> Tensor:
        return self.embedded


def test_captions_equal_embeddings_with_the_blended_words_put_in_by_hand(
    stage: DenoiserStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Tensor] = {}
    blended = stage.blended

    def keep_words(scene: Tensor, object_: Tensor) -> Tensor:
        seen["words"] = blended(scene, object_)
        return seen["words"]

    monkeypatch.setattr(stage, "blended", keep_words)
    handle = stage.text_encoder.register_forward_pre_hook(
        lambda _module, inputs: seen.update(ids=inputs[0])
    )
    states = stage.encode_captions(SCENE, OBJECT)
    handle.remove()
    weights = torch.randn_like(states)
    table: Any = stage.text_encoder.get_input_embeddings()
    (gradient,) = torch.autograd.grad((states * weights).sum(), table.weight, retain_graph=True)

    is_word = seen["ids"] == stage.pseudo_word
    assert 0 < is_word.any(1).sum() < len(SCENE)  # this draw holds blended and other captions
    embedded = torch.stack(
        [
            torch.stack([word if here else row for row, here in zip(rows, places, strict=True)])
            for word, rows, places in zip(
                seen["words"], table.weight[seen["ids"]], is_word, strict=True
            )
        ]
    )  # [B, T, W]
    plain = copy.deepcopy(stage.text_encoder)
    plain.set_input_embeddings(Given(embedded))
    expected = plain(seen["ids"]).last_hidden_state
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), table.weight)
    assert torch.equal(states, expected)
    torch.testing.assert_close(gradient, expected_gradient)


def test_blended_word_is_a_weighted_sum_of_the_mean_embeddings_of_the_parts(
    stage: DenoiserStage,
) -> None:
    words = stage.blended(SCENE, OBJECT).detach()
    table: Any = stage.text_encoder.get_input_embeddings()
    low, high = denoiser.BLEND
    for word, scene, object_ in zip(words, SCENE.tolist(), OBJECT.tolist(), strict=True):
        ids = [
            part[index]
            for part, index in zip(stage.parts, (object_, scene), strict=True)
            if index >= 0
        ]
        means = torch.stack([table.weight[torch.tensor(i)].mean(0) for i in ids]).detach()
        weights = torch.linalg.lstsq(means.T, word[:, None]).solution[:, 0]
        torch.testing.assert_close(weights @ means, word)
        assert ((weights > low - 1e-4) & (weights < high + 1e-4)).all()


def test_checkpoint_holds_the_three_networks_and_no_buffer_of_captions(
    stage: DenoiserStage,
) -> None:
    names = stage.state_dict()
    trained = {"unet", "text_encoder"}
    parts = {"autoencoder", *trained, *(f"averaged_{name}" for name in trained)}
    assert {name.partition(".")[0] for name in names} == parts
    own = {name for name, _ in stage.named_buffers() if "." not in name}
    assert own == {f"{kind}_tokens" for kind in denoiser.KINDS}


def test_muon_steps_matrices_and_kernels_and_adamw_the_ends_embeddings_and_vectors(
    stage: DenoiserStage,
) -> None:
    optimizer = stage.build_optimizer()
    grouped = [p for group in optimizer.param_groups for p in group["params"]]
    named = {name: p for name, p in stage.named_parameters() if p.requires_grad}
    assert sorted(map(id, grouped)) == sorted(map(id, named.values()))  # each of them once

    before = {name: p.detach().clone() for name, p in named.items()}
    for p in grouped:
        p.grad = torch.randn_like(p)
    optimizer.step()
    for name, p in named.items():
        left_out = name.startswith(("unet.conv_in", "unet.conv_out")) or "embeddings." in name
        assert optimizer.state[p]["use_muon"] == (p.ndim >= 2 and not left_out), name
        assert not torch.equal(p, before[name]), name


@torch.no_grad()
def test_what_is_saved_beside_the_autoencoder_is_a_stable_diffusion(
    stage: DenoiserStage, tokenizer: CLIPTokenizer, tmp_path: Path
) -> None:
    folder = tmp_path / "stable_diffusion"
    stage.autoencoder.half().save_pretrained(folder / "vae")
    stage.save(tmp_path)
    head = StableDiffusion.from_pretrained(str(folder))
    for part, written in (
        (head.unet, stage.averaged_unet.module),
        (head.text_encoder, stage.averaged_text_encoder.module),
        (head.vae, stage.autoencoder),
    ):
        assert {value.dtype for value in written.state_dict().values()} == {torch.half}
        for name, value in written.float().state_dict().items():
            assert torch.equal(part.state_dict()[name], value), name
    for key, value in SCHEDULE.items():
        assert head.scheduler.config[key] == value
    tokens = tokenizer(CAPTIONS, padding="max_length", return_tensors="pt").input_ids
    torch.testing.assert_close(
        head.prompts.encode(CAPTIONS), stage.averaged_text_encoder(tokens).last_hidden_state
    )
    pipeline = StableDiffusionPipeline.from_pretrained(folder)  # by model_index.json
    assert type(pipeline.scheduler).__name__ == "UniPCMultistepScheduler"
    assert pipeline.tokenizer("a lion").input_ids == tokenizer("a lion").input_ids


def test_averages_follow_the_weights_slowly(stage: DenoiserStage) -> None:
    weight, average = stage.unet.conv_in.weight, stage.averaged_unet.module.conv_in.weight
    stage.on_train_batch_end()  # the first update copies
    before = weight.detach().clone()
    with torch.no_grad():
        weight += 1
    stage.on_train_batch_end()
    torch.testing.assert_close(average, before + (1 - denoiser.DECAY))
