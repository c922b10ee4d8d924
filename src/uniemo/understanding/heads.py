"""What reads the chain's features: the emotion head and the attribute projections.

Legend: B images, D width of the vision transformer, W width of the text encoder's tokens, E width
of CLIP's joint embedding space, C emotions.
"""

from typing import Self

import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from uniemo.emotions import N_EMOTIONS


class EmotionHead(nn.Module):
    """The projector: Linear(D, W) - ReLU - Dropout - Linear(W, C).

    Source: docs/method.md, "Understanding chain".

    Args:
        feature_width: D.
        word_width: W, so that the last layer can read a condition too.
        n_emotions: C.
        dropout: Probability of a hidden unit to be dropped in training.
    """

    def __init__(
        self,
        feature_width: int,
        word_width: int,
        n_emotions: int = N_EMOTIONS,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.hidden = nn.Linear(feature_width, word_width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(word_width, n_emotions)

    def forward(self, emotion_feature: Tensor) -> Tensor:
        """Return the logits of fe [B, D]: [B, C]."""
        return self.output(self.dropout(F.relu(self.hidden(emotion_feature))))

    def read(self, condition: Tensor) -> Tensor:
        """Return the last layer's logits of a condition c [B, W]: [B, C] (for L_cond)."""
        return self.output(condition)


class AttributeProjection(nn.Module):
    """Project fs or fo into CLIP's text space, unit length, for L_S, L_O and retrieval.

    Layer norm and a linear map without bias (extension: the published form is unknown): the form of
    CLIP's own read-out of its class token, so that :meth:`from_clip` can start there. fs and fo are
    means of tokens of the same residual stream, so that read-out is a far better start than noise.

    Args:
        feature_width: D.
        embedding_width: E.
        normalise: Whether there is a layer norm.
    """

    def __init__(self, feature_width: int, embedding_width: int, normalise: bool = True) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(feature_width) if normalise else nn.Identity()
        self.linear = nn.Linear(feature_width, embedding_width, bias=False)

    @classmethod
    def from_clip(cls, visual: VisionTransformer, normalise: bool = True) -> Self:
        """Return a projection that starts as a copy of the tower's ``ln_post`` and ``proj``."""
        feature_width, embedding_width = visual.proj.shape
        projection = cls(feature_width, embedding_width, normalise).to(visual.proj.device)
        with torch.no_grad():
            if isinstance(projection.norm, nn.LayerNorm):
                projection.norm.weight.copy_(visual.ln_post.weight)
                projection.norm.bias.copy_(visual.ln_post.bias)
            projection.linear.weight.copy_(visual.proj.T)
        return projection

    def forward(self, feature: Tensor) -> Tensor:
        """Return the projection of fs or fo [B, D]: [B, E] float32, unit length."""
        return F.normalize(self.linear(self.norm(feature)).float(), dim=-1)
