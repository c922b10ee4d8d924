"""Density, coverage, precision and recall of generated images (PRDC).

Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML 2020. Precision
and recall: Kynkäänniemi et al., NeurIPS 2019.

Legend: R real and G generated images, F feature width, c rows of a chunk.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from uniemo.emotions import N_EMOTIONS
from uniemo.metrics.accumulation import GatheringMetric, check_rows, check_width

CHUNK = 1024
"""Rows of distances in memory at once."""


class NeighbourScores(NamedTuple):
    """The four scores of one set of generated images, float64 scalars."""

    density: Tensor  # mean number of real balls around a generated image, over k; may exceed 1
    coverage: Tensor  # fraction of real balls that contain a generated image
    precision: Tensor  # fraction of generated images inside a real ball
    recall: Tensor  # fraction of real images inside a generated ball


def kth_neighbour_distance(features: Tensor, k: int) -> Tensor:
    """Return each row's Euclidean distance to its k-th nearest other row.

    For features of any length, in float64, so that reported values do not depend on rounding; the
    filter's :func:`uniemo.filtering.ball_radii` is a faster float32 form for unit features.

    Args:
        features: ``[N, F]`` float64 with N > k.
        k: Which neighbour, at least 1.

    Returns:
        ``[N]`` float64.
    """
    chunks = features.split(CHUNK)
    # Every row is its own nearest, hence k + 1.
    return torch.cat([torch.cdist(chunk, features).kthvalue(k + 1).values for chunk in chunks])


def neighbour_scores(real: Tensor, generated: Tensor, k: int = 5) -> NeighbourScores:
    """Compute density, coverage, precision and recall (Naeem et al. 2020, sections 2 and 3).

    A ball's radius is the distance to the k-th nearest neighbour.

    Args:
        real: ``[R, F]``.
        generated: ``[G, F]``.
        k: Which neighbour, at least 1.

    Returns:
        The scores. All are NaN unless R > k and G > 0; recall also unless G > k.
    """
    real, generated = real.double(), generated.double()
    nothing = real.new_tensor(torch.nan)
    if len(real) <= k or len(generated) == 0:
        return NeighbourScores(nothing, nothing, nothing, nothing)
    radii = kth_neighbour_distance(real, k)  # [R]
    has_recall = len(generated) > k
    generated_radii = (
        kth_neighbour_distance(generated, k) if has_recall else real.new_zeros(len(generated))
    )

    balls, inside = real.new_zeros(()), real.new_zeros(())
    nearest = torch.full_like(radii, torch.inf)  # [R], distance to the nearest generated image
    recalled = torch.zeros_like(radii, dtype=torch.bool)  # [R]
    for chunk, chunk_radii in zip(
        generated.split(CHUNK), generated_radii.split(CHUNK), strict=True
    ):
        distance = torch.cdist(chunk, real)  # [c, R]
        within = distance < radii  # [c, R]
        balls += within.sum()
        inside += within.any(dim=1).sum()
        nearest = torch.minimum(nearest, distance.amin(dim=0))
        recalled |= (distance < chunk_radii[:, None]).any(dim=0)
    return NeighbourScores(
        density=balls / (k * len(generated)),
        coverage=(nearest < radii).double().mean(),
        precision=inside / len(generated),
        recall=recalled.double().mean() if has_recall else nothing,
    )


class DensityCoverage(GatheringMetric):
    """Density, coverage, precision and recall of generated images, per emotion and pooled.

    The metric stores the features of all images: 4 F bytes each.

    ``compute`` returns a dict of float64: ``density``, ``coverage``, ``precision`` and ``recall``
    over the images of all emotions together, and each with the suffix ``_per_emotion``, ``[8]``,
    within one emotion; NaN where :func:`neighbour_scores` has too few images.

    Args:
        num_features: Width F of the features.
        k: Which neighbour's distance is a ball's radius.
        kwargs: Arguments of ``torchmetrics.Metric``.
    """

    higher_is_better = True
    is_differentiable = False

    def __init__(self, num_features: int, k: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_features = num_features
        self.k = k
        for kind in ("real", "generated"):
            self.add_rows(f"{kind}_features", num_features)
            self.add_rows(f"{kind}_emotion", dtype=torch.long)

    def update(self, features: Tensor, emotion: Tensor, real: bool) -> None:
        """Add a batch.

        Args:
            features: ``[B, F]`` float.
            emotion: ``[B]`` long.
            real: Whether the images are real; else they are generated.

        Raises:
            ValueError: If the shapes do not fit.
        """
        check_width("features", features, self.num_features)
        check_rows(features=features, emotion=emotion)
        kind = "real" if real else "generated"
        self.append_rows(f"{kind}_features", features)
        self.append_rows(f"{kind}_emotion", emotion)

    def compute(self) -> dict[str, Tensor]:
        """Return the scores (see the class)."""
        real, generated = self.rows("real_features"), self.rows("generated_features")
        real_emotion, emotion = self.rows("real_emotion"), self.rows("generated_emotion")
        scores = neighbour_scores(real, generated, self.k)._asdict()
        by_emotion = [
            neighbour_scores(real[real_emotion == index], generated[emotion == index], self.k)
            for index in range(N_EMOTIONS)
        ]
        for name, values in zip(
            NeighbourScores._fields, zip(*by_emotion, strict=True), strict=True
        ):
            scores[f"{name}_per_emotion"] = torch.stack(values)  # [8]
        return scores
