"""The one error that is the user's to mend."""


class UserError(Exception):
    """Bad input: a missing file, a wrong path, an impossible setting.

    The message is one line: what is wrong, where, and what to do. The command line prints it
    without a traceback and exits with code 2.
    """
