"""Understanding: image -> fe, fs, fo -> logits (docs/method.md, "Understanding chain")."""

from uniemo.understanding.backbone import ClipBackbone, load_clip
from uniemo.understanding.chain import AttentionMaps, FeatureDepth, QuerySets, UnderstandingChain
from uniemo.understanding.heads import AttributeProjection, EmotionHead
from uniemo.understanding.losses import (
    LogitScale,
    attribute_contrastive_loss,
    emotion_classification_loss,
    gather,
    name_positives,
)
from uniemo.understanding.module import Understanding, UnderstandingOutput
from uniemo.understanding.queries import QueryStart

__all__ = [
    "AttentionMaps",
    "AttributeProjection",
    "ClipBackbone",
    "EmotionHead",
    "FeatureDepth",
    "LogitScale",
    "QuerySets",
    "QueryStart",
    "Understanding",
    "UnderstandingChain",
    "UnderstandingOutput",
    "attribute_contrastive_loss",
    "emotion_classification_loss",
    "gather",
    "load_clip",
    "name_positives",
]
