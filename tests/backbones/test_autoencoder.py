"""The autoencoder's loss, the linear map that makes it isometric, and the folder it fills."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import Tensor

from uniemo.backbones import autoencoder
from uniemo.backbones.composed_images import loader, to_unit_range

IMAGES = 64


@pytest.fixture(scope="module")
def image() -> Tensor:
    """Images [N, 3, 64, 64] in [-1, 1]: those that the map is measured on."""
    return to_unit_range(next(iter(loader(1, 0, IMAGES, IMAGES)))["image"])


@pytest.fixture(scope="module")
def uneven() -> AutoencoderKL:
    """An untrained autoencoder that hardly reads its last latent channel."""
    torch.manual_seed(0)
    vae = autoencoder.build().eval()
    with torch.no_grad():
        vae.post_quant_conv.weight[:, -1] *= 1e-3
        vae.quant_conv.weight[0] *= 30
    return vae


@torch.no_grad()
def test_equal_steps_change_images_equally(uneven: AutoencoderKL, image: Tensor) -> None:
    """Latents are uncorrelated, read channels act alike, unread ones are silent."""
    before = uneven.decode(uneven.encode(image).latent_dist.mode()).sample
    autoencoder.make_isometric(uneven, seed=1, images=IMAGES)
    latents = uneven.encode(image).latent_dist.mode()
    after = uneven.decode(latents).sample

    variance = latents.movedim(1, -1).flatten(0, -2).T.cov()
    read = variance.diagonal() > 0
    assert 1 <= read.logical_not().sum() < len(read)
    off = variance - variance.diagonal().diag()
    assert off.abs().max() < 1e-3 * variance.max()
    assert variance.diagonal()[read].mean() == pytest.approx(1, rel=1e-3)

    energy = autoencoder._energy(uneven, latents, torch.eye(len(read), dtype=torch.double))
    energy = energy[read][:, read]
    torch.testing.assert_close(
        energy / energy.diagonal().mean(), torch.eye(len(energy)).double(), atol=0.1, rtol=0
    )
    error = (after - before).square().mean() / before.var()
    assert error < 1e-2


@torch.no_grad()
def test_the_loss_is_squared_and_absolute_error_and_a_trace_of_divergence() -> None:
    stage = autoencoder.AutoencoderStage(seed=0, steps=1, batch_size=2, learning_rate=1e-3)
    image = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    torch.manual_seed(5)
    found = stage.loss({"image": image}, 0)

    torch.manual_seed(5)
    image = image / 127.5 - 1
    vae = stage.autoencoder
    mean, log_variance = vae.quant_conv(vae.encoder(image)).chunk(2, 1)
    latents = mean + (log_variance / 2).exp() * torch.randn(mean.shape)
    error = vae.decoder(vae.post_quant_conv(latents)) - image
    divergence = (mean**2 + log_variance.exp() - 1 - log_variance).flatten(1).sum(1).mean() / 2
    expected = error.square().mean() + 0.2 * error.abs().mean() + 1e-8 * divergence
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_what_is_saved_is_a_folder_of_diffusers_in_half_precision(
    tmp_path: Path, image: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = []
    monkeypatch.setattr(autoencoder, "make_isometric", lambda *given: changed.append(given))
    stage = autoencoder.AutoencoderStage(seed=3, steps=1, batch_size=2, learning_rate=1e-3)
    stage.save(tmp_path)
    vae, folder = stage.autoencoder, tmp_path / "stable_diffusion" / "vae"
    assert changed == [(vae, 4)]
    stored = load_file(folder / "diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.half}
    loaded = AutoencoderKL.from_pretrained(folder)
    torch.testing.assert_close(
        loaded.encode(image[:2]).latent_dist.mode(),
        vae.float().encode(image[:2]).latent_dist.mode(),
    )
