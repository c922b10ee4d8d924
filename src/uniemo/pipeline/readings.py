"""What is read from a photo.

Legend: C emotions, Q queries of a set, gh x gw patches, B photos.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from uniemo.emotions import Emotions
from uniemo.fusion import AttributeBase, Fusion
from uniemo.understanding import UnderstandingOutput
from uniemo.understanding.chain import AttentionMaps


@dataclass(frozen=True)
class Attribute:
    """The scene or the object that is nearest to a photo.

    Source: docs/method.md, "Attribute bases and correlation coefficient".
    """

    name: str | None
    """Its name in the data set; None if the base is empty."""

    coefficients: dict[str, float]
    """p(emotion | name) of every emotion, in [0, 1]; 0 if there is no name."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What one photo makes people feel, and why."""

    probabilities: dict[str, float]
    """Of every emotion; they sum to 1."""

    scene: Attribute
    """The nearest scene."""

    object: Attribute
    """The nearest object."""

    scene_attention: np.ndarray
    """[Q, gh, gw] float32: where each scene query looks; a map sums to 1 less the class token's
    share. Q is 0 for a model without scene queries."""

    object_attention: np.ndarray
    """[Q, gh, gw] float32: where each object query looks."""

    polarity: str | None
    """Of the most probable emotion: ``positive``, ``negative``, or None if it has none."""

    @property
    def emotion(self) -> str:
        """The most probable emotion."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    def as_dict(self) -> dict[str, Any]:
        """Return all but the attention maps, ready for JSON."""
        return {
            "emotion": self.emotion,
            "polarity": self.polarity,
            "probabilities": self.probabilities,
            "scene": {"name": self.scene.name, "coefficients": self.scene.coefficients},
            "object": {"name": self.object.name, "coefficients": self.object.coefficients},
        }


def make_readings(
    emotions: Emotions, fusion: Fusion, output: UnderstandingOutput, maps: AttentionMaps
) -> list[Reading]:
    """Return what was read from B photos, one :class:`Reading` each."""
    probabilities = output.logits.float().softmax(dim=1)  # [B, C]
    polarity = [emotions.polarity_name(label) for label in probabilities.argmax(dim=1).tolist()]
    scenes = nearest(emotions, fusion.scene_base, fusion.scene_names, output.scene)
    objects = nearest(emotions, fusion.object_base, fusion.object_names, output.object)
    attention = (maps.scene.float().cpu().numpy(), maps.object.float().cpu().numpy())
    rows = zip(probabilities.tolist(), scenes, objects, *attention, polarity, strict=True)
    return [Reading(dict(zip(emotions.names, row[0], strict=True)), *row[1:]) for row in rows]


def nearest(
    emotions: Emotions, base: AttributeBase, names: list[str], query: Tensor
) -> list[Attribute]:
    """Return the attribute nearest to each projection [B, E]."""
    found = []
    for index in base.retrieve(query).tolist():
        if index < 0:
            found.append(Attribute(None, dict.fromkeys(emotions.names, 0.0)))
        else:
            coefficients = base.correlation[index].tolist()
            by_name = dict(zip(emotions.names, coefficients, strict=True))
            found.append(Attribute(names[index], by_name))
    return found
