"""What do features add to a word? All of UniEmo against simpler conditions."""

from uniemo.ablation.inversion import learn_words
from uniemo.ablation.measuring import Easel
from uniemo.ablation.plan import Trial
from uniemo.ablation.records import Arm, settings_of
from uniemo.ablation.runs import joint
from uniemo.ablation.structure import train

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
    easel, images = Easel(trial, joint(trial)), trial.profile.images
    for arm, record in pending.items():
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
