"""Readers of class folders, of tables of files, and of what HF ``datasets`` reads.

Each opens what is there as a :class:`~data_modules.columns.ColumnSource`, without reading an image.
"""

import csv
import json
from pathlib import Path
from typing import Any, Final

import datasets

from data_modules.columns import ALL, ColumnSource, Raw, image_files
from data_modules.splits import ALIASES, split_name
from uniemo.errors import UserError, first_line

TABLES: Final = (".csv", ".tsv", ".jsonl")


def read_folder(root: Path, **options: Any) -> ColumnSource:
    """Open a folder ``<split>/<class>/*`` or ``<class>/*``.

    Raises:
        UserError: If it holds no such images.
    """
    inside = sorted(path for path in root.iterdir() if _is_visible_folder(path))
    splits = {path: split_name(path.name) for path in inside}
    has_splits = bool(inside) and all(splits.values())
    tables = {}
    for path in inside if has_splits else [root]:
        classes = sorted(each for each in path.iterdir() if _is_visible_folder(each))
        rows = [(file, each.name) for each in classes for file in image_files(each)]
        if not rows:
            raise UserError(f"{path} holds no folders of images, one for each emotion")
        files, labels = zip(*rows, strict=True)
        columns = {"image": [str(file.relative_to(root)) for file in files], "label": list(labels)}
        tables[splits[path] or ALL if has_splits else ALL] = Raw(
            datasets.Dataset.from_dict(columns), str(path)
        )
    return ColumnSource(root, tables, **options)


def read_table(file: Path, **options: Any) -> ColumnSource:
    """Open a CSV, TSV or JSON Lines file; paths in it start from its folder.

    Raises:
        UserError: If it cannot be read, or has no rows.
    """
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as text ({first_line(error)})") from None
    if file.suffix == ".jsonl":
        rows = [_json_row(line, f"{file}, row {i}") for i, line in enumerate(text.splitlines(), 1)]
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns = {name: [row.get(name) for row in rows] for name in names}
        first = 1
    else:
        reader = csv.reader(text.splitlines(), delimiter="\t" if file.suffix == ".tsv" else ",")
        header, *cells = [row for row in reader if row] or [[]]
        for number, row in enumerate(cells, 2):
            if len(row) != len(header):
                raise UserError(
                    f"{file}, row {number} has {len(row)} columns; the first has {len(header)}"
                )
        columns = {name: [row[i] for row in cells] for i, name in enumerate(header)}
        first = 2  # the header is the first
    if not columns or not next(iter(columns.values())):
        raise UserError(f"{file} has no rows; write a header and a row for each image")
    try:
        rows = datasets.Dataset.from_dict(columns)
    except (ValueError, TypeError) as error:  # pyarrow's, for a column of several types
        raise UserError(f"{file}: a column mixes types ({first_line(error)})") from None
    return ColumnSource(file.parent, {ALL: Raw(rows, str(file), first)}, **options)


def read_datasets(root: Path | str, cache_dir: Path, **options: Any) -> ColumnSource:
    """Open what HF ``datasets`` reads: a folder that it saved, Parquet files, or a hub id.

    Parquet files belong to the split that their path under the folder names, as in
    ``data/train-00000-of-00002.parquet`` or ``test/0.parquet``.

    Raises:
        UserError: If ``datasets`` cannot read it.
    """
    folder = Path(root)
    try:
        if not folder.is_dir():
            found: Any = datasets.load_dataset(str(root), cache_dir=str(cache_dir))
        elif is_saved(folder):
            found = datasets.load_from_disk(str(folder))
        else:
            files: dict[str, list[str]] = {}
            for file in sorted(folder.rglob("*.parquet")):
                parts = [file.stem.split("-")[0], *file.relative_to(folder).parent.parts]
                split = next(filter(None, map(split_name, parts)), None)
                files.setdefault(split or "all", []).append(str(file))
            found = datasets.load_dataset("parquet", data_files=files, cache_dir=str(cache_dir))
    except Exception as error:  # datasets, pyarrow and the hub's client raise dozens of kinds
        raise UserError(
            f"{root} is empty or damaged, or no data set of HF datasets "
            f"({type(error).__name__}: {first_line(error)}); use another copy"
        ) from None
    named = found if isinstance(found, dict) else {"all": found}
    tables = {}
    for name, rows in named.items():
        own = split_name(str(name)) or (ALL if len(named) == 1 else None)
        if own is not None:  # further splits, such as "unsupervised", are not for training
            tables[own] = Raw(rows, f"split {name!r} of {root}")
    if not tables:
        wanted = ", ".join(word for words in ALIASES.values() for word in words)
        raise UserError(f"{root} has the splits {', '.join(map(str, named))}, none of {wanted}")
    licence = next(iter(named.values())).info.license or None
    return ColumnSource(folder, tables, licence=licence, **options)


def is_saved(folder: Path) -> bool:
    """Return whether HF ``datasets`` saved the folder."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def has_classes(folder: Path) -> bool:
    """Return whether a folder holds folders of images, in splits or not."""
    inside = [path for path in folder.iterdir() if _is_visible_folder(path)]
    return any(image_files(path) for path in inside) or any(
        image_files(each)
        for path in inside
        if split_name(path.name)
        for each in path.iterdir()
        if _is_visible_folder(each)
    )


def _is_visible_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _json_row(line: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{place} is no JSON ({first_line(error)}); correct it") from None
    if not isinstance(row, dict):
        raise UserError(f"{place} is {line[:40]!r}; write an object of columns")
    return row
