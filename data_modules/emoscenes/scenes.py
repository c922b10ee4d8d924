"""The 24 scenes of EmoScenes and the plain ground, painted with a :class:`Brush`.

Chosen from EmoSet's 254 scenes so that a person tells them apart at 64 pixels, that they differ in
layout and colour, and that each of the eight emotions has scenes that indicate it (extension).
"""

from collections.abc import Callable
from typing import Final

from data_modules.emoscenes import halls, nature, places, rooms
from data_modules.emoscenes.brush import BRIGHT, WHITE, Brush, mix

SCENES: Final[dict[str, Callable[[Brush], None]]] = {
    painter.__name__: painter
    for painter in (
        places.amusement_park,
        halls.auditorium,
        rooms.bedroom,
        halls.boxing_ring,
        places.bullring,
        rooms.catacomb,
        places.cemetery,
        nature.coast,
        rooms.corridor,
        halls.delicatessen,
        rooms.greenhouse,
        halls.ice_skating_rink,
        places.industrial_area,
        rooms.jail_cell,
        places.landfill,
        nature.mountain_snowy,
        places.playground,
        nature.pond,
        halls.stage,
        halls.supermarket,
        nature.underwater,
        nature.volcano,
        nature.waterfall,
        places.windmill,
    )
}
"""EmoSet's scene name -> its painter, in alphabetical order."""

SCENE_NAMES: Final = tuple(SCENES)


def plain(b: Brush) -> None:
    """Paint no scene at all: a soft gradient between two quiet colours."""
    first = b.near(
        mix(b.pick(BRIGHT), b.pick((WHITE, (128, 128, 128), (40, 40, 45))), b.between(0.4, 0.9))
    )
    b.gradient(first, b.near(first, 40))
