"""The summary on the screen: readable in 80 and 130 columns, and in a log file."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.evaluation.full_report import full_report
from uniemo.evaluation.summary import number, percent, print_summary


def test_numbers_are_written_short():
    assert [percent(None), percent(0.1234)] == ["–", "12.3\N{NO-BREAK SPACE}%"]
    assert [number(v) for v in (None, 44.05, 0.687, 0.0199)] == ["–", "44.05", "0.687", "0.0199"]


def lines(width: int) -> list[str]:
    file = io.StringIO()
    folder = Path("a_folder_with_a_long_name" * 5)
    print_summary(full_report().metrics, Console(file=file, width=width), folder)
    return [
        line.rstrip().replace("\N{NO-BREAK SPACE}", " ") for line in file.getvalue().split("\n")
    ]


@pytest.mark.parametrize("width", [80, 130])
def test_nothing_is_cut_or_wrapped(width):
    text = lines(width)
    for line in (
        "Accuracy, 8 emotions 71.0 % 69.0 % to 73.0 %", "linear probe on CLIP 60.0 %",
        "Emo-A, 8 emotions * 65.0 % 60.0 % to 70.0 %", "Pointing game, object 50.0 %",
        "Near-copies of training data 0.4 %", "Frechet distance * 31.40",
        "as the public script * 35.20", "as the public script 0.0213", "Sem-D * 0.0200",
    ):  # fmt: skip
        assert any(line in " ".join(found.split()) for found in text), line
    assert not any("…" in line or "\x1b" in line for line in text)
    paths = [line for line in text if "a_folder" in line]
    assert [line.rpartition("/")[2] for line in paths] == ["metrics.json", "report.html"]
    assert max(len(line) for line in text if line not in paths) <= width


def test_groups_stand_side_by_side_where_there_is_room():
    narrow, wide = lines(80), lines(130)
    assert len(wide) < len(narrow)
    assert any("Understanding" in line and "Generation" in line for line in wide)
    order = [line.split()[0] for line in narrow if "95 % interval" in line]
    assert order == ["Understanding", "Generation", "Queries"]
