"""What is each part good for?"""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from uniemo.model.saving import BEST
from uniemo.study.claim import ACCURACY, EMO_A, TEST, Claim, Measure
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
    "published_experts": (
        "queries that start as learned tokens, fs and fo read after their own blocks, as published",
        {"model.model.query_start": "learned", "model.model.feature_depth": "own"},
    ),
    "published_bases": (
        "attribute bases of names in ten images or more, unsmoothed, as published",
        {"model.model.smoothing": 0.0, "model.model.support": 10},
    ),
    "published_weights": (
        "L_S and L_O with the published weights",
        {"model.loss.scene": 0.05, "model.loss.object": 0.05},
    ),
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
    controls = ("default",)
    measures = (
        TEST,
        ACCURACY,
        Measure("val/theta", "L(theta)", digits=4),
        EMO_A,
        Measure("emo_a_one_draw", "Emo-A of one draw, %", 100, 1),
    )
    profiles = ("full",)

    def changes(self, trial: Trial, arm: str) -> Changes:
        """Return the setting of an arm."""
        return ARMS[arm][1]

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
            module = evaluator.load(checkpoint)
            sampling = replace(trial.experiment.sampling, draws=1)
            one_draw = evaluator.measure(module, sampling)["emo_a"]
            yield arm, {**numbers, **evaluator.measure(module), "emo_a_one_draw": one_draw}
            del module
            gc.collect()

    def training(self, trial: Trial, arm: str) -> Training:
        """Return the training of an arm, which is run if this machine does not have it."""
        if arm == "default":
            return joint(trial)
        record = self.record(trial, arm)
        numbers = record.load()
        if numbers is None:
            return train(self.changed(trial, arm), record.name)
        return Training(record.folder / BEST, numbers)
