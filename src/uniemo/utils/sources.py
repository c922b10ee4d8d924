"""Sources of weights: a path, a hub id, or a folder inside the installed package."""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

PACKAGE = "package:"


def resolve(source: str) -> str:
    """Replace ``package:PATH`` in a source by the absolute path of PATH in the uniemo package.

    A configuration can thus name the weights that come with uniemo wherever it is installed, for
    instance ``local-dir:package:backbones/weights/clip``.
    """
    before, mark, path = source.partition(PACKAGE)
    return f"{before}{files('uniemo').joinpath(path)}" if mark else source


@cache
def weights_digest(source: str) -> str:
    """Return 16 hexadecimal digits for the content of a file or a folder (see :func:`resolve`).

    A hub id or tag, which is no path, names itself.
    """
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
