"""Write EmoScenes: ``python -m data_modules.emoscenes --root data/emoscenes``."""

import argparse
import sys
from pathlib import Path

from data_modules.emoscenes.writer import DEFAULT_SIZES, write_emoscenes
from uniemo.errors import UserError
from uniemo.utils.emoset import SPLITS


def main(arguments: list[str] | None = None) -> int:
    """Write the data set; return the exit code, 2 after an error of the user's to mend."""
    parser = argparse.ArgumentParser(prog="python -m data_modules.emoscenes", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("data/emoscenes"), help="folder to write")
    for split in SPLITS:
        number = DEFAULT_SIZES[split]
        parser.add_argument(
            f"--{split}", type=int, default=number, help=f"number of pictures (default {number})"
        )
    parser.add_argument("--size", type=int, default=64, help="side in pixels (default 64)")
    parser.add_argument("--seed", type=int, default=0, help="seed (default 0)")
    parser.add_argument("--processes", type=int, help="default: one per CPU core")
    options = parser.parse_args(arguments)
    try:
        root = write_emoscenes(
            options.root,
            sizes={split: getattr(options, split) for split in SPLITS},
            size=options.size,
            seed=options.seed,
            processes=options.processes,
        )
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"EmoScenes lies in {root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
