"""The third phase: understanding on real and kept images, without a diffusion head."""

from uniemo.config.experiment import Experiment
from uniemo.curriculum.joint import train_and_test
from uniemo.curriculum.resuming import phase_result
from uniemo.model.saving import BEST


def run(experiment: Experiment) -> None:
    """Run the phase.

    1. Start from the joint phase's best weights, without the diffusion head.
    2. Fit on real and generated images, then on real ones alone at the rates of ``refresh``.
    3. Test the best weights on validation once.

    Leaves ``best.ckpt``.

    Args:
        experiment: The experiment, its phase being ``finetune``.

    Raises:
        UserError: If the two phases before it have left no weights or images.
    """
    train_and_test(finetuning(experiment))


def finetuning(experiment: Experiment) -> Experiment:
    """Return an experiment as the third phase trains it: start, data, epochs and rates.

    Source: docs/method.md, "Finetune".

    Raises:
        UserError: If the two phases before it have left no weights or images.
    """
    config, folder = experiment.finetune, experiment.folder
    pool = config.root or phase_result(folder, "generate", "train.json").parent
    return experiment.changed(
        {
            "model.diffusion": None,
            "model.start_from": phase_result(folder, "joint", BEST),
            "model.understanding_epochs": config.epochs,
            "model.optimizer.understanding": config.rates,
            "model.loss.generated": config.weight,
            "data.init_args.generated": {"root": str(pool), "ratio": config.ratio},
            "trainer.max_epochs": config.epochs + config.refresh_epochs,
        }
    )
