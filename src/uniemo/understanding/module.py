"""The understanding half as one module: image -> fe, fs, fo -> emotion logits, attribute queries.

Legend: B images, h side of an image in pixels, D width of the features, W width of the text
encoder's tokens, E width of CLIP's joint space, C emotions.
"""

from typing import NamedTuple

from torch import Tensor, nn

from uniemo.batch import Features
from uniemo.emotions import N_EMOTIONS
from uniemo.understanding.backbone import ClipBackbone
from uniemo.understanding.chain import FeatureDepth, QuerySets, UnderstandingChain
from uniemo.understanding.heads import AttributeProjection, EmotionHead
from uniemo.understanding.losses import LogitScale
from uniemo.understanding.queries import QueryStart


class UnderstandingOutput(NamedTuple):
    """What is read from a batch of images."""

    features: Features
    logits: Tensor  # [B, C]
    scene: Tensor  # [B, E] fs projected into CLIP's text space, unit length
    object: Tensor  # [B, E] fo likewise


class Understanding(nn.Module):
    """Chain, emotion head, and the projections of fs and fo into CLIP's text space.

    Source: docs/method.md, "Understanding chain".

    Args:
        backbone: CLIP. Its visual tower becomes part of this module; its frozen text tower is kept
            beside it, outside of the state dict.
        word_width: W, width of the emotion head's hidden layer.
        n_queries: Tokens of each set of expert queries.
        queries: The sets of expert queries to have.
        dropout: Dropout of the emotion head.
        start: What the queries start as.
        feature_depth: Where fs and fo are read.
        normalise: Whether the projections normalise features (extension).
        n_emotions: C.
    """

    def __init__(
        self,
        backbone: ClipBackbone,
        word_width: int,
        n_queries: int = 32,
        queries: QuerySets = "both",
        dropout: float = 0.5,
        start: QueryStart = "class_token",
        feature_depth: FeatureDepth = "last",
        normalise: bool = True,
        n_emotions: int = N_EMOTIONS,
    ) -> None:
        super().__init__()
        self._backbone = [backbone]  # in a list, so that the text tower is not registered
        visual = backbone.model.visual
        self.scene_projection = AttributeProjection.from_clip(visual, normalise)
        self.object_projection = AttributeProjection.from_clip(visual, normalise)
        self.chain = UnderstandingChain(visual, n_queries, queries, start, feature_depth)
        self.emotion_head = EmotionHead(self.chain.width, word_width, n_emotions, dropout)
        self.scene_scale, self.object_scale = LogitScale(), LogitScale()

    @property
    def backbone(self) -> ClipBackbone:
        """CLIP as it was loaded, with its text tower."""
        return self._backbone[0]

    def forward(self, image: Tensor) -> UnderstandingOutput:
        """Read images.

        Args:
            image: [B, 3, h, h] float, normalised with CLIP's own mean and deviation.
        """
        return self.read_features(self.chain(image))

    def read_features(self, features: Features) -> UnderstandingOutput:
        """Read features [B, D], of images or drawn from the emotion space."""
        return UnderstandingOutput(
            features,
            self.emotion_head(features.emotion),
            self.scene_projection(features.scene),
            self.object_projection(features.object),
        )
