"""Splits of data sets that bring none, or no validation split."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from uniemo.utils.seeding import Stream

ALIASES: Final = {"train": ("train",), "val": ("val", "validation", "valid"), "test": ("test",)}
"""The names that a split goes by."""

Shares = tuple[float, float, float]
"""Shares of the images in train, val and test."""

_SEED: Final = 0  # not a run's: runs of other seeds are compared on the same test split


def split_name(text: str) -> str | None:
    """Return "train", "val" or "test" for one of their names; None for another word."""
    word = text.strip().lower()
    return next((split for split, names in ALIASES.items() if word in names), None)


def stratified_split(label: np.ndarray, shares: Sequence[float]) -> list[np.ndarray]:
    """Share out rows at random, each label by itself; the same labels give the same parts.

    Args:
        label: [N] int.
        shares: Of the parts, relative to each other.

    Returns:
        The rows of each part, ascending.
    """
    edges = np.cumsum([0.0, *shares]) / sum(shares)
    parts: list[list[np.ndarray]] = [[] for _ in shares]
    for value in np.unique(label):
        rows = np.flatnonzero(label == value)
        rows = np.random.default_rng([Stream.SPLIT, _SEED, int(value)]).permutation(rows)
        cuts = np.round(edges * len(rows)).astype(int)
        for part, first, last in zip(parts, cuts[:-1], cuts[1:], strict=True):
            part.append(rows[first:last])
    return [np.sort(np.concatenate(part)) for part in parts]
