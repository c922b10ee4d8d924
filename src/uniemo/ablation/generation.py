"""What do features add to a word? All of UniEmo against simpler conditions."""

from uniemo.ablation.inversion import learn_words
from uniemo.ablation.measuring import Easel
from uniemo.ablation.plan import Trial
from uniemo.ablation.runs import Record, joint, settings_of
from uniemo.ablation.structure import train

ARMS = ("uniemo", "class_feature", "learnt_word")
STRUCTURE = {"uniemo": "default", "class_feature": "zero"}
"""Arms that are joint trainings, by their names in the group ``structure``."""


def run(trial: Trial) -> None:
    """Run all arms of a trial that are not finished."""
    experiment, images = trial.experiment, trial.profile.images
    groups = ("model", "data", "trainer", "eval")
    easel = None
    for arm in ARMS:
        settings = settings_of(experiment, *groups, arm=arm, images=images)
        record = Record(trial.folder / "generation" / arm, settings)
        if record.recall() is not None:
            continue
        easel = easel or Easel(trial, joint(trial))
        if arm in STRUCTURE:
            numbers = train(trial, STRUCTURE[arm], easel)
        else:
            head, view = easel.module.diffusion, easel.module.clip_view
            words = learn_words(trial.experiment, head, view, record.folder)
            config = easel.experiment
            numbers = easel.yardstick.measure(
                words.paint(images, config.evaluation.batch_size, config.sampling)
            )
        record.finish(numbers)
