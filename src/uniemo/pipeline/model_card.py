"""The card that comes with a saved model: what it is, how to use it, what was measured."""

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from uniemo.pipeline.emotion_model import EmotionModel
from uniemo.utils.files import write_bytes

NAMES = {
    "accuracy": "accuracy, {n} emotions",
    "accuracy_polarity": "accuracy, polarity",
    "f1_macro": "macro F1",
    "ece": "expected calibration error",
    "n_images": "generated images",
    "emo_a_{n}": "Emo-A, {n} emotions",
    "emo_a_2": "Emo-A, polarity",
    "sem_c": "Sem-C",
    "sem_d": "Sem-D",
    "fid": "FID",
    "fid_features": "features of FID",
    "kid": "KID",
    "diversity": "diversity",
    "density": "density",
    "coverage": "coverage",
}
"""Metrics that a card shows, as it calls them; {n} is the number of emotions."""

CARD = """\
---
{data}
---

# UniEmo

Reads which of {n} emotions a photo evokes, and paints pictures that evoke one: {emotions}.
The method is UniEmo's ([arXiv 2507.23372](https://arxiv.org/abs/2507.23372)), the program the
package `uniemo`.

```python
from uniemo import UniEmoPipeline

pipe = UniEmoPipeline.from_pretrained("this folder, or its hub id")
print(pipe.read("photo.jpg")[0].emotion)
pipe("{first}", num_images=4).images[0].save("{first}.png")
```

It begins from CLIP `{clip}` and the Stable Diffusion `{diffusion}`, whose licences apply to their
weights. It knows {scenes} scenes and {objects} objects.

{trained_on}

## Measured

{measured}

## Limits

Emotions are those of the people who labelled the training images; another person may feel
otherwise. Do not use it to infer what a particular person feels, or to influence people without
their knowledge.
"""


def write_card(path: Path, model: EmotionModel) -> None:
    """Write the card of a model."""
    settings, fusion = model.settings, model.fusion
    diffusion = "none: it only reads" if settings.diffusion is None else settings.diffusion.source
    data = ModelCardData(
        library_name="diffusers",
        pipeline_tag="image-classification" if settings.diffusion is None else "text-to-image",
        tags=["uniemo", "emotion", "affective-computing"],
    )
    text = CARD.format(
        data=data.to_yaml(),
        emotions=settings.emotions,
        n=len(settings.emotions),
        first=settings.emotions.names[1],
        trained_on=_trained_on(model.config.get("trained_on") or {}),
        clip=settings.clip.model,
        diffusion=diffusion,
        scenes=len(fusion.scene_names),
        objects=len(fusion.object_names),
        measured=_table(dict(model.config.metrics), len(settings.emotions)),
    )
    write_bytes(path, text.encode())


def _trained_on(data: dict[str, Any]) -> str:
    if not data:
        return "What it was trained on is not known."
    licence = data["licence"] or "not known; ask the authors of the data before you share it"
    return f"It was trained on {data['images']:,} images of {data['data']}. Licence: {licence}."


def _table(metrics: dict[str, Any], n_emotions: int) -> str:
    names = {key.format(n=n_emotions): name.format(n=n_emotions) for key, name in NAMES.items()}
    rows = [
        f"| {part} | {name} | {_number(metrics[part][key])} |"
        for part in ("understanding", "generation")
        for key, name in names.items()
        if key in metrics.get(part, {})
    ]
    if not rows:
        return "Nothing was measured."
    return "\n".join(["| | metric | value |", "|---|---|---|", *rows])


def _number(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
