"""Phases run again: what goes on, what starts anew."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import settings
from uniemo.config.experiment import CONFIG, Experiment
from uniemo.curriculum import phases
from uniemo.curriculum.fitting import Run, fit
from uniemo.curriculum.phases import run_phase
from uniemo.curriculum.resuming import DONE, changed_setting
from uniemo.model.saving import LAST

EXPERIMENT = str(Path(__file__).parents[2] / "experiments/emoset.yaml")


@pytest.mark.parametrize("again", ["joint", "generate"])
def test_a_phase_run_again_makes_later_ones_start_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, again: str
) -> None:
    for phase in phases.PHASES:
        (tmp_path / phase).mkdir()
        for name in (LAST, DONE):
            (tmp_path / phase / name).touch()
    resumed: list[bool] = []

    def run(experiment: Experiment) -> None:
        resumed.append((experiment.phase_folder / LAST).exists())

    monkeypatch.setattr(phases, "PHASES", dict.fromkeys(phases.PHASES, run))
    experiment = Experiment.read(EXPERIMENT).changed({"runs": tmp_path.parent})
    experiment = experiment.changed({"experiment": tmp_path.name})
    run_phase(again, experiment)
    assert not (tmp_path / "finetune" / DONE).exists()
    run_phase("finetune", experiment)
    assert not any(resumed)


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ([], None),
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
