"""Errors that the user can correct."""


class UserError(Exception):
    """Invalid input: a missing file, a wrong path, a setting out of range.

    The message is one line: what is wrong, where, and what to do. The command line prints it
    without a traceback and exits with code 2.
    """


def check_least(settings: object, group: str, **least: float) -> None:
    """Check settings of a group against the least value of each.

    Raises:
        UserError: If one is below it.
    """
    for name, smallest in least.items():
        if (value := getattr(settings, name)) < smallest:
            raise UserError(f"{group}.{name} is {value}; give at least {smallest}")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the error's type if the message is empty."""
    return next(iter(str(error).splitlines()), type(error).__name__)
