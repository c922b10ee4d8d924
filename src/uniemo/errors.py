"""Errors that the user can correct."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any


class UserError(Exception):
    """Invalid input: a missing file, a wrong path, a setting out of range.

    The message is one line: what is wrong, where, and what to do. The command line prints it
    without a traceback and exits with code 2.
    """


def check_least(settings: object, group: str, **least: float) -> None:
    """Check settings of a group against the least value of each.

    Raises:
        UserError: If one is below it, or no number.
    """
    for name, smallest in least.items():
        value = getattr(settings, name)
        if not smallest <= value < math.inf:  # NaN is neither below nor above
            raise UserError(f"{group}.{name} is {value}; give at least {smallest}")


def check_not_negative(settings: Any, group: str) -> None:
    """Check that no number of a group of settings is negative.

    Raises:
        UserError: If one is, or is not finite.
    """
    names = [f.name for f in fields(settings) if isinstance(getattr(settings, f.name), int | float)]
    check_least(settings, group, **dict.fromkeys(names, 0))


@contextmanager
def known_step(what: str, remedy: str) -> Iterator[None]:
    """Turn what a library raises over the user's input into the user's error.

    Args:
        what: What goes wrong if this step does: ``"image a.png cannot be read"``.
        remedy: What to do: ``"restore it"``.

    Raises:
        UserError: If the block raises anything.
    """
    try:
        yield
    except Exception as error:
        raise user_error(error) or UserError(f"{what} ({first_line(error)}); {remedy}") from error


def user_error(error: BaseException) -> UserError | None:
    """Return the user's error that a library has wrapped into its own; None if there is none."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, UserError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the error's type if the message is empty."""
    return next(
        (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
    )
