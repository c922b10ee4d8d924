"""What :class:`uniemo.model.uniemo.UniEmo` takes from the training split's annotations, once.

Legend: S and O numbers of scene and object names, K of either, W width of the text encoder.
"""

from abc import ABC, abstractmethod

import lightning
from torch import Tensor

from uniemo.batch import Annotations
from uniemo.config.model import ClipConfig, ModelConfig
from uniemo.diffusion import StableDiffusion
from uniemo.fusion import AttributeBase, Fusion
from uniemo.understanding import ClipBackbone, name_positives


class Grounding(lightning.LightningModule, ABC):
    """Attribute bases, and the words of their names; :class:`UniEmo` brings the parts."""

    head: StableDiffusion | None
    fusion: Fusion
    clip_config: ClipConfig
    model_config: ModelConfig
    embedding_width: int
    scene_names: list[str]
    object_names: list[str]
    scene_words: Tensor  # [S, W] words of the scenes' names, in the mappers' scale
    object_words: Tensor  # [O, W] likewise

    @property
    @abstractmethod
    def backbone(self) -> ClipBackbone:
        """CLIP as it was loaded, with its text tower."""

    def setup(self, stage: str) -> None:
        """Size and fill the attribute bases from the training split's annotations."""
        data = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and data is not None:
            self.fill_bases(data.annotations("train"), data.scene_names, data.object_names)

    def fill_bases(
        self, annotations: Annotations, scene_names: list[str], object_names: list[str]
    ) -> None:
        """Compute the attribute bases: text features of all names, and p(emotion | name)."""
        self.size_bases(scene_names, object_names)
        if self.head is not None:
            for kind, names in (("scene", scene_names), ("object", object_names)):
                if names:
                    words = self.head.prompts.embed_names(names)  # [K, W]
                    setattr(self, f"{kind}_words", self.fusion.standardised(words.float()))
        backbone, support = self.backbone, self.model_config.support
        for base, names, template, positives in (
            (
                self.scene_base,
                scene_names,
                self.clip_config.scene_template,
                name_positives(annotations.scene, len(scene_names)),
            ),
            (
                self.object_base,
                object_names,
                self.clip_config.object_template,
                annotations.objects,
            ),
        ):
            if names:
                text = backbone.encode_names(names, template)
                base.fill(text.cpu(), annotations.emotion, positives, support)

    def size_bases(self, scene_names: list[str], object_names: list[str]) -> None:
        """Give the attribute bases the size of these names; they are empty then."""
        self.scene_names, self.object_names = list(scene_names), list(object_names)
        self.scene_base = AttributeBase(len(scene_names), self.embedding_width)
        self.object_base = AttributeBase(len(object_names), self.embedding_width)
