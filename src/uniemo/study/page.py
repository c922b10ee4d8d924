"""The page of results, written from the results on disk; its sentences follow from the numbers."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from uniemo.study.claim import Claim, Measure
from uniemo.study.claims import CLAIMS
from uniemo.study.ledger import read_ledger
from uniemo.study.plots import draw
from uniemo.study.statistics import Estimate, Table, collect
from uniemo.study.trial import Profile, Trial
from uniemo.utils.files import write_bytes


class Study(NamedTuple):
    """What is run and stands on the page."""

    command: str
    claims: Sequence[Claim]
    """Those that are run; the page names all."""
    profile: Profile
    trials: list[Trial]
    """Of all seeds of the profile, whoever runs them."""


def write_page(study: Study, path: Path) -> None:
    """Write the Markdown page, and a figure for every table in :func:`results_folder`."""
    parts = heading(study)
    for claim in CLAIMS:
        parts += ["", f"## {claim.title}", "", claim.about]
        tables = collect(claim, study.trials)
        done = {table.fraction for table in tables}
        missing = [s.fraction for s in study.profile.scales if s.fraction not in done]
        if missing:
            where, profile = " and ".join(map(percent, missing)), study.profile.name
            parts += ["", f"Not run (profile {profile}) on {where} of the training split."]
        for table in tables:
            n = len(table.seeds)
            seeds = "one seed" if n == 1 else f"{n} seeds"
            figure = results_folder(path) / f"{claim.name}-{table.fraction:g}.svg"
            write_bytes(figure, draw(table))
            parts += [
                "",
                f"### {percent(table.fraction)} of the training split, {seeds}",
                "",
                *rows(table),
                "",
                f"![{claim.headline.title}, by arm]({figure.relative_to(path.parent)})",
                "",
                " ".join(sentences(table)),
            ]
    write_bytes(path, ("\n".join(parts) + "\n").encode())


def results_folder(page: Path) -> Path:
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
        "Configuration": f"data `{data.root}`, emotion space "
        f"`{model.space.kind}`, pool of {profile.pool_images} images per emotion, "
        f"{profile.images} images per emotion generated and measured per arm",
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
    claim, headline = table.claim, table.claim.headline
    titles = [measure.title for measure in claim.measures]
    lines = [
        "| arm | " + " | ".join(titles) + f" | {headline.title}, less `{claim.baseline}` | |",
        "|---|" + "---:|" * (len(titles) + 1) + "---|",
    ]
    for arm, description in claim.arms.items():
        cells = [cell(table.estimate(arm, m.key), m) for m in claim.measures]
        difference = table.difference(arm, headline.key)
        versus = "" if arm == claim.baseline else cell(difference, headline, sign=True)
        lines.append(f"| `{arm}` | {' | '.join(cells)} | {versus} | {description} |")
    return lines


def cell(value: Estimate | None, measure: Measure, sign: bool = False) -> str:
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
    claim = table.claim
    found = []
    if len(table.seeds) == 1:
        found.append("One seed: differences cannot be told from chance here.")
    else:
        for measure in filter(lambda measure: measure.compared, claim.measures):
            claims = joined(list(beyond_chance(table, measure)))
            what, baseline = measure.title.removesuffix(", %"), f"`{claim.baseline}`"
            if claims:
                found.append(f"In {what}, against {baseline}: {claims} (95 % intervals).")
            elif measure == claim.headline:
                found.append(f"No arm differs from {baseline} in {what} beyond its interval.")
    missing = [f"`{arm}`" for arm in claim.arms if table.estimate(arm, claim.headline.key) is None]
    if missing:
        found.append(f"Not available: {', '.join(missing)}.")
    if claim.rated:
        found.append(best(table))
    return found


def beyond_chance(table: Table, measure: Measure) -> Iterator[str]:
    """Say by how much each arm differs from the baseline, where the interval leaves zero out."""
    unit = " points" if measure.scale == 100 else ""
    for arm in table.claim.arms:
        difference = table.difference(arm, measure.key)
        if difference is not None and difference.excludes_zero:
            center, half = difference.mean, difference.half_width or 0.0
            numbers = [n * measure.scale for n in (center, center - half, center + half)]
            mean, low, high = (f"{number:+.{measure.digits}f}" for number in numbers)
            yield f"`{arm}` {mean}{unit} ({low} to {high})"


def joined(items: Sequence[str]) -> str:
    """Join items with commas and a last "and"."""
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def best(table: Table) -> str:
    """Name the best arm by the rule that the sentence states."""
    scores, accuracies = {}, {}
    for arm in table.claim.arms:
        accuracy, covered = table.estimate(arm, "emo_a"), table.estimate(arm, "clip_coverage")
        if accuracy is not None and covered is not None:
            scores[arm], accuracies[arm] = accuracy.mean * covered.mean, accuracy.mean
    if not scores:
        return "No arm could be rated."
    rule = "the rule that the highest product of mean Emo-A and mean coverage (CLIP) wins"
    if not max(scores.values()):
        first = max(accuracies, key=lambda arm: accuracies[arm])
        return f"No arm covers a validation image, so {rule} names none; by Emo-A, `{first}`."
    first = max(scores, key=lambda arm: scores[arm])
    order = ", ".join(f"`{arm}` {score:.3f}" for arm, score in scores.items())
    return f"By {rule}, `{first}` is the best ({order})."


def percent(fraction: float) -> str:
    """Write a share in percent."""
    return f"{100 * fraction:g} %"
