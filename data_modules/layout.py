"""EmoSet's layout -> one Arrow table per split (docs/method.md, "Data").

The annotations of a split are read once, checked, and kept as an Arrow file in the cache, named by
a fingerprint of everything it was read from. Images are not copied: the table holds paths.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from os.path import isfile, islink, join
from pathlib import Path
from typing import Any, Final, Self

import datasets

from data_modules.cached import cached_table, status_digest
from data_modules.licence import layout_licence
from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.utils.emoset_files import SPLITS, SplitRow, read_annotation, read_info, read_split

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
_CHUNK: Final = 256  # rows that a thread reads at once


class EmoSetLayout:
    """A folder in EmoSet's layout.

    Args:
        root: The folder that holds ``{train,val,test}.json``, ``image/`` and ``annotation/``.
        emotions: What the images may evoke.
        scene_names: Scene names in index order. Empty: scene annotations are not read.
        object_names: Object names in index order. Empty: object annotations are not read.

    Raises:
        UserError: If the folder does not exist.
    """

    def __init__(
        self,
        root: Path,
        emotions: Emotions,
        scene_names: Iterable[str],
        object_names: Iterable[str],
    ) -> None:
        if not root.is_dir():
            raise UserError(f"data folder {root} does not exist; give one in EmoSet's layout")
        self.root, self.emotions = root, emotions
        self._rows: dict[str, list[SplitRow]] | None = None  # of each split, once they are sound
        self._tables: dict[str, datasets.Dataset] = {}  # compared with the files once
        self._absolute_root = root.resolve()
        self.scene_names = list(scene_names)
        self.object_names = list(object_names)
        self._scene_index = {name: index for index, name in enumerate(self.scene_names)}
        self._object_index = {name: index for index, name in enumerate(self.object_names)}

    @classmethod
    def read(cls, root: Path) -> Self:
        """Open a folder with the names that its own ``info.json`` lists.

        Raises:
            UserError: If ``info.json`` is missing or malformed.
        """
        return cls(root, *read_info(root))

    @property
    def splits(self) -> list[str]:
        """The splits that exist."""
        if self._rows is not None:
            return list(self._rows)
        return [split for split in SPLITS if (self.root / f"{split}.json").is_file()]

    @property
    def licence(self) -> str | None:
        """The terms of the data; None if they are not known."""
        sizes = len(self.scene_names), len(self.object_names)
        return layout_licence(self.root, self.emotions, *sizes)

    def sound(self, problems: list[str]) -> Self:
        """Return the data set without the rows that cannot be used; add what is wrong with them."""
        other = type(self)(self.root, self.emotions, self.scene_names, self.object_names)
        other._rows = {}
        for split in self.splits:
            try:
                rows = read_split(self.root, split, self.emotions, problems)
            except UserError as error:
                problems.append(str(error))
                continue
            with ThreadPoolExecutor(_READERS) as readers:
                found = list(readers.map(partial(self._problem, split), rows))
            problems += filter(None, found)
            sound = [row for row, wrong in zip(rows, found, strict=True) if not wrong]
            if sound:
                other._rows[split] = sound
        return other

    def _problem(self, split: str, row: SplitRow) -> str | None:
        try:
            self._example(split, row)
        except UserError as error:
            return str(error)
        return None

    def table(self, split: str, cache_dir: Path) -> datasets.Dataset:
        """Return a split as a memory-mapped table with the columns :data:`FEATURES`.

        Safe to call from many processes at once: a process that finds no cached table writes one
        beside it and renames it.

        Args:
            split: One of :data:`SPLITS`.
            cache_dir: Folder of the Arrow files.

        Raises:
            UserError: If the split or an annotation is missing, malformed or names something that
                ``info.json`` does not, if an image is missing, or if the split is empty.
        """
        if split in self._tables:
            return self._tables[split]
        rows = None if self._rows is None else self._rows.get(split)
        rows = rows or read_split(self.root, split, self.emotions)
        names = [self.scene_names, self.object_names]
        if self.emotions != Emotions():
            names.append(list(self.emotions.names))
        # Strings: a hundred thousand Path objects take seconds.
        paths = (join(self.root, path) for row in rows for path in (row.image, row.annotation))
        digest = status_digest(paths, [_FORMAT, str(self._absolute_root), names, rows])

        def columns() -> dict[str, list[Any]]:
            chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
            with ThreadPoolExecutor(_READERS) as readers:
                read = readers.map(
                    lambda chunk: [self._example(split, row) for row in chunk], chunks
                )
                examples = list(chain.from_iterable(read))
            return {name: [row[name] for row in examples] for name in FEATURES}

        arrow = cache_dir / f"{split}-{digest}.arrow"
        self._tables[split] = cached_table(arrow, FEATURES, columns)
        return self._tables[split]

    def _example(self, split: str, row: SplitRow) -> dict[str, Any]:
        """Read and check one annotation: a row of the table."""
        image, path = join(self.root, row.image), self.root / row.annotation
        if not isfile(image):
            raise UserError(
                f"image {image} of {split}.json is missing; copy it there or remove its row"
            )
        if islink(image) and not Path(image).resolve().is_relative_to(self._absolute_root):
            raise UserError(f"image {image} is a link out of the data folder; copy it there")
        annotation = read_annotation(self.root, split, row)
        scene = [] if annotation.scene is None else [annotation.scene]
        return {
            "image": join(self._absolute_root, row.image),
            "image_id": row.image_id,
            "emotion": self.emotions.index(row.emotion),
            "scene": next(iter(_indices(scene, self._scene_index, "scene", path)), -1),
            "objects": _indices(annotation.objects, self._object_index, "object", path),
            "brightness": annotation.brightness,
            "colorfulness": annotation.colorfulness,
        }


def _indices(names: Any, indices: Mapping[str, int], attribute: str, path: Path) -> list[int]:
    """Look up names, each once; none where the attribute has no names."""
    for name in names if indices else ():
        if not isinstance(name, str) or name not in indices:
            raise UserError(
                f"{path}: {attribute} {name!r:.80} is not in info.json; correct one of the two"
            )
    return [indices[name] for name in dict.fromkeys(names)] if indices else []
