"""The whole evaluation on tiny files: three sources of pictures, one command."""

import json
import math

import pytest

from tests import tiny
from tests.evaluation.conftest import write_checkpoint
from uniemo.cli.evaluate import main, newest_checkpoint
from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError

GENERATION = {
    "checkpoint", "n_images", "fid", "fid_features", "fid_reference", "kid", "diversity",
    "diversity_metric", "density", "coverage", "emo_a_8", "emo_a_2", "judge", "judge_accuracy_real",
    "judge_accuracy_reconstructed", "sem_c", "sem_c_classifiers", "sem_d", "sem_d_features",
    "near_copies", "per_emotion", "intervals",
}  # fmt: skip
UNDERSTANDING = {
    "accuracy", "accuracy_polarity", "f1_macro", "ece", "confusion", "linear_probe", "intervals",
}  # fmt: skip


def evaluate(experiment, *arguments: str):
    main(["--experiment", str(experiment.file), *experiment.overrides, *arguments])


@pytest.fixture(scope="module")
def metrics(experiment):
    evaluate(experiment)
    return json.loads((experiment.folder / "eval" / "metrics.json").read_text())


def test_metrics_have_the_documented_keys(metrics):
    assert set(metrics) == {
        "experiment", "checkpoint", "seed", "protocol", "understanding", "generation", "queries",
    }  # fmt: skip
    assert set(metrics["understanding"]) == UNDERSTANDING
    assert set(metrics["generation"]) == GENERATION
    assert list(metrics["generation"]["per_emotion"]) == list(EMOTIONS)
    assert metrics["queries"] == {}  # no boxes


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


def test_a_second_run_finds_the_features_and_batch_size_changes_nothing(experiment, metrics):
    evaluate(experiment, "--eval.batch_size", "24")
    again = json.loads((experiment.folder / "eval" / "metrics.json").read_text())
    assert again["understanding"] == metrics["understanding"]
    assert (
        again["generation"]["judge_accuracy_real"] == metrics["generation"]["judge_accuracy_real"]
    )
    for key in ("fid", "kid", "sem_d", "diversity", "emo_a_8", "coverage"):
        assert again["generation"][key] == pytest.approx(metrics["generation"][key], rel=1e-3)


def test_a_folder_is_measured_by_the_same_judge(experiment, metrics, image_folder):
    evaluate(experiment, "--images", str(image_folder), "--protocol", "published")
    folder = experiment.folder / "eval" / image_folder.name
    peer = json.loads((folder / "metrics.json").read_text())
    generation = peer["generation"]
    assert generation["n_images"] == 20
    assert set(generation["published"]) == {"sem_d", "diversity"}
    for key in ("judge_accuracy_real", "judge_accuracy_reconstructed", "judge"):
        assert generation[key] == metrics["generation"][key]
    assert (folder / "report.html").is_file()


def test_a_checkpoint_without_head_is_shown_with_what_the_joint_phase_paints(
    experiment, metrics, tiny_files
):
    tuned = experiment.folder / "finetune" / "best.ckpt"
    tuned.parent.mkdir()
    write_checkpoint(tuned, tiny_files, head=False)
    assert newest_checkpoint(experiment.folder) == tuned
    evaluate(experiment)
    again = json.loads((experiment.folder / "eval" / "metrics.json").read_text())
    tuned.unlink()
    assert again["checkpoint"] == str(tuned)
    assert again["generation"] == metrics["generation"]


def test_calibration_paints_with_the_baseline_prompt(experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "TOKENS", 32)  # the prompt needs more than the tiny default
    head = tiny.write_stable_diffusion(tmp_path / "stable_diffusion")
    source = ["--model.diffusion.source", str(head)]
    evaluate(experiment, "--calibrate", "--eval.n_images", "2", *source)
    folder = experiment.folder / "eval" / "calibration"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert "an image of" in metrics["checkpoint"]
    assert "44.05" in (folder / "report.html").read_text()


def test_boxes_and_posteriors_are_read_where_the_data_have_them(experiment, composed):
    evaluate(experiment, "--data.init_args.root", str(composed), "--eval.n_images", "2")
    metrics = json.loads((experiment.folder / "eval" / "metrics.json").read_text())
    assert metrics["understanding"]["ceiling"] == pytest.approx(0.86)
    assert metrics["queries"]["pointing_chance"] == pytest.approx(0.25)
    assert set(metrics["queries"]) == {"pointing_scene", "pointing_object", "pointing_chance"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ckpt", "nowhere.ckpt"], "nowhere.ckpt does not exist"),
        (["--images", "nowhere"], "nowhere does not exist"),
        (["--images", "nowhere", "--calibrate"], "give one of"),
        (["--eval.n_image", "3"], "n_image"),
        (["--eval.n_images", "1"], "at least 2"),
        (["--eval.clarity", "resnet50", "--images", "X"], "Places365|ResNet-50"),
        (["--experiment", "nowhere.yaml"], "nowhere.yaml does not exist"),
    ],
)
def test_mistakes_are_one_line(experiment, image_folder, arguments, message):
    given = [str(image_folder) if argument == "X" else argument for argument in arguments]
    with pytest.raises(UserError, match=message) as error:
        main([*experiment_file(given), *experiment.overrides, *given])
    assert "\n" not in str(error.value)


def experiment_file(given: list[str]) -> list[str]:
    return [] if "--experiment" in given else ["--experiment", "emoscenes"]


def test_an_experiment_without_checkpoint_says_so(tmp_path):
    with pytest.raises(UserError, match="train first"):
        newest_checkpoint(tmp_path)
