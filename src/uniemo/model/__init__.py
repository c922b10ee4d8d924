"""UniEmo as one LightningModule: its parts wired, its losses summed.

:func:`build_model` makes the parts from settings, :func:`load_model` reads a trained model back.
"""

from uniemo.model.build import assemble, build_model, load_model
from uniemo.model.painter import Painter
from uniemo.model.uniemo import UniEmo

__all__ = ["Painter", "UniEmo", "assemble", "build_model", "load_model"]
