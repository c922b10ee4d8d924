"""The whole evaluation on tiny files: of a checkpoint, of a folder, of Stable Diffusion."""

import json
import math
import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from tests import tiny
from tests.evaluation.files import write_checkpoint
from uniemo.config.experiment import Experiment
from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError
from uniemo.evaluation.evaluate import (
    evaluate_baseline,
    evaluate_checkpoint,
    evaluate_folder,
    newest_checkpoint,
)

GENERATION = {
    "checkpoint", "n_images", "fid", "fid_features", "fid_reference", "kid", "diversity",
    "fid_reconstructed", "diversity_metric", "density", "coverage", "emo_a_8", "emo_a_2", "judge",
    "judge_accuracy_real",
    "judge_accuracy_reconstructed", "sem_c", "sem_c_classifiers", "sem_d", "sem_d_features",
    "near_copies", "as_published", "per_emotion", "intervals",
}  # fmt: skip
UNDERSTANDING = {
    "accuracy", "accuracy_polarity", "f1_macro", "ece", "confusion", "linear_probe", "intervals",
    "names_baseline",
}  # fmt: skip


def read(run, *overrides: str) -> Experiment:
    return Experiment.read(str(run.file), [*run.overrides, *overrides], "uniemo eval")


def written(run, folder: str = "") -> dict:
    return json.loads((run.folder / "eval" / folder / "metrics.json").read_text())


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Compute as each of two processes does: the judge's fit amplifies rounding."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def metrics(run):
    metrics = evaluate_checkpoint(read(run))
    assert metrics == written(run)
    return metrics


def test_metrics_have_the_documented_keys(metrics):
    assert set(metrics) == {
        "experiment", "checkpoint", "seed", "protocol", "emotions",
        "understanding", "generation", "queries",
    }  # fmt: skip
    assert set(metrics["understanding"]) == UNDERSTANDING
    assert set(metrics["generation"]) == GENERATION
    assert list(metrics["generation"]["per_emotion"]) == list(EMOTIONS)
    assert set(metrics["queries"]) == {"retrieval_scene", "retrieval_object"}  # no boxes


def test_numbers_agree_with_one_another(metrics):
    understanding, generation = metrics["understanding"], metrics["generation"]
    confusion = understanding["confusion"]
    assert sum(map(sum, confusion)) == 16
    hits = sum(row[i] for i, row in enumerate(confusion))
    assert understanding["accuracy"] == pytest.approx(hits / 16)
    assert generation["n_images"] == 24
    by_emotion = [row["emo_a_8"] for row in generation["per_emotion"].values()]
    assert generation["emo_a_8"] == pytest.approx(sum(by_emotion) / 8)
    for key, (low, high) in generation["intervals"].items():
        assert low <= generation[key] <= high
    assert all(math.isfinite(generation[key]) for key in ("fid", "kid", "diversity", "sem_d"))


def test_features_are_computed_once_and_the_batch_size_changes_nothing(run, metrics):
    cache = run.folder.parents[1] / "cache"
    before = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    again = evaluate_checkpoint(read(run, "--eval.batch_size", "24"))
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == before
    assert again["understanding"] == metrics["understanding"]
    assert (
        again["generation"]["judge_accuracy_real"] == metrics["generation"]["judge_accuracy_real"]
    )
    for key in ("fid", "kid", "sem_d", "diversity", "emo_a_8", "coverage"):
        assert again["generation"][key] == pytest.approx(metrics["generation"][key], rel=1e-3)


def numbers(content: Any, key: str = "") -> dict[str, float]:
    """Return the numbers of nested metrics by their place."""
    parts = enumerate(content) if isinstance(content, list) else content.items()
    found: dict[str, float] = {}
    for name, value in parts:
        if isinstance(value, dict | list):
            found |= numbers(value, f"{key}/{name}")
        elif isinstance(value, int | float):
            found[f"{key}/{name}"] = value
    return found


def test_two_processes_give_the_numbers_of_one(run, metrics, tmp_path):
    changes = [
        *run.overrides, "--trainer.devices", "2", "--runs", str(tmp_path), "--eval.cache",
        str(tmp_path / "cache"), "--ckpt", str(run.folder / "joint/best.ckpt"),
    ]  # fmt: skip
    command = [sys.executable, "-m", "uniemo.cli", "eval", "--experiment", str(run.file), *changes]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Generated images") == 1
    found = json.loads((tmp_path / "tiny/eval/metrics.json").read_text())
    assert numbers(found) == pytest.approx(numbers(json.loads(json.dumps(metrics))), rel=1e-5)
    assert (tmp_path / "tiny/eval/report.html").is_file()


def test_a_folder_is_evaluated_by_the_same_judge(run, metrics, image_folder):
    peer = evaluate_folder(read(run), image_folder, "published")
    assert peer == written(run, image_folder.name)
    assert (metrics["protocol"], peer["protocol"]) == ("default", "published")
    generation = peer["generation"]
    assert generation["n_images"] == 20
    assert set(generation["published"]) == {"fid", "sem_d", "diversity"}
    assert generation["as_published"] == []  # other networks stand in for the published ones
    assert generation["published"]["fid"] != generation["fid"]
    for key in ("judge_accuracy_real", "judge_accuracy_reconstructed", "judge"):
        assert generation[key] == metrics["generation"][key]
    assert (run.folder / "eval" / image_folder.name / "report.html").is_file()


def test_the_joint_checkpoint_generates_for_one_without_head(run, metrics, tiny_files):
    tuned = run.folder / "finetune" / "best.ckpt"
    tuned.parent.mkdir()
    write_checkpoint(tuned, tiny_files, head=False)
    assert newest_checkpoint(run.folder) == tuned
    again = evaluate_checkpoint(read(run))
    tuned.unlink()
    assert again["checkpoint"] == str(tuned)
    assert again["generation"] == metrics["generation"]


def test_calibration_uses_the_baseline_prompt(run, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "TOKENS", 32)  # the prompt needs more than the tiny default
    head = tiny.write_stable_diffusion(tmp_path / "stable_diffusion")
    source = ["--model.diffusion.source", str(head)]
    metrics = evaluate_baseline(read(run, "--eval.n_images", "2", *source))
    folder = run.folder / "eval" / "calibration"
    assert "an image of" in metrics["checkpoint"]
    assert "44.05" in (folder / "report.html").read_text()


def test_boxes_and_posteriors_are_read_where_the_data_have_them(run, composed):
    overrides = "--data.init_args.root", str(composed), "--eval.n_images", "2"
    metrics = evaluate_checkpoint(read(run, *overrides))
    assert metrics["understanding"]["ceiling"] == pytest.approx(0.86)
    assert 0 <= metrics["understanding"]["bayes_rule"] <= 1
    assert metrics["queries"]["pointing_chance"] == pytest.approx(0.25)
    assert {"pointing_scene", "pointing_object", "pointing_chance"} < set(metrics["queries"])


def test_an_experiment_without_checkpoint_is_refused(tmp_path):
    with pytest.raises(UserError, match="train first"):
        newest_checkpoint(tmp_path)
