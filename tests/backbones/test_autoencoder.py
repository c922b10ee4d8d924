"""The linear map that makes the autoencoder isometric."""

import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from uniemo.backbones import autoencoder
from uniemo.backbones.pictures import loader, to_unit_range

PICTURES = 64


@pytest.fixture(scope="module")
def image() -> Tensor:
    """Pictures [N, 3, 64, 64] in [-1, 1]: those that the map is measured on."""
    return to_unit_range(next(iter(loader(1, 0, PICTURES, PICTURES)))["image"])


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
def test_equal_steps_change_pictures_equally(uneven: AutoencoderKL, image: Tensor) -> None:
    """Latents are uncorrelated, read channels act alike, unread ones are silent."""
    before = uneven.decode(uneven.encode(image).latent_dist.mode()).sample
    autoencoder.make_isometric(uneven, seed=1, pictures=PICTURES)
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
