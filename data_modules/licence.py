"""The licence of a data set, where it is known."""

from pathlib import Path
from typing import Final

from uniemo.emotions import Emotions
from uniemo.utils.files import read_json

EMOSET: Final = "EmoSet's: non-commercial research, on request from its authors"
EMOSCENES: Final = "pictures CC-BY 4.0 (Twemoji); labels after EmoSet's published statistics"
_EMOSET_NAMES: Final = (254, 409)  # scenes and objects


def folder_licence(root: Path) -> str | None:
    """Return the first line of a folder's LICENSE file; None if it has none."""
    for path in sorted(root.glob("LICEN[SC]E*")) if root.is_dir() else ():
        lines = (line.strip() for line in path.read_text("utf-8", "replace").splitlines())
        return next(filter(None, lines), None)
    return None


def layout_licence(root: Path, emotions: Emotions, n_scenes: int, n_objects: int) -> str | None:
    """Return the licence of a folder in EmoSet's layout."""
    try:
        composed = read_json(root / "card.json")["name"] == "EmoScenes"
    except (OSError, ValueError, KeyError, TypeError):
        composed = False
    if composed:
        return EMOSCENES
    own = emotions == Emotions() and (n_scenes, n_objects) == _EMOSET_NAMES
    return folder_licence(root) or (EMOSET if own else None)
