"""The emotions of a data set: names, label indices and polarity. Mikels' eight are the default.

The index order of the eight is that of EmoSet's ``info.json`` (Yang et al., ICCV 2023): four
positive, then four negative emotions. See docs/method.md, "Data".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Final, Self

from uniemo.errors import UserError

EMOTIONS: Final = (
    "amusement",
    "awe",
    "contentment",
    "excitement",
    "anger",
    "disgust",
    "fear",
    "sadness",
)
"""Mikels' eight emotions in index order."""

N_EMOTIONS: Final = len(EMOTIONS)
"""Their number, 8."""

LONGEST_NAME: Final = 60
"""Characters of an emotion's name, which names folders and files."""

MAX_EMOTIONS: Final = 64
"""Emotions that a data set may have: of an image's seed, six bits hold its emotion."""

POSITIVE: Final = 0
NEGATIVE: Final = 1
POLARITIES: Final = ("positive", "negative")
"""Names of the polarities in index order."""

_KNOWN_POLARITY: Final = {
    **dict.fromkeys(EMOTIONS[:4], POSITIVE),
    **dict.fromkeys(("joy", "happiness", "love", "trust", "positive"), POSITIVE),
    **dict.fromkeys(EMOTIONS[4:], NEGATIVE),
    **dict.fromkeys(("negative",), NEGATIVE),
}
"""Of the categories of Mikels, Ekman, Parrott and Plutchik; surprise and anticipation are neither,
because either may be pleasant or not."""


@dataclass(frozen=True)
class Emotions:
    """The emotions that a data set labels and a model knows.

    Attributes:
        names: A name's position is its label index; 2 to 64 of them.
        polarity: ``POSITIVE``, ``NEGATIVE`` or None of each.

    Raises:
        UserError: If there are too few or too many, one comes twice, or one cannot name a folder.
    """

    names: tuple[str, ...] = EMOTIONS
    polarity: tuple[int | None, ...] = tuple(_KNOWN_POLARITY[name] for name in EMOTIONS)

    def __post_init__(self) -> None:
        for field in ("names", "polarity"):  # JSON brings lists
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if not 2 <= len(self.names) <= MAX_EMOTIONS:
            raise UserError(
                f"there are {len(self.names)} emotions ({shorten(str(self), 200)}); "
                f"a data set needs 2 to {MAX_EMOTIONS}"
            )
        for name in self.names:
            if len(name) > LONGEST_NAME:
                raise UserError(f"emotion {name[:20]!r}... is too long to name a folder; rename it")
            if name != name.strip() or not name or name.startswith(".") or set(name) & set("/\\\0"):
                raise UserError(f"emotion {name!r} cannot name a folder; rename it")
            if self.names.count(name) > 1:
                raise UserError(f"emotion {name!r} comes twice; give each its own name")
        if len(self.polarity) != len(self.names):
            raise UserError(
                f"{len(self.polarity)} polarities for {len(self.names)} emotions; give one each"
            )

    @classmethod
    def of(cls, names: Iterable[str], polarity: Mapping[str, str | None] | None = None) -> Self:
        """Return the emotions of these names, in this order; Mikels' eight in theirs.

        Args:
            names: In index order.
            polarity: "positive", "negative" or None by name. A name that is not given has its usual
                one, or none.

        Raises:
            UserError: If the names are impossible, or a polarity is neither.
        """
        names = tuple(names)
        if sorted(names) == sorted(EMOTIONS):
            names = EMOTIONS
        if not isinstance(polarity or {}, Mapping):
            raise UserError(f"polarity is {polarity!r:.80}; give positive or negative by name")
        given: dict[str, int | None] = {}
        for name, value in (polarity or {}).items():
            if name not in names or value not in (*POLARITIES, None):
                raise UserError(
                    f"polarity {value!r:.80} of emotion {name!r:.80}: give positive, negative or "
                    f"null for some of {shorten(', '.join(names), 300)}"
                )
            given[name] = None if value is None else POLARITIES.index(value)
        return cls(names, tuple(given.get(name, _KNOWN_POLARITY.get(name)) for name in names))

    def __len__(self) -> int:
        """Return C, the number of emotions."""
        return len(self.names)

    def __str__(self) -> str:
        return ", ".join(self.names)

    def index(self, name: str) -> int:
        """Return the label index of a name."""
        return self.names.index(name)

    @property
    def two_classes(self) -> tuple[int, ...] | None:
        """The polarity of each emotion: labels of the two-class task.

        None if an emotion has none, or if two emotions are the two classes already.
        """
        known = tuple(each for each in self.polarity if each is not None)
        return known if len(known) == len(self) > 2 and len(set(known)) == 2 else None

    def polarity_name(self, index: int) -> str | None:
        """Return "positive" or "negative"; None for an emotion without polarity."""
        polarity = self.polarity[index]
        return None if polarity is None else POLARITIES[polarity]
