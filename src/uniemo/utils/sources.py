"""Where weights and folders may lie: a path, a hub id, or inside the installed package."""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

PACKAGE = "package:"


def resolve(source: str) -> str:
    """Replace ``package:PATH`` in a source by the path of that folder in the uniemo package.

    So a configuration names the weights that uniemo ships without knowing where it is installed.

    Args:
        source: For instance ``local-dir:package:backbones/weights/clip``; anything else stays.
    """
    before, mark, path = source.partition(PACKAGE)
    return f"{before}{files('uniemo').joinpath(path)}" if mark else source


@cache
def weights_digest(source: str) -> str:
    """Name what lies in a local source by all its bytes; a hub's id or tag is its own name."""
    root = Path(resolve(source).removeprefix("local-dir:")).expanduser()
    if not root.exists():
        return source
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
        if path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(root)} {content}\n".encode())
    return digest.hexdigest()[:16]
