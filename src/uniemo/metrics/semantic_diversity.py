"""Sem-D: semantic diversity of the images of one emotion (docs/method.md, "Metrics")."""

from torch import Tensor

from uniemo.metrics.accumulation import mean_over_emotions
from uniemo.metrics.pairwise_diversity import PairwiseDiversity


class SemanticDiversity(PairwiseDiversity):
    """Mean over all pairs of one emotion of the mean over dimensions of the squared difference.

    Source: Sem-D of EmoGen (Yang et al., CVPR 2024), with CLIP ViT-L/14 image features that are not
    normalised. All pairs within one emotion are used, not the public script's ten pairs of a
    growing list (:class:`uniemo.metrics.PublishedSemanticDiversity`).

    ``compute`` returns a dict of float64: ``sem_d_per_emotion`` ``[C]``, NaN below two images, and
    ``sem_d``, the plain mean over the emotions that have a value.

    Args:
        num_features: Width F of the features.
    """

    def compute(self) -> dict[str, Tensor]:
        """Return the diversities (see the class)."""
        per_emotion = self.mean_squared_distance() / self.num_features  # [C]
        return {"sem_d": mean_over_emotions(per_emotion), "sem_d_per_emotion": per_emotion}
