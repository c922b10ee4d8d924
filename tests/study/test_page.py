"""Pages from invented results: their sentences may claim no more than the numbers show."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import settings
from uniemo.study.claims import CLAIMS
from uniemo.study.ledger import read_ledger
from uniemo.study.page import Study, write_page
from uniemo.study.trial import Profile, Scale, build_trials
from uniemo.utils.files import write_bytes, write_json

FILE = str(Path(__file__).parents[2] / "experiments/emoscenes.yaml")


@pytest.fixture
def study(tiny_files, tmp_path):
    """A study of three seeds, nothing of it run."""

    def build(*seeds: int, scales: tuple[Scale, ...] = (Scale(0.5, 1, 1),)) -> Study:
        profile = Profile("tiny", seeds, scales, 4, 2)
        overrides = settings(tiny_files, runs=tmp_path / "runs")
        trials = build_trials(FILE, overrides, profile, tmp_path / "results")
        return Study("uniemo ablate", CLAIMS[:1], profile, list(trials))

    return build


def give(study: Study, claim: str, arm: str, **values: list[float | None]) -> None:
    """Write results of an arm, one for each seed."""
    for i, trial in enumerate(study.trials):
        numbers = {key.replace("__", "/"): column[i] for key, column in values.items()}
        entry = {"settings": "", "numbers": numbers, "machine": "a toaster", "date": "2026-01-01"}
        write_json(trial.ledger, read_ledger(trial) | {f"{claim}/{arm}": entry})


def page_of(study: Study, folder: Path) -> str:
    write_page(study, folder / "RESULTS.md")
    return (folder / "RESULTS.md").read_text()


def test_only_a_difference_beyond_its_interval_is_claimed(study, tmp_path):
    three = study(0, 1, 2)
    give(three, "feedback", "none", test__accuracy=[0.50, 0.60, 0.70], kept=[8, 8, 8])
    give(three, "feedback", "full_filter", test__accuracy=[0.52, 0.62, 0.721], kept=[4, 4, 4])
    # Equal differences by chance: no interval, no claim.
    give(three, "feedback", "top_k", test__accuracy=[0.53, 0.63, 0.73], kept=[4, 4, 4])
    give(three, "feedback", "random", test__accuracy=[0.55, 0.58, 0.70], kept=[4, 4, 4])
    text = page_of(three, tmp_path)
    # Paired, although the seeds differ much more than the arms do.
    claim = "against `none`: `full_filter` +2.03 points (+1.89 to +2.18) (95 % intervals)."
    assert f"In test accuracy, {claim}" in text
    assert "60.00 ± 24.84" in text
    assert "Not available: `unfiltered`" in text
    assert text.count("Not run (profile tiny) on 50 % of the training split.") == len(CLAIMS) - 1


def test_the_page_of_a_study_cut_short_says_what_is_missing(study, tmp_path):
    half = study(0, scales=(Scale(0.5, 1, 1), Scale(1.0, 1, 1)))
    give(half, "feedback", "none", test__accuracy=[0.5, None], kept=[8.0, None])
    half.trials[1].ledger.unlink()
    text = page_of(half, tmp_path)
    assert "### 50 % of the training split, one seed" in text
    assert text.count("Not run (profile tiny) on 100 % of the training split.") == 1
    both = "Not run (profile tiny) on 50 % and 100 % of the training split."
    assert text.count(both) == len(CLAIMS) - 1


def test_without_a_difference_the_page_says_so(study, tmp_path):
    two = study(0, 1)
    give(two, "feedback", "none", test__accuracy=[0.50, 0.60])
    give(two, "feedback", "full_filter", test__accuracy=[0.60, 0.55])
    assert "No arm differs from `none` in test accuracy beyond its interval." in page_of(
        two, tmp_path
    )


def test_one_seed_claims_nothing(study, tmp_path):
    one = study(0)
    give(one, "feedback", "none", test__accuracy=[0.50])
    give(one, "feedback", "full_filter", test__accuracy=[0.90])
    text = page_of(one, tmp_path)
    assert "against `none`" not in text
    assert "One seed: differences cannot be told from chance here." in text
    assert "+40.00" in text


def test_where_nothing_is_covered_the_rule_names_no_space(study, tmp_path):
    two = study(0, 1)
    give(two, "spaces", "diagonal", emo_a=[0.3, 0.3], clip_coverage=[0.0, 0.0])
    give(two, "spaces", "tied", emo_a=[0.5, 0.5], clip_coverage=[0.0, 0.0])
    text = page_of(two, tmp_path)
    assert "is the best" not in text
    assert "names none; by Emo-A, `tied`." in text


def test_the_best_space_follows_the_stated_rule(study, tmp_path):
    one = study(0)
    give(one, "spaces", "diagonal", emo_a=[0.9], clip_coverage=[0.1])
    give(one, "spaces", "tied", emo_a=[0.5], clip_coverage=[0.5])
    give(one, "spaces", "stored", emo_a=[0.8], clip_coverage=[None])
    text = page_of(one, tmp_path)
    assert "`tied` is the best (`diagonal` 0.090, `tied` 0.250)" in text


def test_the_figures_are_well_formed_and_named_on_the_page(study, tmp_path):
    two = study(0, 1)
    give(two, "spaces", "diagonal", emo_a=[0.9, 0.8], clip_coverage=[0.1, 0.2])
    give(two, "spaces", "mixture", emo_a=[0.7, 0.8], clip_coverage=[0.1, 0.2])
    text = page_of(two, tmp_path)
    figure = tmp_path / "results/spaces-0.5.svg"
    assert "(results/spaces-0.5.svg)" in text
    root = ElementTree.fromstring(figure.read_text())
    # Matplotlib draws a marker as <use x=... y=...> of its shape; the first arm stands on top.
    marks = [e.attrib for e in root.iter() if e.tag.endswith("use") and "2b86d9" in e.get("style")]
    dots = sorted((float(mark["y"]), float(mark["x"])) for mark in marks)
    assert len(dots) == 2
    assert dots[0][1] > dots[1][1]  # 0.85 and 0.75


def test_the_same_table_gives_the_same_bytes(study, tmp_path):
    two = study(0, 1)
    give(two, "draws", "one", emo_a=[0.9, 0.8])
    figure = tmp_path / "results/draws-0.5.svg"
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
