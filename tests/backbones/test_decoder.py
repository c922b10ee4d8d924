"""The decoder's stage: what it trains, when the discriminator is felt, and what it saves."""

from pathlib import Path

import open_clip
import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from uniemo.backbones import decoder
from uniemo.backbones.decoder import DecoderStage
from uniemo.diffusion import StableDiffusion


@pytest.fixture
def stage(
    monkeypatch: pytest.MonkeyPatch, clip: open_clip.CLIP, head: StableDiffusion
) -> DecoderStage:
    stage = DecoderStage(
        clip, head.vae.requires_grad_(True), seed=0, steps=10, batch_size=2, learning_rate=1e-3
    )
    monkeypatch.setattr(stage, "log_dict", lambda *_, **__: None)
    return stage


def step(stage: DecoderStage) -> Tensor:
    image = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    torch.manual_seed(3)
    return stage.loss({"image": image}, 0)


def test_the_latents_stay_and_everything_else_learns(stage: DecoderStage) -> None:
    optimizer = stage.build_optimizer()
    before = {name: value.clone() for name, value in stage.state_dict().items()}
    step(stage).backward()
    optimizer.step()
    for name, value in stage.state_dict().items():
        trained = name.startswith(
            ("autoencoder.decoder", "autoencoder.post_quant", "discriminator")
        )
        assert trained or torch.equal(value, before[name]), name
        if trained and value.ndim > 1:
            assert not torch.equal(value, before[name]), name


def test_the_decoder_feels_the_discriminator_after_a_share_of_the_steps(
    stage: DecoderStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients = []
    for share in 0.0, decoder.START:
        monkeypatch.setattr(DecoderStage, "share_done", share)
        stage.zero_grad()
        torch.manual_seed(4)
        step(stage).backward()
        last, own = stage.autoencoder.decoder.conv_out.weight, stage.discriminator[0].weight
        assert last.grad is not None
        assert own.grad is not None
        gradients.append((last.grad.clone(), own.grad.clone()))
    (early, own_early), (late, own_late) = gradients
    assert not torch.allclose(early, late)
    torch.testing.assert_close(own_early, own_late)
    # The adversarial part pulls with half the strength of the rest.
    assert (late - early).norm().item() == pytest.approx(
        decoder.ADVERSARIAL * early.norm().item(), rel=0.01
    )


def test_what_is_saved_is_the_autoencoder(stage: DecoderStage, tmp_path: Path) -> None:
    stage.autoencoder.register_to_config(_name_or_path="/where/it/was/loaded")
    stage.save(tmp_path)
    loaded = AutoencoderKL.from_pretrained(tmp_path / "stable_diffusion" / "vae")
    assert "loaded" not in (tmp_path / "stable_diffusion" / "vae" / "config.json").read_text()
    written = stage.autoencoder.float().state_dict()
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, written[name]), name
