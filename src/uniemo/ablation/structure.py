"""What is each part good for? Joint trainings with one setting changed each."""

import gc

from uniemo.ablation.measuring import Easel
from uniemo.ablation.plan import Trial
from uniemo.ablation.runs import RESULT, Numbers, Record, fit, joint, read_json, settings_of
from uniemo.curriculum.keep import BEST
from uniemo.module import UniEmo

CHANGES = {
    "no_queries": {"model.model.queries": "none"},
    "scene_only": {"model.model.queries": "scene"},
    "object_only": {"model.model.queries": "object"},
    "feature_alone": {"model.model.evidence": "false"},
    "one": {"model.model.coefficients": "one"},
    "zero": {"model.model.coefficients": "zero"},
    "public": {"model.model.coefficients": "public"},
    "no_condition_loss": {"model.loss.condition": "0"},
    "understanding_alone": {"model.diffusion": "null"},
}
ARMS = ("default", *CHANGES)


def run(trial: Trial) -> None:
    """Run all arms of a trial that are not finished; one that is the default stays a dash."""
    easel, evidence = None, trial.experiment.config.model.model.evidence
    for arm in ARMS:
        if arm == "feature_alone" and not evidence:
            continue
        if trained(trial, arm)[0].recall() is None:
            easel = easel or Easel(trial, joint(trial))
            train(trial, arm, easel)


def trained(trial: Trial, arm: str) -> tuple[Record, list[str]]:
    """Return the record of a changed joint training, and the changes as ``--key value``."""
    changes = dict(CHANGES.get(arm, {}))
    if arm == "understanding_alone":  # as many steps, all of them on L_U
        changes["model.understanding_epochs"] = str(trial.experiment.config.trainer.max_epochs)
    extra = [part for key, value in changes.items() for part in (f"--{key}", value)]
    groups, images = ("model", "data", "trainer", "eval"), trial.profile.images
    settings = settings_of(trial.read(*extra), *groups, arm=arm, images=images)
    return Record(trial.folder / "structure" / arm, settings), extra


def train(trial: Trial, arm: str, easel: Easel) -> Numbers:
    """Train and measure one arm unless that is done; return its numbers."""
    record, extra = trained(trial, arm)
    done = record.recall()
    if done is not None:
        return done
    if arm == "default":
        checkpoint = joint(trial)
        numbers: Numbers = read_json(trial.folder / "joint" / RESULT)["numbers"]
    else:
        numbers = fit(trial, f"structure/{arm}", extra)
        checkpoint = record.folder / BEST
    if arm != "understanding_alone":
        module = UniEmo.from_checkpoint(checkpoint).to(easel.experiment.device)
        numbers = {**numbers, **easel.measure(module)}
        del module
        gc.collect()
    return record.finish(numbers)
