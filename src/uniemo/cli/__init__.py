"""The command line: ``uniemo`` and ``lightning`` are the same program."""
