"""Torchmetrics classes of what the field measures and torchmetrics lacks, one per file."""

from uniemo.metrics.bootstrap import bootstrap_interval
from uniemo.metrics.density_coverage import DensityCoverage
from uniemo.metrics.emotion_accuracy import EmotionAccuracy
from uniemo.metrics.frechet_distance import FrechetDistance
from uniemo.metrics.kernel_distance import KernelDistance
from uniemo.metrics.perceptual_diversity import (
    LPIPSEmbedding,
    PerceptualDiversity,
    perceptual_embedding,
)
from uniemo.metrics.pointing_game import PointingGame
from uniemo.metrics.published_semantic_diversity import (
    PublishedSemanticDiversity,
    published_pairs,
)
from uniemo.metrics.semantic_clarity import SemanticClarity, image_clarity
from uniemo.metrics.semantic_diversity import SemanticDiversity

__all__ = [
    "DensityCoverage",
    "EmotionAccuracy",
    "FrechetDistance",
    "KernelDistance",
    "LPIPSEmbedding",
    "PerceptualDiversity",
    "PointingGame",
    "PublishedSemanticDiversity",
    "SemanticClarity",
    "SemanticDiversity",
    "bootstrap_interval",
    "image_clarity",
    "perceptual_embedding",
    "published_pairs",
]
