"""``python -m uniemo.backbones``: train the small backbones; see :mod:`uniemo.backbones.train`."""

import sys

from uniemo.utils.allocator import configure_memory

if __name__ == "__main__":
    configure_memory()  # before anything imports PyTorch's users, which allocate
    from uniemo.backbones.train import train
    from uniemo.utils.command import run_command

    sys.exit(run_command(train, None, "python -m uniemo.backbones"))
