"""The report of an evaluation: one HTML page that needs no other file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pyarrow.parquet as parquet
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from uniemo.curriculum.curves import Series, start_and_best
from uniemo.evaluation.figures import attention_overlay, curve_svg, data_uri
from uniemo.evaluation.generation_metrics import GeneratedExample
from uniemo.evaluation.summary import number, percent
from uniemo.evaluation.understanding_metrics import AttentionExample
from uniemo.utils.pictures import open_picture, upright_rgb
from uniemo.vision.images import evenly_spaced


class PublishedRow(NamedTuple):
    """A system on EmoSet-118K (docs/method.md, "Published results"); None where unknown."""

    system: str
    accuracy: float | None
    fid: float | None
    lpips: float | None
    emo_a: float | None
    sem_c: float | None
    sem_d: float | None


PUBLISHED = (
    PublishedRow(
        'Stable Diffusion 1.5, "an image of …"', None, 44.05, 0.687, 0.7077, 0.608, 0.0199
    ),
    PublishedRow("Textual Inversion", None, 50.51, 0.702, 0.7487, 0.605, 0.0282),
    PublishedRow("DreamBooth", None, 46.89, 0.661, 0.7050, 0.614, 0.0178),
    PublishedRow("EmoGen (CVPR 2024)", None, 41.60, 0.717, 0.7625, 0.633, 0.0335),
    PublishedRow("CoEmoGen (ICLR 2026)", None, 40.66, 0.732, 0.8015, 0.641, 0.0349),
    PublishedRow("UniEmo (TIP 2026)", 0.8530, 27.73, None, None, None, None),
)

N_FILTER_EXAMPLES = 12  # kept images, and as many refused ones


class FilterExample(NamedTuple):
    """An image with the filter's decision."""

    image: Tensor  # [3, H, H] uint8
    emotion: str
    reason: str  # "kept", or why it was refused


@dataclass
class EvaluationReport:
    """The content of the page; an empty list leaves its section out."""

    metrics: dict[str, Any]
    dataset: str
    other_data: bool
    """Whether the data are another set than that of the published results."""
    attention_examples: Sequence[AttentionExample] = ()
    generated_examples: Sequence[GeneratedExample] = ()
    copy_threshold: float = 1.0
    nearest: dict[int, Tensor] = field(default_factory=dict)
    """Training images [3, H, H] in [0, 1] by row."""
    filter_examples: Sequence[FilterExample] = ()
    curves: dict[str, dict[str, list[Series]]] = field(default_factory=dict)
    """Phase -> quantity -> curves."""

    def html(self) -> str:
        """Return the page."""
        environment = jinja2.Environment(
            autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
        )
        environment.filters |= {"percent": percent, "number": number, "data_uri": data_uri}
        emotions = self.metrics["emotions"]
        source = files(__package__).joinpath("report.html.j2").read_text("utf-8")
        return environment.from_string(source).render(
            vars(self),
            understanding=self.metrics.get("understanding"),
            generation=self.metrics.get("generation"),
            queries=self.metrics.get("queries"),
            emotions=emotions,
            emo_a=f"emo_a_{len(emotions)}",
            polarity=len(emotions) > 2 and "emo_a_2" in self.metrics.get("generation", {}),
            published=PUBLISHED,
            own_row=comparable_values(self.metrics.get("generation") or {}, len(emotions)),
            attention_overlay=attention_overlay,
            curve_svg=curve_svg,
            start_and_best=start_and_best,
        )


def comparable_values(generation: dict[str, Any], n_emotions: int) -> dict[str, float | None]:
    """Return the numbers that stand beside the published ones, as the public scripts if possible.

    Args:
        generation: The group of ``metrics.json``; a key that ``as_published`` does not list is of
            another measure.
        n_emotions: Number of emotions.
    """
    published = {
        key: value
        for key, value in generation.get("published", {}).items()
        if key in generation["as_published"]
    }
    values = generation | {"emo_a": generation.get(f"emo_a_{n_emotions}")} | published
    return {key: values.get(key) for key in ("fid", "diversity", "emo_a", "sem_c", "sem_d")}


def read_filter_examples(folder: Path, emotions: Sequence[str]) -> list[FilterExample]:
    """Read examples of kept and refused images of the generate phase; none if it did not run.

    The folder's ``manifest.parquet`` has the columns ``image`` (a path in the folder), ``target``
    (an emotion's index) and ``reason`` ("kept", or another).
    """
    path = folder / "manifest.parquet"
    if not path.is_file():
        return []
    columns = ["image", "target", "reason"]
    if not set(columns) <= set(parquet.read_schema(path).names):
        return []
    rows = parquet.read_table(path, columns=columns).to_pylist()
    by_reason: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_reason.setdefault(row["reason"], []).append(row)
    refused = {reason: found for reason, found in by_reason.items() if reason != "kept"}
    chosen = evenly_spaced(by_reason.get("kept", []), N_FILTER_EXAMPLES)
    for found in refused.values():
        chosen += evenly_spaced(found, max(N_FILTER_EXAMPLES // len(refused), 1))
    examples = []
    for row in chosen:
        path = folder / row["image"]
        if not path.resolve().is_relative_to(folder.resolve()) and not path.is_absolute():
            continue
        try:
            with open_picture(path) as opened:
                image = pil_to_tensor(upright_rgb(opened))
        except OSError:
            continue  # it is an example
        examples.append(FilterExample(image, emotions[row["target"]], row["reason"]))
    return examples
