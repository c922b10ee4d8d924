"""Names of scenes and objects in the form that text encoders read."""


def readable(name: str) -> str:
    """Return a name of EmoSet in plain words (extension): ``Bakery/Shop`` gives ``bakery shop``."""
    return name.lower().replace("_", " ").replace("/", " ")
