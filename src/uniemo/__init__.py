"""uniemo: unified visual emotion understanding and generation.

``uniemo.load_model`` and ``uniemo.build_model`` return a :class:`uniemo.model.UniEmo`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["UniEmo", "build_model", "load_model"]


def __getattr__(name: str) -> Any:
    # Importing the model takes seconds, importing the package none.
    if name in __all__:
        return getattr(import_module("uniemo.model"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
