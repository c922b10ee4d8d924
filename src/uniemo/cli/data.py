"""``uniemo data``: check a data set, copy it with smaller images, or write the embedded one."""

import argparse
import sys
from typing import get_args

from data_modules import check
from data_modules.emoscenes.__main__ import main as write_emoscenes
from data_modules.merge import merge
from data_modules.resize import main as resize
from data_modules.source import Reader, ReaderConfig
from uniemo.cli.annotate import main as annotate
from uniemo.errors import UserError
from uniemo.utils.command import run_command

USAGE = """usage: uniemo data check ROOT
       uniemo data resize --root ROOT --out COPY [--side 512]
       uniemo data merge --roots '[ROOT, ROOT]' --out FOLDER [--emotions FILE]
       uniemo data annotate ROOT --scenes FILE --objects FILE -o FOLDER
       uniemo data emoscenes [--root ROOT]"""


def main(arguments: list[str]) -> None:
    """Run a command on a data set: see ``USAGE``.

    Raises:
        UserError: If the arguments are others, or there is no data set.
    """
    match arguments:
        case ["-h" | "--help"]:
            print(USAGE)
        case ["check", *rest]:
            check_command(rest)
        case ["resize", *rest]:
            sys.exit(resize(rest))
        case ["merge", *rest]:
            sys.exit(run_command(merge, rest, "uniemo data merge"))
        case ["annotate", *rest]:
            annotate(rest)
        case ["emoscenes", *rest]:
            sys.exit(write_emoscenes(rest))
        case _:
            raise UserError(USAGE)


def check_command(arguments: list[str]) -> None:
    """Check a data set; exit with 2 after errors, 1 after warnings, else 0."""
    parser = argparse.ArgumentParser(
        prog="uniemo data check",
        description="Read every row, decode and compare all images; tell all that is wrong. "
        "Exit code 2: errors, such as one picture in two splits; 1: warnings; 0: neither.",
        allow_abbrev=False,
    )
    parser.add_argument("root", metavar="ROOT", help="the data set: a folder, a file, or a hub id")
    parser.add_argument("--reader", choices=get_args(Reader), default="auto", help="what it is")
    parser.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="WHAT=COLUMN",
        help="such as image=path votes=joy,fear",
    )
    parser.add_argument("--emotions", metavar="FILE", help="YAML: names, polarity and labels")
    parser.add_argument("--json", action="store_true", help="all of it as JSON")
    given = parser.parse_args(arguments)
    columns = dict(map(_column, given.columns))
    report = check(given.root, ReaderConfig(given.reader, columns, given.emotions))
    print(report.json() if given.json else report.text())
    sys.exit(report.exit_code)


def _column(word: str) -> tuple[str, str | list[str]]:
    what, equals, names = word.partition("=")
    if not equals or not names:
        raise UserError(f"column {word!r}: write WHAT=COLUMN, as in image=path")
    return what, names.split(",") if what == "votes" and "," in names else names
