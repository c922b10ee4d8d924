"""The one error that is the user's to mend."""


class UserError(Exception):
    """Bad input: a missing file, a wrong path, an impossible setting.

    The message is one line: what is wrong, where, and what to do. The command line prints it
    without a traceback and exits with code 2.
    """


def first_line(error: Exception) -> str:
    """Return the first line of an error's message; the error's kind if it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)
