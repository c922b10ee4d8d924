"""The decoder's own training: sharp reconstructions from fixed latents."""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer

from uniemo.backbones.adversarial_loss import (
    adaptive_weight,
    adversarial_losses,
    build_discriminator,
)
from uniemo.backbones.autoencoder import reconstruction_loss
from uniemo.backbones.composed_images import to_unit_range
from uniemo.backbones.perceptual_loss import PerceptualLoss
from uniemo.backbones.stage import Stage, build_muon

PERCEPTUAL = 0.5
"""Weight of the perceptual loss."""

ADVERSARIAL = 0.5
"""Factor on the adaptive weight of the adversarial loss, as Stable Diffusion's."""

DISCRIMINATOR_RATE = 4.0
"""The discriminator's learning rate, in rates of the decoder."""

START = 0.1
"""Share of the steps before the decoder feels the discriminator, which learns from the first on."""


class DecoderStage(Stage):
    """Stable Diffusion's losses (arXiv 2112.10752, appendix G) on the decoder alone.

    The encoder is frozen, so the latents stay those that a U-Net was trained on, and this stage can
    go on while a U-Net is trained.

    Args:
        clip: The trained small CLIP, for the perceptual loss.
        autoencoder: The trained, isometric autoencoder; its decoder is trained in place.
        **arguments: Of :class:`Stage`.
    """

    def __init__(self, clip: Any, autoencoder: AutoencoderKL, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.autoencoder = autoencoder
        for frozen in autoencoder.encoder, autoencoder.quant_conv:
            frozen.requires_grad_(False)
        self.perceptual = PerceptualLoss(clip.visual)
        self.discriminator = build_discriminator()

    def build_optimizer(self) -> Optimizer:
        """Return Muon for the decoder, AdamW with little momentum for the discriminator."""
        optimizer = build_muon(
            [
                (self.autoencoder.decoder, self.learning_rate, ("conv_in.", "conv_out.")),
                (self.autoencoder.post_quant_conv, self.learning_rate, ("",)),
            ]
        )
        discriminator = {
            "params": list(self.discriminator.parameters()),
            "lr": DISCRIMINATOR_RATE * self.learning_rate,
            "betas": (0.5, 0.9),
            "use_fallback": True,
        }
        optimizer.add_param_group(discriminator)
        return optimizer

    def loss(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return reconstruction, perceptual and adversarial loss, and the discriminator's."""
        image = to_unit_range(batch["image"])
        with torch.no_grad():
            latents = self.autoencoder.encode(image).latent_dist.mode()
        output = self.autoencoder.decode(latents).sample.float()
        perceptual = self.perceptual(output, image)
        reconstruction = reconstruction_loss(output, image) + PERCEPTUAL * perceptual
        deceived, hinge = adversarial_losses(self.discriminator, image, output)
        weight = adaptive_weight(reconstruction, deceived, self.autoencoder.decoder.conv_out.weight)
        psnr = 10 * torch.log10(4 / functional.mse_loss(output, image))
        self.log_dict(
            {"psnr": psnr, "perceptual": perceptual, "hinge": hinge, "weight": weight},
            prog_bar=True,
        )
        weight = weight * (ADVERSARIAL if self.share_done >= START else 0.0)
        return reconstruction + weight * deceived + hinge

    def save(self, weights: Path) -> None:
        """Write ``weights/stable_diffusion/vae``."""
        self.autoencoder.register_to_config(_name_or_path="")  # no folder of this machine
        self.autoencoder.half().save_pretrained(weights / "stable_diffusion" / "vae")
