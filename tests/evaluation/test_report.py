"""The page: whole without a network, in a real browser, at desktop and at phone width."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tests.evaluation.full_report import full_report
from uniemo.curriculum.curves import curve_logger, read_curves
from uniemo.emotions import EMOTIONS
from uniemo.evaluation.evaluate import write_results
from uniemo.evaluation.figures import curve_svg, data_uri
from uniemo.evaluation.report import EvaluationReport, read_filter_examples


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(full_report().html(), "utf-8")
    return path


def test_page_holds_every_section_and_marks_other_data(page):
    text = page.read_text()
    for heading in (
        "Beside the published results", "Confusion of emotions", "Each emotion",
        "Generated images", "Attention of the queries", "kept and refused", "Training: joint",
    ):  # fmt: skip
        assert heading in text
    assert "cannot be compared with this run" in text
    assert "44.05" in text
    assert "wrong emotion" in text
    assert text.count("stroke: var(--train)") == text.count("stroke: var(--val)") == 1


def test_broken_files_beside_an_evaluation_cost_a_section(tmp_path, capsys):
    report, run = full_report(), tmp_path / "run"
    report.curves, report.filter_examples = {}, []
    write_curves(run / "joint", 0, "step,train/total\n1,what\n")
    write_curves(run / "finetune", 0, "step,train/total\n1,2.5\n2,2.25\n")
    (run / "generate").mkdir()
    (run / "generate/manifest.parquet").write_bytes(b"PAR1")
    write_results(report, tmp_path / "eval", None, None, run, EMOTIONS)
    said = capsys.readouterr().out
    assert f"curves in {run / 'joint'}" in said
    assert f"filter in {run / 'generate'}" in said
    text = (tmp_path / "eval/report.html").read_text()
    assert "Training: finetune" in text
    assert "Training: joint" not in text
    assert json.loads((tmp_path / "eval/metrics.json").read_text()) == report.metrics


def test_page_names_no_outside_address(page):
    text = page.read_text()
    assert all(to.startswith(("data:", "#")) for to in re.findall(r'(?:src|href)="([^"]*)"', text))
    assert not re.search(r"url\(|@import|<script", text)


def test_page_leaves_out_what_was_not_measured():
    metrics = full_report().metrics
    only = {
        k: metrics[k]
        for k in ("experiment", "checkpoint", "seed", "protocol", "emotions", "understanding")
    }
    text = EvaluationReport(only, "EmoSet", other_data=False).html()
    assert "Generated images" not in text
    assert "Confusion" in text
    del only["understanding"]
    text = EvaluationReport(
        only | {"generation": metrics["generation"]}, "EmoSet", other_data=False
    ).html()
    assert "Confusion" not in text
    assert "41.60" in text


def test_near_copies_are_marked():
    report = full_report()
    assert "nearer than 99 %" not in report.html()
    report.copy_threshold = 0.5
    assert report.html().count("nearer than 99 %") == 64


def test_names_are_escaped():
    report = full_report()
    report.metrics["experiment"] = "<script>alert(1)</script>"
    assert "<script>" not in report.html()


def test_curves_are_read_by_quantity_and_survive_oddities(tmp_path):
    write_curves(
        tmp_path, 0, "epoch,step,train/total,val/total,lr\n0,1,2.0,,0.1\n0,2,,1.0,\n0,3,nan,,\n"
    )
    curves = read_curves(tmp_path)
    assert [(s.name, len(s.points)) for s in curves["total"]] == [("train", 2), ("val", 1)]
    assert "nan" not in curve_svg(curves["total"], "total").lower()
    assert read_curves(tmp_path / "missing") == {}


def test_a_run_that_went_on_has_whole_curves(tmp_path):
    write_curves(tmp_path, 0, "step,train/total\n1,9\n2,8\n3,7\n")
    write_curves(tmp_path, 1, "step,train/total,val/total\n3,6,\n4,5,\n4,,2\n")
    train, val = read_curves(tmp_path)["total"]
    assert train.points == [(1, 9), (2, 8), (3, 6), (4, 5)]
    assert val.points == [(4, 2)]
    assert curve_logger(tmp_path).version == 2
    assert read_curves(tmp_path)["total"] == [train, val]


def write_curves(run, start, text):
    path = run / "curves" / f"version_{start}" / "metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_filter_examples_come_from_the_manifest(run):
    found = read_filter_examples(run.folder / "generate", EMOTIONS)
    assert [f.reason for f in found].count("kept") == 2
    assert {f.reason for f in found} == {"kept", "wrong_emotion", "near_copy"}
    assert read_filter_examples(run.folder / "nowhere", EMOTIONS) == []


def test_small_images_stay_exact_and_large_ones_shrink():
    assert data_uri(torch.rand(3, 64, 64)).startswith("data:image/png")
    large = data_uri(torch.rand(3, 512, 512))
    assert large.startswith("data:image/jpeg")
    assert len(large) < 60_000


# --- In a browser ---------------------------------------------------------------------------------


class Visit(NamedTuple):
    """What a browser tells of a page."""

    errors: list[str]  # lines of the console
    requests: list[str]  # addresses asked for, also in vain
    scroll_width: int  # CSS pixels


def visit(text: str, folder: Path, width: int) -> Visit:
    """Open a page in headless Chromium, in a frame of some width: a window is never so narrow."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on the path")
    frame = folder / "frame.html"
    frame.write_text(
        f'<iframe id="f" width="{width}" height="800" style="border:0" '
        f'srcdoc="{html.escape(text)}"></iframe><pre id="o"></pre>'
        "<script>onload = () => { const w = f.contentWindow; o.textContent = JSON.stringify(["
        "w.performance.getEntriesByType('resource').map(e => e.name),"
        "w.document.documentElement.scrollWidth]) }</script>"
    )
    flags = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--hide-scrollbars", "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}", "--dump-dom",
    ]  # fmt: skip
    command = [browser, *flags, frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    written = re.search(r'<pre id="o">(.*?)</pre>', done.stdout, re.DOTALL)
    assert written is not None, done.stderr
    requests, scroll_width = json.loads(html.unescape(written[1]))
    return Visit([s for s in done.stderr.splitlines() if "CONSOLE" in s], requests, scroll_width)


@pytest.mark.parametrize("width", [390, 1280])  # a phone, a desktop
def test_browser_shows_the_page_without_errors_requests_or_overflow(page, tmp_path, width):
    found = visit(page.read_text(), tmp_path, width)
    assert found.errors == []
    assert found.requests == []
    assert found.scroll_width <= width


def test_the_browser_check_sees_errors_requests_and_overflow(tmp_path):
    bad = (
        "<img src='https://example.org/x.png'><script>console.error('no')</script>"
        "<div style='width: 500px'>wide</div>"
    )
    found = visit(bad, tmp_path, 390)
    assert len(found.errors) == 1
    assert found.requests == ["https://example.org/x.png"]
    assert found.scroll_width > 390


def test_foreign_text_is_escaped():
    report, attack = full_report(), '"><script>alert(1)</script>'
    report.dataset = attack
    report.metrics = report.metrics | {"experiment": attack, "checkpoint": attack}
    report.curves = {attack: {attack: next(iter(report.curves["joint"].values()))}}
    assert "<script" not in report.html()
    assert report.html().count("&lt;script&gt;") >= 5
