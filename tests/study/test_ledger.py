"""Records of runs: what their settings hold, and what happens when they change."""

import pytest

from tests.conftest import settings
from uniemo.study.ledger import Record, settings_of
from uniemo.study.trial import PROFILES, build_trials
from uniemo.utils.sources import weights_digest


@pytest.mark.parametrize("native", ["bf16-mixed", "32-true"])
def test_a_precision_that_the_machine_chose_is_part_of_the_settings(
    native, tiny_files, tmp_path, monkeypatch
):
    monkeypatch.setattr("uniemo.config.experiment.native_precision", lambda accelerator: native)
    given = settings(tiny_files, runs=tmp_path)
    explicit = [*given, "--trainer.precision", "32-true"]
    chosen, fixed = (
        settings_of(
            next(build_trials("emoscenes", flags, PROFILES["quick"], tmp_path)).experiment,
            "trainer",
        )
        for flags in (given, explicit)
    )
    assert (chosen == fixed) == (native == "32-true")


def test_the_content_of_a_source_is_part_of_the_settings(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        (folder / "weights").write_bytes(b"1")
    assert weights_digest(f"local-dir:{first}") == weights_digest(f"{second}")
    weights_digest.cache_clear()
    (second / "weights").write_bytes(b"2")
    assert weights_digest(f"local-dir:{first}") != weights_digest(f"{second}")
    assert weights_digest("openai") == "openai"


def test_a_run_with_other_settings_is_done_anew(tmp_path):
    first = Record(tmp_path / "arm", {"rate": 1})
    assert first.load() is None
    (tmp_path / "arm/last.ckpt").touch()
    assert first.load() is None  # interrupted: it goes on
    assert (tmp_path / "arm/last.ckpt").exists()
    first.finish({"a": 0.5, "b": float("nan"), "c": None})
    assert first.load() == {"a": 0.5, "b": None, "c": None}
    assert Record(tmp_path / "arm", {"rate": 2}).load() is None
    assert not (tmp_path / "arm/last.ckpt").exists()
    assert first.load() is None
