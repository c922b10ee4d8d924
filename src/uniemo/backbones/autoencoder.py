"""The small autoencoder: a diffusers AutoencoderKL that shrinks 64 px to 16 x 16 latents."""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer

from uniemo.backbones.composed_images import SIZE, loader, to_unit_range
from uniemo.backbones.stage import Stage, build_muon

LATENT_CHANNELS = 8
"""Twice Stable Diffusion's: five minutes of training on one core reach 20.0 dB with 8 and 17.0 dB
with 4."""

DIVERGENCE = 1e-8
"""Weight of the divergence of the latents from the standard normal. Of the eight channels, Stable
Diffusion's 1e-6 left four without use, and 1e-7 three; with this one, all eight are read after 800
steps from random weights."""

UNUSED = 1e-3
"""A direction of the latents counts as unused below this share of the strongest one's effect."""


def build() -> AutoencoderKL:
    """Return the autoencoder with fresh weights."""
    return AutoencoderKL(
        block_out_channels=(32, 32, 64),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=16,
        sample_size=SIZE,
        scaling_factor=1.0,
    )


def reconstruction_loss(output: Tensor, image: Tensor) -> Tensor:
    """Return squared error and a share of absolute error of images in [-1, 1], a scalar."""
    return functional.mse_loss(output, image) + 0.2 * functional.l1_loss(output, image)


class AutoencoderStage(Stage):
    """Reconstruction, with a weak pull of the latents to the standard normal."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.autoencoder = build()

    def build_optimizer(self) -> Optimizer:
        """Return Muon."""
        return build_muon(
            [(self.autoencoder, self.learning_rate, ("conv_in.", "conv_out.", "quant_conv."))]
        )

    def loss(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return squared error, a share of absolute error, and a small share of divergence."""
        image = to_unit_range(batch["image"])
        posterior = self.autoencoder.encode(image).latent_dist
        output = self.autoencoder.decode(posterior.sample()).sample.float()
        loss = reconstruction_loss(output, image) + DIVERGENCE * posterior.kl().mean()
        squared = functional.mse_loss(output, image)
        self.log("psnr", 10 * torch.log10(4 / squared), prog_bar=True)
        return loss

    def save(self, weights: Path) -> None:
        """Make the autoencoder isometric and write ``weights/stable_diffusion/vae``."""
        make_isometric(self.autoencoder.eval(), self.seed + 1)
        self.autoencoder.half().save_pretrained(weights / "stable_diffusion" / "vae")


@torch.no_grad()
def make_isometric(autoencoder: AutoencoderKL, seed: int, images: int = 2048) -> None:
    """Add a linear map to the autoencoder after which distances of latents are those of images.

    After training, the channels of the latents have very different deviations, and the decoder
    hardly uses some of them. A diffusion model learns all channels at one noise level and with one
    loss. If an unused channel is as large as that of the brightness, the model learns noise, and
    shapes late (after 269,000 images on whitened latents an independent classifier recognised 27 %
    of objects). So the channels become uncorrelated directions of equal effect: a small change of
    the latents by d changes the image equally for every direction of d, the squared length of the
    used directions is 1 per channel on average, and unused directions become 0.

    The map goes into ``quant_conv``, its inverse into ``post_quant_conv``; reconstructions of the
    posterior's mean lose only what the unused directions contributed. The posterior's variance,
    small and not needed, becomes a constant.

    Args:
        autoencoder: Changed in place.
        seed: Seed of the images that the map is computed from.
        images: Their number.
    """
    batches = [to_unit_range(batch["image"]) for batch in loader(seed, 0, images, 64)]
    latents = torch.cat([autoencoder.encode(batch).latent_dist.mode() for batch in batches])
    rows = latents.movedim(1, -1).flatten(0, -2).double()  # [N h w, c]
    mean, covariance = rows.mean(0), rows.T.cov()
    values, vectors = torch.linalg.eigh(covariance)
    white = vectors * values.sqrt()  # [c, c], from white latents to latents
    energy = _energy(autoencoder, latents[:256], white)
    values, turn = torch.linalg.eigh(energy)
    used = values > UNUSED * values.max()
    deviation = torch.where(used, values / values[used].mean(), 0).sqrt()
    backward = white @ turn @ torch.diag(torch.where(used, 1 / deviation, 0))
    forward = torch.diag(deviation) @ turn.T @ torch.linalg.inv(white)

    c = len(mean)
    into, out = autoencoder.quant_conv, autoencoder.post_quant_conv
    weight, bias = into.weight[:c, :, 0, 0].double(), into.bias[:c].double()
    into.weight[:c, :, 0, 0] = (forward @ weight).to(into.weight.dtype)
    into.bias[:c] = (forward @ (bias - mean)).to(into.bias.dtype)
    into.weight[c:], into.bias[c:] = 0, -12
    weight, bias = out.weight[:, :, 0, 0].double(), out.bias.double()
    out.weight[:, :, 0, 0] = (weight @ backward).to(out.weight.dtype)
    out.bias[:] = (bias + weight @ mean).to(out.bias.dtype)


def _energy(autoencoder: AutoencoderKL, latents: Tensor, directions: Tensor) -> Tensor:
    """Return how strongly the decoder responds to directions, as a Gram matrix [c, c].

    Every position of the latents [N, c, h, h] takes a small step along one column of ``directions``
    [c, c], forward or backward at random, and the responses to the columns are multiplied.
    """
    generator = torch.Generator().manual_seed(0)
    size, step = latents.shape[-1], 0.1
    sign = torch.randint(0, 2, (len(latents), 1, size, size), generator=generator) * 2.0 - 1
    base = autoencoder.decode(latents).sample
    responses = [
        autoencoder.decode(latents + step * sign * direction[:, None, None]).sample - base
        for direction in directions.T.to(latents)
    ]
    wide = torch.stack(responses).flatten(1).double() / step  # [c, N 3 H H]
    return wide @ wide.T / (len(latents) * size**2)
