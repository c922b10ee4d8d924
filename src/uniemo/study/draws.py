"""How many features should be drawn for an image (``model.sampling.draws``)?

All arms paint from the emotion space of one joint checkpoint.
"""

from dataclasses import replace

from uniemo.study.measuring import TrialEvaluator
from uniemo.study.plan import Trial
from uniemo.study.records import Arm, settings_of
from uniemo.study.runs import joint

ARMS = {"one": 1, "four": 4}


def records(trial: Trial) -> dict[str, Arm]:
    """Return the arms of a trial."""
    groups, images = ("model", "data", "trainer", "eval"), trial.profile.images
    arms = {}
    for arm, draws in ARMS.items():
        settings = settings_of(trial.experiment, *groups, arm=arm, draws=draws, images=images)
        arms[arm] = Arm.of(trial, f"draws/{arm}", settings)
    return arms


def run(trial: Trial, pending: dict[str, Arm]) -> None:
    """Run some arms of a trial."""
    evaluator = TrialEvaluator(trial, joint(trial))
    for arm, record in pending.items():
        sampling = replace(trial.experiment.sampling, draws=ARMS[arm])
        record.finish(evaluator.measure(evaluator.module, sampling))
