"""What is on an image: emotion -> scene, object and tone, and the exact posterior (extension).

Given the emotion y, scene, object, brightness and colorfulness are drawn independently, so

    p(y | everything drawn) is proportional to p(scene | y) p(object | y) p(brightness | y)
    p(colorfulness | y), with a uniform prior on y.

Both attribute tables follow EmoSet's published p(y | attribute), raised to 1 / T and normalised:
one temperature T softens (T > 1) all of them. The marginals p(scene) and p(object) are the flattest
(of largest entropy) for which the emotions stay uniform, so p(y | scene) and p(y | object) are
exactly the softened published ones. Neither alone determines the emotion.

Legend: C = 8 emotions, S scenes, O objects, L = 11 levels of tone.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_modules.emoscenes.attributes import attribute_rows
from uniemo.emotions import EMOTIONS, N_EMOTIONS

Table = NDArray[np.float64]

TEMPERATURE: Final = 1.2
"""Chosen so that the ceilings are realistic (see :meth:`Recipe.ceilings`)."""

NO_OBJECT: Final = 0.08
"""Share of images without an object, whatever the emotion."""

SCENE_ANNOTATION_MISSING: Final = 0.3
OBJECT_ANNOTATION_MISSING: Final = 0.2
"""Shares of images that show a scene or an object without being annotated with it.

EmoSet too annotates a scene and objects in only part of its images; the shares are an extension.
"""

LEVELS: Final = tuple(level / 10 for level in range(11))
"""EmoSet's levels of brightness and colorfulness."""

TONE_DEVIATION: Final = 0.18
BRIGHTNESS_MEAN: Final = (0.58, 0.50, 0.56, 0.52, 0.46, 0.46, 0.38, 0.40)
COLORFULNESS_MEAN: Final = (0.60, 0.52, 0.52, 0.60, 0.52, 0.46, 0.42, 0.38)
"""Tone given the emotion: sad and fearful images are slightly darker and paler (extension)."""


class Drawn(NamedTuple):
    """Everything drawn for one image, as indices; ``object`` = O means no object."""

    emotion: int
    scene: int
    object: int
    brightness: int
    colorfulness: int
    scene_annotated: bool
    object_annotated: bool


@dataclass(frozen=True)
class Recipe:
    """The tables p(value | emotion); each column sums to 1.

    Args:
        scene: p(scene | y), [S, C].
        object: p(object | y), [O + 1, C]; the last row is "no object".
        brightness: p(brightness | y), [L, C].
        colorfulness: p(colorfulness | y), [L, C].
    """

    scene: Table
    object: Table
    brightness: Table
    colorfulness: Table

    def draw(self, rng: np.random.Generator, emotion: int) -> Drawn:
        """Draw scene, object, tone and what is annotated, given the emotion's index."""

        def choose(table: Table) -> int:
            return int(rng.choice(len(table), p=table[:, emotion]))

        return Drawn(
            emotion=emotion,
            scene=choose(self.scene),
            object=choose(self.object),
            brightness=choose(self.brightness),
            colorfulness=choose(self.colorfulness),
            scene_annotated=bool(rng.random() >= SCENE_ANNOTATION_MISSING),
            object_annotated=bool(rng.random() >= OBJECT_ANNOTATION_MISSING),
        )

    def posterior(self, drawn: Drawn) -> Table:
        """Return p(y | everything drawn), [C]; the emotion in ``drawn`` is not used."""
        joint = (
            self.scene[drawn.scene]
            * self.object[drawn.object]
            * self.brightness[drawn.brightness]
            * self.colorfulness[drawn.colorfulness]
        )  # [C]
        return joint / joint.sum()

    def ceilings(self, labels: Table | None = None) -> dict[str, float]:
        """Return the Bayes accuracies: the best that a classifier of these attributes can reach.

        Exact sums over the joint tables: sum over values of max over y of p(values | y) / C.

        Args:
            labels: [C, L] 0 or 1, which emotion counts as which label; None for each as its own.
        """
        labels = np.eye(N_EMOTIONS) if labels is None else labels
        tone = _product(self.brightness, self.colorfulness)  # [L * L, C]
        scene_and_object = _product(self.scene, self.object)  # [S * (O + 1), C]
        tables = {
            "scene": self.scene,
            "object": self.object,
            "tone": tone,
            "scene_and_object": scene_and_object,
            "everything": _product(scene_and_object, tone),
        }
        return {
            name: float((table @ labels).max(1).sum()) / N_EMOTIONS
            for name, table in tables.items()
        }


@cache
def build_recipe() -> Recipe:
    """Build the tables of EmoScenes."""
    objects = (1 - NO_OBJECT) * _given_emotion("object")  # [O, C]
    return Recipe(
        scene=_given_emotion("scene"),
        object=np.vstack([objects, np.full((1, N_EMOTIONS), NO_OBJECT)]),
        brightness=_tone_given_emotion(BRIGHTNESS_MEAN),
        colorfulness=_tone_given_emotion(COLORFULNESS_MEAN),
    )


def published(kind: str) -> Table:
    """Return EmoSet's p(emotion | attribute) of the scenes or objects.

    Args:
        kind: ``"scene"`` or ``"object"``.

    Returns:
        [S or O, C], rows in the order of ``SCENE_NAMES`` or ``OBJECT_NAMES``, each sums to 1.
    """
    rows = attribute_rows(kind)
    table = np.array([[float(row[emotion]) for emotion in EMOTIONS] for row in rows])
    return table / table.sum(1, keepdims=True)


def _given_emotion(kind: str) -> Table:
    """Return p(attribute | y), [S or O, C], from the published table, softened."""
    softened = published(kind) ** (1 / TEMPERATURE)
    softened /= softened.sum(1, keepdims=True)  # p(y | attribute)
    return softened * flattest_marginal(softened)[:, None] * N_EMOTIONS


def flattest_marginal(conditional: Table) -> Table:
    """Return the marginal of largest entropy that makes all emotions equally frequent.

    Maximises the entropy of m subject to sum_a m_a p(y | a) = 1 / C for every y. The solution is
    m_a proportional to exp(lambda . p(. | a)); lambda minimises a convex function, by Newton steps.

    Args:
        conditional: p(y | a), [A, C].

    Returns:
        [A], positive, sums to 1.

    Raises:
        ValueError: If no marginal does so, because some emotion is too rare in the table.
    """
    excess = conditional - 1 / N_EMOTIONS  # [A, C]
    multiplier = np.zeros(N_EMOTIONS)
    for _ in range(50):
        weight = np.exp(excess @ multiplier)
        weight /= weight.sum()  # [A]
        gradient = weight @ excess  # [C]
        if np.abs(gradient).max() < 1e-13:
            return weight
        curvature = (weight[:, None] * excess).T @ excess - np.outer(gradient, gradient)
        # The curvature vanishes along (1, ..., 1), along which nothing changes.
        multiplier -= np.linalg.pinv(curvature, rcond=1e-10) @ gradient
    raise ValueError("no marginal makes the emotions uniform; add attributes of the rarest emotion")


def _tone_given_emotion(mean: tuple[float, ...]) -> Table:
    """Return p(level | y), [L, C]: a Gaussian on the levels 0.1 to 0.9."""
    level = np.array(LEVELS)[:, None]
    table = np.exp(-0.5 * ((level - np.array(mean)) / TONE_DEVIATION) ** 2)
    table[[0, -1]] = 0  # the extreme levels would hide scene and object
    return table / table.sum(0)


def _product(first: Table, second: Table) -> Table:
    """Return the joint table [A * B, C] of two that are independent given y: [A, C] and [B, C]."""
    return (first[:, None, :] * second[None, :, :]).reshape(-1, N_EMOTIONS)
