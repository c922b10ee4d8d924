"""Write EmoScenes: ``python -m data_modules.emoscenes --root data/emoscenes``."""

import sys
from pathlib import Path

from data_modules.emoscenes.shift import Shift
from data_modules.emoscenes.variants import Classes, Style
from data_modules.emoscenes.writer import DEFAULT_SIZES, UNSHIFTED, write_emoscenes
from uniemo.utils.command import run_command


def write(
    root: Path = Path("data/emoscenes"),
    train: int = DEFAULT_SIZES["train"],
    val: int = DEFAULT_SIZES["val"],
    test: int = DEFAULT_SIZES["test"],
    size: int = 64,
    seed: int = 0,
    classes: Classes = "eight",
    style: Style = "plain",
    processes: int | None = None,
    training: Shift = UNSHIFTED,
) -> None:
    """Write EmoScenes, the embedded data set.

    Args:
        root: Folder of the data set.
        train: Number of training images.
        val: Number of validation images.
        test: Number of test images.
        size: Side of the images in pixels.
        seed: Seed of everything random, 0 or more.
        classes: The emotions: Mikels' eight, Ekman's six, or the two polarities.
        style: How the pictures are painted.
        processes: Number of processes; by default one per CPU core.
        training: What the training split differs in: rare emotions, wrong labels, unseen things.
    """
    sizes = {"train": train, "val": val, "test": test}
    write_emoscenes(
        root, sizes=sizes, size=size, seed=seed, classes=classes, style=style, processes=processes,
        training=training,
    )  # fmt: skip
    print(f"EmoScenes is in {root}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run_command(write, arguments, "python -m data_modules.emoscenes")


if __name__ == "__main__":
    sys.exit(main())
