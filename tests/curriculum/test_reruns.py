"""Phases run again: what goes on, what starts anew."""

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.commands import fail
from tests.conftest import settings
from tests.tiny import tiny_model
from uniemo.config.experiment import CONFIG, Experiment
from uniemo.curriculum import resources
from uniemo.curriculum.fitting import Run, fit
from uniemo.curriculum.image_writer import prepare_folder
from uniemo.curriculum.phases import PHASES, run_phase
from uniemo.curriculum.resources import check_images, check_training
from uniemo.curriculum.resuming import (
    DONE,
    ORDER,
    changed_setting,
    checkpoint_to_resume,
    mark_begun,
    newest_state,
)
from uniemo.errors import UserError
from uniemo.model.checkpoint import WORD_WIDTH
from uniemo.model.saving import BEFORE_LAST, LAST

EXPERIMENT = str(Path(__file__).parents[2] / "experiments/emoset.yaml")


def save_state(path: Path, value: float = 0.75) -> None:
    """Write what looks like the state of a training."""
    weights = {WORD_WIDTH: torch.full((4,), value)}
    form = {"names": {"scene": [], "object": []}, "hyper_parameters": {}, "state_dict": weights}
    torch.save(form | {"optimizer_states": [], "loops": {}}, path)


@pytest.mark.parametrize("again", ["joint", "generate"])
def test_a_phase_that_begins_again_makes_later_ones_start_anew(tmp_path: Path, again: str) -> None:
    experiment = Experiment.read(EXPERIMENT).changed({"runs": tmp_path, "experiment": "x"})
    for phase in ORDER:
        (tmp_path / "x" / phase).mkdir(parents=True)
        experiment.changed({"phase": phase}).save(tmp_path / "x" / phase / CONFIG)
        (tmp_path / "x" / phase / DONE).touch()
        save_state(tmp_path / "x" / phase / LAST)
    assert tuple(PHASES) == ORDER
    # What has ended is not resumed, what is interrupted is.
    finetune = experiment.changed({"phase": "finetune"})
    assert checkpoint_to_resume(finetune) is None
    (tmp_path / "x/finetune" / DONE).unlink()
    assert checkpoint_to_resume(finetune) == tmp_path / "x/finetune" / LAST
    mark_begun(experiment.changed({"phase": again}))
    assert checkpoint_to_resume(finetune) is None
    assert not (tmp_path / "x" / again / DONE).exists()
    assert (tmp_path / "x/joint" / DONE).exists() == (again != "joint")


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        (["--data.init_args.root", "nowhere"], "nowhere"),
        (["--data.init_args.batch_size", "100000"], "batch_size"),
        (["--model.clip.model", "local-dir:nowhere"], "nowhere"),
        (["--model.sampling.scheduler", "UniPC"], "scheduler 'UniPC' is unknown"),
        (["--model.diffusion.prompt", "a picture"], "prompt"),
    ],
)
def test_a_slip_in_a_flag_costs_nothing_of_an_earlier_run(
    tiny_files: dict[str, Path], tmp_path: Path, slip: list[str], said: str
) -> None:
    for phase, names in (("joint", ("best.ckpt", LAST)), ("finetune", (LAST, DONE))):
        (tmp_path / "emoset" / phase).mkdir(parents=True)
        for name in names:
            (tmp_path / "emoset" / phase / name).write_text(f"{phase} {name}")
    before = {p: p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    given = settings(tiny_files, **{"runs": tmp_path, "trainer.strategy": "auto"})
    with pytest.raises(Exception, match=said):
        run_phase("joint", Experiment.read(EXPERIMENT, [*given, *slip]))
    assert {path: path.read_text() for path in before} == before


def test_a_fit_that_slurm_has_requeued_goes_on(
    tiny_files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, flags = tmp_path / "emoset/joint", settings(tiny_files, runs=tmp_path)
    folder.mkdir(parents=True)
    save_state(folder / LAST)
    Experiment.read(EXPERIMENT, flags).save(folder / CONFIG)

    def told(experiment: Experiment, resume: Path | None = None) -> None:
        raise UserError(f"asked to go on from {resume}")

    monkeypatch.setattr("uniemo.cli.lightning.fit", told)
    assert "from None" in fail(capsys, "fit", "-c", EXPERIMENT, *flags)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert f"from {folder / LAST}" in fail(capsys, "fit", "-c", EXPERIMENT, *flags)


@pytest.mark.parametrize("device", [torch.device("cpu"), torch.device("meta")])
def test_a_training_that_has_no_room_is_not_begun(
    tiny_files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: torch.device,
) -> None:
    model, folder = tiny_model(tiny_files), tmp_path / "runs/x/joint"
    check_training(model, folder, device)
    check_images(100, 64, folder)
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 8 kB\n")
    monkeypatch.setattr(resources, "MEMORY", tmp_path / "meminfo")
    with pytest.raises(UserError, match=f"memory on {device}"):
        check_training(model, folder, device)
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda _: SimpleNamespace(free=500_000))
    with pytest.raises(UserError, match="make room"):
        check_training(model, folder, device)
    with pytest.raises(UserError, match="100 images"):
        check_images(100, 64, folder)


def test_a_state_that_cannot_be_gone_on_from_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last, before = tmp_path / LAST, tmp_path / BEFORE_LAST
    save_state(last)
    save_state(before)
    whole = last.read_bytes()
    place = whole.index(4 * struct.pack("f", 0.75))  # of the weights
    for broken, said in [
        (whole, None),
        (whole[: len(whole) // 2], "cannot be read"),
        (whole[:place] + b"\1" + whole[place + 1 :], "is damaged"),
        (b"", "cannot be read"),
    ]:
        last.write_bytes(broken)
        assert newest_state(tmp_path) == (last if said is None else before)
        printed = capsys.readouterr().out
        assert printed.count("\n") == (said is not None)
        assert said is None or (said in printed and str(last) in printed)
    save_state(last, float("nan"))
    assert newest_state(tmp_path) == before
    assert "not finite" in capsys.readouterr().out
    before.unlink()
    assert newest_state(tmp_path) is None


def test_generation_deletes_nothing_that_it_has_not_written(tmp_path: Path) -> None:
    folder = tmp_path / "generate"
    (folder / "painted").mkdir(parents=True)
    thesis = folder / "thesis.txt"
    thesis.write_text("years of work")
    with pytest.raises(UserError, match=r"thesis\.txt"):
        prepare_folder(folder, {"seed": 0})
    assert thesis.is_file()
    thesis.rename(tmp_path / "thesis.txt")
    prepare_folder(folder, {"seed": 0})
    assert [path.name for path in folder.iterdir()] == ["request.json"]


@pytest.mark.parametrize("name", ["../elsewhere", "/tmp/elsewhere", "a/../../b", ""])
@pytest.mark.parametrize("key", ["experiment", "phase"])
def test_names_that_leave_the_folder_of_the_runs_are_refused(key: str, name: str) -> None:
    with pytest.raises(UserError, match=f"{key} is"):
        Experiment.read(EXPERIMENT).changed({key: name})


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ([], None),
        (["--model.sampling.num_inference_steps", "3"], None),
        (["--checkpoints.every_minutes", "3"], None),
        (["--data.init_args.num_workers", "3"], None),
        (["--trainer.devices", "2"], None),
        (["--model.loss.condition", "0.5"], "model.loss.condition"),
        (["--seed_everything", "1"], "seed_everything"),
        (["--data.init_args.fraction", "0.5"], "data.init_args.fraction"),
        (["--trainer.max_epochs", "17"], "trainer.max_epochs"),
    ],
)
def test_a_phase_goes_on_under_its_own_settings_alone(
    tmp_path: Path, change: list[str], changed: str | None
) -> None:
    Experiment.read(EXPERIMENT).save(tmp_path / CONFIG)
    assert changed_setting(tmp_path, Experiment.read(EXPERIMENT, change)) == changed


def train(
    tiny_files: dict[str, Path],
    runs: Path,
    *more: str,
    resume: Path | None = None,
    **trainer: Any,
) -> Run:
    """Train on tiny files: one epoch of understanding, then joint ones, of four steps each."""
    changes = {"runs": runs, "model.understanding_epochs": 1, "model.model.dropout": 0.0,
               "trainer.strategy": "auto", "trainer.precision": "32-true",
               **{f"trainer.{key}": value for key, value in trainer.items()}}  # fmt: skip
    return fit(Experiment.read(EXPERIMENT, [*settings(tiny_files, **changes), *more]), resume)


def keeping(folder: Path, **when: Any) -> list[str]:
    """Return the flags of a checkpoint callback of the user's own, which keeps them all."""
    init = {"dirpath": str(folder), "save_top_k": -1, **when}
    mine = {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": init}
    return ["--trainer.callbacks", f"[{mine}]"]


def best_weights(runs: Path) -> dict[str, torch.Tensor]:
    return torch.load(runs / "emoset/joint/best.ckpt", weights_only=True)["state_dict"]


def test_a_fit_that_steps_end_goes_on_after_an_epoch(
    tiny_files: dict[str, Path], tmp_path: Path
) -> None:
    epochs, limits = tmp_path / "epochs", {"max_epochs": 4, "max_steps": 10}
    keep = keeping(epochs, every_n_epochs=1, save_on_train_epoch_end=True, filename="{epoch}")
    whole = train(tiny_files, tmp_path / "whole", *keep, **limits)
    start = epochs / "epoch=0.ckpt"
    again = train(tiny_files, tmp_path / "again", resume=start, **limits)
    assert whole.trainer.global_step == again.trainer.global_step == 10
    assert whole.trainer.current_epoch == again.trainer.current_epoch
    expected, found = best_weights(tmp_path / "whole"), best_weights(tmp_path / "again")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_fit_goes_on_within_a_joint_epoch_beside_a_users_own_checkpoints(
    tiny_files: dict[str, Path], tmp_path: Path
) -> None:
    steps = tmp_path / "steps"
    older = [tmp_path / "whole/emoset/joint" / name for name in ("best.ckpt", "last.ckpt")]
    older[0].parent.mkdir(parents=True)
    for path in older:
        path.write_bytes(b"of an older run")
    keep = keeping(steps, every_n_train_steps=1, filename="{step}")
    whole = train(tiny_files, tmp_path / "whole", *keep, max_epochs=2)
    best = best_weights(tmp_path / "whole")
    assert best["painter.space.moments.count"].all()
    # An epoch has four steps: this one is the second of the joint epoch.
    start = steps / "step=6.ckpt"
    going_on = train(tiny_files, tmp_path / "again", resume=start, max_epochs=2)
    assert going_on.trainer.global_step == whole.trainer.global_step == 8
    assert not any(p.requires_grad for p in going_on.model.understanding.chain.visual.parameters())
    again = best_weights(tmp_path / "again")
    for name, value in best.items():
        torch.testing.assert_close(again[name], value, rtol=1e-4, atol=1e-5, msg=name)
