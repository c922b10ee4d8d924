"""Names of scenes and objects as text towers read them."""


def readable(name: str) -> str:
    """Return a name as EmoSet writes it, such as ``bakery/shop``, in plain words (ours)."""
    return name.lower().replace("_", " ").replace("/", " ")
