"""``uniemo data check``: everything that is wrong with a data set, at once."""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple

import datasets
import numpy as np
from rich.console import Console
from rich.progress import track

from data_modules.dataset import read_annotations
from data_modules.pixels import near_pairs, signature
from data_modules.source import ReaderConfig, Source, cache_folder, open_source
from data_modules.views import encoded
from uniemo.errors import first_line

Severity = Literal["error", "warning", "note"]

SHOWN: Final = 5  # examples of a finding
FEW: Final = 10  # training images of an emotion
NEAR: Final = 0.98
"""Correlation of thumbnails from which on two pictures are near duplicates. Copies of another size
or quality correlate by more, two pictures of one motif by less: of 1,500 of EmoScenes at most by
0.957."""


class Finding(NamedTuple):
    """Something that is wrong, or worth knowing."""

    severity: Severity
    kind: str
    number: int
    message: str
    examples: list[str]


@dataclass
class CheckReport:
    """What a check found."""

    root: str
    licence: str | None = None
    emotions: list[str] = field(default_factory=list)
    splits: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """2 after an error, 1 after a warning, else 0."""
        severities = {finding.severity for finding in self.findings}
        return 2 if "error" in severities else int("warning" in severities)

    def add(self, severity: Severity, kind: str, message: str, found: Sequence[str]) -> None:
        """Add a finding, if there is something found."""
        if found:
            shown = list(found[:SHOWN])
            self.findings.append(Finding(severity, kind, len(found), message, shown))

    def json(self) -> str:
        """Return all of it as JSON."""
        findings = [finding._asdict() for finding in self.findings]
        return json.dumps(asdict(self) | {"findings": findings}, indent=1)

    def text(self) -> str:
        """Return it as a table, then the findings, the worst first."""
        lines = [f"{self.root}, licence: {self.licence or 'not known, ask its authors'}"]
        if self.splits:
            names = ("split", "images", *self.emotions, "scene", "object")
            lines.append(" ".join(f"{name:>11}" for name in names))
        for split, row in self.splits.items():
            shares = (f"{row[key]:.1%}" for key in ("scene", "object"))
            cells = [split, row["images"], *row["emotions"].values(), *shares]
            lines.append(" ".join(f"{cell:>11}" for cell in cells))
        order = ("error", "warning", "note")
        for finding in sorted(self.findings, key=lambda each: order.index(each.severity)):
            lines.append(f"{finding.severity}: {finding.message} ({finding.number:,})")
            lines += [f"    {example}" for example in finding.examples]
            if finding.number > len(finding.examples):
                lines.append(f"    and {finding.number - len(finding.examples):,} more")
        if not self.findings:
            lines.append("nothing is wrong")
        return "\n".join(lines)


class _Picture(NamedTuple):
    """What is kept of one picture."""

    split: str
    name: str
    content: bytes  # a digest of the file
    look: np.ndarray  # [768]


def check(
    root: str, config: ReaderConfig | None = None, cache_dir: str | None = None
) -> CheckReport:
    """Read every annotation, decode every image, compare all with each other, and count.

    Args:
        root: The data set.
        config: How it is read.
        cache_dir: Folder of the Arrow files; None for one in the cache of HF ``datasets``.

    Raises:
        UserError: If there is no data set, or none of its rows can be used.
    """
    report = CheckReport(root)
    cache = cache_folder(cache_dir)
    problems: list[str] = []
    source = open_source(root, config, cache).sound(problems)
    report.licence, report.emotions = source.licence, list(source.emotions.names)
    report.add("error", "row", "rows cannot be used", problems)
    tables = {split: source.table(split, cache) for split in source.splits}
    pictures: list[_Picture] = []
    for split, table in tables.items():
        _count(report, split, table, source)
        pictures += _pictures(report, split, table)
    _check_names(report, tables, source)
    _check_copies(report, pictures)
    return report


def _count(report: CheckReport, split: str, table: datasets.Dataset, source: Source) -> None:
    labels = read_annotations(table, len(source.object_names))
    counts = labels.emotion.bincount(minlength=len(source.emotions)).tolist()
    by_name = dict(zip(source.emotions.names, counts, strict=True))
    report.splits[split] = {
        "images": len(table),
        "emotions": by_name,
        "scene": (labels.scene >= 0).double().mean().item(),
        "object": labels.objects.any(dim=1).double().mean().item(),
    }
    none = [f"{name} in {split}" for name, count in by_name.items() if not count]
    severity: Severity = "error" if split == "train" else "warning"
    report.add(severity, "no images", "emotions have no images", none)
    if split == "train":
        few = [f"{name}: {count}" for name, count in by_name.items() if 0 < count < FEW]
        report.add("warning", "few images", f"emotions have fewer than {FEW} training images", few)


def _pictures(report: CheckReport, split: str, table: datasets.Dataset) -> list[_Picture]:
    """Read and decode all pictures of a split."""
    images = table.select_columns(["image", "image_id"])

    def read(index: int) -> _Picture | str:
        row = images[index]
        source = row["image"] or {"path": None, "bytes": None}  # of a hub's copy it may be null
        try:
            content = encoded(source)
            look = signature(content)
        except OSError as error:
            return f"{source['path'] or row['image_id']}: {first_line(error)}"
        return _Picture(split, row["image_id"], blake2b(content, digest_size=16).digest(), look)

    with ThreadPoolExecutor(os.cpu_count()) as readers:
        done = readers.map(read, range(len(images)))
        console = Console(stderr=True)
        title = f"Pictures of {split}"
        found = list(track(done, title, len(images), console=console, transient=True))
    broken = [each for each in found if isinstance(each, str)]
    report.add("error", "broken", f"images of {split} cannot be decoded", broken)
    return [each for each in found if isinstance(each, _Picture)]


def _check_names(report: CheckReport, tables: dict[str, datasets.Dataset], source: Source) -> None:
    """Find names without pictures, and images that are listed twice."""
    used: dict[str, set[int]] = {"scene": set(), "object": set()}
    listed: defaultdict[str, list[str]] = defaultdict(list)
    for split, table in tables.items():
        used["scene"] |= set(table["scene"])
        used["object"] |= {name for names in table["objects"] for name in names}
        for name in table["image_id"]:
            listed[name].append(split)
    for kind, names in (("scene", source.scene_names), ("object", source.object_names)):
        unused = [name for i, name in enumerate(names) if i not in used[kind]]
        report.add("note", "unused name", f"{kind} names have no picture", unused)
    twice = [f"{name} ({', '.join(where)})" for name, where in listed.items() if len(where) > 1]
    report.add("error", "listed twice", "images are listed more than once", twice)


def _check_copies(report: CheckReport, pictures: list[_Picture]) -> None:
    """Find equal files and pictures that look alike, within a split and across two."""
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for i, picture in enumerate(pictures):
        groups[picture.content].append(i)
    equal = [(group[0], other) for group in groups.values() for other in group[1:]]
    firsts = np.array([group[0] for group in groups.values()], dtype=np.int64)
    looks = np.stack([pictures[i].look for i in firsts]) if len(firsts) else np.zeros((0, 1))
    alike = firsts[near_pairs(looks, NEAR)]
    for kind, what, pairs in (
        ("duplicate", "images are the same file", equal),
        ("near duplicate", "images look alike", [tuple(pair) for pair in alike.tolist()]),
    ):
        across, within = _by_split(pictures, pairs)
        report.add("error", f"{kind} across splits", f"pairs of {what}, in two splits", across)
        report.add("warning", kind, f"pairs of {what}, in one split", within)


def _by_split(
    pictures: list[_Picture], pairs: Iterable[Sequence[int]]
) -> tuple[list[str], list[str]]:
    """Return the pairs across splits, and those within one, as text."""
    across: list[str] = []
    within: list[str] = []
    for i, j in pairs:
        first, second = pictures[i], pictures[j]
        text = f"{first.split} {first.name} = {second.split} {second.name}"
        (within if first.split == second.split else across).append(text)
    return across, within
