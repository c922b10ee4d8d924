"""Metrics in the form of torchmetrics that torchmetrics lacks, one per file.

See docs/method.md, "Metrics".
"""

from uniemo.metrics.bootstrap import bootstrap_interval
from uniemo.metrics.density_coverage import DensityCoverage, neighbour_scores
from uniemo.metrics.emotion_accuracy import EmotionAccuracy
from uniemo.metrics.frechet_distance import FrechetDistance
from uniemo.metrics.kernel_distance import KernelDistance
from uniemo.metrics.label_distribution import LabelDistribution
from uniemo.metrics.perceptual_diversity import (
    LPIPSEmbedding,
    PerceptualDiversity,
    perceptual_embedding,
)
from uniemo.metrics.pointing_game import PointingGame
from uniemo.metrics.published_semantic_diversity import PublishedSemanticDiversity, published_pairs
from uniemo.metrics.semantic_clarity import SemanticClarity, image_clarity
from uniemo.metrics.semantic_diversity import SemanticDiversity

__all__ = [
    "DensityCoverage",
    "EmotionAccuracy",
    "FrechetDistance",
    "KernelDistance",
    "LPIPSEmbedding",
    "LabelDistribution",
    "PerceptualDiversity",
    "PointingGame",
    "PublishedSemanticDiversity",
    "SemanticClarity",
    "SemanticDiversity",
    "bootstrap_interval",
    "image_clarity",
    "neighbour_scores",
    "perceptual_embedding",
    "published_pairs",
]
