"""EmoScenes with fewer emotions, or painted otherwise: other data sets of one world.

They show what a model makes of a data set that it was not trained on.
"""

from typing import Final, Literal

import numpy as np
from PIL import Image, ImageFilter

from uniemo.emotions import EMOTIONS, POLARITIES, Emotions

Classes = Literal["eight", "six", "two"]
"""``eight``: Mikels' emotions. ``six``: Ekman's, after Emotion6. ``two``: the polarity."""

Style = Literal["plain", "painted"]
"""``painted``: broad strokes in warm, flat tones."""

_SIX: Final = {
    "awe": "surprise",
    **dict.fromkeys(("amusement", "contentment", "excitement"), "joy"),
}
_EIGHT: Final = Emotions()

LABELS: Final[dict[Classes, dict[str, str]]] = {
    "eight": {name: name for name in EMOTIONS},
    "six": {name: _SIX.get(name, name) for name in EMOTIONS},
    "two": {name: POLARITIES[_EIGHT.polarity[i] or 0] for i, name in enumerate(EMOTIONS)},
}
"""What each of the eight is called, by classes."""

_WARM: Final = (1.05, 0.1, 0.0, 4, 0.05, 0.85, 0.05, 2, 0.0, 0.1, 0.7, 0)


def emotions_of(classes: Classes) -> Emotions:
    """Return the emotions of a variant."""
    return Emotions.of(sorted(set(LABELS[classes].values())))


def label_matrix(classes: Classes) -> np.ndarray:
    """Return what a distribution over the eight is multiplied with, [8, C]."""
    emotions = emotions_of(classes)
    matrix = np.zeros((len(EMOTIONS), len(emotions)))
    for row, name in enumerate(EMOTIONS):
        matrix[row, emotions.index(LABELS[classes][name])] = 1
    return matrix


def painted(image: Image.Image) -> Image.Image:
    """Paint an image in RGB over, in broad strokes and warm, flat tones."""
    strokes = image.filter(ImageFilter.ModeFilter(max(3, image.width // 16 | 1)))
    return strokes.convert("RGB", _WARM).point([32 * round(value / 32) for value in range(256)] * 3)
