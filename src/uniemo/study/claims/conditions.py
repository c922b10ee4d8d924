"""What do features add to a word? All of UniEmo against simpler conditions."""

from collections.abc import Iterator, Sequence

from uniemo.study.claim import IMAGES, Claim
from uniemo.study.claims.structure import Structure
from uniemo.study.evaluators import TrialEvaluator
from uniemo.study.ledger import Numbers
from uniemo.study.textual_inversion import learn_words
from uniemo.study.trial import Trial

STRUCTURE = {"uniemo": "default", "class_feature": "zero"}
"""Arms that are joint trainings, by their names in the claim ``structure``."""


class Generation(Claim):
    """Conditions from features, from the class feature alone, and from a learnt word."""

    name = "generation"
    title = "Generation: what do features add to a word?"
    about = "The same measures as for the emotion spaces, for simpler conditions."
    arms = {
        "uniemo": "all of UniEmo",
        "class_feature": "the emotion's feature alone: both coefficients 0",
        "learnt_word": "textual inversion: one learnt word per emotion",
    }
    subject = "uniemo"
    controls = ("class_feature",)
    measures = IMAGES
    profiles = ("full",)

    def run(self, trial: Trial, arms: Sequence[str]) -> Iterator[tuple[str, Numbers]]:
        """Take the numbers of the structure's arms; learn words, generate and measure images."""
        for arm in arms:
            if arm in STRUCTURE:
                yield arm, Structure().numbers(trial, STRUCTURE[arm])
                continue
            evaluator = TrialEvaluator(trial)
            painter, view = evaluator.module.painter, evaluator.module.clip_view
            folder, experiment = trial.folder / self.name / arm, trial.experiment
            words = learn_words(experiment, painter.diffusion, painter.prompt, view, folder)
            count, size = trial.profile.images, experiment.evaluation.batch_size
            yield arm, evaluator.measure_images(words.images(count, size, experiment.sampling))
