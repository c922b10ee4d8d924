"""The first phase: understanding alone, then understanding and generation together."""

from uniemo.config.experiment import Experiment
from uniemo.curriculum.fitting import fit, test_best
from uniemo.curriculum.reporting import SAMPLES, print_paths, print_results
from uniemo.curriculum.resuming import checkpoint_to_resume, mark_done
from uniemo.model.saving import BEST


def run(experiment: Experiment) -> None:
    """Run the phase.

    1. Resume an interrupted training of the same settings, or start anew.
    2. Fit: first ``model.understanding_epochs`` epochs on L_U, then epochs on L_joint.
    3. Test the best weights on validation once.

    Leaves ``best.ckpt`` with the emotion space, and ``samples.png``.

    Args:
        experiment: The experiment, its phase being ``joint``.

    Raises:
        UserError: If a setting is wrong, or weights or data are missing.
    """
    train_and_test(experiment)


def train_and_test(experiment: Experiment) -> None:
    """Fit, test the best weights, say where the results lie, and mark the phase as ended."""
    folder = experiment.phase_folder
    trained = fit(experiment, checkpoint_to_resume(experiment))
    best = folder / BEST
    if best.is_file():  # there is none after fast_dev_run
        results = test_best(trained, best)
        if trained.trainer.is_global_zero:
            title = f"Phase {experiment.phase}: best epoch on validation, test split"
            print_results(results, title)
            print_paths(("Checkpoint", best))
            if trained.model.head is not None:
                print_paths(("Samples", folder / SAMPLES))
    if trained.trainer.is_global_zero:
        mark_done(folder)
