"""Sem-D as the public script computes it, for comparison only.

The script never empties its list of images between emotions, so the pairs of an emotion include
images of all earlier ones, and it takes only ten random pairs (docs/method.md, "Defects of the
public code").

Legend: B images, F feature width, C emotions, P pairs per emotion.
"""

from typing import Any

import torch
from torch import Tensor

from uniemo.emotions import N_EMOTIONS
from uniemo.metrics.accumulation import GatheringMetric, check_rows, check_width, mean_over_emotions


def published_pairs(counts: Tensor, n_pairs: int = 10, seed: int = 0) -> Tensor:
    """Draw pairs as the public script does: per emotion, from its images and all earlier ones.

    The published LPIPS uses such pairs, too.

    Args:
        counts: Images of each emotion, ``[C]`` long; at least one each, and two of the first.
        n_pairs: P.
        seed: Seed of the pairs.

    Returns:
        ``[C, P, 2]`` long: two different positions in the list of images sorted by emotion.

    Raises:
        ValueError: If an emotion has no pair.
    """
    if (counts < 1).any() or counts[0] < 2:
        raise ValueError(
            "the published protocol needs an image of every emotion and two of the first, "
            f"got {counts.tolist()}"
        )
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for length in counts.cumsum(0).tolist():
        first = torch.randint(length, (n_pairs,), generator=generator)
        step = torch.randint(1, length, (n_pairs,), generator=generator)
        pairs.append(torch.stack([first, (first + step) % length], dim=1))
    return torch.stack(pairs)


class PublishedSemanticDiversity(GatheringMetric):
    """Sem-D over ten random pairs per emotion of the growing list of images.

    ``compute`` returns a dict of float64: ``published_sem_d_per_emotion`` ``[C]`` and
    ``published_sem_d``, their mean; NaN where :func:`published_pairs` has too few images. The order
    of the updates does not matter.

    Args:
        num_features: Width F of the features.
        n_pairs: P.
        seed: Seed of the pairs.
        num_classes: C.
    """

    def __init__(
        self,
        num_features: int,
        n_pairs: int = 10,
        seed: int = 0,
        num_classes: int = N_EMOTIONS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_features, self.num_classes = num_features, num_classes
        self.n_pairs = n_pairs
        self.seed = seed
        self.add_rows("features", num_features)
        self.add_rows("emotion", dtype=torch.long)
        self.add_rows("index", dtype=torch.long)

    def update(self, features: Tensor, emotion: Tensor, index: Tensor) -> None:
        """Add features ``[B, F]`` of images ``index`` of emotions, ``[B]`` long each.

        The indices sort the list within an emotion.

        Raises:
            ValueError: If the shapes do not fit.
        """
        check_width("features", features, self.num_features)
        check_rows(features=features, emotion=emotion, index=index)
        self.append_rows("features", features)
        self.append_rows("emotion", emotion)
        self.append_rows("index", index)

    def compute(self) -> dict[str, Tensor]:
        """Return the diversities (see the class)."""
        features, emotion = self.rows("features"), self.rows("emotion")  # [N, F], [N]
        counts = emotion.bincount(minlength=self.num_classes)
        try:
            pairs = published_pairs(counts.cpu(), self.n_pairs, self.seed).to(features.device)
        except ValueError:
            per_emotion = features.new_full((self.num_classes,), torch.nan)
        else:
            order = self.rows("index").argsort(stable=True)
            order = order[emotion[order].argsort(stable=True)]  # by emotion, then by index
            first, second = features.double()[order][pairs].unbind(dim=2)  # [C, P, F] each
            per_emotion = (first - second).square().mean(dim=(1, 2))  # [C]
        return {
            "published_sem_d": mean_over_emotions(per_emotion),
            "published_sem_d_per_emotion": per_emotion,
        }
