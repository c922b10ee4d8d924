"""Lightning's subcommands, ``fit``, ``validate``, ``test`` and ``predict``, on an experiment."""

import os
from pathlib import Path

from uniemo.config.experiment import Experiment, experiment_parser
from uniemo.curriculum import generate
from uniemo.curriculum.fitting import build_run, fit
from uniemo.curriculum.ownership import owned
from uniemo.curriculum.reporting import SAMPLES, print_paths
from uniemo.curriculum.resuming import checkpoint_to_resume, phase_result
from uniemo.model.checkpoint import read_checkpoint
from uniemo.model.saving import BEST, LAST

LIGHTNING = {
    "fit": "Train, from a checkpoint if one is given; say where the results lie.",
    "validate": "Measure a checkpoint on the validation split.",
    "test": "Measure a checkpoint on the test split.",
    "predict": "Generate images and filter them: the generate phase.",
}
"""The subcommands, and what they do."""


def main(subcommand: str, arguments: list[str]) -> None:
    """Run one of the subcommands: ``-c FILE``, and every key of the experiment as a flag.

    The checkpoint is looked for before anything is built. Without one, ``fit`` starts anew; the
    others take the best of the run, ``predict`` that of the joint phase.

    Raises:
        UserError: If a file, a key or a value is wrong, or something that is needed is missing.
    """
    parser = experiment_parser(f"lightning {subcommand}", LIGHTNING[subcommand])
    phase = "joint phase" if subcommand == "predict" else "run"
    without = "start anew" if subcommand == "fit" else "best"
    parser.add_argument(
        "--ckpt_path",
        type=str | None,
        help=f"checkpoint file, or 'best' or 'last' of the {phase}; null for {without}",
    )
    with_help = {"--print_config": "--print_config=comments"}  # every key with its help
    given_arguments = [with_help.get(argument, argument) for argument in arguments]
    experiment = Experiment(parser.parse_args(given_arguments), parser)
    given = experiment.config.pop("ckpt_path")
    if given in ("best", "last") or (given is None and subcommand != "fit"):
        phase = "joint" if subcommand == "predict" else experiment.phase
        given = phase_result(experiment.folder, phase, LAST if given == "last" else BEST)
    checkpoint = None if given is None else Path(given)
    if checkpoint is not None:
        read_checkpoint(checkpoint)
    if subcommand == "fit":
        if checkpoint is None and "SLURM_RESTART_COUNT" in os.environ:  # requeued
            checkpoint = checkpoint_to_resume(experiment)
        folder = experiment.phase_folder
        with owned(experiment.folder):
            run = fit(experiment, checkpoint)
        if run.trainer.is_global_zero and (folder / BEST).is_file():
            print_paths(("Checkpoint", folder / BEST))
            if run.model.head is not None:
                print_paths(("Samples", folder / SAMPLES))
    elif subcommand == "predict":
        with owned(experiment.folder):
            generate.run(experiment.changed({"phase": "generate"}), checkpoint)
    else:
        run = build_run(experiment, logger=experiment.trainer["logger"] or False)
        measure = run.trainer.validate if subcommand == "validate" else run.trainer.test
        measure(run.model, run.data, ckpt_path=str(checkpoint), weights_only=True)
