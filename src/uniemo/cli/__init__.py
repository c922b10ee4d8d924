"""The command line: ``uniemo`` and ``lightning`` are the same program. Nothing imports it."""

from uniemo.utils.allocator import configure_memory
from uniemo.utils.stopping import stop_signals


def main() -> None:
    """Run the program; see :mod:`uniemo.cli.commands`."""
    configure_memory()  # before anything imports PyTorch's users, which allocate
    with stop_signals.listening():
        from uniemo.cli.commands import run

        run()
