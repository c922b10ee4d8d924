"""The third phase's training set: real pictures, and kept generated ones among them.

"Understanding is fine-tuned on real + kept images" (METHOD, "Generation feeds understanding"); the
ratio and the draw are ours.
"""

import math
from dataclasses import dataclass

import numpy as np

from uniemo.errors import UserError
from uniemo.utils.seeding import Stream


@dataclass
class GeneratedConfig:
    """Which generated pictures join the training split, and how many.

    Attributes:
        root: Folder in EmoSet's layout; the pictures are those of its ``train.json``.
        ratio: Generated pictures per real one in each epoch, above 0.

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
    """Return the rows of one epoch in order: every real one once, and a draw of generated ones.

    The draw is balanced: each emotion of the pool comes equally often, or once more. It is without
    replacement; where an emotion has too few pictures, all of them come before any comes again.
    Later epochs, as long, draw from the real rows in place of the generated ones.

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
