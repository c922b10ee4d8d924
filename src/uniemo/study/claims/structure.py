"""What is each part good for?"""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from uniemo.model.saving import BEST
from uniemo.study.claim import EMO_A, TEST, Claim, Measure
from uniemo.study.evaluators import TrialEvaluator
from uniemo.study.ledger import ArmRecord, Numbers
from uniemo.study.runs import Training, joint, train
from uniemo.study.trial import Changes, Trial

ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "default": ("as the experiment's file says", {}),
    "no_queries": (
        "no expert queries: the mean patch replaces both, losses as before",
        {"model.model.queries": "none"},
    ),
    "scene_only": ("scene queries alone", {"model.model.queries": "scene"}),
    "object_only": ("object queries alone", {"model.model.queries": "object"}),
    "feature_alone": (
        "the emotion predicted from fe alone, as published",
        {"model.model.evidence": False},
    ),
    "neither": (
        "the emotion predicted from fe alone, and no expert queries",
        {"model.model.evidence": False, "model.model.queries": "none"},
    ),
    "one": ("both coefficients 1", {"model.model.coefficients": "one"}),
    "zero": ("both coefficients 0", {"model.model.coefficients": "zero"}),
    "public": ("retrieval as in the public code", {"model.model.coefficients": "public"}),
    "no_condition_loss": ("without L_cond", {"model.loss.condition": 0.0}),
    "understanding_alone": (
        "no diffusion head, as many steps on L_U alone",
        {"model.diffusion": None},
    ),
}


class Structure(Claim):
    """Every arm is a joint training with one setting changed."""

    name = "structure"
    title = "Structure: what is each part good for?"
    about = (
        "Joint trainings with one setting changed each. L(theta) and the generated images are "
        "compared with the validation split."
    )
    arms = {arm: description for arm, (description, _) in ARMS.items()}
    baseline = "default"
    measures = (
        TEST,
        Measure("val/theta", "L(theta)", digits=4),
        EMO_A,
        Measure("emo_a_one_draw", "Emo-A of one draw, %", 100, 1),
    )
    profiles = ("full",)

    def changes(self, trial: Trial, arm: str) -> Changes:
        """Return the setting of an arm."""
        _, changes = ARMS[arm]
        if arm == "understanding_alone":  # as many steps, all of them on L_U
            last = trial.experiment.trainer["max_epochs"]
            changes = {**changes, "model.understanding_epochs": last}
        return changes

    def available(self, trial: Trial) -> dict[str, ArmRecord]:
        """Return the arms that change something, and the default."""
        records = super().available(trial)
        own = records["default"].settings["model"]
        idle = [arm for arm, record in records.items() if record.settings["model"] == own]
        return {arm: it for arm, it in records.items() if arm == "default" or arm not in idle}

    def run(self, trial: Trial, arms: Sequence[str]) -> Iterator[tuple[str, Numbers]]:
        """Train, then generate and measure images."""
        evaluator = TrialEvaluator(trial)
        for arm in arms:
            checkpoint, numbers = self.training(trial, arm)
            if arm != "understanding_alone":
                module = evaluator.load(checkpoint)
                sampling = replace(trial.experiment.sampling, draws=1)
                one_draw = evaluator.measure(module, sampling)["emo_a"]
                numbers = {**numbers, **evaluator.measure(module), "emo_a_one_draw": one_draw}
                del module
                gc.collect()
            yield arm, numbers

    def training(self, trial: Trial, arm: str) -> Training:
        """Return the training of an arm, which is run if this machine does not have it."""
        if arm == "default":
            return joint(trial)
        record = self.record(trial, arm)
        numbers = record.load()
        if numbers is None:
            return train(self.changed(trial, arm), record.name)
        return Training(record.folder / BEST, numbers)
