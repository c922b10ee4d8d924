"""LPIPS, or a similar distance, averaged over all pairs of images of one emotion.

LPIPS (Zhang et al., CVPR 2018, equation 1) is a squared Euclidean distance between weighted,
channel-normalised feature maps. With these maps as one vector per image, the mean over all pairs is
computed from sums (:mod:`uniemo.metrics.pairwise_diversity`), which torchmetrics' LPIPS of given
pairs cannot.

Legend: B images, H and W sides of an image, L layers, c_l, h_l, w_l channels and sides of layer l,
F = sum of c_l h_l w_l.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from uniemo.metrics.accumulation import mean_over_emotions
from uniemo.metrics.pairwise_diversity import PairwiseDiversity


def perceptual_embedding(layers: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Return one vector x per image such that ||x - x'||^2 is the perceptual distance: ``[B, F]``.

    Args:
        layers: L feature maps ``[B, c_l, h_l, w_l]``.
        weights: L channel weights ``[c_l]``, 0 or more; ones: the distance without learned weights.

    Raises:
        ValueError: If a weight is negative, or if the numbers of layers and weights differ.
    """
    parts = []
    for maps, weight in zip(layers, weights, strict=True):
        if (weight < 0).any():
            raise ValueError("a channel weight is negative; give weights of 0 or more")
        norm = (maps.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()  # [B, 1, h_l, w_l]
        positions = maps.shape[2] * maps.shape[3]
        scale = (weight / positions).sqrt()[:, None, None]  # [c_l, 1, 1]
        parts.append((maps / norm * scale).flatten(1))  # [B, c_l h_l w_l]
    return torch.cat(parts, dim=1)


class LPIPSEmbedding(nn.Module):
    """Embeds images in vectors whose squared distance is LPIPS.

    Args:
        lpips: The network of torchmetrics' metric,
            ``LearnedPerceptualImagePatchSimilarity(net_type).net``; it is set to evaluation mode.
    """

    lpips: Any  # torchmetrics gives its network no public type

    def __init__(self, lpips: nn.Module) -> None:
        super().__init__()
        self.lpips = lpips.eval()

    def train(self, mode: bool = True) -> "LPIPSEmbedding":
        """Stay in evaluation mode, because the network is frozen."""
        super().train(mode)
        self.lpips.train(False)
        return self

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Embed images ``[B, 3, H, W]`` in [-1, 1]: ``[B, F]``, where F grows with H W."""
        layers = self.lpips.net(self.lpips.scaling_layer(image))
        weights = [lin.model[-1].weight[0, :, 0, 0] for lin in self.lpips.lins]
        return perceptual_embedding(layers, weights)


class PerceptualDiversity(PairwiseDiversity):
    """Mean perceptual distance over all pairs of images of one emotion.

    With the vectors of :class:`LPIPSEmbedding` it is LPIPS; with those of
    :func:`perceptual_embedding` of another network, it is to be reported under that network's name.
    Source: the diversity of EmoGen (Yang et al., CVPR 2024); all pairs instead of a sample is an
    extension.

    ``compute`` returns a dict of float64: ``diversity_per_emotion`` ``[C]``, NaN below two images,
    and ``diversity``, the plain mean over the emotions that have a value.

    Args:
        num_features: Width F of the embedding, for one size of image.
    """

    def compute(self) -> dict[str, Tensor]:
        """Return the diversities (see the class)."""
        per_emotion = self.mean_squared_distance()  # [C]
        return {"diversity": mean_over_emotions(per_emotion), "diversity_per_emotion": per_emotion}
