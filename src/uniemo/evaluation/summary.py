"""The summary of an evaluation on the screen."""

from pathlib import Path
from typing import Any, NamedTuple

from rich.columns import Columns
from rich.console import Console
from rich.table import Table

ENOUGH_IMAGES = 2048  # from here on the bias of a Frechet distance is small


class Row(NamedTuple):
    """A line of the summary."""

    key: str  # in the group of metrics.json; {n} is the number of emotions
    label: str  # indented: something to compare the line above with
    share: bool = False  # in per cent
    published: str | None = None
    """A published measure, if it stands for one, or "default", which no script computes."""


GROUPS: dict[str, tuple[Row, ...]] = {
    "Understanding": (
        Row("accuracy", "Accuracy, {n} emotions", True),
        Row("ceiling", "  best possible, expected", True),
        Row("bayes_rule", "  Bayes' rule, these images", True),
        Row("linear_probe", "  linear probe on CLIP", True),
        Row("names_baseline", "  CLIP's names and counts", True),
        Row("accuracy_polarity", "Accuracy, polarity", True),
        Row("f1_macro", "F1, macro", True),
        Row("ece", "Calibration error (ECE)", True),
        Row("votes_kl", "Votes, KL divergence"),
        Row("votes_chebyshev", "Votes, Chebyshev distance"),
        Row("votes_cosine", "Votes, cosine similarity"),
    ),
    "Generation": (
        Row("fid", "Frechet distance", published="default"),
        Row("published.fid", "  as the public script", published="fid"),
        Row("fid_reconstructed", "  reconstructed test images"),
        Row("kid", "KID"),
        Row("diversity", "Diversity", published="default"),
        Row("published.diversity", "  as the public script", published="diversity"),
        Row("density", "Density"),
        Row("coverage", "Coverage", True),
        Row("emo_a_{n}", "Emo-A, {n} emotions", True, "emo_a"),
        Row("judge_accuracy_real", "  judge on real images", True),
        Row("judge_accuracy_reconstructed", "  judge on reconstructions", True),
        Row("emo_a_2", "Emo-A, polarity", True),
        Row("sem_c", "Sem-C", published="default"),
        Row("published.sem_c", "  as the public script", published="sem_c"),
        Row("sem_d", "Sem-D", published="default"),
        Row("published.sem_d", "  as the public script", published="sem_d"),
        Row("near_copies", "Near-copies of training data", True),
    ),
    "Queries": (
        Row("retrieval_scene", "Right scene retrieved", True),
        Row("retrieval_object", "Right object retrieved", True),
        Row("pointing_scene", "Pointing game, scene", True),
        Row("pointing_object", "Pointing game, object", True),
        Row("pointing_chance", "  chance", True),
    ),
}
NOT_PUBLISHED = "*"  # marks a number that is not by the published measure
SOURCES = {
    "judge": "Judge",
    "fid_features": "Distance features",
    "diversity_metric": "Diversity",
    "sem_c_classifiers": "Sem-C",
    "sem_d_features": "Sem-D features",
}


def percent(value: float | None) -> str:
    """Write a share in per cent, which no line break can separate; a dash for None."""
    return "–" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def number(value: float | None) -> str:
    """Write a number in three or four digits; a dash for None."""
    if value is None:
        return "–"
    digits = 2 if abs(value) >= 10 else 3 if abs(value) >= 0.1 else 4
    return f"{value:.{digits}f}"


def print_summary(metrics: dict[str, Any], console: Console, folder: Path) -> None:
    """Print the content of ``metrics.json``, and that the folder holds it and the report.

    Groups stand side by side where the console is wide enough.
    """
    generation = metrics.get("generation") or {}
    facts = [metrics["experiment"], f"protocol {metrics['protocol']}"]
    if metrics["seed"] is not None:
        facts.append(f"seed {metrics['seed']}")
    if generation:
        facts.append(f"{generation['n_images']:,} generated images")
    plain: Any = {"soft_wrap": True, "highlight": False, "markup": False}
    console.print()
    console.print(f"Evaluation of {metrics['checkpoint']}", style="bold", **plain)
    console.print(" · ".join(facts), style="dim", **plain)

    tables = [
        _table(name, metrics.get(name.lower(), {}), len(metrics["emotions"])) for name in GROUPS
    ]
    console.print(Columns([table for table in tables if table.rows], padding=(0, 4)))

    notes = Table.grid(padding=(0, 3, 0, 0))
    for key, label in SOURCES.items():
        if key in generation:
            notes.add_row(label, str(generation[key]))
    if 0 < generation.get("n_images", 0) < ENOUGH_IMAGES:
        bias = f"large below {ENOUGH_IMAGES:,} images; compare at equal numbers only"
        notes.add_row("Distance bias", bias)
    if generation:
        notes.add_row(NOT_PUBLISHED, "not by the published measure: not comparable with papers")
    if notes.rows:
        console.print()
        console.print(notes, style="dim", highlight=False)
    console.print()
    for label, name in (("Metrics", "metrics.json"), ("Report", "report.html")):
        console.print(f"{label:17}{folder / name}", **plain)


def _table(group: str, values: dict[str, Any], n_emotions: int) -> Table:
    """Return the lines of a group that were measured."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column(f"\n[not dim bold]{group}[/]", no_wrap=True, min_width=31)
    table.add_column("\nvalue", justify="right", no_wrap=True, min_width=8)
    table.add_column("\n95 % interval", justify="right", no_wrap=True, min_width=17)
    values = values | {f"published.{k}": v for k, v in values.get("published", {}).items()}
    for row in GROUPS[group]:
        key, label = (text.format(n=n_emotions) for text in row[:2])
        if key in values:
            if row.published is not None and row.published not in values["as_published"]:
                label += f" {NOT_PUBLISHED}"
            write = percent if row.share else number
            interval = values.get("intervals", {}).get(key)
            ends = "" if interval is None else " to ".join(write(end) for end in interval)
            style = "dim" if label.startswith(" ") else ""
            table.add_row(f"  {label}", write(values[key]), ends, style=style)
    return table
