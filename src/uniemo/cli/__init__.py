"""The command line: ``uniemo`` and ``lightning`` are the same program. Nothing imports it."""

from uniemo.utils.allocator import configure_memory


def main() -> None:
    """Run the program; see :mod:`uniemo.cli.commands`."""
    configure_memory()  # before anything imports PyTorch's users, which allocate
    from uniemo.cli.commands import run

    run()
