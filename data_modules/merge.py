"""``uniemo data merge``: several data sets as one, in EmoSet's layout, each image with what it has.

The merged folder lists the images where they are; only those that lie in no file of their own are
written. Names of scenes and objects are united, so the sets may have different ones.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets

from data_modules.labels import plain, read_labels
from data_modules.pixels import tones
from data_modules.source import Source, cache_folder, open_source
from data_modules.views import encoded
from uniemo.emotions import Emotions
from uniemo.errors import UserError, first_line
from uniemo.utils.emoset_files import (
    SPLITS,
    Annotation,
    SplitRow,
    write_annotation,
    write_info,
    write_split,
)
from uniemo.utils.files import atomic_path, write_bytes


def merge(roots: list[Path], out: Path, emotions: Path | None = None) -> None:
    """Write several data sets as one.

    Args:
        roots: The data sets, of any kind that is recognised where it lies.
        out: Folder of the merged one, which must not exist yet.
        emotions: YAML file of names, polarity and labels (docs/guides/own-data.md), for sets that
            call emotions otherwise; none if all have the same.

    Raises:
        UserError: If ``out`` exists, or an emotion of a set is none of the merged one's.
    """
    sources = [open_source(str(root)) for root in roots]
    if not sources:
        raise UserError("there is nothing to merge; give two data sets or more")
    if emotions is None:
        known, labels = sources[0].emotions, {name: name for name in sources[0].emotions.names}
    else:
        read = read_labels(emotions)
        known = read.emotions
        labels = {text: known.names[index] for text, index in read.indices.items()}
    for source in sources:
        if missing := [name for name in source.emotions.names if plain(name) not in labels]:
            raise UserError(
                f"{source.root} has the emotion {missing[0]!r}, which is none of {known}; "
                "give a file of emotions that maps it"
            )
    scenes, objects = (
        sorted({name for source in sources for name in getattr(source, kind)})
        for kind in ("scene_names", "object_names")
    )
    rows: dict[str, list[tuple[Source, dict[str, Any]]]] = {split: [] for split in SPLITS}
    for source in sources:
        for split in source.splits:
            table = source.table(split, cache_folder(None))
            rows[split] += [(source, row) for row in table]
    write_rows(
        out, known, scenes, objects,
        {split: (_named(number, *row, labels) for number, row in enumerate(own))
         for split, own in rows.items() if own},
    )  # fmt: skip
    print(f"Wrote {sum(map(len, rows.values())):,} images to {out}")


def _named(
    number: int, source: Source, row: Mapping[str, Any], labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return a row of a table with names in place of indices, and a name of its own."""
    return {
        "image": row["image"],
        "image_id": f"{Path(source.root).name}-{number:06d}",
        "emotion": labels[plain(source.emotions.names[row["emotion"]])],
        "scene": source.scene_names[row["scene"]] if row["scene"] >= 0 else None,
        "objects": [source.object_names[index] for index in row["objects"]],
        "tones": (row["brightness"], row["colorfulness"]),
    }


def write_rows(
    out: Path,
    emotions: Emotions,
    scenes: Sequence[str],
    objects: Sequence[str],
    rows: Mapping[str, Iterable[Mapping[str, Any]]],
    further: Mapping[str, Any] | None = None,
) -> None:
    """Write named rows of splits in EmoSet's layout, all or nothing.

    Args:
        out: The folder, which must not exist yet.
        emotions: Their emotions.
        scenes: Names in index order.
        objects: Names in index order.
        rows: By split; with the keys ``image`` (path and bytes), ``image_id``, ``emotion``,
            ``scene``, ``objects`` and ``tones`` (NaN: they are measured).
        further: Entries of every annotation.

    Raises:
        UserError: If the folder exists, or an image cannot be read.
    """
    if out.exists():
        raise UserError(f"{out} exists; remove it or give another folder")
    with atomic_path(out) as part:
        write_info(part, {"scene": scenes, "object": objects}, emotions)
        for split, own in rows.items():
            write_split(part, split, [_write_row(part, row, further) for row in own])


def _write_row(root: Path, row: Mapping[str, Any], further: Mapping[str, Any] | None) -> SplitRow:
    path, content = row["image"]["path"], row["image"]["bytes"]
    place = SplitRow.of(row["emotion"], row["image_id"])
    if content is not None:
        write_bytes(root / place.image, content)
    else:
        place = place._replace(image=str(Path(path).resolve()))
    own = row["tones"]
    if not all(map(math.isfinite, own)):
        try:
            own = tones(encoded(row["image"]))
        except (OSError, SyntaxError, ValueError) as error:
            raise UserError(f"image {path or row['image_id']}: {first_line(error)}") from None
    brightness, colorfulness = (round(tone, 3) for tone in own)
    annotation = Annotation(brightness, colorfulness, row["scene"], row["objects"])
    write_annotation(root, place, annotation, further)
    return place


def named_rows(source: Source, table: datasets.Dataset) -> Iterable[dict[str, Any]]:
    """Yield the rows of a table of a data set with names in place of indices."""
    same = {plain(name): name for name in source.emotions.names}
    for number, row in enumerate(table):
        yield _named(number, source, row, same)
