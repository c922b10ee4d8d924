"""One owner for a run's folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from lightning.pytorch.utilities import rank_zero_only

from uniemo.errors import UserError

LOCK = ".lock"


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a folder, which is made if it is missing; of several processes the first does.

    The system releases the lock when the process ends, however it ends. Leftovers of writes that
    were killed are removed. A folder that stays empty is removed in the end.

    Raises:
        UserError: If another process owns it, or it cannot be written to.
    """
    if getattr(rank_zero_only, "rank", 0):
        yield
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with _locked(folder / LOCK):
            for part in folder.rglob("*.part"):
                part.unlink()
            yield
    finally:
        for path in made:
            with suppress(OSError):  # it holds something now
                path.rmdir()


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    while True:
        # A lock of a process, not of a file descriptor: workers that outlive a kill do not hold it.
        with _opened(lock) as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise UserError(
                    f"{lock.parent} is in use by process {file.read() or '(starting)'}; wait for "
                    "it, stop it, or give another --experiment"
                ) from None
            # The owner before may have removed the file after this process opened it.
            if not lock.exists() or not os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                continue
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _opened(lock: Path) -> TextIO:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("a+")
    except OSError as error:
        raise UserError(
            f"{lock.parent} cannot be written to ({error.strerror}); give another --runs"
        ) from error
