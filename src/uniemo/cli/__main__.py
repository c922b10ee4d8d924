"""``python -m uniemo.cli``: the program, for where its script is not on the path."""

from uniemo.cli import main

main()
