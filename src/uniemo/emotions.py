"""Mikels' eight emotions: names, label indices and polarity; defined here and nowhere else.

The index order is that of EmoSet's ``info.json`` (Yang et al., ICCV 2023): four positive, then four
negative emotions. See docs/method.md, "Data".
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
"""Emotion names; a name's position is its label index."""

N_EMOTIONS: Final = len(EMOTIONS)
"""C, the number of emotions: 8."""

POSITIVE: Final = 0
NEGATIVE: Final = 1
POLARITY: Final = (POSITIVE,) * 4 + (NEGATIVE,) * 4
"""Polarity of each emotion index, ``POSITIVE`` or ``NEGATIVE``: labels of the 2-class task."""
