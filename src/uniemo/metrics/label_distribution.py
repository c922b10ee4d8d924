"""Distances of predicted from voted distributions of emotions (label distribution learning).

Legend: B images, C emotions.
"""

from typing import Any

import torch
from torch import Tensor

from uniemo.metrics.accumulation import SumMetric, check_rows


class LabelDistribution(SumMetric):
    """Mean over images of what the field reports for votes (Geng, TKDE 2016, table I).

    ``compute`` returns a dict of float64, NaN without images: ``kl``, the Kullback-Leibler
    divergence of the prediction from the votes in nats, ``chebyshev``, the greatest difference of
    an emotion's shares (lower is better, both), and ``cosine``, the similarity (higher is better).
    """

    count: Tensor
    kl: Tensor
    chebyshev: Tensor
    cosine: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_sums("count", "kl", "chebyshev", "cosine", shape=())

    def update(self, probabilities: Tensor, votes: Tensor) -> None:
        """Add predicted probabilities and shares of votes, ``[B, C]`` each; rows sum to 1.

        Raises:
            ValueError: If the numbers of rows differ.
        """
        check_rows(probabilities=probabilities, votes=votes)
        p, q = probabilities.double(), votes.double()
        self.count += len(p)
        # 0 log 0 = 0 where nobody voted; a prediction that rounds to 0 counts as the least number.
        logarithm = q.clamp(min=1e-12).log() - p.clamp(min=1e-12).log()
        self.kl += (q * logarithm).sum()
        self.chebyshev += (p - q).abs().amax(dim=1).sum()
        self.cosine += torch.cosine_similarity(p, q, dim=1).sum()

    def compute(self) -> dict[str, Tensor]:
        """Return the means (see the class)."""
        return {name: getattr(self, name) / self.count for name in ("kl", "chebyshev", "cosine")}
