"""The training set of the finetune phase: real images, and generated ones that the filter kept.

See docs/method.md, "Finetune". The ratio and the balanced choice are an extension.
"""

import math
from dataclasses import dataclass

import numpy as np

from uniemo.errors import UserError
from uniemo.utils.seeding import Stream


@dataclass
class GeneratedConfig:
    """Which generated images join the training split, and how many.

    Attributes:
        root: Folder in EmoSet's layout; the images are those of its ``train.json``.
        ratio: Generated images per real one in each epoch, above 0.

    Raises:
        UserError: If ratio is not above 0.
    """

    root: str
    ratio: float = 0.5

    def __post_init__(self) -> None:
        if self.ratio <= 0:
            raise UserError(
                f"generated.ratio is {self.ratio}; give a number above 0, or leave 'generated' null"
            )


def epoch_length(n_real: int, ratio: float) -> int:
    """Return how many rows an epoch has: the real ones, and ``ratio`` generated ones for each."""
    return n_real + round(ratio * n_real)


def mixed_rows(
    n_real: int, emotion: np.ndarray, ratio: float, seed: int, mixed_epochs: int, epoch: int
) -> np.ndarray:
    """Return the rows of one epoch in order: every real one once, and a sample of generated ones.

    The sample is balanced: each emotion of the pool comes equally often, or once more. No image
    comes again before all of its emotion have come. Later epochs have the same length and
    sample real rows in place of generated ones.

    Args:
        n_real: Rows 0..n_real-1 are real.
        emotion: Of the generated rows n_real..n_real+n_generated-1 [n_generated] int; at least one.
        ratio: Generated rows per real one.
        seed: With the epoch, all that the rows and their order depend on.
        mixed_epochs: Epochs, from the first, that have generated rows.
        epoch: Number of the epoch.

    Returns:
        [epoch_length(n_real, ratio)] int.
    """
    generator = np.random.default_rng([Stream.GENERATED, seed, epoch])
    wanted, real = epoch_length(n_real, ratio) - n_real, np.arange(n_real)
    if epoch < mixed_epochs:
        groups = [n_real + np.flatnonzero(emotion == label) for label in np.unique(emotion)]
        generator.shuffle(groups)  # chance says which emotions come once more
    else:
        groups = [real]
    rounds = math.ceil(wanted / len(groups))
    columns = [_drawn(group, rounds, generator) for group in groups]
    drawn = np.stack(columns, axis=1).flatten()[:wanted]  # round by round
    return generator.permutation(np.concatenate([real, drawn]))


def _drawn(rows: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Return ``n`` of some rows; none comes again before all have come."""
    times = max(1, math.ceil(n / len(rows)))
    return np.concatenate([generator.permutation(rows) for _ in range(times)])[:n]
