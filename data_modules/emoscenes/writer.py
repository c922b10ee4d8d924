"""Write EmoScenes in EmoSet's exact layout, in parallel; the same seed gives the same bytes."""

import json
import multiprocessing
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image
from rich.progress import Progress

from data_modules.emoscenes.card import CARD_NAME, data_card, describe
from data_modules.emoscenes.compose import compose
from data_modules.emoscenes.objects import OBJECT_NAMES
from data_modules.emoscenes.recipe import LEVELS, build_recipe
from data_modules.emoscenes.scenes import SCENE_NAMES
from data_modules.emoscenes.shift import Shift
from data_modules.emoscenes.variants import (
    LABELS,
    Classes,
    Style,
    emotions_of,
    label_matrix,
    painted,
)
from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError
from uniemo.utils.emoset_files import (
    SPLITS,
    Annotation,
    SplitRow,
    write_annotation,
    write_info,
    write_split,
)
from uniemo.utils.files import atomic_path, part_of, remove_leftovers

DEFAULT_SIZES: Final[Mapping[str, int]] = {"train": 8000, "val": 800, "test": 2000}
CHUNK: Final = 40  # images per message between processes
UNSHIFTED: Final = Shift()


def write_emoscenes(
    root: Path,
    *,
    sizes: Mapping[str, int] = DEFAULT_SIZES,
    size: int = 64,
    seed: int = 0,
    classes: Classes = "eight",
    style: Style = "plain",
    processes: int | None = None,
    training: Shift = UNSHIFTED,
) -> Path:
    """Write the data set and return ``root``; do nothing if it already holds the same one.

    Everything is written beside ``root`` and moved there at the end. Image ``index`` of a split
    depends on (seed, split, index) only. The emotions alternate, so each split is balanced.

    Args:
        root: Folder of the data set.
        sizes: Number of images of "train", "val" and "test".
        size: Side of the images in pixels.
        seed: Seed of everything random, 0 or more.
        classes: The emotions that the images are labelled with.
        style: How they are painted.
        processes: Number of processes; None for one per available CPU core.
        training: What the training split differs in from the others.

    Raises:
        UserError: If an argument is impossible, the twemoji images are missing, or ``root`` holds
            something that is not EmoScenes.
    """
    if set(sizes) != set(SPLITS) or min(sizes.values()) < 0:
        raise UserError(f"sizes is {dict(sizes)}; give train, val and test, each 0 or more")
    if size < 16 or seed < 0:
        raise UserError(f"size is {size} and seed {seed}; choose size >= 16 and seed >= 0")
    shown = {split: sizes[split] for split in SPLITS}
    card = data_card(shown, size=size, seed=seed, classes=classes, style=style)
    if training != UNSHIFTED:
        card["training"] = asdict(training)
    if _card_at(root) == card:
        return root
    if root.exists() and _card_at(root) is None and (not root.is_dir() or any(root.iterdir())):
        raise UserError(f"{root} holds something other than EmoScenes; choose another folder")

    remove_leftovers(root.parent, root.name)
    old = part_of(root)
    with atomic_path(root) as fresh:
        _write_images(fresh, card, training, processes or os.cpu_count() or 1)
        write_info(fresh, _attributes(), emotions_of(classes), compact=True)
        (fresh / CARD_NAME).write_text(json.dumps(card), "utf-8")
        (fresh / "DATA_CARD.md").write_text(describe(card), "utf-8")
        if root.exists():
            root.rename(old)
    shutil.rmtree(old, ignore_errors=True)
    return root


def _attributes() -> dict[str, Sequence[str | float]]:
    """Return the attributes of ``info.json``: EmoSet's, scenes and objects those of EmoScenes."""
    vocabulary = json.loads(files(__package__).joinpath("vocabulary.json").read_text("utf-8"))
    return {
        "brightness": LEVELS,
        "colorfulness": LEVELS,
        "scene": SCENE_NAMES,
        "object": OBJECT_NAMES,
        "facial_expression": vocabulary["facial_expression"],
        "human_action": vocabulary["human_action"],
    }


def _write_images(root: Path, card: Mapping[str, Any], training: Shift, processes: int) -> None:
    """Write all images, their annotations and the split files."""
    classes: Classes = card.get("classes", "eight")
    labels = LABELS[classes]
    for emotion in emotions_of(classes).names:
        (root / "image" / emotion).mkdir(parents=True)
    tasks, number = [], 0
    for split in SPLITS:
        rows = []
        shift = training if split == "train" else UNSHIFTED
        for index, shown in enumerate(shift.emotions(card["sizes"][split])):
            label = labels[EMOTIONS[shift.label(shown, card["seed"], index)]]
            rows.append(SplitRow.of(label, f"{label}_{number:05d}"))
            tasks.append(Task(split, index, shown, rows[-1], shift))
            number += 1
        write_split(root, split, rows, compact=True)
    write = partial(
        _write_one, root, card["size"], card["seed"], classes, card.get("style", "plain")
    )
    with multiprocessing.Pool(processes) as pool, Progress(transient=True) as progress:
        done = pool.imap_unordered(write, tasks, chunksize=CHUNK)
        for _ in progress.track(done, total=len(tasks), description="EmoScenes"):
            pass


class Task(NamedTuple):
    """One image to write."""

    split: str
    number: int  # in its split
    emotion: int  # that it shows
    row: SplitRow
    shift: Shift


def _write_one(
    root: Path, size: int, seed: int, classes: Classes, style: Style, task: Task
) -> None:
    """Draw, compose and write one image and its annotation."""
    rng = np.random.default_rng([seed, SPLITS.index(task.split), task.number])
    recipe, row = build_recipe(), task.row
    drawn = task.shift.draw(recipe, rng, task.emotion)
    scene = SCENE_NAMES[drawn.scene]
    object_ = OBJECT_NAMES[drawn.object] if drawn.object < len(OBJECT_NAMES) else None
    brightness, colorfulness = LEVELS[drawn.brightness], LEVELS[drawn.colorfulness]
    composition = compose(
        rng,
        scene,
        object_,
        size=size,
        object_size=task.shift.object_size,
        brightness=brightness,
        colorfulness=colorfulness,
    )
    annotation = Annotation(
        brightness,
        colorfulness,
        scene if drawn.scene_annotated else None,
        [object_] if object_ is not None and drawn.object_annotated else [],
    )
    further = {
        "drawn_scene": scene,
        "drawn_object": object_,
        "box": composition.box,
        "posterior": [round(float(p), 6) for p in recipe.posterior(drawn) @ label_matrix(classes)],
    }
    image = Image.fromarray(composition.image)
    if style == "painted":
        image = painted(image)
    image.save(root / row.image, quality=95, subsampling="4:4:4")
    write_annotation(root, row, annotation, further, compact=True)


def _card_at(root: Path) -> dict[str, Any] | None:
    """Return the card of the EmoScenes at ``root``, or None if there is none."""
    try:
        card = json.loads((root / CARD_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) and card.get("name") == "EmoScenes" else None
