"""The first phase: understanding alone, then understanding and generation together."""

from uniemo.config.experiment import Experiment
from uniemo.curriculum.fitting import fit
from uniemo.curriculum.reporting import SAMPLES, kept_weights, print_paths, print_results
from uniemo.curriculum.resuming import checkpoint_to_resume, mark_done
from uniemo.model.saving import BEST


def run(experiment: Experiment) -> None:
    """Run the phase; the third one, with other settings, is run in the same way.

    1. Resume an interrupted training of the same settings, or start anew.
    2. Fit: first ``model.understanding_epochs`` epochs on L_U, then epochs on L_joint.
    3. Test the best weights on validation once, in the precision of their training.

    Leaves ``best.ckpt``, with a diffusion head also the emotion space in it and ``samples.png``.

    Raises:
        UserError: If a setting is wrong, or weights or data are missing.
    """
    best, samples = experiment.phase_folder / BEST, experiment.phase_folder / SAMPLES
    trainer, model, data = fit(experiment, checkpoint_to_resume(experiment))
    if best.is_file():  # there is none after fast_dev_run
        (results,) = trainer.test(model, data, str(best), verbose=False, weights_only=True)
        if trainer.is_global_zero:
            kept = kept_weights(trainer.checkpoint_callbacks)
            print_results(results, f"Phase {experiment.phase}, test split: {kept}")
            print_paths(("Checkpoint", best))
            if model.head is not None:
                print_paths(("Samples", samples))
    if trainer.is_global_zero:
        mark_done(experiment.phase_folder)
