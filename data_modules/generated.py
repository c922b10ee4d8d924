"""The third phase's training set: real pictures, and kept generated ones among them.

"Understanding is fine-tuned on real + kept images" (METHOD, "Generation feeds understanding"); the
ratio and the draw are ours.
"""

from dataclasses import dataclass

import numpy as np

from uniemo.errors import UserError
from uniemo.rows import Stream


@dataclass
class GeneratedConfig:
    """Which generated pictures join the training split, and how many.

    Attributes:
        root: Folder in EmoSet's layout; the pictures are those of its ``train.json``.
        ratio: Generated pictures per real one in each epoch, above 0.
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
    n_real: int, n_generated: int, ratio: float, seed: int, mixed_epochs: int, epoch: int
) -> np.ndarray:
    """Return the rows of one epoch in order: every real one once, and a draw of generated ones.

    The draw is without replacement; a pool smaller than the draw is used up whole before any of its
    pictures comes again. Later epochs, as long, draw from the real rows in place of the generated
    ones.

    Args:
        n_real: Rows 0..n_real-1 are real.
        n_generated: Rows n_real..n_real+n_generated-1 are generated; at least 1.
        ratio: Generated rows per real one.
        seed: With the epoch, all that the rows and their order depend on.
        mixed_epochs: Epochs, from the first, that have generated rows.
        epoch: Number of the epoch.

    Returns:
        [epoch_length(n_real, ratio)] int.
    """
    generator = np.random.default_rng([Stream.GENERATED, seed, epoch])
    wanted = epoch_length(n_real, ratio) - n_real
    start, n = (n_real, n_generated) if epoch < mixed_epochs else (0, n_real)
    rounds = max(1, -(-wanted // n))
    drawn = np.concatenate([generator.permutation(n) for _ in range(rounds)])[:wanted]
    return generator.permutation(np.concatenate([np.arange(n_real), start + drawn]))
