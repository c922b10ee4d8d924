"""The trained part of a pipeline as one diffusers model: saved and loaded without its sources.

Legend: B images, h side of CLIP's view in pixels, Q queries of a set, gh x gw patches.
"""

from dataclasses import asdict
from typing import Any, Self

import open_clip
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from uniemo.config.model import DiffusionConfig, ModelSettings
from uniemo.diffusion import StableDiffusion
from uniemo.errors import UserError
from uniemo.model import Painter, UniEmo, assemble
from uniemo.model.painter import read_features
from uniemo.understanding import ClipBackbone, UnderstandingOutput
from uniemo.understanding.chain import AttentionMaps
from uniemo.utils.sources import weights_digest


class EmotionModel(ModelMixin, ConfigMixin):  # diffusers needs both names in this module
    """Understanding, fusion and emotion space: all of UniEmo but the diffusion head.

    Its configuration is all that it takes to build it, so a saved folder needs neither CLIP's
    weights nor the data. CLIP's text tower is not part of it.

    It computes in float32 whatever number format the pipeline has: a word lies among token
    embeddings whose deviation is 0.02, and the emotion space's sums are in float64.

    Args:
        clip: open_clip's ``model_cfg``.
        image_size: h.
        mean: CLIP's mean of red, green and blue.
        std: CLIP's standard deviation of them.
        word_width: Width of a word.
        settings: The model's settings as a dictionary.
        scene_names: Names that the scenes' attribute base numbers.
        object_names: Names that the objects' attribute base numbers.
        metrics: What was measured of this model, for its card.
        trained_on: Name, licence and number of images of the data.
        diffusion_digest: Of the Stable Diffusion that a model was trained with which is saved
            without it (:func:`uniemo.pipeline.exporting.export_trained`).
    """

    @register_to_config
    def __init__(
        self,
        clip: dict[str, Any],
        image_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        word_width: int,
        settings: dict[str, Any],
        scene_names: list[str],
        object_names: list[str],
        metrics: dict[str, Any],
        diffusion_digest: str | None = None,
        trained_on: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        structure = dict(clip)
        kind = open_clip.CustomTextCLIP if structure.pop("custom_text", False) else open_clip.CLIP
        with torch.device("meta"):
            network = kind(**structure)
        network.visual.to_empty(device="cpu")
        backbone = ClipBackbone(network, _no_tokenizer, image_size, mean, std, clip)
        self.settings = ModelSettings.of_trained(settings, start_from=None)
        model = assemble(backbone, None, self.settings, word_width)
        model.fusion.set_names(scene_names, object_names)
        self._take(model)

    @classmethod
    def of(cls, model: UniEmo, metrics: dict[str, Any] | None = None) -> Self:
        """Return the trained part of a model; both share their weights."""
        backbone, fusion = model.understanding.backbone, model.fusion
        own = cls(
            clip=backbone.config,
            image_size=backbone.image_size,
            mean=backbone.mean,
            std=backbone.std,
            word_width=len(fusion.word_mean),
            settings=asdict(model.settings),
            scene_names=fusion.scene_names,
            object_names=fusion.object_names,
            metrics=metrics or {},
            trained_on=model.trained_on,
        )
        own._take(model)
        return own

    def _take(self, model: UniEmo) -> None:
        self.understanding, self.fusion = model.understanding, model.fusion
        self.space = model.painter.space
        self.eval()

    @classmethod
    def from_pretrained(cls, *args: Any, **how: Any) -> Any:
        """Load a saved model, in the number formats it was saved in."""
        how = {key: value for key, value in how.items() if key not in ("dtype", "torch_dtype")}
        return super().from_pretrained(*args, **(how | {"low_cpu_mem_usage": False}))

    def to(self, *args: Any, **how: Any) -> Self:
        """Move to a device; number formats stay."""
        device = torch._C._nn._parse_to(*args, **how)[0]
        return self if device is None else super().to(device=device)

    @property
    def clip_view(self) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
        """What images must look like: side h, mean and standard deviation."""
        backbone = self.understanding.backbone
        return backbone.image_size, tuple(backbone.mean), tuple(backbone.std)

    @torch.no_grad()
    def read(self, clip_image: Tensor) -> tuple[UnderstandingOutput, AttentionMaps]:
        """Read images [B, 3, h, h] in CLIP's normalisation, and where the queries look.

        Source: docs/method.md, "Understanding chain".
        """
        features, maps = self.understanding.chain.features_and_attention(clip_image)
        return read_features(self.understanding, self.fusion, features), maps

    def load_head(self) -> StableDiffusion:
        """Load the Stable Diffusion of the settings, of a model that was saved without it.

        Raises:
            UserError: If it cannot be loaded, or is another than that of the training.
        """
        diffusion = self.settings.diffusion or DiffusionConfig()
        if weights_digest(diffusion.source) != self.config.diffusion_digest:
            raise UserError(
                f"{diffusion.source} is another Stable Diffusion than the one that this model was "
                "trained with; train and export it again"
            )
        return diffusion.load()

    def require_space(self) -> None:
        """Check that there is something to draw features from.

        Raises:
            UserError: If an emotion was never seen.
        """
        if not bool(self.space.moments.count.all()):
            raise UserError(
                "this model has no emotion space, because its joint training has not ended; "
                "give a run whose joint phase is done"
            )

    def painter(self, head: StableDiffusion, seed: int) -> Painter:
        """Return what draws and fuses features; made for each call, so calls may run at once.

        Args:
            head: The diffusion head.
            seed: With emotion and index, all that an image depends on.
        """
        diffusion = self.settings.diffusion
        prompt = (diffusion or DiffusionConfig()).prompt
        sampling = self.settings.sampling
        parts = self.understanding, self.fusion, self.space, head
        return Painter(*parts, sampling, prompt, seed)


def _no_tokenizer(texts: list[str]) -> Tensor:
    raise ValueError("a saved model has no text tower; encode names with the CLIP it began from")
