"""Choice and order of the rows of a data set, as functions of a seed alone."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """First element of every random key: each use of a seed gets its own random numbers."""

    FRACTION = 1
    ORDER = 2
    AUGMENTATION = 3
    GENERATED = 4
    SPLIT = 5


def shuffled_rows(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return an order of rows [n] int that depends on the run's seed and the epoch alone."""
    return np.random.default_rng([Stream.ORDER, seed, epoch]).permutation(n)


def stratified_rows(label: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Choose the same fraction of the rows of every class at random.

    For one seed, the rows of a smaller fraction are a subset of those of a larger one.

    Args:
        label: Class of each row, [N] int.
        fraction: In (0, 1]; at least one row per class is kept.
        seed: Of the choice.

    Returns:
        Chosen rows in ascending order, [n] int.
    """
    chosen = []
    for name in np.unique(label):
        rows = np.flatnonzero(label == name)
        order = np.random.default_rng([Stream.FRACTION, seed, name]).permutation(rows)
        chosen.append(order[: max(1, round(fraction * len(rows)))])
    return np.sort(np.concatenate(chosen))
