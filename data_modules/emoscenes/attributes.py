"""EmoScenes' scenes and objects: their names, p(emotion | attribute), and the objects' pictures."""

import csv
from importlib.resources import files


def attribute_rows(kind: str) -> list[dict[str, str]]:
    """Return the rows of ``attribute_emotion.csv`` by column, ordered by name.

    Args:
        kind: ``"scene"`` or ``"object"``.
    """
    text = files(__package__).joinpath("attribute_emotion.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [row for row in rows if row["kind"] == kind]
