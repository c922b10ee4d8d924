"""The three phases of an experiment, in their order."""

from collections.abc import Callable

from uniemo.config.experiment import Experiment
from uniemo.curriculum import finetune, generate, joint
from uniemo.curriculum.ownership import owned
from uniemo.curriculum.resuming import DONE

PHASES: dict[str, Callable[[Experiment], None]] = {
    "joint": joint.run,
    "generate": generate.run,
    "finetune": finetune.run,
}
"""Names and what runs them."""


def run_phase(phase: str, experiment: Experiment) -> None:
    """Run one phase to its end; later ones, which start from what it leaves, start anew.

    Raises:
        UserError: If the phase before it has not been run, a setting is wrong, or another process
            runs the experiment; what earlier runs have left is then as it was.
    """
    with owned(experiment.folder):
        PHASES[phase](experiment.changed({"phase": phase}))


def run_all(experiment: Experiment) -> None:
    """Run all phases: from the first that has not ended, or all anew where all have ended."""
    names = list(PHASES)
    missing = [name for name in names if not (experiment.folder / name / DONE).is_file()]
    start = names.index(missing[0]) if missing else 0
    if start:
        print(f"Phase {names[start - 1]} has ended; going on with {names[start]}", flush=True)
    for name in names[start:]:
        run_phase(name, experiment)
