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

from uniemo.curriculum.curves import Series, curve_logger, read_curves
from uniemo.emotions import EMOTIONS
from uniemo.evaluation.figures import curve_svg, data_uri
from uniemo.evaluation.generation import GeneratedExample
from uniemo.evaluation.report import Filtered, Report, number, percent, read_filtered
from uniemo.evaluation.understanding import Example


def full_report(side: int = 64) -> Report:
    """A page with every section, its pictures smooth noise."""
    generator = torch.Generator().manual_seed(0)

    def picture() -> torch.Tensor:
        small = torch.rand(1, 3, 4, 4, generator=generator)
        return torch.nn.functional.interpolate(small, (side, side), mode="bilinear")[0]

    row = {
        "n_images": 64, "emo_a_8": 0.7, "emo_a_2": 0.9, "kid": 0.01, "diversity": 1.2,
        "density": 0.8, "coverage": 0.6, "sem_d": 0.02, "sem_c": None,
    }  # fmt: skip
    confusion = [[20 if i == j else 3 for j in range(8)] for i in range(8)]
    network = "EfficientNet-Lite0 (ImageNet), 128 px"
    metrics = {
        "experiment": "emoscenes",
        "checkpoint": "runs/emoscenes/a_phase_with_a_long_name_that_must_wrap/best.ckpt",
        "seed": 0,
        "protocol": "published",
        "understanding": {
            "accuracy": 0.71, "accuracy_polarity": 0.88, "f1_macro": 0.7, "ece": 0.04,
            "confusion": confusion, "ceiling": 0.83, "linear_probe": 0.6,
            "intervals": {"accuracy": [0.69, 0.73]},
        },
        "generation": {
            "n_images": 512, "fid": 31.4, "fid_features": network, "fid_reference": "test split",
            "kid": 0.01, "diversity": 1.2, "diversity_metric": "perceptual distance (not LPIPS)",
            "density": 0.8, "coverage": 0.6, "emo_a_8": 0.65, "emo_a_2": 0.85, "judge": network,
            "judge_accuracy_real": 0.7, "judge_accuracy_reconstructed": 0.68, "sem_c": 0.9,
            "sem_c_classifiers": network, "sem_d": 0.02, "sem_d_features": network,
            "near_copies": 0.004, "per_emotion": dict.fromkeys(EMOTIONS, row),
            "published": {"sem_d": 0.021, "diversity": 1.3},
            "intervals": {"emo_a_8": [0.6, 0.7]},
        },
        "queries": {"pointing_scene": 0.2, "pointing_object": 0.5, "pointing_chance": 0.2},
    }  # fmt: skip
    curve = [(float(step), 2.0 / (1 + step)) for step in range(40)]
    return Report(
        metrics,
        "EmoScenes",
        other_data=True,
        examples=[
            Example(
                picture(), torch.rand(8, 8, generator=generator),
                torch.rand(8, 8, generator=generator),
                torch.tensor([0.2, 0.2, 0.7, 0.8]) if i else torch.full((4,), torch.nan), i, 0,
            )
            for i in range(4)
        ],
        shown=[
            GeneratedExample((picture() * 255).byte(), e, (e + k % 2) % 8, k, 0.9)
            for e in range(8)
            for k in range(8)
        ],
        copy_threshold=0.95,
        nearest={k: picture() for k in range(8)},
        filtered=[
            Filtered((picture() * 255).byte(), EMOTIONS[i % 8], ["kept", "wrong_emotion"][i % 2])
            for i in range(10)
        ],
        curves={"joint": {"total": [Series("train", curve), Series("val", curve[::10])]}},
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(full_report().html(), "utf-8")
    return path


def test_page_holds_every_section_and_marks_other_data(page):
    text = page.read_text()
    for heading in (
        "Beside the published numbers", "Confusion of emotions", "Each emotion",
        "Generated pictures", "Where the queries look", "kept and refused", "Training: joint",
    ):  # fmt: skip
        assert heading in text
    assert "no number of one can be compared with the other" in text
    assert "44.05" in text
    assert "wrong emotion" in text
    assert text.count("<polyline") == 2


def test_page_names_no_outside_address(page):
    text = page.read_text()
    assert all(to.startswith("data:") for to in re.findall(r'(?:src|href)="([^"]*)"', text))
    assert not re.search(r"url\(|@import|<script", text)


def test_page_leaves_out_what_was_not_measured():
    metrics = full_report().metrics
    only = {
        k: metrics[k] for k in ("experiment", "checkpoint", "seed", "protocol", "understanding")
    }
    text = Report(only, "EmoSet", other_data=False).html()
    assert "Generated pictures" not in text
    assert "Confusion" in text
    del only["understanding"]
    text = Report(only | {"generation": metrics["generation"]}, "EmoSet", other_data=False).html()
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


def test_numbers_are_written_short():
    assert [percent(None), percent(0.1234)] == ["–", "12.3\N{NO-BREAK SPACE}%"]
    assert [number(v) for v in (None, 44.05, 0.687, 0.0199)] == ["–", "44.05", "0.687", "0.0199"]


def test_curves_are_read_by_quantity_and_survive_oddities(tmp_path):
    write_curves(
        tmp_path, 0, "epoch,step,train/total,val/total,lr\n0,1,2.0,,0.1\n0,2,,1.0,\n0,3,nan,,\n"
    )
    curves = read_curves(tmp_path)
    assert [(s.name, len(s.points)) for s in curves["total"]] == [("train", 2), ("val", 1)]
    assert "NaN" not in curve_svg(curves["total"], "total")
    assert "nan" not in curve_svg(curves["total"], "total")
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


def test_filter_examples_come_from_the_manifest(experiment):
    found = read_filtered(experiment.folder / "generate")
    assert [f.reason for f in found].count("kept") == 2
    assert {f.reason for f in found} == {"kept", "wrong_emotion", "near_copy"}
    assert read_filtered(experiment.folder / "nowhere") == []


def test_small_pictures_stay_exact_and_large_ones_shrink():
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
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    written = re.search(r'<pre id="o">(.*?)</pre>', run.stdout, re.DOTALL)
    assert written is not None, run.stderr
    requests, scroll_width = json.loads(html.unescape(written[1]))
    return Visit([s for s in run.stderr.splitlines() if "CONSOLE" in s], requests, scroll_width)


@pytest.mark.parametrize("width", [390, 1280])  # a phone, a desktop
def test_browser_shows_the_page_without_errors_requests_or_overflow(page, tmp_path, width):
    seen = visit(page.read_text(), tmp_path, width)
    assert seen.errors == []
    assert seen.requests == []
    assert seen.scroll_width <= width


def test_the_browser_check_sees_errors_requests_and_overflow(tmp_path):
    bad = (
        "<img src='https://example.org/x.png'><script>console.error('no')</script>"
        "<div style='width: 500px'>wide</div>"
    )
    seen = visit(bad, tmp_path, 390)
    assert len(seen.errors) == 1
    assert seen.requests == ["https://example.org/x.png"]
    assert seen.scroll_width > 390
