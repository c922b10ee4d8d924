"""The third phase: understanding on real and kept images, without a diffusion head."""

from uniemo.config.experiment import Experiment
from uniemo.curriculum import joint
from uniemo.curriculum.resuming import phase_result
from uniemo.model.saving import BEST


def run(experiment: Experiment) -> None:
    """Run the phase: see :func:`uniemo.curriculum.joint.run`, with settings of its own.

    Raises:
        UserError: If the two phases before it have left no weights or images.
    """
    joint.run(finetuning(experiment))


def finetuning(experiment: Experiment) -> Experiment:
    """Return an experiment as the third phase trains it (docs/method.md, "Finetune").

    It starts from the joint phase's best weights, without the diffusion head, and learns from real
    and generated images, then from real ones alone at the rates of ``refresh``.

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
