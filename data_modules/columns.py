"""Rows of any table, a class folder, a CSV file or a hub's data set, in the columns of training.

The readers bring raw columns; which of them is what, a map of columns says. Everything is checked
here, once, with the row that is wrong.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import datasets
import numpy as np

from data_modules.cached import cached_table, status_digest
from data_modules.labels import Labels, labels_found, labels_named, plain, read_labels
from data_modules.layout import FEATURES
from data_modules.licence import folder_licence
from data_modules.splits import Shares, split_name, stratified_split
from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.utils.emoset_files import SPLITS

Columns = Mapping[str, str | list[str]]
"""What is in which column: see :data:`MEANINGS`."""

MEANINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "image": ("image", "path", "file", "file_name", "filename", "image_path"),
    "label": ("label", "labels", "emotion", "class"),
    "votes": ("votes",),
    "scene": ("scene",),
    "objects": ("objects", "object"),
    "valence": ("valence",),
    "arousal": ("arousal",),
    "image_id": ("image_id", "id"),
    "split": ("split",),
}
"""What a column may be, and the names that are recognised without a map."""

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff")
NUMBERS: Final = ("valence", "arousal")
ALL: Final = ""  # the name of a table that has no splits


class Raw(NamedTuple):
    """A table as a reader found it."""

    rows: datasets.Dataset
    place: str  # its file or folder, for messages
    first: int = 0  # number of the first row in messages


class ColumnSource:
    """A data set whose tables have columns of their own.

    Args:
        root: The folder that relative paths of images start from.
        tables: By split; under :data:`ALL` one without splits, or with a column of them.
        columns: The map of columns; what it leaves out is recognised by name.
        emotions: YAML file of names, polarity and labels; None for those found.
        shares: Of train, val and test, where there are no splits.
        licence: Of the data, where it is known.

    Raises:
        UserError: If the map names a column that does not exist, or there are no emotions.
    """

    def __init__(
        self,
        root: Path,
        tables: Mapping[str, Raw],
        columns: Columns | None = None,
        emotions: Path | None = None,
        shares: Shares = (0.8, 0.1, 0.1),
        licence: str | None = None,
    ) -> None:
        self.root, self.licence = root, licence or folder_licence(root)
        self._tables, self._shares = dict(tables), shares
        for place, rows in ((raw.place, raw.rows) for raw in self._tables.values()):
            if len(rows) == 0:
                raise UserError(f"{place} is empty; use another copy")
        first = next(iter(self._tables.values()))
        self._column = _matched(first.rows.column_names, columns or {}, first.place)
        self._labels = self._read_labels(emotions)

    @property
    def emotions(self) -> Emotions:
        """What the images are labelled with."""
        return self._labels.emotions

    @cached_property
    def scene_names(self) -> list[str]:
        """Names of scenes, in the order of the alphabet."""
        return self._names("scene")

    @cached_property
    def object_names(self) -> list[str]:
        """Names of objects, in the order of the alphabet."""
        return self._names("objects")

    @property
    def splits(self) -> list[str]:
        """The splits that exist."""
        return [split for split in SPLITS if split in self._rows]

    def sound(self, problems: list[str]) -> Self:
        """Return the data set without the rows that cannot be used; add what is wrong with them."""
        tables = {}
        for name, raw in self._tables.items():
            wrong = {i: text for i in range(len(raw.rows)) if (text := self._problem(raw, i))}
            problems += wrong.values()
            rows = raw.rows.select([i for i in range(len(raw.rows)) if i not in wrong])
            if len(rows):
                tables[name] = raw._replace(rows=rows)
        if not tables:
            raise UserError(f"{self.root} has no row that can be used; the first: {problems[0]}")
        other = copy(self)
        for cached in ("_votes", "_rows", "scene_names", "object_names"):
            vars(other).pop(cached, None)
        other._tables = tables
        return other

    def _problem(self, raw: Raw, index: int) -> str | None:
        """Return what is wrong with a row; None if nothing is."""
        row, place = raw.rows[index], _row(raw, index)
        try:
            if "votes" in self._column:
                _shares(self._votes_of(row), len(self.emotions), place)
            else:
                self._label(raw, row[str(self._column["label"])], place)
            if "split" in self._column:
                _split(row[str(self._column["split"])], place)
            if isinstance(raw.rows.features[str(self._column["image"])], datasets.Value):
                self._path(str(row[str(self._column["image"])]), place)
            for meaning in NUMBERS:
                if meaning in self._column:
                    _number(row[str(self._column[meaning])], meaning, place)
        except UserError as error:
            return str(error)
        return None

    def table(self, split: str, cache_dir: Path) -> datasets.Dataset:
        """Return a split in the columns of :data:`FEATURES`; images stay where they are.

        Raises:
            UserError: If the split does not exist, or a row is wrong.
        """
        if split not in self._rows:
            raise UserError(f"{self.root} holds no split {split!r}; add it, or use another copy")
        name, rows = self._rows[split]
        whole = self._whole(name, cache_dir)
        return whole if rows is None else whole.select(rows)

    # --- Labels and splits -----------------------------------------------------------------------

    def _read_labels(self, file: Path | None) -> Labels:
        if file is not None:
            return read_labels(file)
        votes, name = self._column.get("votes"), self._column.get("label")
        place = " and ".join(raw.place for raw in self._tables.values())
        if isinstance(votes, list):
            return labels_named(votes, place)
        if name is None:
            raise UserError(
                f"{place}: a column of votes has no names; give data.init_args.emotions"
            )
        feature = next(iter(self._tables.values())).rows.features[str(name)]
        if isinstance(feature, datasets.ClassLabel):
            return labels_named(feature.names, place)
        found = [value for raw in self._tables.values() for value in raw.rows[str(name)]]
        return labels_found(found, place)

    def _index(self, name: str) -> list[int]:
        """Return the label index of every row of a table."""
        raw = self._tables[name]
        if "votes" in self._column:
            return [int(np.argmax(votes)) for votes in self._votes[name]]
        values = raw.rows[str(self._column["label"])]
        return [self._label(raw, value, _row(raw, i)) for i, value in enumerate(values)]

    def _label(self, raw: Raw, value: Any, place: str) -> int:
        """Return the label index of a cell."""
        feature = raw.rows.features[str(self._column["label"])]
        if isinstance(feature, datasets.ClassLabel) and value in range(feature.num_classes):
            value = feature.names[value]
        return self._labels.of(value, place)

    @cached_property
    def _votes(self) -> dict[str, list[list[float]]]:
        """The share of each emotion in the votes of every row, by table."""
        n = len(self.emotions)
        return {
            name: [
                _shares(self._votes_of(row), n, _row(raw, i))
                for i, row in enumerate(raw.rows.select_columns(self._vote_columns))
            ]
            for name, raw in self._tables.items()
        }

    @property
    def _vote_columns(self) -> list[str]:
        column = self._column["votes"]
        return [column] if isinstance(column, str) else list(column)

    def _votes_of(self, row: Mapping[str, Any]) -> Any:
        """Return the votes in a row, in the order of the emotions' indices."""
        if isinstance(column := self._column["votes"], str):
            return row[column]
        return [row[self._vote_column[name]] for name in self.emotions.names]

    @cached_property
    def _vote_column(self) -> dict[str, str]:
        """The columns of votes by emotion."""
        by_name = {plain(column): column for column in self._vote_columns}
        if missing := [name for name in self.emotions.names if name not in by_name]:
            raise UserError(f"{self.root} has no column of votes for {missing[0]!r}")
        return by_name

    @cached_property
    def _rows(self) -> dict[str, tuple[str, np.ndarray | None]]:
        """For each split its table, and its rows in it; None for all."""
        rows: dict[str, tuple[str, np.ndarray | None]]
        if ALL in self._tables:
            raw = self._tables[ALL]
            if "split" not in self._column:
                parts = stratified_split(np.array(self._index(ALL)), self._shares)
                return {split: (ALL, rows) for split, rows in zip(SPLITS, parts, strict=True)
                        if len(rows)}  # fmt: skip
            values = raw.rows[str(self._column["split"])]
            kinds = np.array([_split(value, _row(raw, i)) for i, value in enumerate(values)])
            rows = {split: (ALL, np.flatnonzero(kinds == split)) for split in set(kinds.tolist())}
        else:
            rows = {split: (split, None) for split in self._tables}
        if "val" not in rows and "train" in rows:
            name, chosen = rows["train"]
            chosen = np.arange(len(self._tables[name].rows)) if chosen is None else chosen
            label = np.array(self._index(name))[chosen]
            train, val = stratified_split(label, self._shares[:2])
            if len(val):
                rows |= {"train": (name, chosen[train]), "val": (name, chosen[val])}
        return rows

    def _names(self, meaning: str) -> list[str]:
        if meaning not in self._column:
            return []
        column = str(self._column[meaning])
        values = (value for raw in self._tables.values() for value in raw.rows[column])
        return sorted({name for value in values for name in _listed(value)})

    # --- Rows ------------------------------------------------------------------------------------

    def _whole(self, name: str, cache_dir: Path) -> datasets.Dataset:
        """Return a whole table in the columns of training."""
        raw, image = self._tables[name], str(self._column["image"])
        embedded = not isinstance(raw.rows.features[image], datasets.Value)
        if not embedded:
            paths = self._paths(raw, list(raw.rows[image]))
            digest = status_digest(
                paths, [raw.place, self._column, self.emotions.names, self._labels.indices,
                        raw.rows._fingerprint],
            )  # fmt: skip
            features = FEATURES | self._further_features()
            return cached_table(
                cache_dir / f"{name or 'all'}-{digest}.arrow", features,
                lambda: {"image": [str(path) for path in paths], **self._content(name, paths)},
            )  # fmt: skip
        images = raw.rows.select_columns([image]).cast_column(image, FEATURES["image"])
        features = {key: kind for key, kind in FEATURES.items() if key != "image"}
        content = datasets.Dataset.from_dict(
            self._content(name, None),
            features=datasets.Features(features | self._further_features()),
        )
        return datasets.concatenate_datasets(
            [images.rename_columns({image: "image"}), content], axis=1
        )

    def _further_features(self) -> dict[str, Any]:
        """Return the columns of votes and of valence and arousal, where the data have them."""
        number = datasets.Value("float32")
        kinds = {"votes": datasets.List(number), **dict.fromkeys(NUMBERS, number)}
        return {key: kind for key, kind in kinds.items() if key in self._column}

    def _content(self, name: str, paths: Sequence[Path] | None) -> dict[str, list[Any]]:
        """Return all columns but the images of a table."""
        raw, n = self._tables[name], len(self._tables[name].rows)

        def column(meaning: str) -> list[Any] | None:
            key = self._column.get(meaning)
            return None if key is None else list(raw.rows[str(key)])

        ids, scene, objects = column("image_id"), column("scene"), column("objects")
        if ids is None and paths is not None:
            ids = [str(_within(path, self.root).with_suffix("")) for path in paths]
        content: dict[str, list[Any]] = {
            "image_id": list(map(str, ids or [f"{name or 'row'}_{row:06d}" for row in range(n)])),
            "emotion": self._index(name),
            "scene": [-1] * n if scene is None else _numbered(scene, self.scene_names),
            "objects": [[]] * n if objects is None else _lists(objects, self.object_names),
            "brightness": [float("nan")] * n,
            "colorfulness": [float("nan")] * n,
        }
        if "votes" in self._column:
            content["votes"] = self._votes[name]
        for meaning in NUMBERS:
            if (values := column(meaning)) is not None:
                content[meaning] = [_number(v, meaning, _row(raw, i)) for i, v in enumerate(values)]
        return content

    def _paths(self, raw: Raw, values: Sequence[str]) -> list[Path]:
        """Return the files of a column of paths, or of names without suffix."""
        return [self._path(str(value), _row(raw, i)) for i, value in enumerate(values)]

    def _path(self, value: str, place: str) -> Path:
        path = self.root / value
        if not path.is_file():
            path = self._by_name.get(value, path)
        if not path.is_file():
            raise UserError(f"{place}: image {path} is missing; copy it there or remove the row")
        return path.absolute()

    @cached_property
    def _by_name(self) -> dict[str, Path]:
        """The images under the folder by their names without suffix."""
        return {path.stem: path for path in image_files(self.root, recursive=True)}


def image_files(folder: Path, recursive: bool = False) -> list[Path]:
    """Return the images in a folder, in the order of their names; hidden ones are no images."""
    found = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(
        path
        for path in found
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _matched(names: Sequence[str], given: Columns, place: str) -> dict[str, str | list[str]]:
    """Return the columns by what they are."""
    if unknown := [meaning for meaning in given if meaning not in MEANINGS]:
        raise UserError(
            f"data.init_args.columns has {unknown[0]!r}; give some of {', '.join(MEANINGS)}"
        )
    for column in given.values():
        for each in column if isinstance(column, list) else [column]:
            if each not in names:
                raise UserError(f"{place} has no column {each!r}; it has {', '.join(names)}")
    found: dict[str, str | list[str]] = dict(given)
    for meaning, usual in MEANINGS.items():
        own = next((name for name in usual if name in names), None)
        if own is not None and meaning not in found and own not in found.values():
            found[meaning] = own
    if "image" not in found or not {"label", "votes"} & set(found):
        raise UserError(
            f"{place} has the columns {', '.join(names)}; it needs an image and a label or votes: "
            "name them in data.init_args.columns"
        )
    return found


def _row(raw: Raw, index: int) -> str:
    return f"{raw.place}, row {raw.first + index}"


def _within(path: Path, root: Path) -> Path:
    return path.relative_to(root.absolute()) if path.is_relative_to(root.absolute()) else path


def _shares(votes: Any, n: int, place: str) -> list[float]:
    """Return votes as shares that sum to 1."""
    numbers = [_number(vote, "a vote", place) for vote in votes or ()]
    if len(numbers) != n or min(numbers) < 0 or sum(numbers) <= 0:
        raise UserError(
            f"{place}: the votes are {numbers}; give {n} numbers, 0 or more, not all of them 0"
        )
    return [number / sum(numbers) for number in numbers]


def _split(value: Any, place: str) -> str:
    split = split_name(str(value))
    if split is None:
        raise UserError(f"{place}: the split must be train, val or test; correct it")
    return split


def _number(value: Any, what: str, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise UserError(f"{place}: {what} is {value!r}; give a number")
    return number


def _listed(value: Any) -> list[str]:
    """Return the names in a cell: none, one, a list, or several with semicolons between them."""
    if value is None:
        return []
    parts = value.split(";") if isinstance(value, str) else value
    return [name for name in (str(part).strip() for part in parts) if name]


def _numbered(values: Sequence[Any], names: Sequence[str]) -> list[int]:
    index = {name: i for i, name in enumerate(names)}
    return [next((index[name] for name in _listed(value)), -1) for value in values]


def _lists(values: Sequence[Any], names: Sequence[str]) -> list[list[int]]:
    index = {name: i for i, name in enumerate(names)}
    return [[index[name] for name in dict.fromkeys(_listed(value))] for value in values]
