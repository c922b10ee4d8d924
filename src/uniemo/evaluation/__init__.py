"""From a checkpoint to numbers and a report."""
