"""The 24 scenes of EmoScenes and the plain ground, painted with a :class:`Brush`.

Chosen from EmoSet's 254 scenes so that a person tells them apart at 64 pixels, that they differ in
layout and colour, and that each of the eight emotions has scenes that indicate it (extension).
"""

from collections.abc import Callable
from typing import Final

from data_modules.emoscenes import halls, nature, places, rooms
from data_modules.emoscenes.attributes import attribute_rows
from data_modules.emoscenes.brush import BRIGHT, WHITE, Brush, mix

_PAINTERS: Final = vars(halls) | vars(nature) | vars(places) | vars(rooms)

SCENES: Final[dict[str, Callable[[Brush], None]]] = {
    row["attribute"]: _PAINTERS[row["attribute"]] for row in attribute_rows("scene")
}
"""EmoSet's scene name -> its painter, the function of that name, in alphabetical order."""

SCENE_NAMES: Final = tuple(SCENES)


def plain(b: Brush) -> None:
    """Paint no scene at all: a soft gradient between two quiet colours."""
    first = b.near(
        mix(b.pick(BRIGHT), b.pick((WHITE, (128, 128, 128), (40, 40, 45))), b.between(0.4, 0.9))
    )
    b.gradient(first, b.near(first, 40))
