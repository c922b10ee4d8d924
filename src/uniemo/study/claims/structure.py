"""What is each part good for?"""

import gc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from uniemo.curriculum.checkpoints import BEST
from uniemo.study.claim import EMO_A, TEST, Claim, Measure
from uniemo.study.evaluators import TrialEvaluator
from uniemo.study.ledger import Numbers, settings_of
from uniemo.study.runs import joint, train
from uniemo.study.trial import Changes, Trial

CHANGES: dict[str, dict[str, Any]] = {
    "default": {},
    "no_queries": {"model.model.queries": "none"},
    "scene_only": {"model.model.queries": "scene"},
    "object_only": {"model.model.queries": "object"},
    "feature_alone": {"model.model.evidence": False},
    "neither": {"model.model.evidence": False, "model.model.queries": "none"},
    "one": {"model.model.coefficients": "one"},
    "zero": {"model.model.coefficients": "zero"},
    "public": {"model.model.coefficients": "public"},
    "no_condition_loss": {"model.loss.condition": 0.0},
    "understanding_alone": {"model.diffusion": None},
}


class Structure(Claim):
    """Every arm is a joint training with one setting changed."""

    name = "structure"
    title = "Structure: what is each part good for?"
    about = (
        "Joint trainings with one setting changed each. L(theta) and the generated images are "
        "compared with the validation split."
    )
    arms = {
        "default": "as the experiment's file says",
        "no_queries": "no expert queries: the mean patch replaces both, losses as before",
        "scene_only": "scene queries alone",
        "object_only": "object queries alone",
        "feature_alone": "the emotion predicted from fe alone, as published",
        "neither": "the emotion predicted from fe alone, and no expert queries",
        "one": "both coefficients 1",
        "zero": "both coefficients 0",
        "public": "retrieval as in the public code",
        "no_condition_loss": "without L_cond",
        "understanding_alone": "no diffusion head, as many steps on L_U alone",
    }
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
        changes = CHANGES[arm]
        if arm == "understanding_alone":  # as many steps, all of them on L_U
            last = trial.experiment.config.trainer.max_epochs
            changes = {**changes, "model.understanding_epochs": last}
        return changes

    def available(self, trial: Trial) -> Iterable[str]:
        """Return the arms that change something, and the default."""
        own = settings_of(trial.experiment, "model")
        for arm in self.arms:
            changed = self.changed(trial, arm).experiment
            if arm == "default" or settings_of(changed, "model") != own:
                yield arm

    def run(self, trial: Trial, arms: Sequence[str]) -> Iterator[tuple[str, Numbers]]:
        """Train, then generate and measure images."""
        evaluator = TrialEvaluator(trial)
        for arm in arms:
            if arm == "default":
                checkpoint, numbers = joint(trial)
            else:
                checkpoint, numbers = train(self.changed(trial, arm), f"{self.name}/{arm}")
            if arm != "understanding_alone":
                module = evaluator.load(checkpoint)
                sampling = replace(trial.experiment.sampling, draws=1)
                one_draw = evaluator.measure(module, sampling)["emo_a"]
                numbers = {**numbers, **evaluator.measure(module), "emo_a_one_draw": one_draw}
                del module
                gc.collect()
            yield arm, numbers

    def checkpoint(self, trial: Trial, arm: str) -> Path:
        """Return the checkpoint of an arm, which is trained if this machine does not have it."""
        if arm == "default":
            return joint(trial).checkpoint
        record = self.record(trial, arm)
        if record.load() is None:
            train(self.changed(trial, arm), record.name)
        return record.folder / BEST
