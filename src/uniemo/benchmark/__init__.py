"""Speed and memory beside the public procedure, in one run: ``make bench``."""
