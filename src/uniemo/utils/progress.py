"""Progress of long loops on the screen."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

T = TypeVar("T")


def track(items: Iterable[T], description: str, total: float | None = None) -> Iterator[T]:
    """Yield items under a progress bar, which disappears at the end.

    Where the output is no terminal, the description is printed once instead. ``total`` is for items
    that do not know their length.
    """
    console = Console()
    if console.is_terminal:
        yield from rich_track(items, description, total, console=console, transient=True)
    else:
        print(description, flush=True)
        yield from items
