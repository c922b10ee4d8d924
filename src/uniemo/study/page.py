"""The page of results, written from the results on disk; its sentences follow from the numbers."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from uniemo.study.catalogue import GROUPS, Measure
from uniemo.study.figure import draw
from uniemo.study.plan import PROGRAM, Profile, Trial
from uniemo.study.records import read_ledger
from uniemo.study.results import Table, collect
from uniemo.study.statistics import Estimate
from uniemo.utils.files import write_bytes


class Study(NamedTuple):
    """What the page is about."""

    command: str
    profile: Profile
    trials: list[Trial]
    """Of all seeds of the profile, whoever runs them."""


def command_line(arguments: Sequence[str]) -> str:
    """Return the command that was given."""
    return shlex.join([*PROGRAM.split(), *arguments])


def write_page(study: Study, path: Path) -> None:
    """Write the page, and a figure for every table in the folder :func:`beside` it.

    Args:
        study: What it is about.
        path: The Markdown file.
    """
    parts = [*heading(study)]
    for group in GROUPS:
        parts += ["", f"## {group.title}", "", group.about]
        tables = collect(group, study.trials)
        done = {table.fraction for table in tables}
        missing = [s.fraction for s in study.profile.scales if s.fraction not in done]
        if missing:
            where = " and ".join(map(percent, missing))
            name = study.profile.name
            parts += ["", f"Not run (profile {name}) on {where} of the training split."]
        for table in tables:
            figure = beside(path) / f"{group.name}-{table.fraction:g}.svg"
            write_bytes(figure, draw(table).encode())
            measure = group.measure(group.headline)
            parts += [
                "",
                f"### {percent(table.fraction)} of the training split, {seeds(len(table.seeds))}",
                "",
                *rows(table),
                "",
                f"![{measure.title}, by arm]({figure.relative_to(path.parent)})",
                "",
                " ".join(sentences(table)),
            ]
    write_bytes(path, ("\n".join(parts) + "\n").encode())


def beside(page: Path) -> Path:
    """Return the folder of a page's figures and of the numbers it is made from."""
    return page.with_name(page.stem.lower())


def heading(study: Study) -> list[str]:
    """Return the lines that say how the numbers were made."""
    experiment = study.trials[0].experiment
    data = experiment.config.data.init_args
    model, profile = experiment.config.model, study.profile
    trainings = []
    for trial in {trial.fraction: trial for trial in study.trials}.values():
        own = trial.experiment
        warmup, tuning = own.config.model.understanding_epochs, own.finetune
        joint = own.config.trainer.max_epochs - warmup
        trainings.append(
            f"{percent(trial.fraction)}: {warmup} + {joint} epochs joint training, "
            f"{tuning.epochs} + {tuning.refresh_epochs} finetuning"
        )
    entries = [entry for trial in study.trials for entry in read_ledger(trial).values()]
    machines, days = (sorted({entry[key] for entry in entries}) for key in ("machine", "date"))
    facts = {
        "Command": f"`{study.command}`",
        "Configuration": f"`{Path(study.trials[0].file).name}`, data `{data.root}`, emotion space "
        f"`{model.space.kind}`, pool of {profile.pool_images} images per emotion, "
        f"{profile.images} images per emotion painted and measured per arm",
        "Seeds": ", ".join(map(str, profile.seeds)),
        "Epochs by share of the training split": "; ".join(trainings),
        "Machine": "; ".join(machines),
        "Date": " to ".join(days[:1] + days[1:][-1:]),
    }
    return [
        "# Results",
        "",
        "Written by the command below; do not edit. Values are means over seeds ± half of their "
        "95 % t interval; differences are paired by seed. Intervals are not corrected for the "
        "number of arms. Nothing is chosen by the test split.",
        "",
        *(f"- {name}: {fact}" for name, fact in facts.items()),
    ]


def rows(table: Table) -> list[str]:
    """Return the table in Markdown."""
    group = table.group
    headline = group.measure(group.headline)
    titles = [measure.title for measure in group.measures]
    lines = [
        "| arm | " + " | ".join(titles) + f" | {headline.title}, less `{group.baseline}` | |",
        "|---|" + "---:|" * (len(titles) + 1) + "---|",
    ]
    for arm, description in group.arms.items():
        cells = [shown(table.estimate(arm, m.key), m) for m in group.measures]
        difference = table.difference(arm, group.headline)
        versus = "" if arm == group.baseline else shown(difference, headline, sign=True)
        lines.append(f"| `{arm}` | {' | '.join(cells)} | {versus} | {description} |")
    return lines


def shown(value: Estimate | None, measure: Measure, sign: bool = False) -> str:
    """Write an estimate down; a dash for none."""
    if value is None:
        return "–"
    mark = "+" if sign else ""
    text = f"{value.mean * measure.scale:{mark}.{measure.digits}f}"
    if value.half_width is not None and measure.digits:
        text += f" ± {value.half_width * measure.scale:.{measure.digits}f}"
    return text


def sentences(table: Table) -> list[str]:
    """Say what a table shows, and no more."""
    group = table.group
    found = []
    if len(table.seeds) == 1:
        found.append("One seed: differences cannot be told from chance here.")
    else:
        for measure in filter(lambda measure: measure.compared, group.measures):
            claims = listed(list(beyond_chance(table, measure)))
            what, baseline = measure.title.removesuffix(", %"), f"`{group.baseline}`"
            if claims:
                found.append(f"In {what}, against {baseline}: {claims} (95 % intervals).")
            elif measure.key == group.headline:
                found.append(f"No arm differs from {baseline} in {what} beyond its interval.")
    missing = [f"`{arm}`" for arm in group.arms if table.estimate(arm, group.headline) is None]
    if missing:
        found.append(f"Not available: {', '.join(missing)}.")
    if group.rated:
        found.append(best(table))
    return found


def beyond_chance(table: Table, measure: Measure) -> Iterator[str]:
    """Say by how much each arm differs from the baseline, where the interval leaves zero out."""
    unit = " points" if measure.scale == 100 else ""
    for arm in table.group.arms:
        difference = table.difference(arm, measure.key)
        if difference is not None and difference.sign:
            half = difference.half_width or 0.0
            ends = (difference.mean - half, difference.mean + half)
            mean, low, high = (
                f"{n * measure.scale:+.{measure.digits}f}" for n in (difference.mean, *ends)
            )
            yield f"`{arm}` {mean}{unit} ({low} to {high})"


def listed(items: Sequence[str]) -> str:
    """Join items with commas and a last "and"."""
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def best(table: Table) -> str:
    """Name the best arm by the rule that the sentence states."""
    scores, accuracies = {}, {}
    for arm in table.group.arms:
        accuracy, covered = table.estimate(arm, "emo_a"), table.estimate(arm, "clip_coverage")
        if accuracy is not None and covered is not None:
            scores[arm], accuracies[arm] = accuracy.mean * covered.mean, accuracy.mean
    if not scores:
        return "No arm could be rated."
    rule = "the rule that the highest product of mean Emo-A and mean coverage (CLIP) wins"
    if not max(scores.values()):
        first = max(accuracies, key=lambda arm: accuracies[arm])
        return f"No arm covers a validation picture, so {rule} names none; by Emo-A, `{first}`."
    first = max(scores, key=lambda arm: scores[arm])
    order = ", ".join(f"`{arm}` {score:.3f}" for arm, score in scores.items())
    return f"By {rule}, `{first}` is the best ({order})."


def percent(fraction: float) -> str:
    """Write a share in percent."""
    return f"{100 * fraction:g} %"


def seeds(n: int) -> str:
    """Write a number of seeds."""
    return "one seed" if n == 1 else f"{n} seeds"
