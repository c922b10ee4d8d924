"""A claim's results in words: Markdown tables, and sentences that follow from the numbers."""

from collections.abc import Iterator, Sequence

import numpy as np

from uniemo.study.claim import Measure
from uniemo.study.results import Table
from uniemo.study.statistics import Estimate, Verdict

CURVE = "none"
"""The arm whose results by number of real images say what a gain is worth."""


def rows(table: Table, curve: Sequence[Table] = ()) -> list[str]:
    """Return the table in Markdown.

    Args:
        table: The results.
        curve: The claim's results of all sizes, to say how many real images a gain is worth.
    """
    claim, headline, baseline = table.claim, table.claim.headline, table.baseline
    titles = [measure.title for measure in claim.measures]
    titles += [f"{headline.title}, less `{baseline}`", "better?"]
    titles += ["worth so many real images"] if curve else []
    lines = ["| arm | " + " | ".join(titles) + " | |", "|---|" + "---:|" * len(titles) + "---|"]
    judged = table.verdicts(headline.key, headline.relevant)
    for arm, description in claim.arms.items():
        cells = [cell(table.estimate(arm, m.key), m) for m in claim.measures]
        verdict = judged.get(arm)
        difference = None if verdict is None else verdict.difference
        cells.append("" if arm == baseline else cell(difference, headline, sign=True))
        cells.append("" if verdict is None else answer(verdict, headline))
        cells += [worth(curve, table, arm)] if curve else []
        lines.append(f"| `{arm}` | {' | '.join(cells)} | {description} |")
    return lines


def cell(value: Estimate | None, measure: Measure, sign: bool = False) -> str:
    """Write an estimate down; a dash for none."""
    if value is None:
        return "–"
    mark, half = "+" if sign else "", value.half_width()
    text = f"{value.mean * measure.scale:{mark}.{measure.digits}f}"
    if half is not None and measure.digits:
        text += f" ± {half * measure.scale:.{measure.digits}f}"
    return text


def answer(verdict: Verdict, measure: Measure) -> str:
    """Write a verdict down, with the difference that would have been seen where there is none."""
    seen = verdict.difference.detectable(verdict.comparisons)
    if verdict.word == "no":
        return "no, worse" if verdict.significant else "no"
    if verdict.word == "yes" or seen is None:
        return verdict.word
    size = f"{seen * measure.scale:.{measure.digits}f}"
    return f"{verdict.word} ({size}{points(measure)} would have been seen)"


def points(measure: Measure) -> str:
    """Return the unit of a difference."""
    return " points" if measure.scale == 100 else ""


def interval(difference: Estimate, measure: Measure) -> str:
    """Write a difference and its 95 % interval, if it has one."""
    half = difference.half_width()
    ends = [] if half is None else [difference.mean - half, difference.mean + half]
    numbers = [f"{n * measure.scale:+.{measure.digits}f}" for n in (difference.mean, *ends)]
    return f"{numbers[0]}{points(measure)}" + (f" ({' to '.join(numbers[1:])})" if ends else "")


def sentences(table: Table) -> list[str]:
    """Say what a table shows, and no more."""
    claim, baseline = table.claim, f"`{table.baseline}`"
    found = []
    if len(table.seeds) == 1:
        found.append("One seed: differences cannot be told from chance here.")
    else:
        for measure in filter(lambda measure: measure.compared, claim.measures):
            claims = joined(list(beyond_chance(table, measure)))
            what = measure.title.removesuffix(", %")
            if claims:
                found.append(f"In {what}, against {baseline}: {claims} (95 % intervals).")
            elif measure == claim.headline:
                found.append(f"No arm differs from {baseline} in {what} beyond chance.")
    missing = [f"`{arm}`" for arm in claim.arms if table.estimate(arm, claim.headline.key) is None]
    if missing:
        found.append(f"Not available: {', '.join(missing)}.")
    if claim.rated:
        found.append(best(table))
    return found


def beyond_chance(table: Table, measure: Measure) -> Iterator[str]:
    """Say by how much each arm differs from the baseline, where Holm's p is below 5 %."""
    for arm, verdict in table.verdicts(measure.key).items():
        if verdict.significant:
            yield f"`{arm}` {interval(verdict.difference, measure)}"


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


def worth(curve: Sequence[Table], table: Table, arm: str) -> str:
    """Say how many further real images would give an arm's score, with the ends of its interval.

    The score of :data:`CURVE` is interpolated over the logarithm of the number of real images.
    """
    key = table.claim.headline.key
    scores = {size: found.mean for size, found in points_of(curve, CURVE) if found}
    difference = table.difference(arm, key, CURVE)
    if table.size not in scores or difference is None or arm == CURVE:
        return ""
    sizes = sorted(scores)
    rising = np.maximum.accumulate([scores[size] for size in sizes])
    half = difference.half_width() or 0.0

    def equal(shift: float) -> str:
        score = scores[table.size] + shift
        if score > rising[-1]:
            return f"> {sizes[-1] - table.size:,}"
        size = np.exp(np.interp(score, rising, np.log(sizes)))
        return f"{'< ' if score < rising[0] else ''}{size - table.size:+,.0f}"

    mean, low, high = (equal(difference.mean + shift) for shift in (0.0, -half, half))
    return f"{mean} ({low} to {high})"


def points_of(tables: Sequence[Table], arm: str) -> list[tuple[int, Estimate | None]]:
    """Return an arm's headline by number of real images."""
    return [(table.size, table.estimate(arm, table.claim.headline.key)) for table in tables]


def percent(fraction: float) -> str:
    """Write a share in percent."""
    return f"{100 * fraction:g} %"
