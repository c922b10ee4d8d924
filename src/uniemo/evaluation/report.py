"""The report: everything of an evaluation as one HTML page that needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pyarrow.parquet as parquet
from markupsafe import Markup
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from uniemo.emotions import EMOTIONS
from uniemo.evaluation.figures import Series, attention_overlay, curve_svg, data_uri
from uniemo.evaluation.generation import GeneratedExample
from uniemo.evaluation.understanding import Example
from uniemo.vision.images import evenly_spaced


class PublishedRow(NamedTuple):
    """A system's published numbers on EmoSet-118K (METHOD, "Metrics"); None where not public."""

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

N_FILTERED = 12  # kept, and as many refused, examples of the filter


class Filtered(NamedTuple):
    """An example of the filter's decisions."""

    image: Tensor  # [3, H, H] uint8
    emotion: str
    reason: str  # "kept", or why not


@dataclass
class Report:
    """What the page shows beside the numbers; an empty list leaves its section out."""

    metrics: dict[str, Any]
    dataset: str
    other_data: bool
    """Whether the data are another set than the published numbers'."""
    examples: Sequence[Example] = ()
    shown: Sequence[GeneratedExample] = ()
    copy_threshold: float = 1.0
    nearest: dict[int, Tensor] = field(default_factory=dict)
    """Training pictures [3, H, H] in [0, 1] by row."""
    filtered: Sequence[Filtered] = ()
    curves: dict[str, dict[str, list[Series]]] = field(default_factory=dict)
    """Phase -> quantity -> curves."""

    def html(self) -> str:
        """Return the page."""
        environment = jinja2.Environment(
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        environment.filters |= {"percent": percent, "number": number}
        source = files(__package__).joinpath("report.html.j2").read_text("utf-8")
        return environment.from_string(source).render(
            metrics=self.metrics,
            understanding=self.metrics.get("understanding"),
            generation=self.metrics.get("generation"),
            queries=self.metrics.get("queries"),
            dataset=self.dataset,
            other_data=self.other_data,
            emotions=EMOTIONS,
            published=PUBLISHED,
            gallery=self._gallery(),
            copy_threshold=self.copy_threshold,
            attention=[self._attention(example) for example in self.examples],
            filtered=[(data_uri(f.image), f.emotion, f.reason) for f in self.filtered],
            curves={
                phase: [(quantity, Markup(curve_svg(s, quantity))) for quantity, s in c.items()]
                for phase, c in self.curves.items()
                if c
            },
        )

    def _gallery(self) -> dict[str, list[dict[str, Any]]]:
        """Return the generated pictures by emotion."""
        gallery: dict[str, list[dict[str, Any]]] = {}
        for shown in self.shown:
            gallery.setdefault(EMOTIONS[shown.emotion], []).append(
                {
                    "image": data_uri(shown.image),
                    "nearest": data_uri(self.nearest[shown.nearest]),
                    "verdict": EMOTIONS[shown.verdict],
                    "right": shown.verdict == shown.emotion,
                    "similarity": shown.similarity,
                    "suspect": shown.similarity > self.copy_threshold,
                }
            )
        return gallery

    def _attention(self, example: Example) -> dict[str, Any]:
        """Return a real picture and the overlays of the sets that it has."""
        maps = {"scene": example.scene, "object": example.object}
        return {
            "image": data_uri(example.image),
            "overlays": {
                name: data_uri(attention_overlay(example.image, m, example.box))
                for name, m in maps.items()
                if m.isfinite().all()
            },
            "emotion": EMOTIONS[example.emotion],
            "predicted": EMOTIONS[example.predicted],
        }


def read_filtered(folder: Path) -> list[Filtered]:
    """Read examples of kept and refused pictures of the generate phase; none if it did not run.

    Args:
        folder: The phase's folder. Its ``manifest.parquet`` has the columns ``image`` (a path in
            the folder), ``target`` (an emotion's index) and ``reason`` ("kept", or why not).
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
    chosen = evenly_spaced(by_reason.get("kept", []), N_FILTERED)
    for found in refused.values():
        chosen += evenly_spaced(found, max(N_FILTERED // len(refused), 1))
    examples = []
    for row in chosen:
        with Image.open(folder / row["image"]) as opened:
            picture = pil_to_tensor(opened.convert("RGB"))
        examples.append(Filtered(picture, EMOTIONS[row["target"]], row["reason"]))
    return examples


def percent(value: float | None) -> str:
    """Write a share, not to be torn at a line's end; a dash for none."""
    return "–" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def number(value: float | None) -> str:
    """Write a number in three or four digits; a dash for none."""
    if value is None:
        return "–"
    return (
        f"{value:.2f}"
        if abs(value) >= 10
        else f"{value:.3f}"
        if abs(value) >= 0.1
        else f"{value:.4f}"
    )


def print_table(metrics: dict[str, Any], console: Console) -> None:
    """Print the headline numbers, with 95 % intervals where there are any."""
    table = Table("measure", "value", "95 % interval", "to compare with", title_justify="left")
    table.title = f"Evaluation of {metrics['checkpoint']}, protocol {metrics['protocol']}"
    for group in ("understanding", "generation", "queries"):
        numbers = metrics.get(group)
        for name, beside in _HEADLINES[group].items():
            if not numbers or name not in numbers:
                continue
            write = percent if name in _SHARES else number
            interval = numbers.get("intervals", {}).get(name)
            span = "" if interval is None else " to ".join(write(end) for end in interval)
            compare = ", ".join(
                f"{label} {write(numbers[key])}" for key, label in beside.items() if key in numbers
            )
            table.add_row(f"{group}.{name}", write(numbers[name]), span, compare)
    console.print(table)
    if generation := metrics.get("generation"):
        for key in ("judge", "fid_features", "diversity_metric", "sem_c_classifiers"):
            if key in generation:
                console.print(f"{key}: {generation[key]}", highlight=False)


_SHARES = {
    "accuracy", "accuracy_polarity", "emo_a_8", "emo_a_2", "coverage", "near_copies",
    "pointing_scene", "pointing_object",
}  # fmt: skip
_HEADLINES: dict[str, dict[str, dict[str, str]]] = {
    "understanding": {
        "accuracy": {"ceiling": "ceiling", "linear_probe": "linear probe"},
        "accuracy_polarity": {},
        "f1_macro": {},
        "ece": {},
    },
    "generation": {
        "fid": {},
        "kid": {},
        "diversity": {},
        "density": {},
        "coverage": {},
        "emo_a_8": {
            "judge_accuracy_real": "judge on real",
            "judge_accuracy_reconstructed": "on reconstructed",
        },
        "emo_a_2": {},
        "sem_c": {},
        "sem_d": {},
        "near_copies": {},
    },
    "queries": {
        "pointing_scene": {"pointing_chance": "chance"},
        "pointing_object": {"pointing_chance": "chance"},
    },
}
