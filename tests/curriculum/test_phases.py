"""The three phases through the real command line, on tiny files."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from data_modules import EmoSetDataModule
from tests.conftest import settings
from uniemo.curriculum.curves import read_curves, start_and_best
from uniemo.emotions import EMOTIONS

EXPERIMENT = str(Path(__file__).parents[2] / "experiments/emoset.yaml")
N_IMAGES = 4


def command(
    tiny_files: dict[str, Path], runs: Path, phase: str, **changes: Any
) -> tuple[list[str], dict[str, str]]:
    """Return the command that runs a phase, and its environment."""
    overrides = settings(
        tiny_files,
        **{
            "runs": runs,
            "model.understanding_epochs": 1,
            "model.model.dropout": 0.0,
            "model.sampling.batch_size": 5,
            "trainer.max_epochs": 2,
            "trainer.precision": "32-true",
            "trainer.log_every_n_steps": 1,
            "generate.n_images": N_IMAGES,
            "eval.cache": tiny_files["cache"],
            # Untrained weights paint noise that no threshold would pass.
            "generate.filter.confidence_threshold": 0,
            "generate.filter.realism_threshold": 0,
            "generate.filter.neighbours": 1,
            "generate.filter.duplicate_cosine": 1.0,
            "generate.filter.duplicate_quantile": "null",
            "finetune.epochs": 1,
        }
        | changes,
    )
    arguments = ["train", "--experiment", EXPERIMENT, "--phase", phase, *overrides]
    return [sys.executable, "-m", "uniemo.cli", *arguments], {
        **os.environ,
        "OMP_NUM_THREADS": "1",
    }


def run(tiny_files: dict[str, Path], runs: Path, phase: str, **changes: Any) -> str:
    """Run a phase to its end; return what it prints."""
    arguments, environment = command(tiny_files, runs, phase, **changes)
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def whole(tiny_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiment's folder after ``train``, all phases in one go."""
    runs = tmp_path_factory.mktemp("whole")
    run(tiny_files, runs, "all")
    return runs / "emoset"


@pytest.fixture
def after_joint(whole: Path, tmp_path: Path) -> Path:
    """Another runs folder in which the joint phase alone is done."""
    shutil.copytree(whole / "joint", tmp_path / "runs/emoset/joint")
    return tmp_path / "runs"


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder, by its path in it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def pictures(folder: Path) -> np.ndarray:
    """Return all images of a generate phase in the order of their names."""
    return np.stack([np.asarray(Image.open(p), float) for p in sorted(folder.rglob("image/*/*"))])


def test_every_phase_writes_what_the_next_one_needs(whole: Path):
    for phase, name in [
        ("joint", "best.ckpt"),
        ("generate", "train.json"),
        ("finetune", "best.ckpt"),
    ]:
        assert (whole / phase / name).is_file()
        assert (whole / phase / "done").is_file()
    finetuned = torch.load(whole / "finetune/best.ckpt", weights_only=True)
    assert finetuned["hyper_parameters"]["diffusion"] is None
    assert finetuned["hyper_parameters"]["start_from"].endswith("joint/best.ckpt")
    # The weights that the third phase starts from are a candidate.
    start, best = start_and_best(read_curves(whole / "finetune"))
    assert (finetuned["global_step"] == 0) == (best <= start)
    assert start_and_best(read_curves(whole / "joint")) is None


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["train", "--experiment", EXPERIMENT, "--phase", "generate"], "joint"),
        (["train", "--experiment", EXPERIMENT, "--phase", "finetune"], "generate"),
        (["validate", "-c", EXPERIMENT], "joint"),
        (["test", "-c", EXPERIMENT, "--phase", "finetune"], "finetune"),
        (["predict", "-c", EXPERIMENT], "joint"),
    ],
)
def test_the_phase_that_must_come_first_is_named_in_one_line(
    tiny_files, tmp_path, arguments, first
):
    overrides = settings(tiny_files, **{"runs": tmp_path / "runs", "trainer.strategy": "auto"})
    done = subprocess.run(
        [sys.executable, "-m", "uniemo.cli", *arguments, *overrides],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert f"run phase {first} first" in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("command_name", "split"), [("validate", "val"), ("test", "test")])
def test_the_best_checkpoint_is_measured_if_none_is_given(tiny_files, whole, command_name, split):
    arguments, environment = command(tiny_files, whole.parent, "joint")
    overrides = arguments[arguments.index("joint") + 1 :]
    done = subprocess.run(
        [sys.executable, "-m", "uniemo.cli", command_name, "-c", EXPERIMENT, *overrides],
        env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    printed = re.search(rf"{split}/loss\W+([0-9.]+)", done.stdout)
    assert printed, done.stdout
    events = EventAccumulator(str(whole / "joint"))
    events.Reload()
    logged = events.Scalars(f"{split}/loss")[-1].value  # of the one joint epoch, so of the best
    assert float(printed[1]) == pytest.approx(logged, abs=1e-4)


def test_logs_hold_every_loss_the_validation_and_a_picture(whole: Path):
    events = EventAccumulator(str(whole / "joint"))
    events.Reload()
    assert events.Tags()["images"] == ["samples"]
    logged = set(events.Tags()["scalars"])
    losses = ("scene", "object", "emotion", "condition", "theta", "total")
    assert {f"train/{name}" for name in losses} <= logged
    assert {"val/accuracy", "val/f1_macro", "val/theta", "test/accuracy"} <= logged
    assert {*losses, "accuracy", "f1_macro"} <= set(read_curves(whole / "joint"))
    grid = Image.open(whole / "joint/samples.png")
    assert grid.width == grid.height >= 8 * 8


def test_the_manifest_tells_of_every_image_what_it_is_and_why_it_was_kept(whole: Path):
    manifest = parquet.read_table(whole / "generate/manifest.parquet").to_pylist()
    assert len(manifest) == N_IMAGES * len(EMOTIONS)
    assert {(row["target"], row["index"]) for row in manifest} == {
        (emotion, index) for emotion in range(len(EMOTIONS)) for index in range(N_IMAGES)
    }
    for row in manifest:
        assert (whole / "generate" / row["image"]).is_file()
        assert 0 <= row["confidence"] <= 1
        assert 0 <= row["alpha_scene"] <= 1
        assert row["seed"] == 0
    kept = {row["image"] for row in manifest if row["reason"] == "kept"}
    assert kept
    listed = json.loads((whole / "generate/train.json").read_text())
    assert {row[2] for row in listed} == kept
    wrong = [row for row in manifest if not row["agrees"]]
    assert all(row["reason"] == "wrong_emotion" for row in wrong)


def test_the_data_module_reads_the_pool(whole: Path, tmp_path: Path):
    data = EmoSetDataModule(str(whole / "generate"), clip_size=16, diffusion_size=8, num_workers=0,
                            cache_dir=str(tmp_path))  # fmt: skip
    batch = next(iter(data.plain_dataloader("train")))
    listed = json.loads((whole / "generate/train.json").read_text())
    assert [EMOTIONS[e] for e in batch["emotion"].tolist()] == [row[0] for row in listed]


def test_an_annotated_name_is_the_one_painted_and_read(whole: Path):
    for row in parquet.read_table(whole / "generate/manifest.parquet").to_pylist():
        image = Path(row["image"])
        path = whole / "generate/annotation" / image.parent.name / f"{image.stem}.json"
        if row["reason"] != "kept":
            assert not path.exists()
            continue
        annotation = json.loads(path.read_text())
        same = row["scene"] is not None and row["scene"] == row["read_scene"]
        assert annotation.get("scene") == (row["scene"] if same else None)


def test_a_killed_generation_ends_with_the_bytes_of_an_undisturbed_one(
    tiny_files, whole, after_joint
):
    folder = after_joint / "emoset/generate"
    arguments, environment = command(tiny_files, after_joint, "generate")
    process = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while len(list(folder.glob("painted/*.parquet"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "done").exists()
    painted = {path: path.stat().st_mtime_ns for path in folder.glob("painted/*.parquet")}
    assert len(painted) >= 2
    (folder / "image/awe/awe_000000.png.part").write_bytes(b"half")

    run(tiny_files, after_joint, "generate")
    assert contents(folder) == contents(whole / "generate")
    assert painted.items() <= {p: p.stat().st_mtime_ns for p in painted}.items()


def test_a_process_whose_share_is_painted_waits_for_the_others(tiny_files, whole, after_joint):
    folder = after_joint / "emoset/generate"
    shutil.copytree(whole / "generate", folder)
    lost = [1, 3, 5]  # batches of the second of two processes
    for number in lost:
        (folder / f"painted/{number:06d}.parquet").unlink()
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("painted/*.parquet")}
    run(tiny_files, after_joint, "generate", **{"trainer.devices": 2, "trainer.strategy": "ddp"})
    assert contents(folder) == contents(whole / "generate")
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(
    tiny_files, whole, tmp_path, sent, code
):
    folder = tmp_path / "emoset/joint"
    arguments, environment = command(tiny_files, tmp_path, "joint")
    process = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300
    while not (folder / "last.ckpt").is_file() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(sent)
    _, said = process.communicate()
    assert process.returncode == code
    if sent == signal.SIGTERM:
        assert said.splitlines()[-1].startswith("stopped by SIGTERM; run the same command")
        assert "Traceback" not in said
    assert not (folder / "done").exists()
    (tmp_path / "emoset/joint/best.ckpt.0.part").write_bytes(b"half")
    assert "Resuming from" in run(tiny_files, tmp_path, "joint")
    expected, found = (
        torch.load(path / "best.ckpt", weights_only=True)["state_dict"]
        for path in (whole / "joint", folder)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    assert not list(tmp_path.rglob("*.part"))


def test_two_processes_train_as_one_does_and_go_through_all_phases(tiny_files, whole, tmp_path):
    older = tmp_path / "emoset/generate/painted/older.png"
    older.parent.mkdir(parents=True)
    older.touch()
    (older.parent.parent / "request.json").write_text("{}")
    run(
        tiny_files,
        tmp_path,
        "all",
        **{"trainer.devices": 2, "trainer.strategy": "ddp",
           "data.init_args.batch_size": 4},
    )  # fmt: skip
    # Adam's first moments tell the gradients: losses hardly move in so few steps.
    one, two = (
        torch.cat([state["exp_avg"].flatten() for state in optimizer["state"].values()])
        for folder in (whole, tmp_path / "emoset")
        for optimizer in torch.load(folder / "joint/last.ckpt", weights_only=True)[
            "optimizer_states"
        ]
    )
    assert (one - two).norm() < 1e-4 * one.norm()
    assert not older.exists()
    assert (tmp_path / "emoset/finetune/best.ckpt").is_file()


def test_images_do_not_depend_on_the_number_of_processes_or_the_batch_size(
    tiny_files, whole, after_joint
):
    run(
        tiny_files,
        after_joint,
        "generate",
        **{"trainer.devices": 2, "trainer.strategy": "ddp", "model.sampling.batch_size": 3},
    )
    expected, found = pictures(whole / "generate"), pictures(after_joint / "emoset/generate")
    assert expected.shape == found.shape
    assert np.abs(expected - found).mean() < 0.5
    assert expected.std() > 1


def test_a_checkpoint_of_other_settings_is_refused_in_one_line(tiny_files, whole):
    changes = settings(tiny_files, **{"model.model.n_queries": 5})
    arguments = ["test", "-c", EXPERIMENT, *changes, "--ckpt_path", str(whole / "joint/best.ckpt")]
    done = subprocess.run(
        [sys.executable, "-m", "uniemo.cli", *arguments],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "other settings" in line
    assert "tokens" in line


def test_a_folder_of_another_system_can_stand_in(tiny_files, whole, after_joint, tmp_path):
    theirs = Path(shutil.copytree(whole / "generate/image", tmp_path / "theirs"))
    odd = next(theirs.rglob("*.png"))  # of another size
    Image.open(odd).resize((40, 20)).save(odd)
    run(tiny_files, after_joint, "generate", **{"generate.images": tmp_path / "theirs",
                                                "generate.verifier": "clip_probe"})  # fmt: skip
    manifest = parquet.read_table(after_joint / "emoset/generate/manifest.parquet").to_pylist()
    assert {Path(row["image"]).parent.parent for row in manifest} == {theirs}
    assert len(manifest) == N_IMAGES * len(EMOTIONS)
    sheets = [np.asarray(Image.open(after_joint / f"emoset/generate/{name}.png"))
              for name in ("kept", "refused")]  # fmt: skip
    assert sheets[0].shape == sheets[1].shape
    odd.write_bytes(b"broken")
    arguments, environment = command(tiny_files, after_joint, "generate",
                                     **{"generate.images": theirs})  # fmt: skip
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert str(odd) in line
