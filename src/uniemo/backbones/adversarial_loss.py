"""The patch-adversarial loss of Stable Diffusion's autoencoder.

Legend: B images of a batch, H their side in pixels.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

MOST = 1e4
"""Greatest adaptive weight."""


def build_discriminator(width: int = 48) -> nn.Sequential:
    """Return a patch discriminator (PatchGAN, arXiv 1611.07004) with fresh weights.

    Two layers of stride 2 and two of stride 1: each number of the output [B, 1, H/4 - 2, H/4 - 2]
    judges 34 x 34 pixels. Normalised by groups, because batches are small.

    Args:
        width: Channels of the first layer.
    """
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for stride in 2, 1:
        layers += [
            nn.Conv2d(width, 2 * width, 4, stride, 1),
            nn.GroupNorm(16, 2 * width),
            nn.LeakyReLU(0.2),
        ]
        width *= 2
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 1))


def adversarial_losses(
    discriminator: nn.Module, image: Tensor, output: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the generator's loss and the discriminator's hinge loss (arXiv 1705.02894), scalars.

    The first has no gradient for the discriminator and the second none for the generator, so one
    backward pass through their sum serves both.

    Args:
        discriminator: Images to scores, high for real ones.
        image: Real images [B, 3, H, H] in [-1, 1].
        output: Their reconstructions.
    """
    frozen = {name: value.detach() for name, value in discriminator.named_parameters()}
    deceived = -functional_call(discriminator, frozen, (output,)).float().mean()
    real, fake = discriminator(torch.cat([image, output.detach()])).float().chunk(2)
    hinge = functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()
    return deceived, hinge / 2


def adaptive_weight(loss: Tensor, adversarial: Tensor, last: Tensor) -> Tensor:
    """Return the weight at which both losses pull equally at a layer.

    Source: arXiv 2012.09841, equation 7.

    Args:
        loss: The reconstruction loss, a scalar.
        adversarial: The generator's adversarial loss, a scalar.
        last: Weight of the decoder's last layer.
    """
    norms = [
        torch.autograd.grad(part, last, retain_graph=True)[0].norm() for part in (loss, adversarial)
    ]
    return (norms[0] / (norms[1] + 1e-4)).clamp(max=MOST)
