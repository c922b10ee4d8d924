"""The frozen networks that the settings name.

Legend: B images, H side of an image, F width of a network's features.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from uniemo.config.evaluation import EvaluationConfig
from uniemo.vision.networks import (
    ImageNetwork,
    InceptionNetwork,
    LPIPSNetwork,
    PerceptualNetwork,
    clip_vit_l14,
    efficientnet_lite0,
    imagenet_resnet50,
    places_resnet50,
)


class EvaluationNetworks(NamedTuple):
    """The networks by their use; one network may have several."""

    judge: ImageNetwork
    """Encoder under the judge's probes."""
    judge_name: str
    distances: ImageNetwork
    """Features of FID, KID, density and coverage."""
    semantic: ImageNetwork
    """Features of Sem-D."""
    perceptual: ImageNetwork
    """Vectors whose squared distance is the perceptual distance of the diversity."""
    clarity: tuple[ImageNetwork, ImageNetwork] | None = None
    """Classifiers of objects and of scenes for Sem-C; None for the judge's own probes."""

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """Return all features [B, F] of images [B, 3, H, H] by network; no network runs twice."""
        features = self.perceptual.all_features(image)  # may hold another's: they share layers
        for network in (self.judge, self.distances, self.semantic):
            if network.name not in features:
                features |= network.all_features(image)
        return features


def build_networks(
    config: EvaluationConfig, image_size: int, device: torch.device
) -> EvaluationNetworks:
    """Load each network once; LPIPS takes images in H = ``image_size``, up to 256.

    Raises:
        UserError: If weights are not available.
    """
    efficientnet = efficientnet_lite0(config.judge_size).to(device)
    needs_clip = "clip_vit_l14" in (config.judge, config.semantic)
    clip = clip_vit_l14().to(device) if needs_clip else efficientnet
    perceptual = (
        LPIPSNetwork(min(max(image_size, 64), 256))
        if config.diversity == "lpips"
        else PerceptualNetwork(efficientnet)
    )
    clarity = None
    if config.clarity == "resnet50":
        clarity = imagenet_resnet50().to(device), places_resnet50(config.places365).to(device)
    judge, name = efficientnet, f"linear probe on {efficientnet.name}"
    if config.judge == "clip_vit_l14":
        what = "linear probe" if config.emotion_weights is None else "EmoGen's published classifier"
        judge, name = clip, f"{what} on {clip.name} (EmoGen's protocol)"
    return EvaluationNetworks(
        judge,
        name,
        InceptionNetwork().to(device) if config.fid_features == "inception" else efficientnet,
        clip if config.semantic == "clip_vit_l14" else efficientnet,
        perceptual.to(device),
        clarity,
    )
