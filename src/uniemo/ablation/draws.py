"""How many features should be drawn for an image (``model.sampling.draws``)?

All arms paint from the emotion space of one joint checkpoint.
"""

from dataclasses import replace

from uniemo.ablation.measuring import Easel
from uniemo.ablation.plan import Trial
from uniemo.ablation.runs import Record, joint, settings_of

ARMS = {"one": 1, "four": 4}


def run(trial: Trial) -> None:
    """Run all arms of a trial that are not finished."""
    experiment, images = trial.experiment, trial.profile.images
    easel = None
    for arm, draws in ARMS.items():
        groups = ("model", "data", "trainer", "eval")
        settings = settings_of(experiment, *groups, arm=arm, draws=draws, images=images)
        record = Record(trial.folder / "draws" / arm, settings)
        if record.recall() is None:
            easel = easel or Easel(trial, joint(trial))
            sampling = replace(experiment.sampling, draws=draws)
            record.finish(easel.measure(easel.module, sampling))
