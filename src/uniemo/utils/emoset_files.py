"""EmoSet's layout: the one place where its JSON files are written, read and checked.

A folder in this layout holds

    info.json                       for each attribute ``label2idx`` and ``idx2label``; the emotion
                                    may have ``polarity``: name -> positive, negative or null
    {train,val,test}.json           rows [emotion, image id, image, annotation]; some copies of
                                    EmoSet leave out the id
    annotation/EMOTION/ID.json      the attributes of one image: brightness and colorfulness from
                                    0 to 1; scene (a name) and object (names) where annotated
    image/EMOTION/ID.jpg            the image

Paths in rows are relative to the folder, or absolute.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.utils.files import read_json, write_json

SPLITS: Final = ("train", "val", "test")

LONGEST_PATH: Final = 4000
"""Bytes; no system opens much longer ones."""
LONGEST_NAME: Final = 255
"""Bytes of a file's name."""

_ROW: Final = '["amusement", "amusement_1", "image/.../1.jpg", "annotation/.../1.json"]'


class SplitRow(NamedTuple):
    """One row of ``{train,val,test}.json``."""

    emotion: str
    image_id: str
    image: str
    annotation: str

    @classmethod
    def of(cls, emotion: str, image_id: str, image: str | None = None) -> Self:
        """Return the row of an image; by default the image lies where EmoSet's do."""
        image = image or f"image/{emotion}/{image_id}.jpg"
        return cls(emotion, image_id, image, f"annotation/{emotion}/{image_id}.json")

    def absolute(self, root: Path) -> Self:
        """Return the row with absolute paths, so that a split of another folder can list it."""
        return self._replace(image=str(root / self.image), annotation=str(root / self.annotation))


class Info(NamedTuple):
    """What ``info.json`` names, in index order."""

    emotions: Emotions
    scenes: list[str]
    objects: list[str]


class Annotation(NamedTuple):
    """What is known of one image."""

    brightness: float
    colorfulness: float
    scene: str | None = None
    objects: Sequence[str] = ()


def write_info(
    root: Path,
    attributes: Mapping[str, Sequence[str | float]],
    emotions: Emotions,
    compact: bool = False,
) -> None:
    """Write ``info.json``: the emotions, then other attributes' labels in index order."""
    info: dict[str, dict[str, Any]] = {
        attribute: {
            "label2idx": {str(label): index for index, label in enumerate(labels)},
            "idx2label": {str(index): label for index, label in enumerate(labels)},
        }
        for attribute, labels in {"emotion": emotions.names, **attributes}.items()
    }
    if emotions != Emotions.of(emotions.names):
        polarity = [emotions.polarity_name(index) for index in range(len(emotions))]
        info["emotion"]["polarity"] = dict(zip(emotions.names, polarity, strict=True))
    write_json(root / "info.json", info, compact)


def write_split(root: Path, split: str, rows: Iterable[SplitRow], compact: bool = False) -> None:
    """Write the rows of a split, on one line if ``compact``."""
    write_json(root / f"{split}.json", list(rows), compact)


def write_annotation(
    root: Path,
    row: SplitRow,
    annotation: Annotation,
    further: Mapping[str, Any] | None = None,
    compact: bool = False,
) -> None:
    """Write the annotation file of one image; a scene or objects that are missing are left out.

    ``further`` are entries that EmoSet itself does not have.
    """
    content: dict[str, Any] = {
        "image_id": row.image_id,
        "emotion": row.emotion,
        "brightness": annotation.brightness,
        "colorfulness": annotation.colorfulness,
    }
    if annotation.scene is not None:
        content["scene"] = annotation.scene
    if annotation.objects:
        content["object"] = list(annotation.objects)
    write_json(root / row.annotation, content | dict(further or {}), compact)


def read_info(root: Path) -> Info:
    """Read the names of emotions, scenes and objects from ``info.json``.

    Raises:
        UserError: If it is missing or malformed.
    """
    path = root / "info.json"
    info = _read_json(path)
    emotions, scenes, objects = (
        _labels(info, attribute, path) for attribute in ("emotion", "scene", "object")
    )
    try:
        return Info(Emotions.of(emotions, info["emotion"].get("polarity")), scenes, objects)
    except (UserError, AttributeError, TypeError) as error:  # a polarity that is no mapping
        raise UserError(f"{path}: emotion cannot be used ({error}); restore it") from None


def read_split(
    root: Path, split: str, emotions: Emotions, problems: list[str] | None = None
) -> list[SplitRow]:
    """Read the rows of a split; where the id is left out, it is the image's file name.

    Args:
        root: The folder.
        split: The split.
        emotions: Those that it may list.
        problems: Takes what is wrong with rows, which are left out; None to raise it.

    Raises:
        UserError: If the file is missing, empty or malformed, or a row is and problems is None.
    """
    path = root / f"{split}.json"
    content = _read_json(path)
    if not isinstance(content, list) or not content:
        raise UserError(f"{path} lists no images; it must be a list of rows like {_ROW}")
    rows = []
    for number, row in enumerate(content):
        try:
            rows.append(_split_row(row, f"{path}, row {number}", emotions))
        except UserError as error:
            if problems is None:
                raise
            problems.append(str(error))
    return rows


def _split_row(row: Any, place: str, emotions: Emotions) -> SplitRow:
    match row:
        case [str(emotion), str(name), str(image), str(annotation)]:
            pass
        case [str(emotion), str(image), str(annotation)]:
            name = Path(image).stem
        case _:
            raise UserError(f"{place}, is {row!r:.120}; write it as {_ROW}")
    if emotion not in emotions.names:
        raise UserError(f"{place}: emotion {emotion!r:.80} is unknown; use one of {emotions}")
    for text in (name, image, annotation):
        parts = Path(text).parts
        long = len(text.encode()) > LONGEST_PATH or any(
            len(part.encode()) > LONGEST_NAME for part in parts
        )
        if not parts or ".." in parts or "\0" in text or long:
            raise UserError(f"{place}: {text!r:.80} is no path within the folder; correct it")
    return SplitRow(emotion, name, image, annotation)


def read_annotation(root: Path, split: str, row: SplitRow) -> Annotation:
    """Read the annotation of an image of a split; its names are not compared with ``info.json``.

    Raises:
        UserError: If the file is missing or malformed, or disagrees with the row.
    """
    path = root / row.annotation
    content = _read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object; write one with EmoSet's attributes")
    if content.get("emotion", row.emotion) != row.emotion:
        raise UserError(
            f"{path} says {content['emotion']!r:.80} but {split}.json says {row.emotion!r}; "
            "make them agree"
        )
    objects = content.get("object") or []
    objects = [objects] if isinstance(objects, str) else objects
    if not isinstance(objects, list):
        raise UserError(f"{path}: object is {objects!r:.80}; write a list of names")
    return Annotation(
        _unit_number(content, "brightness", path),
        _unit_number(content, "colorfulness", path),
        content.get("scene") or None,
        objects,
    )


def _labels(info: Any, attribute: str, path: Path) -> list[str]:
    """Return the labels of one attribute of ``info.json`` in index order."""
    try:
        label2idx = dict(info[attribute]["label2idx"])
        labels = sorted(label2idx, key=label2idx.__getitem__)
        indices = [label2idx[label] for label in labels]
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} lacks {attribute}.label2idx (name -> index); restore it") from None
    if indices != list(range(len(labels))):
        raise UserError(
            f"{path}: {attribute}.label2idx must number its names 0, 1, 2, ...; correct it"
        )
    return labels


def _unit_number(content: dict[str, Any], key: str, path: Path) -> float:
    number = content.get(key)
    if not isinstance(number, int | float) or not 0 <= number <= 1:
        raise UserError(f"{path}: {key} is {number!r:.80}; write a number from 0 to 1")
    return float(number)


def _read_json(path: Path) -> Any:
    try:
        content = read_json(path)
        json.dumps(content, ensure_ascii=False).encode()  # halves of characters are no text
        return content
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing; the folder must hold EmoSet's layout whole, or a hub's copy of it"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); restore it") from None
