"""Mikels' eight emotions: their order, labels and polarity. Nothing else spells them out.

The index order is EmoSet's (``info.json``): positives first, then negatives (METHOD, "Labels").
"""

from typing import Final

EMOTIONS: Final = (
    "amusement",
    "awe",
    "contentment",
    "excitement",
    "anger",
    "disgust",
    "fear",
    "sadness",
)
"""Emotion names; the position is the label index used everywhere."""

N_EMOTIONS: Final = len(EMOTIONS)

POSITIVE: Final = 0
NEGATIVE: Final = 1
POLARITY: Final = (POSITIVE,) * 4 + (NEGATIVE,) * 4
"""Polarity (``POSITIVE`` or ``NEGATIVE``) of each emotion index: the 2-class task."""
