"""Which rows of a data set are taken, and in what order: from a seed alone."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """First word of every random key, so that no two uses of a seed share their numbers."""

    FRACTION = 1
    ORDER = 2
    AUGMENTATION = 3
    GENERATED = 4


def shuffled_rows(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return the rows 0..n-1 in the order of one epoch, [n] int."""
    return np.random.default_rng([Stream.ORDER, seed, epoch]).permutation(n)


def stratified_rows(label: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Choose a share of the rows of every class.

    With one seed, the rows of a smaller fraction are among those of a greater one.

    Args:
        label: Class of each row, [N] int.
        fraction: Share of each class, in (0, 1]; at least one row of a class is kept.
        seed: Names the choice.

    Returns:
        Rows in ascending order, [n] int.
    """
    chosen = []
    for name in np.unique(label):
        rows = np.flatnonzero(label == name)
        order = np.random.default_rng([Stream.FRACTION, seed, name]).permutation(rows)
        chosen.append(order[: max(1, round(fraction * len(rows)))])
    return np.sort(np.concatenate(chosen))
