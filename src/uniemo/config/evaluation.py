"""The settings of the evaluation: the group ``eval`` of an experiment."""

from dataclasses import dataclass
from typing import Literal

from uniemo.errors import UserError, check_least

Protocol = Literal["default", "published"]
""""published" adds the variants of the published scripts, under their own names."""


@dataclass
class EvaluationConfig:
    """How many images are evaluated, and by which networks."""

    n_images: int = 64
    """Generated images per emotion; 1,000 at paper scale. Compare Frechet distances only at equal
    numbers."""

    batch_size: int = 64
    """Images per batch; lower it to save memory."""

    judge: Literal["efficientnet_lite0", "clip_vit_l14"] = "efficientnet_lite0"
    """Network under the judge's linear probes. ``clip_vit_l14`` is EmoGen's protocol; it is not
    independent of systems that use this CLIP."""

    judge_size: int = 128
    """Side to which EfficientNet-Lite0 resizes images; 224 at paper scale."""

    emotion_weights: str | None = None
    """File of EmoGen's published Linear(768, 8), for ``clip_vit_l14``; null to fit one."""

    fid_features: Literal["efficientnet_lite0", "inception"] = "efficientnet_lite0"
    """Features of FID, KID, density and coverage. Only Inception's give the published FID."""

    diversity: Literal["efficientnet_lite0", "lpips"] = "efficientnet_lite0"
    """Perceptual distance of the diversity; LPIPS needs AlexNet's weights."""

    clarity: Literal["probes", "resnet50"] = "probes"
    """Classifiers of Sem-C: the judge's probes, or the published ResNet-50s of ImageNet and
    Places365."""

    places365: str | None = None
    """File ``resnet50_places365.pth.tar``, for ``clarity: resnet50``."""

    semantic: Literal["efficientnet_lite0", "clip_vit_l14"] = "efficientnet_lite0"
    """Features of Sem-D; the published ones are CLIP ViT-L/14's."""

    n_reconstructed: int = 4000
    """Training images whose reconstructions by the VAE the judge is fitted on too."""

    cache: str = "~/.cache/uniemo/evaluation"
    """Folder for what is computed once: features of real images, the judge's probes."""

    def __post_init__(self) -> None:
        """Raise a UserError if a number is too small, or if weights and network do not fit."""
        check_least(self, "eval", n_images=2, batch_size=1, judge_size=32, n_reconstructed=1)
        if self.emotion_weights is not None and self.judge != "clip_vit_l14":
            raise UserError("eval.emotion_weights needs eval.judge clip_vit_l14; set it too")
