"""Fuse features into one pseudo-word: c = me(fe) + alpha_s ms(fs) + alpha_o mo(fo).

Source: docs/method.md, "Condition".

Legend: B images, D width of the features, W width of the text encoder's token embeddings, E width
of CLIP's joint space, C emotions, K names of one attribute.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, assert_never

import torch
from torch import Tensor, nn

from uniemo.batch import Features
from uniemo.emotions import N_EMOTIONS
from uniemo.fusion.attribute_base import AttributeBase
from uniemo.fusion.evidence import AttributeEvidence
from uniemo.fusion.mappers import Mapper

Coefficients = Literal["retrieved", "one", "zero", "public"]
"""Where alpha_s and alpha_o come from. ``retrieved``: p(emotion | name) of the name nearest to the
projected feature, as in the paper's figure. The rest are ablations: ``one`` adds scene and object
in full, ``zero`` leaves the emotion's mapper alone, ``public`` retrieves as the public code does,
with the mapped feature and over scenes and objects at once."""


class Condition(NamedTuple):
    """A pseudo-word for each image, and what it was made of."""

    word: Tensor  # c [B, W], in the token-embedding space
    alpha_scene: Tensor  # [B] in [0, 1]
    alpha_object: Tensor  # [B] in [0, 1]
    scene: Tensor  # [B] long, the retrieved scene; -1 for none. "public": see Fusion
    object: Tensor  # [B] long, the retrieved object, likewise


class Fusion(nn.Module):
    """The two attribute bases, the coefficients they give, and the three mappers.

    The mappers' sum is scaled and moved by two fixed buffers so that words start where the text
    encoder's real token embeddings are (extension): set them with :meth:`start_among`. A fixed
    scale, rather than small weights, also keeps Adam's steps in proportion, since real embeddings
    are tiny (deviation about 0.02).

    With coefficients "public" the retrieved indices count through the scenes, then the objects.

    Args:
        feature_width: D.
        word_width: W.
        embedding_width: E.
        coefficients: How alpha is found.
        evidence: Whether the bases also help to read the emotion (extension).
        normalise: Whether the mappers normalise features (extension).
        n_emotions: C.
    """

    word_mean: Tensor  # [W]
    word_std: Tensor  # scalar
    scene_words: Tensor  # [K, W] token embeddings of the scenes' names, in the mappers' scale
    object_words: Tensor  # [K, W] of the objects' names

    def __init__(
        self,
        feature_width: int,
        word_width: int,
        embedding_width: int,
        coefficients: Coefficients = "retrieved",
        evidence: bool = False,
        normalise: bool = True,
        n_emotions: int = N_EMOTIONS,
    ) -> None:
        super().__init__()
        self.coefficients = coefficients
        self._base_size = embedding_width, n_emotions
        self.evidence = AttributeEvidence() if evidence else None
        self.emotion_mapper = Mapper(feature_width, word_width, normalise)
        self.scene_mapper = Mapper(feature_width, word_width, normalise)
        self.object_mapper = Mapper(feature_width, word_width, normalise)
        self.register_buffer("word_mean", torch.zeros(word_width))
        self.register_buffer("word_std", torch.tensor(0.02))
        self.register_buffer("scene_words", torch.zeros(0, word_width), persistent=False)
        self.register_buffer("object_words", torch.zeros(0, word_width), persistent=False)
        self.set_names([], [])

    def set_names(self, scene_names: Sequence[str], object_names: Sequence[str]) -> None:
        """Give the attribute bases the size of these names; both are empty then."""
        self.scene_names, self.object_names = list(scene_names), list(object_names)
        device = self.word_mean.device
        self.scene_base = AttributeBase(len(self.scene_names), *self._base_size).to(device)
        self.object_base = AttributeBase(len(self.object_names), *self._base_size).to(device)

    @torch.no_grad()
    def start_among(self, mean: Tensor, std: Tensor) -> None:
        """Let words start where real ones lie: their mean [W] and deviation (a scalar)."""
        self.word_mean.copy_(mean)
        self.word_std.copy_(std)

    def standardised(self, word: Tensor) -> Tensor:
        """Return words [B, W] in the mappers' own scale, for the emotion head to read."""
        return (word - self.word_mean) / self.word_std

    def evidence_logits(
        self,
        scene_query: Tensor,
        object_query: Tensor,
        scene_scale: Tensor,
        object_scale: Tensor,
    ) -> Tensor | float:
        """Return what the bases add to the emotion's logits: [B, C]; 0 without evidence.

        Args:
            scene_query: [B, E] projection of fs, unit length.
            object_query: [B, E] projection of fo, unit length.
            scene_scale: Scalar that multiplies cosines with scenes.
            object_scale: Scalar that multiplies cosines with objects.
        """
        if self.evidence is None:
            return 0.0
        bases = self.scene_base, self.object_base
        return self.evidence(scene_query, object_query, *bases, scene_scale, object_scale)

    def forward(
        self, features: Features, scene_query: Tensor, object_query: Tensor, emotion: Tensor
    ) -> Condition:
        """Fuse features into the words that express an emotion.

        Args:
            features: fe, fs, fo, each [B, D].
            scene_query: [B, E] projection of fs.
            object_query: [B, E] projection of fo.
            emotion: [B] long, the emotion to express.

        Raises:
            ValueError: With coefficients "public", if W is not E.
        """
        mapped_scene = self.scene_mapper(features.scene)  # [B, W]
        mapped_object = self.object_mapper(features.object)  # [B, W]
        match self.coefficients:
            case "retrieved":
                alpha_scene, scene = self.scene_base.coefficient(scene_query, emotion)
                alpha_object, object_ = self.object_base.coefficient(object_query, emotion)
            case "public":
                union = _union(self.scene_base, self.object_base)
                if mapped_scene.shape[1] != union.text_features.shape[1]:
                    raise ValueError(
                        f"coefficients 'public' compare words ({mapped_scene.shape[1]} wide) with "
                        f"text features ({union.text_features.shape[1]} wide); use 'retrieved'"
                    )
                alpha_scene, scene = union.coefficient(mapped_scene, emotion)
                alpha_object, object_ = union.coefficient(mapped_object, emotion)
            case "one" | "zero":
                alpha_scene = alpha_object = torch.full_like(
                    emotion, self.coefficients == "one", dtype=self.word_mean.dtype
                )
                scene = object_ = torch.full_like(emotion, -1)
            case _:
                assert_never(self.coefficients)
        total = (
            self.emotion_mapper(features.emotion)
            + alpha_scene.unsqueeze(1) * mapped_scene
            + alpha_object.unsqueeze(1) * mapped_object
        )  # [B, W]
        word = self.word_mean + self.word_std * total  # [B, W]
        return Condition(word, alpha_scene, alpha_object, scene, object_)


def _union(first: AttributeBase, second: AttributeBase) -> AttributeBase:
    """Return one base with the names of both, first those of the first."""
    size = first.text_features.shape[1], first.probability.shape[1]
    union = AttributeBase(len(first.supported) + len(second.supported), *size)
    union.to(first.text_features.device)
    for name in "text_features", "correlation", "supported":  # all that a coefficient needs
        torch.cat((first.get_buffer(name), second.get_buffer(name)), out=union.get_buffer(name))
    return union
