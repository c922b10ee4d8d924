"""Random damage to every kind of file that is read: only a UserError may come of it.

``make fuzz`` runs 100,000 cases, the suite 2,000. A case depends on the seed and its number alone.
"""

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import yaml
from PIL import Image

from data_modules.labels import read_labels
from data_modules.views import ViewTransform, open_image
from tests.commands import ROOT
from tests.tiny import write_emoset
from uniemo.config.experiment import Experiment
from uniemo.config.model import ModelSettings
from uniemo.config.parser import find_config
from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.model.checkpoint import WORD_WIDTH, read_checkpoint
from uniemo.pipeline.photos import open_photo
from uniemo.utils.emoset_files import SplitRow, read_annotation, read_info, read_split
from uniemo.utils.pictures import FORMATS
from uniemo.vision.images import read_image

ODD = (
    b"null", b"-1", b"1e999", b"NaN", b".inf", b"[]", b"{}", b'"\\ud800"', b"\0", b"\xff\xfe",
    b"[" * 3000, b"9" * 5000, b"../../x", b"!!python/object/apply:os.getcwd []", b"&a", b"*a",
    b"\n", b'"', b"true", b"[[1]]", b"x" * 5000, b": ", b"\xf0\x9f\x98\x80",
)  # fmt: skip
"""What a reader does not expect."""


class Target(NamedTuple):
    """A kind of file: whole examples, and what reads one."""

    examples: list[bytes]
    read: Callable[[Path], object]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return a content with one to four damages."""
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(damaged) + 1)
        end = min(len(damaged), start + chance.choice((1, 1, 2, 8, 64)))
        match chance.randrange(5):
            case 0:
                damaged[start:end] = chance.randbytes(end - start)
            case 1:
                del damaged[start:end]
            case 2:
                damaged[start:end] = chance.choice(ODD)
            case 3:
                damaged[start:start] = damaged[start:end]
            case 4:
                del damaged[start:]
    return bytes(damaged)


def targets(folder: Path) -> dict[str, Target]:
    """Return the kinds of files, each to be read from a folder of its own."""
    root = write_emoset(folder / "emoset", {"train": 1})
    annotation = next((root / "annotation").rglob("*.json")).read_bytes()
    row = SplitRow("amusement", "x", "x.jpg", "input")
    return {
        "info.json": Target(
            [(root / "info.json").read_bytes()],
            lambda path: (path.replace(path.with_name("info.json")), read_info(path.parent)),
        ),
        "split": Target(
            [(root / "train.json").read_bytes()],
            lambda path: (
                path.replace(path.with_name("train.json")),
                read_split(path.parent, "train", Emotions()),
            ),
        ),
        "annotation": Target([annotation], lambda path: read_annotation(path.parent, "train", row)),
        "configuration": Target([CONFIGURATION.encode()], lambda path: find_config(str(path))),
        "emotions": Target([EMOTIONS.encode()], read_labels),
        "image": Target(pictures(), read_picture),
        "checkpoint": Target([checkpoint()], read_checkpoint),
    }


CONFIGURATION = """
experiment: mine
model:
  model: { n_queries: 8, dropout: 0.5 }
  loss:
    scene: 0.1 # less
data:
  class_path: data_modules.EmoSetDataModule
  init_args: { root: data, batch_size: 8 }
trainer: { max_epochs: 2 }
"""
EMOTIONS = yaml.safe_dump({"names": ["joy", "fear"], "polarity": {"joy": "positive"}})


def pictures() -> list[bytes]:
    """Return a small picture in every format."""
    pixels = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    found = []
    for kind in FORMATS:
        with BytesIO() as content:
            Image.fromarray(pixels).save(content, kind)
            found.append(content.getvalue())
    return found


def read_picture(path: Path) -> None:
    """Read a picture in each of the three ways that there are."""
    for read in (lambda: read_image(path, 8), lambda: open_photo(path)):
        with suppress(UserError):
            read()
    image = open_image({"path": None, "bytes": path.read_bytes()}, "one")
    try:
        ViewTransform(8, 8)(image, np.random.default_rng(0))
    except (OSError, SyntaxError, ValueError) as error:  # what the data module names the image for
        raise UserError(str(error)) from error


def checkpoint() -> bytes:
    """Return a checkpoint without most of its weights."""
    content = {
        "names": {"scene": ["coast"], "object": ["Cake"]},
        "state_dict": {WORD_WIDTH: torch.zeros(8), "weight": torch.ones(4, 4)},
        "hyper_parameters": asdict(ModelSettings()),
    }
    with BytesIO() as file:
        torch.save(content, file)
        return file.getvalue()


def fuzz(cases: int, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Read damaged files; return how many were refused and read, and what else happened.

    Args:
        cases: Their number, shared out over the kinds of files.
        seed: With its number, all that a case depends on.
    """
    counts: Counter[str] = Counter()
    findings = []
    with tempfile.TemporaryDirectory() as folder:
        kinds = targets(Path(folder))
        path = Path(folder, "input")
        for number in range(cases):
            name = list(kinds)[number % len(kinds)]
            target, chance = kinds[name], random.Random(f"{seed} {number}")
            path.write_bytes(mutated(chance.choice(target.examples), chance))
            try:
                target.read(path)
                counts[f"{name}, read"] += 1
            except UserError as error:
                counts[f"{name}, refused"] += 1
                if len(str(error)) > 1000:
                    findings.append(f"{name}, case {number}: a message of {len(str(error))}")
            except BaseException as error:
                findings.append(f"{name}, case {number}: {type(error).__name__}: {error}"[:200])
    return counts, findings


def fuzz_experiments(cases: int, seed: int = 0) -> list[str]:
    """Read experiments with damaged configurations to the end; return what else happened."""
    findings = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mine.yaml")
        for number in range(cases):
            chance = random.Random(f"{seed} experiment {number}")
            path.write_bytes(mutated(CONFIGURATION.encode(), chance))
            try:
                with suppress(UserError):
                    Experiment.read(str(ROOT / "experiments/emoscenes.yaml"), ["-c", str(path)])
            except BaseException as error:
                findings.append(f"experiment, case {number}: {type(error).__name__}: {error}"[:200])
    return findings


def main() -> int:
    """Run the long form; return 1 if there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    counts, findings = fuzz(given.cases, given.seed)
    findings += fuzz_experiments(given.cases // 200, given.seed)
    for name, count in sorted(counts.items()):
        print(f"{name:24} {count:8,}")
    print(*findings, sep="\n")
    print(f"{given.cases:,} cases, {len(findings)} findings")
    return int(bool(findings))


if __name__ == "__main__":
    raise SystemExit(main())
