"""The page of results: first the verdicts, with a figure each, then all numbers.

It is written from the results on disk; its sentences follow from the numbers.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from uniemo.study.claim import Claim
from uniemo.study.claims import CLAIMS
from uniemo.study.ledger import read_ledger
from uniemo.study.plots import draw
from uniemo.study.results import Table, collect
from uniemo.study.tables import (
    answer,
    beyond_chance,
    interval,
    joined,
    percent,
    rows,
    sentences,
)
from uniemo.study.trial import Profile, Trial
from uniemo.utils.files import write_bytes

SIZES = 3
"""From so many shares of the training split on, a claim is shown by its curves over them."""


class Study(NamedTuple):
    """What is run and stands on the page."""

    command: str
    claims: Sequence[Claim]
    """Those that are run; the page names all."""
    profile: Profile
    trials: list[Trial]
    """Of all seeds of the profile, whoever runs them."""


def write_page(study: Study, path: Path) -> None:
    """Write the Markdown page, and a figure for every claim in :func:`results_folder`."""
    results = {claim: collect(claim, study.trials) for claim in CLAIMS}
    parts = ["# Results", "", "## Verdicts", "", READING, ""]
    for claim, tables in results.items():
        if tables:
            figure = results_folder(path) / f"{claim.name}.svg"
            write_bytes(figure, draw(tables, curves=len(tables) >= SIZES))
            parts += [
                f"### {claim.title}",
                "",
                *(f"- {line}" for table in tables for line in findings(table)),
                "",
                f"![{claim.headline.title}, by arm]({figure.relative_to(path.parent)})",
                "",
            ]
    missing = [claim.title for claim, tables in results.items() if not tables]
    if missing:
        parts += [f"Not run (profile {study.profile.name}):", "", *(f"- {it}" for it in missing)]
    parts += ["", "## How they were made", "", *facts(study), "", "## All numbers"]
    for claim, tables in results.items():
        if tables:
            parts += ["", f"### {claim.name.replace('_', ' ').capitalize()}", "", claim.about]
        for table in tables:
            curve = tables if len(tables) >= SIZES and table.size else ()
            parts += ["", f"#### {where(table)}", "", *rows(table, curve), ""]
            parts.append(" ".join(sentences(table)))
    write_bytes(path, ("\n".join(parts) + "\n").encode())


READING = (
    "**Yes**: better than the baseline, the best of the controls on validation. **No**: worse, or "
    "a gain that matters is excluded. **Cannot be told**: neither; the difference that four such "
    "studies of five would have found is named. Scores are the mean posterior of the predicted "
    "emotion where the data set knows it, else the accuracy. Intervals are of 95 %, paired, over "
    "trainings and pictures together where single pictures' scores are known (Hillis, 2007), else "
    "over trainings; verdicts are corrected for the number of arms (Holm, 1979). Trainings on the "
    "whole split have their images in common. Nothing is chosen by the test split."
)


def findings(table: Table) -> Iterator[str]:
    """Say what a table answers to its claim's question."""
    claim, headline = table.claim, table.claim.headline
    judged = table.verdicts(headline.key, headline.relevant)
    if claim.subject is None:
        differing = joined(list(beyond_chance(table, headline))) or "no arm beyond chance"
        yield f"{where(table)}, {headline.title} less `{table.baseline}`: {differing}."
    elif claim.subject in judged:
        verdict = judged[claim.subject]
        yield (
            f"{where(table)}: **{answer(verdict, headline)}**. `{claim.subject}` "
            f"{interval(verdict.difference, headline)} in {headline.title.removesuffix(', %')} "
            f"over `{table.baseline}`."
        )
    else:
        yield f"{where(table)}: `{claim.subject}` is not run yet."


def where(table: Table) -> str:
    """Say what a table is of."""
    n = len(table.seeds)
    images = f" ({table.size:,} images)" if table.size else ""
    share = f"{percent(table.fraction)} of the training split{images}"
    return f"{share}, {'one seed' if n == 1 else f'{n} seeds'}"


def results_folder(page: Path) -> Path:
    """Return the folder of a page's figures and of the numbers it is made from."""
    return page.with_name(page.stem.lower())


def facts(study: Study) -> list[str]:
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
    lines = {
        "Command": f"`{study.command}`",
        "Configuration": f"data `{data.root}`, emotion space "
        f"`{model.space.kind}`, pool of {profile.pool_images} images per emotion, "
        f"{profile.images} images per emotion generated and measured per arm",
        "Epochs by share of the training split": "; ".join(trainings),
        "Machine": "; ".join(machines),
        "Date": " to ".join(days[:1] + days[1:][-1:]),
    }
    return ["Written by the command; do not edit.", ""] + [f"- {k}: {v}" for k, v in lines.items()]
