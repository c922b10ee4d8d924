"""Training splits that are harder than what is tested: rare emotions, wrong labels, unseen things.

Validation and test stay as they are.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np

from data_modules.emoscenes.recipe import LEVELS, Drawn, Recipe
from uniemo.emotions import N_EMOTIONS
from uniemo.errors import UserError

OBJECT_SIZE: Final = (0.35, 0.75)
NARROW_SIZE: Final = (0.6, 0.75)
NARROW_TONE: Final = (0.4, 0.6)


@dataclass(frozen=True)
class Shift:
    """What the training split differs in.

    Args:
        long_tail: How many times as many images the first emotion has as the last; in between the
            numbers fall exponentially (Cui et al., CVPR 2019).
        withheld_pairs: Share of all pairs of scene and object that no training image shows.
        wrong_labels: Share of the training images whose label is another emotion, drawn uniformly.
        narrow: Whether training images have medium tones and large objects alone.

    Raises:
        UserError: If a number is out of range.
    """

    long_tail: float = 1.0
    withheld_pairs: float = 0.0
    wrong_labels: float = 0.0
    narrow: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.long_tail <= 1000:
            raise UserError(f"training.long_tail is {self.long_tail}; give 1 to 1000")
        for name in ("withheld_pairs", "wrong_labels"):
            if not 0 <= getattr(self, name) <= 0.9:
                raise UserError(f"training.{name} is {getattr(self, name)}; give 0 to 0.9")

    @property
    def object_size(self) -> tuple[float, float]:
        """The range of an object's longer side, in sides of the image."""
        return NARROW_SIZE if self.narrow else OBJECT_SIZE

    def emotions(self, n: int) -> list[int]:
        """Return the emotions of ``n`` images, in turn as long as there are some of each left."""
        if self.long_tail == 1:
            return [index % N_EMOTIONS for index in range(n)]
        weight = self.long_tail ** -(np.arange(N_EMOTIONS) / (N_EMOTIONS - 1))
        ends = np.cumsum(weight / weight.sum() * n).round().astype(int)
        left = np.diff(ends, prepend=0)
        turns: list[int] = []
        while left.any():
            turns += np.flatnonzero(left).tolist()
            left = np.maximum(left - 1, 0)
        return turns

    def label(self, emotion: int, seed: int, index: int) -> int:
        """Return the label of training image ``index``, which shows ``emotion``."""
        if not self.wrong_labels:
            return emotion
        rng = np.random.default_rng([seed, index, N_EMOTIONS])
        wrong = rng.random() < self.wrong_labels
        return (emotion + int(rng.integers(1, N_EMOTIONS))) % N_EMOTIONS if wrong else emotion

    def draw(self, recipe: Recipe, rng: np.random.Generator, emotion: int) -> Drawn:
        """Draw what is on an image, again until nothing of it is withheld."""
        while True:
            drawn = recipe.draw(rng, emotion)
            if not (self._is_withheld(drawn) or (self.narrow and _is_extreme(drawn))):
                return drawn

    def _is_withheld(self, drawn: Drawn) -> bool:
        digest = sha256(f"{drawn.scene} {drawn.object}".encode()).digest()
        return int.from_bytes(digest[:4]) < self.withheld_pairs * 2**32


def _is_extreme(drawn: Drawn) -> bool:
    tones = LEVELS[drawn.brightness], LEVELS[drawn.colorfulness]
    return not all(NARROW_TONE[0] <= tone <= NARROW_TONE[1] for tone in tones)
