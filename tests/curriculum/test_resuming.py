"""A training that a signal stops anywhere ends as if nothing had happened, bit for bit."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback

from tests.conftest import settings
from uniemo.config.experiment import Experiment
from uniemo.curriculum import joint
from uniemo.curriculum.curves import read_curves
from uniemo.model.saving import BEFORE_LAST
from uniemo.utils.stopping import Stopped, stop_signals

EXPERIMENT = str(Path(__file__).parents[2] / "experiments/emoset.yaml")


@pytest.fixture(autouse=True)
def quiet_signals() -> Iterator[None]:
    """Listen as a command does; forget what a test has sent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stop_signals, "_process", os.getpid())
        yield
    stop_signals.received, stop_signals.postponed = None, False


def experiment(tiny_files: dict[str, Path], runs: Path, phase: str, **changes: Any) -> Experiment:
    """Return a training of two epochs of eight steps; of the joint phase, or as the third one."""
    values = {"runs": runs, "phase": phase, "model.understanding_epochs": 1,
              "data.init_args.batch_size": 4, "trainer.max_epochs": 2,
              "trainer.strategy": "auto", "trainer.precision": "32-true",
              "trainer.log_every_n_steps": 1, **changes}  # fmt: skip
    read = Experiment.read(EXPERIMENT, settings(tiny_files, **values))
    return read if phase == "joint" else read.changed({"model.diffusion": None})


class SignalAt(Callback):
    """Receives SIGTERM the nth time that a hook is called."""

    def __init__(self, hook: str, nth: int) -> None:
        self.left = nth
        setattr(self, hook, self.called)

    def called(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            stop_signals.handle(signal.SIGTERM, None)


def train(wanted: Experiment, stop: tuple[str, int] | None = None) -> None:
    wanted.trainer["callbacks"] = [SignalAt(*stop)] if stop else []
    joint.run(wanted)


def results(runs: Path, phase: str) -> tuple[Any, Any, Any]:
    """Return weights, the optimiser's state, and curves."""
    folder = runs / "emoset" / phase
    best, last = (torch.load(folder / f"{n}.ckpt", weights_only=True) for n in ("best", "last"))
    (optimizer,) = last["optimizer_states"]
    return best["state_dict"], optimizer["state"], read_curves(folder)


@pytest.fixture(scope="module")
def undisturbed(
    tiny_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Any]:
    """Results of the two phases without a signal."""
    runs = tmp_path_factory.mktemp("undisturbed")
    for phase in ("joint", "finetune"):
        train(experiment(tiny_files, runs, phase))
    return lambda phase: results(runs, phase)


@pytest.mark.parametrize(
    ("phase", "hook", "nth", "workers"),
    [
        ("joint", "on_train_batch_end", 3, 0),
        ("joint", "on_train_batch_end", 7, 2),  # a validation follows the next one
        ("joint", "on_train_batch_end", 8, 0),  # the epoch's last
        ("joint", "on_train_batch_start", 9, 0),  # the first joint step
        ("joint", "on_train_batch_end", 13, 2),
        ("joint", "on_validation_batch_end", 2, 0),
        ("joint", "on_train_epoch_end", 1, 0),
        ("joint", "on_train_end", 1, 0),  # before the emotion space
        ("joint", "on_test_batch_end", 1, 0),
        ("finetune", "on_train_batch_end", 11, 0),
    ],
)
def test_a_stopped_training_ends_as_an_undisturbed_one(
    tiny_files, undisturbed, tmp_path, phase, hook, nth, workers
):
    with pytest.raises(Stopped):
        train(
            experiment(tiny_files, tmp_path, phase, **{"data.init_args.num_workers": workers}),
            (hook, nth),
        )
    stop_signals.received = None
    assert not stop_signals.postponed
    train(experiment(tiny_files, tmp_path, phase))
    *states, curves = results(tmp_path, phase)
    *expected, expected_curves = undisturbed(phase)
    torch.testing.assert_close(states, expected, rtol=0, atol=0, equal_nan=True)
    assert curves == expected_curves
    assert not (tmp_path / "emoset" / phase / BEFORE_LAST).exists()
