"""What is each part good for? Joint trainings with one setting changed each."""

import gc
from dataclasses import replace
from pathlib import Path

from uniemo.config.experiment import Experiment
from uniemo.curriculum.checkpoints import BEST
from uniemo.model.uniemo import UniEmo
from uniemo.study.measuring import TrialEvaluator
from uniemo.study.plan import Trial
from uniemo.study.records import RESULT, Arm, Numbers, Record, settings_of
from uniemo.study.runs import fit, joint
from uniemo.utils.files import read_json

CHANGES = {
    "no_queries": {"model.model.queries": "none"},
    "scene_only": {"model.model.queries": "scene"},
    "object_only": {"model.model.queries": "object"},
    "feature_alone": {"model.model.evidence": "false"},
    "neither": {"model.model.evidence": "false", "model.model.queries": "none"},
    "one": {"model.model.coefficients": "one"},
    "zero": {"model.model.coefficients": "zero"},
    "public": {"model.model.coefficients": "public"},
    "no_condition_loss": {"model.loss.condition": "0"},
    "understanding_alone": {"model.diffusion": "null"},
}


def records(trial: Trial) -> dict[str, Arm]:
    """Return the arms of a trial; one that changes nothing is none, and a dash on the page."""
    own = settings_of(trial.experiment, "model")
    read = {arm: trial.read(*changes(trial, arm)) for arm in CHANGES}
    changed = {arm: it for arm, it in read.items() if settings_of(it, "model") != own}
    arms = {"default": trial.experiment, **changed}
    return {arm: trained(trial, arm, experiment) for arm, experiment in arms.items()}


def run(trial: Trial, pending: dict[str, Arm]) -> None:
    """Run some arms of a trial."""
    evaluator = TrialEvaluator(trial, joint(trial))
    for arm in pending:
        train(trial, arm, evaluator)


def changes(trial: Trial, arm: str) -> list[str]:
    """Return what an arm changes, as ``--key value``."""
    changed = dict(CHANGES.get(arm, {}))
    if arm == "understanding_alone":  # as many steps, all of them on L_U
        changed["model.understanding_epochs"] = str(trial.experiment.config.trainer.max_epochs)
    return [part for key, value in changed.items() for part in (f"--{key}", value)]


def trained(trial: Trial, arm: str, experiment: Experiment) -> Arm:
    """Return an arm, a joint training of the trial's experiment as the arm changes it."""
    groups, images = ("model", "data", "trainer", "eval"), trial.profile.images
    settings = settings_of(experiment, *groups, arm=arm, images=images)
    return Arm.of(trial, f"structure/{arm}", settings)


def checkpoint(trial: Trial, arm: str) -> Path:
    """Return an arm's checkpoint; it is trained if only its numbers are at hand, or nothing."""
    if arm == "default":
        return joint(trial)
    record = trained(trial, arm, trial.read(*changes(trial, arm)))
    if Record.recall(record) is None:  # on this machine, whatever the ledger knows from others
        fit(trial, f"structure/{arm}", changes(trial, arm))
    return record.folder / BEST


def train(trial: Trial, arm: str, evaluator: TrialEvaluator) -> Numbers:
    """Train and measure one arm unless that is done; return its numbers."""
    record = trained(trial, arm, trial.read(*changes(trial, arm)))
    done = record.recall()
    if done is not None:
        return done
    if arm == "default":
        checkpoint = joint(trial)
        numbers: Numbers = read_json(trial.folder / "joint" / RESULT)["numbers"]
    else:
        numbers = fit(trial, f"structure/{arm}", changes(trial, arm))
        checkpoint = record.folder / BEST
    if arm != "understanding_alone":
        module = UniEmo.from_checkpoint(checkpoint).to(evaluator.experiment.device)
        one = evaluator.measure(module, replace(evaluator.experiment.sampling, draws=1))
        numbers = {**numbers, **evaluator.measure(module), "emo_a_one_draw": one["emo_a"]}
        del module
        gc.collect()
    return record.finish(numbers)
