"""Lightning's subcommands, ``fit``, ``validate``, ``test`` and ``predict``, on an experiment."""

from collections.abc import Callable
from pathlib import Path

from uniemo.config.experiment import Experiment, experiment_parser
from uniemo.config.parser import find_config
from uniemo.curriculum import generate
from uniemo.curriculum.fitting import build_run, fit
from uniemo.curriculum.reporting import SAMPLES, print_paths
from uniemo.curriculum.resuming import phase_result
from uniemo.model.checkpoint import read_checkpoint
from uniemo.model.saving import BEST, LAST


def run_fit(experiment: Experiment, checkpoint: Path | None) -> None:
    """Train, from a checkpoint if one is given; say where the results lie."""
    run = fit(experiment, checkpoint)
    folder = experiment.phase_folder
    if run.trainer.is_global_zero and (folder / BEST).is_file():
        print_paths(("Checkpoint", folder / BEST))
        if run.model.head is not None:
            print_paths(("Samples", folder / SAMPLES))


def run_validate(experiment: Experiment, checkpoint: Path | None) -> None:
    """Measure a checkpoint on the validation split."""
    run = build_run(experiment, logger=experiment.trainer["logger"] or False)
    run.trainer.validate(run.model, run.data, ckpt_path=str(checkpoint), weights_only=True)


def run_test(experiment: Experiment, checkpoint: Path | None) -> None:
    """Measure a checkpoint on the test split."""
    run = build_run(experiment, logger=experiment.trainer["logger"] or False)
    run.trainer.test(run.model, run.data, ckpt_path=str(checkpoint), weights_only=True)


def run_predict(experiment: Experiment, checkpoint: Path | None) -> None:
    """Generate images and filter them: the generate phase."""
    generate.run(experiment.changed({"phase": "generate"}), checkpoint)


LIGHTNING: dict[str, Callable[[Experiment, Path | None], None]] = {
    "fit": run_fit,
    "validate": run_validate,
    "test": run_test,
    "predict": run_predict,
}


def main(subcommand: str, arguments: list[str]) -> None:
    """Run one of the subcommands: ``-c FILE``, and every key of the experiment as a flag.

    The checkpoint is looked for before anything is built. Without one, ``fit`` starts anew; the
    others take the best of the run, ``predict`` that of the joint phase.

    Raises:
        UserError: If a file, a key or a value is wrong, or something that is needed is missing.
    """
    parser = experiment_parser(f"lightning {subcommand}", LIGHTNING[subcommand].__doc__ or "")
    phase = "joint phase" if subcommand == "predict" else "run"
    without = "start anew" if subcommand == "fit" else "best"
    parser.add_argument(
        "--ckpt_path",
        type=str | None,
        help=f"checkpoint file, or 'best' or 'last' of the {phase}; null for {without}",
    )
    resolved = list(arguments)
    for i, argument in enumerate(resolved):
        if argument in ("-c", "--config") and i + 1 < len(resolved):
            resolved[i + 1] = str(find_config(resolved[i + 1]))
        if argument == "--print_config":
            resolved[i] = "--print_config=comments"  # every key with its help
    experiment = Experiment(parser.parse_args(resolved), parser)
    given = experiment.config.pop("ckpt_path")
    if given in ("best", "last") or (given is None and subcommand != "fit"):
        phase = "joint" if subcommand == "predict" else experiment.phase
        given = phase_result(experiment.folder, phase, LAST if given == "last" else BEST)
    checkpoint = None if given is None else Path(given)
    if checkpoint is not None:
        read_checkpoint(checkpoint)
    LIGHTNING[subcommand](experiment, checkpoint)
