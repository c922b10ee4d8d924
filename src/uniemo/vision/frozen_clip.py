"""The pretrained CLIP of a model as a frozen image encoder.

Legend: B images, E width of CLIP's joint space.
"""

import torch

from uniemo.config.model import ClipConfig
from uniemo.understanding import load_clip
from uniemo.utils.sources import resolve
from uniemo.vision.features import FeatureRequest, View
from uniemo.vision.networks import ImageNetwork


def frozen_clip(config: ClipConfig, device: torch.device) -> FeatureRequest:
    """Return a request for features of the CLIP view by the pretrained CLIP of a model."""
    clip = load_clip(resolve(config.model), config.pretrained)
    mean, std = (torch.tensor(values)[:, None, None] for values in (clip.mean, clip.std))
    visual = clip.model.visual
    network = ImageNetwork(
        visual, config.model, visual.proj.shape[1], clip.image_size, clip.mean, clip.std
    )
    view = View(f"CLIP {clip.image_size}", lambda batch: batch["clip_image"] * std + mean)
    return FeatureRequest(network.to(device), view)
