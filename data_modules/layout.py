"""EmoSet's layout on disk -> one Arrow table per split (METHOD, "Data").

The annotations of a split are read once, checked, and kept as an Arrow file in the cache, named by
a fingerprint of everything it was read from. Pictures stay where they are: the table holds paths.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import datasets
from datasets.arrow_writer import ArrowWriter

from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError

SPLITS: Final = ("train", "val", "test")

FEATURES: Final = datasets.Features(
    {
        "image": datasets.Image(decode=False),  # decoded by views.py, at the scale that it needs
        "image_id": datasets.Value("string"),
        "emotion": datasets.Value("int64"),
        "scene": datasets.Value("int64"),  # -1 where none
        "objects": datasets.List(datasets.Value("int64")),  # empty where none
        "brightness": datasets.Value("float32"),
        "colorfulness": datasets.Value("float32"),
    }
)
"""The columns of every table, wherever it was read from."""

_FORMAT: Final = "1"  # raise it when FEATURES or the meaning of a column changes
_READERS: Final = 16  # threads that read annotations: the wait is for the disk


class SplitRow(NamedTuple):
    """One row of ``{train,val,test}.json``; paths are relative to the root."""

    emotion: str
    image_id: str
    image: str
    annotation: str


class EmoSetLayout:
    """A folder in EmoSet's layout.

    Args:
        root: The folder that holds ``{train,val,test}.json``, ``image/`` and ``annotation/``.
        scene_names: Scene names in index order. Empty: scene annotations are not read.
        object_names: Object names in index order. Empty: object annotations are not read.

    Raises:
        UserError: If the folder does not exist.
    """

    def __init__(self, root: Path, scene_names: Iterable[str], object_names: Iterable[str]) -> None:
        if not root.is_dir():
            raise UserError(f"data folder {root} does not exist; give one in EmoSet's layout")
        self.root = root
        self._absolute_root = root.resolve()
        self.scene_names = list(scene_names)
        self.object_names = list(object_names)
        self._scene_index = {name: index for index, name in enumerate(self.scene_names)}
        self._object_index = {name: index for index, name in enumerate(self.object_names)}

    @classmethod
    def read(cls, root: Path) -> Self:
        """Open a folder with the names that its own ``info.json`` lists.

        Raises:
            UserError: If ``info.json`` is missing, malformed, or numbers the emotions in an order
                other than :data:`uniemo.emotions.EMOTIONS`.
        """
        path = root / "info.json"
        info = _read_json(path)
        emotions, scenes, objects = (
            _names(info, attribute, path) for attribute in ("emotion", "scene", "object")
        )
        if tuple(emotions) != EMOTIONS:
            raise UserError(
                f"{path} numbers the emotions {', '.join(emotions)}; uniemo needs the order "
                f"{', '.join(EMOTIONS)}: rewrite its 'emotion' entry"
            )
        return cls(root, scenes, objects)

    @property
    def splits(self) -> list[str]:
        """The splits that are there."""
        return [split for split in SPLITS if (self.root / f"{split}.json").is_file()]

    def table(self, split: str, cache_dir: Path) -> datasets.Dataset:
        """Return a split as a memory-mapped table with the columns :data:`FEATURES`.

        Safe to call from many processes at once: whoever finds no cached table writes one beside it
        and moves it into place whole.

        Args:
            split: One of :data:`SPLITS`.
            cache_dir: Folder of the Arrow files.

        Raises:
            UserError: If the split or an annotation is missing, malformed or names something that
                ``info.json`` does not, if a picture is missing, or if the split is empty.
        """
        rows = self._rows(split)
        arrow = cache_dir / f"{split}-{self._fingerprint(rows)}.arrow"
        if not arrow.is_file():
            cache_dir.mkdir(parents=True, exist_ok=True)
            with ThreadPoolExecutor(_READERS) as readers:
                examples = list(readers.map(partial(self._example, split), rows))
            with tempfile.TemporaryDirectory(dir=cache_dir, prefix=f".{split}-") as folder:
                written = Path(folder) / arrow.name
                with ArrowWriter(features=FEATURES, path=str(written)) as writer:
                    writer.write_batch({name: [row[name] for row in examples] for name in FEATURES})
                    writer.finalize()
                written.replace(arrow)
        return datasets.Dataset.from_file(str(arrow))

    def _rows(self, split: str) -> list[SplitRow]:
        """Read ``{split}.json``, whose rows are four long, or three in copies without the id."""
        path = self.root / f"{split}.json"
        content = _read_json(path)
        if not isinstance(content, list) or not content:
            raise UserError(f"{path} lists no pictures; it must be a list of rows like {_ROW}")
        rows = []
        for number, row in enumerate(content):
            if (
                not isinstance(row, list)
                or len(row) not in (3, 4)
                or not all(isinstance(cell, str) for cell in row)
            ):
                raise UserError(f"{path}, row {number}, is {row!r}; write it as {_ROW}")
            if row[0] not in EMOTIONS:
                raise UserError(
                    f"{path}, row {number}: emotion {row[0]!r} is unknown; "
                    f"use one of {', '.join(EMOTIONS)}"
                )
            emotion, image, annotation = row[0], row[-2], row[-1]
            rows.append(SplitRow(emotion, Path(image).stem, image, annotation))
            if len(row) == 4:
                rows[-1] = rows[-1]._replace(image_id=row[1])
        return rows

    def _fingerprint(self, rows: list[SplitRow]) -> str:
        """Name a split's content by its rows, all names, and its files' times and sizes."""
        names = [self.scene_names, self.object_names]
        content = json.dumps([_FORMAT, str(self._absolute_root), names, rows])
        digest = blake2b(content.encode(), digest_size=16)
        for row in rows:
            for path in (row.image, row.annotation):
                try:
                    status = os.stat(self.root / path)
                except OSError:
                    continue  # missing: _example says so
                digest.update(f"{status.st_mtime_ns} {status.st_size};".encode())
        return digest.hexdigest()

    def _example(self, split: str, row: SplitRow) -> dict[str, Any]:
        """Read and check one annotation: a row of the table."""
        image, path = self.root / row.image, self.root / row.annotation
        if not image.is_file():
            raise UserError(
                f"picture {image} of {split}.json is missing; copy it there or remove its row"
            )
        annotation = _read_json(path)
        if not isinstance(annotation, dict):
            raise UserError(f"{path} holds no JSON object; write one with EmoSet's attributes")
        if annotation.get("emotion", row.emotion) != row.emotion:
            raise UserError(
                f"{path} says {annotation['emotion']!r} but {split}.json says {row.emotion!r}; "
                "make them agree"
            )
        scene, objects = annotation.get("scene"), annotation.get("object") or []
        objects = [objects] if isinstance(objects, str) else objects
        if not isinstance(objects, list):
            raise UserError(f"{path}: object is {objects!r}; write a list of names")
        return {
            "image": str(self._absolute_root / row.image),
            "image_id": row.image_id,
            "emotion": EMOTIONS.index(row.emotion),
            "scene": _index(scene, self._scene_index, "scene", path) if scene else -1,
            "objects": [
                _index(name, self._object_index, "object", path) for name in dict.fromkeys(objects)
            ]
            if self._object_index
            else [],
            "brightness": _unit_number(annotation, "brightness", path),
            "colorfulness": _unit_number(annotation, "colorfulness", path),
        }


_ROW: Final = '["amusement", "amusement_1", "image/.../1.jpg", "annotation/.../1.json"]'


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing; the folder must hold EmoSet's layout whole, or a hub's copy of it"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); restore it") from None


def _names(info: Any, attribute: str, path: Path) -> list[str]:
    """The names of one attribute of ``info.json``, in the order of their indices."""
    try:
        label2idx = dict(info[attribute]["label2idx"])
        names = sorted(label2idx, key=label2idx.__getitem__)
        indices = [label2idx[name] for name in names]
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} lacks {attribute}.label2idx (name -> index); restore it") from None
    if indices != list(range(len(names))):
        raise UserError(
            f"{path}: {attribute}.label2idx must number its names 0, 1, 2, ...; mend it"
        )
    return names


def _index(name: Any, indices: Mapping[str, int], attribute: str, path: Path) -> int:
    if not indices:
        return -1
    if not isinstance(name, str) or name not in indices:
        raise UserError(f"{path}: {attribute} {name!r} is not in info.json; correct one of the two")
    return indices[name]


def _unit_number(annotation: dict[str, Any], key: str, path: Path) -> float:
    number = annotation.get(key)
    if not isinstance(number, int | float) or not 0 <= number <= 1:
        raise UserError(f"{path}: {key} is {number!r}; write a number from 0 to 1")
    return float(number)
