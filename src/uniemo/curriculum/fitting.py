"""One training: build model, data and trainer from an experiment, fit, test the best weights."""

import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import lightning
from lightning import Trainer
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins import CheckpointIO

from uniemo.config.experiment import CONFIG, Experiment
from uniemo.curriculum.curves import curve_logger
from uniemo.curriculum.reporting import (
    SAMPLES,
    FitReport,
    PhaseStart,
    progress_arguments,
    save_sample_grid,
)
from uniemo.curriculum.resources import check_sampling, check_training
from uniemo.errors import UserError, known_step
from uniemo.model import UniEmo, build_model
from uniemo.model.saving import BEST, AtomicCheckpointIO, BestCheckpoint, LastCheckpoint
from uniemo.utils.stopping import stop_signals

HALF_PRECISION = ("bf16-true", "16-true", "transformer-engine", "transformer-engine-float16")
"""Lightning's names of what would convert every buffer of the model."""


class Run(NamedTuple):
    """What a training or an evaluation runs with."""

    trainer: Trainer
    model: UniEmo
    data: Any


def build_run(experiment: Experiment, **trainer: Any) -> Run:
    """Build model, data module and trainer, seeded; ``trainer`` adds to the experiment's own.

    Raises:
        UserError: If the trainer's precision would ruin what is summed in float64, or weights are
            missing.
    """
    arguments = dict(experiment.trainer)
    if arguments["precision"] in HALF_PRECISION:
        raise UserError(
            f"trainer.precision {arguments['precision']} would keep the emotion space's sums in "
            "half precision; give bf16-mixed, and model.diffusion.dtype bfloat16 to save memory"
        )
    lightning.seed_everything(experiment.seed, workers=True, verbose=False)
    model = build_model(replace(experiment.model, emotions=experiment.emotions))
    check_sampling(model)
    data = experiment.data_module(model.clip_view, model.image_size)
    progress = progress_arguments(arguments["enable_progress_bar"])
    plugins = arguments["plugins"] or []
    plugins = plugins if isinstance(plugins, list) else [plugins]
    if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
        plugins = [*plugins, AtomicCheckpointIO()]
    own = {
        "precision": experiment.precision,
        "enable_model_summary": False,
        "plugins": plugins,
        **progress,
    }
    callbacks = (arguments["callbacks"] or [], trainer.pop("callbacks", []), own.pop("callbacks"))
    arguments |= own | trainer | {"callbacks": [each for some in callbacks for each in some]}
    with known_step("the trainer cannot be built", "correct its settings (trainer.*)"):
        built = Trainer(**arguments)
    _listen(built)
    return Run(built, model, data)


def _listen(trainer: Trainer) -> None:
    """Let a trainer's processes hear of signals to stop, in place of Lightning's own handlers.

    Those save or talk to the other processes from within any step.
    """
    if not stop_signals.listens:
        return
    connector: Any = trainer._signal_connector
    connector.register_signal_handlers = lambda: None
    launcher: Any = trainer.strategy.launcher
    stop_signals.children = lambda: getattr(launcher, "procs", ())
    environment = trainer._accelerator_connector.cluster_environment
    if isinstance(environment, SLURMEnvironment) and environment.auto_requeue:
        stop_signals.listen_to_requeue(environment.requeue_signal or signal.SIGUSR1)


def fit(experiment: Experiment, resume: Path | str | None = None) -> Run:
    """Train the model of an experiment into its phase's folder.

    1. Build model, data and trainer; write ``config.yaml``.
    2. Validate the weights that it starts from, if they are trained: they stay unless beaten.
    3. Fit. The best weights on validation are kept as ``best.ckpt``, the last state as
       ``last.ckpt``; the emotion space is part of the best ones.
    4. Generate a grid of samples, where there is a diffusion head.

    With ``trainer.fast_dev_run`` nothing is written. ``resume`` is the checkpoint of an interrupted
    training to go on from.

    Raises:
        UserError: If a setting is wrong, or weights or data are missing.
    """
    folder, given = experiment.phase_folder, experiment.trainer
    best = BestCheckpoint(folder)
    trainer: dict[str, Any] = {"logger": False}
    if not given["fast_dev_run"]:
        trainer = {
            "callbacks": [
                best,
                LastCheckpoint(folder, **asdict(experiment.checkpoints)),
                LearningRateMonitor("step"),
                PhaseStart(experiment, folder / CONFIG),
                FitReport(),
            ],
            "default_root_dir": str(folder),
            # The fit's metrics go on with what a validation before it has left.
            "inference_mode": False,
        }
        if given["logger"] in (None, True):
            board = TensorBoardLogger(folder, name=None, version="")
            trainer["logger"] = [board, curve_logger(folder)]
    run = build_run(experiment, **trainer)
    if resume is None:
        check_training(run.model, folder, run.trainer.strategy.root_device)
    if experiment.model.start_from and not (resume or given["fast_dev_run"]):
        (best.start,) = run.trainer.validate(run.model, run.data, verbose=False)
    run.trainer.fit(
        run.model, datamodule=run.data, ckpt_path=resume and str(resume), weights_only=True
    )
    if run.model.head is not None and (folder / BEST).is_file() and run.trainer.is_global_zero:
        run.model.to(experiment.device)
        save_sample_grid(run.model, run.trainer, folder / SAMPLES)
    return run
