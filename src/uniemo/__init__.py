"""uniemo: unified visual emotion understanding and generation.

``uniemo.UniEmoPipeline`` uses a trained model. ``uniemo.load_model`` and ``uniemo.build_model``
return the :class:`uniemo.model.UniEmo` in it.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
HOMES = {
    "UniEmo": "uniemo.model",
    "UniEmoPipeline": "uniemo.pipeline",
    "build_model": "uniemo.model",
    "load_model": "uniemo.model",
}
__all__ = ["UniEmo", "UniEmoPipeline", "build_model", "load_model"]


def __getattr__(name: str) -> Any:
    # Importing the model takes seconds, importing the package none.
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
