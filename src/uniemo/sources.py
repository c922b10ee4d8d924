"""Where weights and folders may lie: a path, a hub id, or inside the installed package."""

from importlib.resources import files

PACKAGE = "package:"


def resolve(source: str) -> str:
    """Replace ``package:PATH`` in a source by the path of that folder in the uniemo package.

    So a configuration names the weights that uniemo ships without knowing where it is installed.

    Args:
        source: For instance ``local-dir:package:backbones/weights/clip``; anything else stays.
    """
    before, mark, path = source.partition(PACKAGE)
    return f"{before}{files('uniemo').joinpath(path)}" if mark else source
