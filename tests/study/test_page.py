"""Pages from invented results: their sentences may claim no more than the numbers show."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.conftest import settings
from uniemo.study.claims import CLAIMS
from uniemo.study.ledger import read_ledger
from uniemo.study.page import Study, write_page
from uniemo.study.pictures import packed, unpacked
from uniemo.study.results import collect
from uniemo.study.statistics import crossed_estimate
from uniemo.study.trial import Profile, Scale, build_trials
from uniemo.utils.files import write_bytes, write_json

FILE = str(Path(__file__).parents[2] / "experiments/emoscenes.yaml")


@pytest.fixture
def study(tiny_files, tmp_path):
    """A study of three seeds, nothing of it run."""

    def build(seeds: int, *fractions: float) -> Study:
        scales = tuple(Scale(fraction, 1, 1, seeds) for fraction in fractions or (0.5,))
        profile = Profile("tiny", scales, 4, 2)
        overrides = settings(tiny_files, runs=tmp_path / "runs")
        trials = build_trials(FILE, overrides, profile, tmp_path / "results")
        return Study("uniemo ablate", CLAIMS[:1], profile, list(trials))

    return build


def give(study: Study, claim: str, arm: str, **values: list[float | str | None]) -> None:
    """Write results of an arm, one for each seed."""
    for i, trial in enumerate(study.trials):
        numbers = {key.replace("__", "/"): column[i] for key, column in values.items()}
        entry = {"settings": "", "numbers": numbers, "machine": "a toaster", "date": "2026-01-01"}
        write_json(trial.ledger, read_ledger(trial) | {f"{claim}/{arm}": entry})


def page_of(study: Study, folder: Path) -> str:
    write_page(study, folder / "RESULTS.md")
    return (folder / "RESULTS.md").read_text()


def test_only_a_difference_beyond_its_interval_is_claimed(study, tmp_path):
    three = study(3)
    give(three, "feedback", "none", test__score=[0.50, 0.60, 0.70], kept=[8, 8, 8])
    give(three, "feedback", "full_filter", test__score=[0.52, 0.62, 0.721], kept=[4, 4, 4])
    # Equal differences by chance: no interval, no claim.
    give(three, "feedback", "top_k", test__score=[0.53, 0.63, 0.73], kept=[4, 4, 4])
    give(three, "feedback", "random", test__score=[0.55, 0.58, 0.70], kept=[4, 4, 4])
    # Beyond its own interval, but not among so many arms.
    give(three, "feedback", "realism", test__score=[0.51, 0.615, 0.718], kept=[4, 4, 4])
    text = page_of(three, tmp_path)
    # Paired, although the seeds differ much more than the arms do.
    claim = "against `none`: `full_filter` +2.03 points (+1.89 to +2.18) (95 % intervals)."
    assert f"In test score, {claim}" in text
    assert "**yes**. `full_filter` +2.03 points (+1.89 to +2.18) in test score" in text
    assert "60.00 ± 24.84" in text
    assert "| +1.43 ± 1.00 | cannot be told (" in text
    assert "Not available: `not_finetuned`, `unfiltered`" in text
    assert "- Does the filter pay" in text.partition("Not run (profile tiny)")[2]


def test_the_page_of_a_study_cut_short_says_what_is_missing(study, tmp_path):
    half = study(1, 0.5, 1.0)
    give(half, "feedback", "none", test__score=[0.5, None], kept=[8.0, None])
    half.trials[1].ledger.unlink()
    text = page_of(half, tmp_path)
    assert "#### 50 % of the training split, one seed" in text
    assert "100 % of the training split, one seed" not in text
    assert "- 50 % of the training split, one seed: `full_filter` is not run yet." in text


def scores(rate: float, seed: int) -> str:
    """Draw the packed scores of 400 pictures, half of which any arm gets right."""
    generator = np.random.default_rng(seed)
    return packed(np.where(np.arange(400) < 200, 1.0, generator.random(400) < rate))


def test_single_pictures_scores_narrow_the_interval(study, tmp_path):
    many = study(4)
    for arm, rate in (("none", 0.3), ("full_filter", 0.6)):
        texts = [scores(rate, 10 * seed + len(arm)) for seed in range(4)]
        means = [unpacked(text).mean() for text in texts]
        give(many, "feedback", arm, test__score=means, test__pictures=texts)
    (table,) = collect(CLAIMS[0], many.trials)
    own, other = (
        np.stack([unpacked(numbers["test/pictures"]) for numbers in table.numbers[arm].values()])
        for arm in ("full_filter", "none")
    )
    found = table.difference("full_filter", "test/score")
    assert found == crossed_estimate(own - other)
    assert found.mean == pytest.approx(own.mean() - other.mean())
    assert "**yes**" in page_of(many, tmp_path)


def test_of_several_controls_the_best_on_validation_is_the_baseline(study, tmp_path):
    two = study(2)
    give(two, "feedback", "none", test__score=[0.5, 0.6], val__score=[0.5, 0.6])
    give(two, "feedback", "not_finetuned", test__score=[0.4, 0.6], val__score=[0.6, 0.6])
    give(two, "feedback", "full_filter", test__score=[0.5, 0.61], val__score=[0.7, 0.7])
    assert "test score, %, less `not_finetuned`" in page_of(two, tmp_path)


def test_a_gain_is_told_in_real_images(study, tmp_path):
    curve = study(2, 0.1, 0.2, 0.4)
    for arm, values in {"none": (0.5, 0.6, 0.7), "full_filter": (0.6, 0.65, 0.8)}.items():
        sizes = [trial.fraction for trial in curve.trials]
        noise = [0.01 * trial.seed * (arm == "none") for trial in curve.trials]
        means = [values[(0.1, 0.2, 0.4).index(size)] for size in sizes]
        give(
            curve,
            "feedback",
            arm,
            test__score=[mean + low for mean, low in zip(means, noise, strict=True)],
            real=[1000 * size for size in sizes],
        )
    text = page_of(curve, tmp_path)
    assert "10 % of the training split (100 images), 2 seeds" in text
    # As good as twice as many; half way to twice as many; better than the greatest.
    assert [f"| {gain} (" in text for gain in ("+93", "+73", "> 0")] == [True, True, True]


def test_without_a_difference_the_page_says_so(study, tmp_path):
    two = study(2)
    give(two, "feedback", "none", test__score=[0.50, 0.60])
    give(two, "feedback", "full_filter", test__score=[0.60, 0.55])
    assert "No arm differs from `none` in test score beyond chance." in page_of(two, tmp_path)


def test_one_seed_claims_nothing(study, tmp_path):
    one = study(1)
    give(one, "feedback", "none", test__score=[0.50])
    give(one, "feedback", "full_filter", test__score=[0.90])
    text = page_of(one, tmp_path)
    assert "against `none`" not in text
    assert "One seed: differences cannot be told from chance here." in text
    assert "**cannot be told**. `full_filter` +40.00 points in test score over `none`." in text


def test_where_nothing_is_covered_the_rule_names_no_space(study, tmp_path):
    two = study(2)
    give(two, "spaces", "diagonal", emo_a=[0.3, 0.3], clip_coverage=[0.0, 0.0])
    give(two, "spaces", "tied", emo_a=[0.5, 0.5], clip_coverage=[0.0, 0.0])
    text = page_of(two, tmp_path)
    assert "is the best" not in text
    assert "names none; by Emo-A, `tied`." in text


def test_the_best_space_follows_the_stated_rule(study, tmp_path):
    one = study(1)
    give(one, "spaces", "diagonal", emo_a=[0.9], clip_coverage=[0.1])
    give(one, "spaces", "tied", emo_a=[0.5], clip_coverage=[0.5])
    give(one, "spaces", "stored", emo_a=[0.8], clip_coverage=[None])
    text = page_of(one, tmp_path)
    assert "`tied` is the best (`diagonal` 0.090, `tied` 0.250)" in text


def test_the_figures_are_well_formed_and_named_on_the_page(study, tmp_path):
    two = study(2)
    give(two, "spaces", "diagonal", emo_a=[0.9, 0.8], clip_coverage=[0.1, 0.2])
    give(two, "spaces", "mixture", emo_a=[0.7, 0.8], clip_coverage=[0.1, 0.2])
    text = page_of(two, tmp_path)
    figure = tmp_path / "results/spaces.svg"
    assert "(results/spaces.svg)" in text
    root = ElementTree.fromstring(figure.read_text())
    # Matplotlib draws a marker as <use x=... y=...> of its shape; the first arm stands on top.
    marks = [e.attrib for e in root.iter() if e.tag.endswith("use") and "2b86d9" in e.get("style")]
    dots = sorted((float(mark["y"]), float(mark["x"])) for mark in marks)
    assert len(dots) == 2
    assert dots[0][1] > dots[1][1]  # 0 and -0.1


def test_the_same_table_gives_the_same_bytes(study, tmp_path):
    two = study(2)
    give(two, "draws", "one", emo_a=[0.9, 0.8])
    figure = tmp_path / "results/draws.svg"
    page_of(two, tmp_path)
    first = figure.read_bytes()
    page_of(two, tmp_path)
    assert figure.read_bytes() == first


def test_several_writers_may_share_the_page(tmp_path):
    page, contents = tmp_path / "RESULTS.md", [bytes([letter]) * 100_000 for letter in b"abcd"]

    def write(content: bytes) -> None:
        for _ in range(50):
            write_bytes(page, content)

    with ThreadPoolExecutor(len(contents)) as pool:
        list(pool.map(write, contents))
    assert page.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [page]
