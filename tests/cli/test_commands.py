"""The real command line, in a subprocess, on tiny files."""

from pathlib import Path

import pytest

from tests.commands import ROOT, fail, leave, run
from tests.conftest import settings
from uniemo.cli.commands import COMMANDS
from uniemo.cli.lightning import LIGHTNING


def test_the_paper_scale_file_trains_on_files_in_the_true_formats(tiny_files, tmp_path):
    overrides = settings(
        tiny_files,
        **{
            "model.understanding_epochs": 1,
            "trainer.max_epochs": 2,
            "trainer.precision": "32-true",
        },
        **{"trainer.log_every_n_steps": 1},
    )
    config = str(ROOT / "experiments/emoset.yaml")
    done = run("fit", "-c", config, *overrides, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    run_folder = tmp_path / "runs/emoset/joint"
    for name in ("best.ckpt", "last.ckpt", "samples.png", "config.yaml", CURVES):
        assert (run_folder / name).is_file(), name
    assert "train/theta" in (run_folder / CURVES).read_text()
    assert str(Path("runs/emoset/joint/best.ckpt")) in done.stdout


@pytest.mark.parametrize("accelerator", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def test_half_precision_trains_with_recomputed_activations(
    tiny_files, tmp_path, accelerator, request
):
    if accelerator == "gpu":
        request.getfixturevalue("gpu")
    overrides = settings(
        tiny_files,
        **{
            "model.understanding_epochs": 1,
            "model.diffusion.dtype": "bfloat16",
            "model.optimizer.gradient_checkpointing": "true",
            "trainer.max_epochs": 2,
            "trainer.precision": "bf16-mixed",
            "trainer.accelerator": accelerator,
        },
    )
    done = run("fit", "-c", str(ROOT / "experiments/emoset.yaml"), *overrides, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/emoset/joint/samples.png").is_file()


CURVES = "curves/version_0/metrics.csv"


MINI = str(ROOT / "experiments/emoscenes.yaml")


@pytest.mark.parametrize("name", ["best", "last"])
@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_a_checkpoint_that_no_phase_has_left_is_told_in_one_line(capsys, tmp_path, command, name):
    line = fail(capsys, command, "-c", MINI, "--runs", str(tmp_path), "--ckpt_path", name)
    assert f"joint/{name}.ckpt does not exist; run phase joint first" in line


@pytest.mark.parametrize(
    "command",
    [*LIGHTNING, *COMMANDS, "data check", "data emoscenes", "configs copy"],
)
def test_every_command_explains_itself(capsys, command):
    assert leave(*command.split(), "--help") == 0
    assert "usage" in capsys.readouterr().out


def test_a_data_set_that_cannot_be_written_is_told_in_one_line(capsys, tmp_path):
    root = str(tmp_path / "data")
    assert "train" in fail(capsys, "data", "emoscenes", "--root", root, "--train", "-1")


def test_a_mistyped_key_in_a_file_is_told_in_one_line(capsys, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("model:\n  loss:\n    sene: 0.1\n")
    line = fail(capsys, "fit", "-c", MINI, "-c", str(path))
    assert "sene" in line
    assert "model.loss.scene" in line


def test_unknown_commands_and_configs_are_told_in_one_line(capsys):
    assert "validate" in fail(capsys, "fitt")
    assert "emoscenes" in fail(capsys, "fit", "-c", "experiments/nothing.yaml")
    assert "usage" in fail(capsys, "configs", "steal")


@pytest.mark.parametrize(("command", "extra"), [("eval", "eval"), ("ablate", "study")])
def test_a_missing_package_of_an_extra_is_told_in_one_line(capsys, monkeypatch, command, extra):
    def missing(_):
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

    monkeypatch.setitem(COMMANDS, command, missing)
    assert f"matplotlib is missing; run: pip install 'uniemo[{extra}]'" in fail(capsys, command)
