"""What do features add to a word? All of UniEmo against simpler conditions."""

from uniemo.study.inversion import learn_words
from uniemo.study.measuring import TrialEvaluator
from uniemo.study.plan import Trial
from uniemo.study.records import Arm, settings_of
from uniemo.study.runs import joint
from uniemo.study.structure import train

ARMS = ("uniemo", "class_feature", "learnt_word")
STRUCTURE = {"uniemo": "default", "class_feature": "zero"}
"""Arms that are joint trainings, by their names in the group ``structure``."""


def records(trial: Trial) -> dict[str, Arm]:
    """Return the arms of a trial."""
    groups, images = ("model", "data", "trainer", "eval"), trial.profile.images
    arms = {}
    for arm in ARMS:
        settings = settings_of(trial.experiment, *groups, arm=arm, images=images)
        arms[arm] = Arm.of(trial, f"generation/{arm}", settings)
    return arms


def run(trial: Trial, pending: dict[str, Arm]) -> None:
    """Run some arms of a trial."""
    evaluator, images = TrialEvaluator(trial, joint(trial)), trial.profile.images
    for arm, record in pending.items():
        if arm in STRUCTURE:
            numbers = train(trial, STRUCTURE[arm], evaluator)
        else:
            head, view = evaluator.module.diffusion, evaluator.module.clip_view
            words = learn_words(trial.experiment, head, view, record.folder)
            config = evaluator.experiment
            numbers = evaluator.yardstick.measure(
                words.paint(images, config.evaluation.batch_size, config.sampling)
            )
        record.finish(numbers)
