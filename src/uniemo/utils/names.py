"""Names of scenes and objects in the form that text encoders read."""


def readable(name: str) -> str:
    """Return a name of EmoSet in plain words (extension): ``bakery/shop`` gives ``bakery shop``.

    Args:
        name: In any case, with ``_`` or ``/`` between words.

    Returns:
        The name in lower case, with spaces between words.
    """
    return name.lower().replace("_", " ").replace("/", " ")
