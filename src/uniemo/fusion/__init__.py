"""Fusion: fe, fs, fo -> one pseudo-word (docs/method.md, "Condition")."""

from uniemo.fusion.attribute_base import AttributeBase
from uniemo.fusion.condition import Coefficients, Condition, Fusion
from uniemo.fusion.emotion_space import (
    DiagonalGaussian,
    EmotionSpace,
    Mixture,
    StoredFeatures,
    TiedGaussian,
)
from uniemo.fusion.evidence import AttributeEvidence
from uniemo.fusion.losses import (
    emotional_condition_loss,
    word_alignment_loss,
    words_of_names,
)
from uniemo.fusion.mappers import Mapper

__all__ = [
    "AttributeBase",
    "AttributeEvidence",
    "Coefficients",
    "Condition",
    "DiagonalGaussian",
    "EmotionSpace",
    "Fusion",
    "Mapper",
    "Mixture",
    "StoredFeatures",
    "TiedGaussian",
    "emotional_condition_loss",
    "word_alignment_loss",
    "words_of_names",
]
