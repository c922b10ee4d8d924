"""Command lines made from a function's signature and docstring."""

import sys
from collections.abc import Callable
from typing import Any

from jsonargparse import ArgumentError, auto_cli

from uniemo.errors import UserError


def run_command(function: Callable[..., Any], arguments: list[str] | None, prog: str) -> int:
    """Call a function with the arguments that flags of the same names give.

    Args:
        function: Its docstring is the help.
        arguments: The flags; None for those of this process.
        prog: Name of the command in its help.

    Returns:
        The exit code: 0, or 2 after an error that the user can fix, printed as one line.
    """
    try:
        auto_cli(
            function, arguments, as_positional=False, prog=prog, exit_on_error=False,
            allow_abbrev=False,
        )  # fmt: skip
    except (ArgumentError, UserError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0
