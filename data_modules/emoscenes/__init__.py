"""EmoScenes: the embedded data set, composed of painted scenes and twemoji objects.

Names are EmoSet's; labels follow EmoSet's published p(emotion | attribute). ``compose`` paints one
image, :mod:`recipe` draws what is on it, :mod:`writer` writes the data set.
"""

from data_modules.emoscenes.compose import Composition, compose
from data_modules.emoscenes.objects import OBJECT_NAMES
from data_modules.emoscenes.scenes import SCENE_NAMES

__all__ = ["OBJECT_NAMES", "SCENE_NAMES", "Composition", "compose", "words"]


def words(name: str) -> str:
    """Return an attribute's name as lower-case words: "mountain_snowy" -> "mountain snowy"."""
    return name.replace("_", " ").lower()
