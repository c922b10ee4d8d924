"""What does the emotion's feature say of scene and object by itself?"""

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path

from uniemo.study.claim import EMO_A, Claim, Measure
from uniemo.study.claims.structure import Structure
from uniemo.study.evaluators import TrialEvaluator
from uniemo.study.ledger import ArmRecord, Numbers
from uniemo.study.naming import NamingEvaluator
from uniemo.study.runs import train
from uniemo.study.trial import Changes, Trial

LONG = ("long", "long_zero")


class Guidance(Claim):
    """Validation images are generated again from their own features.

    Where a part of the training split gets fewer steps than all of it would, models of as many
    steps tell a lack of images from a lack of steps.
    """

    name = "guidance"
    title = "Guidance: does the emotion's feature say scene and object by itself?"
    about = (
        "Validation images of a known scene and object are generated again from their own "
        "features, and pretrained CLIP names scene and object of the results, among all names. "
        "L(theta) is of these images; Emo-A is of images from the emotion space, as above. The "
        "`long` arms train on their part of the split for as many steps as `default` and `zero` do "
        "on all of it."
    )
    arms = {
        "default": "as the experiment's file says",
        "withheld": "the same model; both coefficients 0 when it generates",
        "zero": "both coefficients 0 in training as well",
        "long": "as the experiment's file says, for longer",
        "long_zero": "both coefficients 0, for longer",
        "real": "the images themselves",
    }
    controls = ("default",)
    measures = (
        Measure("scene", "scene named, %", 100, 1),
        Measure("object", "object named, %", 100, 1),
        Measure("theta", "L(theta)", digits=4),
        EMO_A,
    )
    profiles = ("full",)

    def changes(self, trial: Trial, arm: str) -> Changes:
        """Return the coefficients, and the epochs for as many steps as on the whole split."""
        zero = arm in ("zero", "long_zero")
        changes = dict(Structure().changes(trial, "zero")) if zero else {}
        if arm in LONG:
            experiment, share = trial.experiment, trial.scale.training
            warmup = experiment.model.understanding_epochs
            joint = experiment.trainer["max_epochs"] - warmup
            changes["model.understanding_epochs"] = round(warmup / share)
            changes["trainer.max_epochs"] = round(warmup / share) + round(joint / share)
        return changes

    def available(self, trial: Trial) -> dict[str, ArmRecord]:
        """Return the arms; a training that has all steps is not made longer."""
        records = super().available(trial)
        return {a: it for a, it in records.items() if a not in LONG or trial.scale.training < 1}

    def run(self, trial: Trial, arms: Sequence[str]) -> Iterator[tuple[str, Numbers]]:
        """Generate the validation images again, name them, and measure Emo-A."""
        evaluator = TrialEvaluator(trial)
        naming = NamingEvaluator(evaluator)
        for arm in arms:
            if arm == "real":
                yield arm, naming.real()
                continue
            module = evaluator.load(self.checkpoint(trial, arm))
            if arm == "withheld":
                module.fusion.coefficients = "zero"
            # Emo-A again, although other claims have it: a table's arms are of one machine.
            numbers = naming.generated(module)
            yield arm, {**numbers, "emo_a": evaluator.measure(module)["emo_a"]}
            del module
            gc.collect()

    def checkpoint(self, trial: Trial, arm: str) -> Path:
        """Return the checkpoint that an arm generates with; it is trained if it is not there."""
        if arm in LONG:
            return train(self.changed(trial, arm), f"{self.name}/{arm}").checkpoint
        return Structure().training(trial, "zero" if arm == "zero" else "default").checkpoint
