"""The labels of a data set and the emotions that they name.

A YAML file of your own may say both::

    names: [joy, fear]                     # in index order
    polarity: {joy: positive}              # or negative, or null; by default the usual one
    labels: {happy: joy, Terror: fear}     # other words, or numbers, of the data for them
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from uniemo.emotions import EMOTIONS, Emotions
from uniemo.errors import UserError, known_step


class Labels(NamedTuple):
    """Emotions, and the index of what the data call them."""

    emotions: Emotions
    indices: Mapping[str, int]  # label as text in lower case -> label index

    def of(self, label: Any, place: str) -> int:
        """Return the index of a label at a place in a file.

        Raises:
            UserError: If it names no emotion.
        """
        index = self.indices.get(plain(label))
        if index is None:
            raise UserError(
                f"{place}: label {label!r} is none of the emotions {self.emotions}; "
                "correct it, or name it under 'labels' in the file of data.init_args.emotions"
            )
        return index


def plain(label: Any) -> str:
    """Return a label as it is compared: as text, in lower case."""
    return str(label).strip().lower()


def read_labels(path: Path) -> Labels:
    """Read a YAML file of emotions.

    Raises:
        UserError: If it is missing or malformed.
    """
    if not path.is_file():
        raise UserError(f"{path}, the file of emotions, does not exist")
    with known_step(f"{path} cannot be read", "give a YAML file in UTF-8"):
        content = yaml.safe_load(path.read_text("utf-8"))
    content = content if isinstance(content, dict) else {}
    unknown = set(content) - {"names", "polarity", "labels"}
    names, further = content.get("names"), content.get("labels") or {}
    if unknown or not isinstance(names, list) or not isinstance(further, dict):
        raise UserError(f"{path}: give names (a list), polarity and labels (each name: value)")
    try:
        emotions = Emotions.of(map(plain, names), content.get("polarity"))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    # Numbers are positions in the file's own list, whatever the order of the indices.
    index = {str(i): emotions.index(plain(name)) for i, name in enumerate(names)}
    index |= {name: i for i, name in enumerate(emotions.names)}
    for label, name in further.items():
        if plain(name) not in emotions.names:
            raise UserError(
                f"{path}: label {label!r:.80} stands for {name!r:.80}, which is no emotion"
            )
        index[plain(label)] = emotions.index(plain(name))
    return Labels(emotions, index)


def labels_named(names: Iterable[str], place: str) -> Labels:
    """Return the labels of a list of class names; numbers count through it.

    Raises:
        UserError: If the names are impossible.
    """
    names = [plain(name) for name in names]
    try:
        emotions = Emotions.of(names)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    index = {str(i): emotions.index(name) for i, name in enumerate(names)}
    return Labels(emotions, index | {name: i for i, name in enumerate(emotions.names)})


def labels_found(found: Iterable[Any], place: str) -> Labels:
    """Return the labels of the values of a column: words, or numbers in EmoSet's order.

    Raises:
        UserError: If there are impossible words.
    """
    values = list(found)
    if values and all(isinstance(value, int) for value in values):
        return labels_named(EMOTIONS, place)
    return labels_named(sorted({plain(value) for value in values}), place)
