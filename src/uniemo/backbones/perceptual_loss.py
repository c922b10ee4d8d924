"""The perceptual loss: distance of the small CLIP's feature maps.

Legend: B images of a batch, H their side in pixels, L patches of an image, F width of
CLIP's layers.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from uniemo.backbones.clip import MEAN, STD


class PerceptualLoss(nn.Module):
    """LPIPS (arXiv 1801.03924, equation 1) with equal weights on layers of the small CLIP.

    CLIP sees its patches at fixed places, so its distance alone would let errors follow their grid.
    Both images are therefore moved by the same random number of pixels, less than a patch.

    Args:
        visual: The trained image tower of open_clip; frozen in place.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual = visual.requires_grad_(False)
        blocks = len(visual.transformer.resblocks)
        self.blocks = list(range((blocks + 1) // 2))
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)

    def maps(self, image: Tensor) -> list[Tensor]:
        """Return unit features [B, L, F] of the first half of the layers, for [-1, 1] images."""
        image = (image / 2 + 0.5 - self.mean) / self.std
        maps = self.visual.forward_intermediates(
            image, self.blocks, stop_early=True, intermediates_only=True, output_fmt="NLC"
        )["image_intermediates"]
        return [functional.normalize(features.float(), dim=-1) for features in maps]

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Return the mean distance of images [B, 3, H, H] in [-1, 1]: a scalar.

        The gradient reaches ``image`` alone. The move comes from torch's global generator.
        """
        reach = self.visual.patch_size[0] - 1
        top, left = torch.randint(2 * reach + 1, (2,)).tolist()
        height, width = image.shape[-2:]

        def moved(x: Tensor) -> Tensor:
            padded = functional.pad(x, (reach,) * 4, mode="reflect")
            return padded[..., top : top + height, left : left + width]

        with torch.no_grad():
            wanted = self.maps(moved(target))
        found = self.maps(moved(image))
        distances = [(a - b).square().sum(-1).mean() for a, b in zip(found, wanted, strict=True)]
        return torch.stack(distances).mean()
