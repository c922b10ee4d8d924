"""The page of results, written from the results on disk; its sentences follow from the numbers."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from uniemo.ablation.catalogue import GROUPS, Measure
from uniemo.ablation.figure import draw
from uniemo.ablation.plan import PROGRAM, Profile, Trial
from uniemo.ablation.records import read_ledger
from uniemo.ablation.results import Table, collect
from uniemo.ablation.statistics import Estimate
from uniemo.curriculum.painting import write_whole


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
            write_whole(figure, draw(table).encode())
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
    write_whole(path, ("\n".join(parts) + "\n").encode())


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
        versus = "" if arm == group.baseline else shown(table.difference(arm), headline, sign=True)
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
    measure, baseline = group.measure(group.headline), f"`{group.baseline}`"
    what = measure.title.removesuffix(", %")
    found, compared = [], False
    for arm in group.arms:
        difference = None if arm == group.baseline else table.difference(arm)
        if difference is None or difference.half_width is None:
            continue
        compared = True
        if difference.sign:
            low, high = (abs(difference.mean) + side * difference.half_width for side in (-1, 1))
            unit = " points" if measure.scale == 100 else ""
            numbers = [
                f"{n * measure.scale:.{measure.digits}f}" for n in (abs(difference.mean), low, high)
            ]
            found.append(
                f"`{arm}` is {'above' if difference.sign > 0 else 'below'} {baseline} in {what} by "
                f"{numbers[0]}{unit} (95 % interval {numbers[1]} to {numbers[2]})."
            )
    if not compared:
        found.append(f"One seed: differences in {what} cannot be told from chance here.")
    elif not found:
        found.append(f"No arm differs from {baseline} in {what} beyond its interval.")
    missing = [f"`{arm}`" for arm in group.arms if table.estimate(arm, group.headline) is None]
    if missing:
        found.append(f"Not available: {', '.join(missing)}.")
    if group.name == "spaces":
        found.append(best_space(table))
    return found


def best_space(table: Table) -> str:
    """Name the best emotion space by the rule that the sentence states."""
    scores, accuracies = {}, {}
    for arm in table.group.arms:
        accuracy, covered = table.estimate(arm, "emo_a"), table.estimate(arm, "clip_coverage")
        if accuracy is not None and covered is not None:
            scores[arm], accuracies[arm] = accuracy.mean * covered.mean, accuracy.mean
    if not scores:
        return "No emotion space could be rated."
    rule = "the rule that the highest product of mean Emo-A and mean coverage (CLIP) wins"
    if not max(scores.values()):
        best = max(accuracies, key=lambda arm: accuracies[arm])
        return f"No space covers a validation picture, so {rule} names none; by Emo-A, `{best}`."
    best = max(scores, key=lambda arm: scores[arm])
    order = ", ".join(f"`{arm}` {score:.3f}" for arm, score in scores.items())
    return f"By {rule}, `{best}` is the best ({order})."


def percent(fraction: float) -> str:
    """Write a share in percent."""
    return f"{100 * fraction:g} %"


def seeds(n: int) -> str:
    """Write a number of seeds."""
    return "one seed" if n == 1 else f"{n} seeds"
