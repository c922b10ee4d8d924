"""The networks that the settings name."""

from typing import NamedTuple

import torch

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


class Networks(NamedTuple):
    """The networks by what they are for; one may serve for several."""

    judge: ImageNetwork
    judge_name: str
    distances: ImageNetwork
    semantic: ImageNetwork
    perceptual: ImageNetwork
    clarity: tuple[ImageNetwork, ImageNetwork] | None


def build_networks(config: EvaluationConfig, image_size: int, device: torch.device) -> Networks:
    """Load each network once.

    Args:
        config: The settings.
        image_size: Side of the pictures; LPIPS reads them so, up to 256.
        device: Where they go.

    Raises:
        UserError: If weights are not to be had.
    """
    efficientnet = efficientnet_lite0(config.judge_size).to(device)
    wants_clip = "clip_vit_l14" in (config.judge, config.semantic)
    clip = clip_vit_l14().to(device) if wants_clip else efficientnet
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
    return Networks(
        judge,
        name,
        InceptionNetwork().to(device) if config.fid_features == "inception" else efficientnet,
        clip if config.semantic == "clip_vit_l14" else efficientnet,
        perceptual.to(device),
        clarity,
    )
