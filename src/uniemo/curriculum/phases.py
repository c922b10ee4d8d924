"""The three phases of an experiment, one after the other through Lightning's command line."""

import json
from dataclasses import asdict
from typing import Any

from uniemo.cli.lightning import UniEmoCLI
from uniemo.config.experiment import Experiment
from uniemo.curriculum.checkpoints import BEST, LAST, phase_result
from uniemo.curriculum.reporting import SAMPLES, print_paths, print_results
from uniemo.curriculum.resuming import changed_setting

PHASES = ("joint", "generate", "finetune")
DONE = "done"  # in a phase's folder once it has ended


def run_phase(phase: str, experiment: Experiment, file: str, overrides: list[str]) -> None:
    """Run one phase to its end: fit and test the best checkpoint, or paint and filter.

    Raises:
        UserError: If the phase before it has not been run, or a setting is wrong.
    """
    folder = experiment.folder
    # The phase has the last word: an override of the head must not bring it back in the third.
    arguments = [*overrides, "--phase", phase, *PHASE_ARGUMENTS[phase](experiment)]
    last = folder / phase / LAST
    if (folder / phase / DONE).is_file():
        last.unlink(missing_ok=True)  # a finished phase starts anew
    if last.is_file():
        wanted = Experiment.read(file, arguments, "uniemo train")
        changed = changed_setting(folder / phase, wanted)
        if changed is None:
            print(f"Going on from {last}", flush=True)
            arguments += ["--ckpt_path", str(last)]
        else:
            print(f"{last} was trained under another {changed}; training anew", flush=True)
            last.unlink()
    (folder / phase / DONE).unlink(missing_ok=True)
    for later in PHASES[PHASES.index(phase) + 1 :]:  # they start anew, from what this one leaves
        (folder / later / DONE).unlink(missing_ok=True)
        (folder / later / LAST).unlink(missing_ok=True)
    cli = UniEmoCLI(["predict" if phase == "generate" else "fit", "-c", file, *arguments])
    best = folder / phase / BEST
    if phase != "generate" and best.is_file():  # there is none after fast_dev_run
        results = cli.trainer.test(cli.model, cli.datamodule, str(best), verbose=False)[0]
        if cli.trainer.is_global_zero:
            print_results(results, f"Phase {phase}: best epoch on validation, test split")
            print_paths(("Checkpoint", best))
            if cli.model.head is not None:
                print_paths(("Samples", folder / phase / SAMPLES))
    if cli.trainer.is_global_zero and (folder / phase).is_dir():
        (folder / phase / DONE).touch()


def joint_arguments(experiment: Experiment) -> list[str]:
    """Return nothing: an experiment's file describes its joint phase."""
    return []


def generate_arguments(experiment: Experiment) -> list[str]:
    """Return which weights paint.

    Raises:
        UserError: If the joint phase has left none.
    """
    return ["--ckpt_path", str(phase_result(experiment.folder, "joint", BEST))]


def finetune_arguments(experiment: Experiment) -> list[str]:
    """Return what the third phase changes: start, data, epochs, rates, and no diffusion head.

    Raises:
        UserError: If the two phases before it have left no weights or images.
    """
    config = experiment.finetune
    root = config.root
    if root is None:
        root = str(phase_result(experiment.folder, "generate", "train.json").parent)
    settings: dict[str, Any] = {
        "model.diffusion": None,
        "model.start_from": str(phase_result(experiment.folder, "joint", BEST)),
        "model.understanding_epochs": config.epochs,
        "model.optimizer.understanding": asdict(config.rates),
        "model.loss.generated": config.weight,
        "data.init_args.generated": {"root": root, "ratio": config.ratio},
        "trainer.max_epochs": config.epochs + config.refresh_epochs,
    }
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in settings.items()}
    return [part for key, text in texts.items() for part in (f"--{key}", text)]


PHASE_ARGUMENTS = {
    "joint": joint_arguments,
    "generate": generate_arguments,
    "finetune": finetune_arguments,
}
