"""Open a data set of any kind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self, cast

import datasets

from data_modules.columns import Columns
from data_modules.layout import EmoSetLayout
from data_modules.readers import (
    TABLES,
    has_classes,
    is_saved,
    read_datasets,
    read_folder,
    read_table,
)
from data_modules.splits import Shares
from uniemo.errors import UserError
from uniemo.utils.data import Labelled

Reader = Literal["auto", "emoset", "folder", "table", "datasets"]
"""``emoset``: EmoSet's layout. ``folder``: ``<split>/<class>/*`` or ``<class>/*``. ``table``: a
CSV, TSV or JSON Lines file. ``datasets``: a hub id, a folder saved by HF ``datasets``, or Parquet.
``auto``: which of them it is shows at the root; a hub id needs the keyword."""


@dataclass(frozen=True)
class ReaderConfig:
    """How a data set is read; see :class:`data_modules.EmoSetDataModule`."""

    kind: Reader = "auto"
    columns: Columns | None = None
    emotions: str | None = None
    shares: Shares = (0.8, 0.1, 0.1)

    def __post_init__(self) -> None:
        if len(self.shares) != 3 or min(self.shares) < 0 or self.shares[0] <= 0:
            raise UserError(
                f"shares is {self.shares}; give those of train, val and test, train's above 0"
            )


class Source(Labelled, Protocol):
    """A data set on disk."""

    root: Path

    @property
    def splits(self) -> list[str]:
        """The splits that exist."""

    def sound(self, problems: list[str]) -> Self:
        """Return the data set without the rows that cannot be used; add what is wrong with them."""

    def table(self, split: str, cache_dir: Path) -> datasets.Dataset:
        """Return a split as a table with the columns ``data_modules.layout.FEATURES``."""


def open_source(
    root: str, config: ReaderConfig | None = None, cache_dir: Path | None = None
) -> Source:
    """Open a data set.

    Raises:
        UserError: If there is none, or it is not what the reader reads.
    """
    config = config or ReaderConfig()
    path = Path(root).expanduser()
    kind = _kind(path) if config.kind == "auto" else config.kind
    if kind == "emoset":
        if given := [key for key in ("columns", "emotions") if getattr(config, key)]:
            raise UserError(
                f"{path} is in EmoSet's layout, whose info.json says what {given[0]} say"
            )
        return EmoSetLayout.read(path)
    options: dict[str, Any] = {
        "columns": config.columns,
        "emotions": None if config.emotions is None else Path(config.emotions).expanduser(),
        "shares": config.shares,
    }
    if kind == "datasets":
        found = path if path.exists() else root
        return cast(Source, read_datasets(found, cache_dir or cache_folder(None), **options))
    if kind == "table":
        if not path.is_file():
            raise UserError(f"table {path} does not exist; give a {', '.join(TABLES)} file")
        return cast(Source, read_table(path, **options))
    if not path.is_dir():
        raise UserError(f"data folder {path} does not exist; give one of class folders")
    return cast(Source, read_folder(path, **options))


def _kind(path: Path) -> Reader:
    """Return which reader reads what lies there."""
    if path.is_file() and path.suffix in TABLES:
        return "table"
    if not path.is_dir():
        raise UserError(
            f"data folder {path} does not exist; give one in EmoSet's layout or of class "
            f"folders, a {', '.join(TABLES)} file, or a hub id with data.init_args.reader datasets"
        )
    if (path / "info.json").is_file():
        return "emoset"
    if is_saved(path) or any(path.rglob("*.parquet")):
        return "datasets"
    return "folder" if has_classes(path) else "emoset"


def cache_folder(cache_dir: str | None) -> Path:
    """Return the folder of the Arrow files: by default one in the cache of HF ``datasets``."""
    if cache_dir is not None:
        return Path(cache_dir).expanduser()
    return Path(datasets.config.HF_DATASETS_CACHE) / "uniemo"
