"""The real command line, in a subprocess, on tiny files."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import settings

ROOT = Path(__file__).parents[1]


def run(*arguments: str, folder: Path, timeout: int = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "uniemo.cli", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_the_paper_scale_file_trains_on_files_in_the_true_formats(tiny_files, tmp_path):
    overrides = settings(
        tiny_files,
        **{"model.understanding_epochs": 1, "trainer.max_epochs": 2, "trainer.precision": "32-true"},
    )
    config = str(ROOT / "experiments/emoset.yaml")
    done = run("fit", "-c", config, *overrides, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    run_folder = tmp_path / "runs/emoset/joint"
    for name in ("best.ckpt", "last.ckpt", "samples.png", "config.yaml", "metrics.csv"):
        assert (run_folder / name).is_file(), name
    assert "train/theta" in (run_folder / "metrics.csv").read_text()
    assert str(Path("runs/emoset/joint/best.ckpt")) in done.stdout
