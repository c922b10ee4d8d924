"""Write EmoScenes in EmoSet's exact layout, in parallel; the same seed gives the same bytes."""

import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from rich.progress import Progress

from data_modules.emoscenes.card import CARD_NAME, data_card, describe
from data_modules.emoscenes.compose import compose
from data_modules.emoscenes.objects import OBJECT_NAMES
from data_modules.emoscenes.recipe import LEVELS, build_recipe
from data_modules.emoscenes.scenes import SCENE_NAMES
from uniemo.emotions import EMOTIONS, N_EMOTIONS
from uniemo.errors import UserError

SPLITS: Final = ("train", "val", "test")
DEFAULT_SIZES: Final[Mapping[str, int]] = {"train": 8000, "val": 800, "test": 2000}
CHUNK: Final = 40  # pictures per message between processes


def write_emoscenes(
    root: Path,
    *,
    sizes: Mapping[str, int] = DEFAULT_SIZES,
    size: int = 64,
    seed: int = 0,
    processes: int | None = None,
) -> Path:
    """Write the data set, or do nothing where the same one already lies.

    Everything is written beside ``root`` and moved there at the end: what is half-written never
    counts. Picture ``index`` of a split depends on (seed, split, index) alone. Emotions take turns,
    so each split is balanced.

    Args:
        root: Folder of the data set.
        sizes: Number of pictures of "train", "val" and "test".
        size: Side of the pictures in pixels.
        seed: Seed of everything random, 0 or more.
        processes: How many work at it; None for one per available CPU core.

    Returns:
        ``root``.

    Raises:
        UserError: If an argument is impossible, the twemoji pictures are missing, or ``root`` holds
            something that is not EmoScenes.
    """
    root = Path(root)
    if set(sizes) != set(SPLITS) or min(sizes.values()) < 0:
        raise UserError(f"sizes is {dict(sizes)}; give train, val and test, each 0 or more")
    if size < 16 or seed < 0:
        raise UserError(f"size is {size} and seed {seed}; choose size >= 16 and seed >= 0")
    card = data_card({split: sizes[split] for split in SPLITS}, size=size, seed=seed)
    if _card_at(root) == card:
        return root
    if root.exists() and _card_at(root) is None and (not root.is_dir() or any(root.iterdir())):
        raise UserError(f"{root} holds something else than EmoScenes; choose another folder")

    root.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        fresh = scratch / "fresh"
        _write_pictures(fresh, card, processes or os.cpu_count() or 1)
        _write_json(fresh / "info.json", emoset_info())
        _write_json(fresh / CARD_NAME, card)
        (fresh / "DATA_CARD.md").write_text(describe(card), "utf-8")
        if root.exists():
            root.rename(scratch / "old")
        fresh.rename(root)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return root


def emoset_info() -> dict[str, Any]:
    """Return ``info.json``: EmoSet's blocks, with scenes and objects restricted to ours."""
    vocabulary = json.loads(files(__package__).joinpath("vocabulary.json").read_text("utf-8"))
    blocks: dict[str, tuple[str | float, ...]] = {
        "emotion": EMOTIONS,
        "brightness": LEVELS,
        "colorfulness": LEVELS,
        "scene": SCENE_NAMES,
        "object": OBJECT_NAMES,
        "facial_expression": tuple(vocabulary["facial_expression"]),
        "human_action": tuple(vocabulary["human_action"]),
    }
    return {
        block: {
            "label2idx": {str(label): index for index, label in enumerate(labels)},
            "idx2label": {str(index): label for index, label in enumerate(labels)},
        }
        for block, labels in blocks.items()
    }


def _write_pictures(root: Path, card: Mapping[str, Any], processes: int) -> None:
    """Write all pictures, their annotations and the split files."""
    for emotion in EMOTIONS:
        (root / "image" / emotion).mkdir(parents=True)
        (root / "annotation" / emotion).mkdir(parents=True)
    tasks, number = [], 0
    for split in SPLITS:
        rows = []
        for index in range(card["sizes"][split]):
            emotion = EMOTIONS[index % N_EMOTIONS]
            image_id = f"{emotion}_{number:05d}"
            image = f"image/{emotion}/{image_id}.jpg"
            rows.append([emotion, image_id, image, f"annotation/{emotion}/{image_id}.json"])
            tasks.append((split, index, image_id))
            number += 1
        _write_json(root / f"{split}.json", rows)
    write = partial(_write_one, root, card["size"], card["seed"])
    with multiprocessing.Pool(processes) as pool, Progress(transient=True) as progress:
        done = pool.imap_unordered(write, tasks, chunksize=CHUNK)
        for _ in progress.track(done, total=len(tasks), description="EmoScenes"):
            pass


def _write_one(root: Path, size: int, seed: int, task: tuple[str, int, str]) -> None:
    """Draw, compose and write one picture and its annotation."""
    split, index, image_id = task
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    recipe = build_recipe()
    drawn = recipe.draw(rng, index % N_EMOTIONS)
    scene = SCENE_NAMES[drawn.scene]
    thing = OBJECT_NAMES[drawn.object] if drawn.object < len(OBJECT_NAMES) else None
    brightness, colorfulness = LEVELS[drawn.brightness], LEVELS[drawn.colorfulness]
    composition = compose(
        rng, scene, thing, size=size, brightness=brightness, colorfulness=colorfulness
    )
    emotion = EMOTIONS[drawn.emotion]
    annotation: dict[str, Any] = {
        "image_id": image_id,
        "emotion": emotion,
        "brightness": brightness,
        "colorfulness": colorfulness,
    }
    if drawn.scene_annotated:
        annotation["scene"] = scene
    if thing is not None and drawn.object_annotated:
        annotation["object"] = [thing]
    annotation |= {
        "drawn_scene": scene,
        "drawn_object": thing,
        "box": composition.box,
        "posterior": [round(float(p), 6) for p in recipe.posterior(drawn)],
    }
    Image.fromarray(composition.image).save(
        root / "image" / emotion / f"{image_id}.jpg", quality=95, subsampling="4:4:4"
    )
    _write_json(root / "annotation" / emotion / f"{image_id}.json", annotation)


def _card_at(root: Path) -> dict[str, Any] | None:
    """Return the card of the EmoScenes at ``root``, or None where there is none."""
    try:
        card = json.loads((root / CARD_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) and card.get("name") == "EmoScenes" else None


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), "utf-8")
