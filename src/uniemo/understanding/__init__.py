"""Understanding: a picture -> fe, fs, fo -> logits (METHOD, "Understanding chain")."""

from uniemo.understanding.backbone import ClipBackbone, load_clip
from uniemo.understanding.chain import AttentionMaps, QuerySets, UnderstandingChain
from uniemo.understanding.heads import AttributeProjection, EmotionHead
from uniemo.understanding.losses import (
    LogitScale,
    attribute_contrastive_loss,
    emotion_classification_loss,
    gather,
    name_positives,
)

__all__ = [
    "AttentionMaps",
    "AttributeProjection",
    "ClipBackbone",
    "EmotionHead",
    "LogitScale",
    "QuerySets",
    "UnderstandingChain",
    "attribute_contrastive_loss",
    "emotion_classification_loss",
    "gather",
    "load_clip",
    "name_positives",
]
