"""The settings of the evaluation: the group ``eval`` of an experiment."""

from dataclasses import dataclass
from typing import Literal

from uniemo.errors import UserError

Protocol = Literal["ours", "published"]


@dataclass
class EvaluationConfig:
    """Which pictures are evaluated, and by which yardsticks."""

    n_images: int = 64
    """Generated images per emotion; 1,000 at paper scale. Frechet distances compare only at equal
    numbers."""

    batch_size: int = 64
    """Generated images judged at once."""

    judge: Literal["efficientnet_lite0", "clip_vit_l14"] = "efficientnet_lite0"
    """Network under the judge's linear probes. ``clip_vit_l14`` is EmoGen's protocol: no judge that
    is independent of what was made with that CLIP."""

    judge_size: int = 128
    """Side to which EfficientNet-Lite0 resizes pictures; 224 at paper scale."""

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
    """Training pictures that the judge also sees after the VAE, evenly spread over the split."""

    cache: str = "~/.cache/uniemo/evaluation"
    """Folder for what is computed once: features of real pictures, the judge's probes."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            UserError: If one is below its least, or if weights and network do not fit.
        """
        for name, least in {"n_images": 2, "batch_size": 1, "judge_size": 32}.items():
            if getattr(self, name) < least:
                raise UserError(f"eval.{name} is {getattr(self, name)}; give at least {least}")
        if self.n_reconstructed < 1:
            raise UserError(f"eval.n_reconstructed is {self.n_reconstructed}; give at least 1")
        if self.emotion_weights is not None and self.judge != "clip_vit_l14":
            raise UserError("eval.emotion_weights needs eval.judge clip_vit_l14; set it too")
