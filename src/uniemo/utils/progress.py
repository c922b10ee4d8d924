"""Progress of long loops on the screen."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

from uniemo.utils.processes import is_first

T = TypeVar("T")


def track(items: Iterable[T], description: str, total: float | None = None) -> Iterator[T]:
    """Yield items under a progress bar, which disappears at the end.

    Where the output is no terminal, the description is printed once instead. Of several processes
    one shows it. ``total`` is for items that do not know their length.
    """
    console = Console()
    if not is_first():
        yield from items
    elif console.is_terminal:
        yield from rich_track(items, description, total, console=console, transient=True)
    else:
        print(description, flush=True)
        yield from items
