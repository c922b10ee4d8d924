"""How many features should be drawn for an image (``model.sampling.draws``)?"""

from collections.abc import Iterator, Sequence

from uniemo.study.claim import IMAGES, Claim
from uniemo.study.evaluators import TrialEvaluator
from uniemo.study.ledger import Numbers
from uniemo.study.trial import Changes, Trial


class Draws(Claim):
    """All arms generate from the emotion space of one joint checkpoint."""

    name = "draws"
    title = "Draws: should the most confident of several be used?"
    about = (
        "The same measures as for the emotion spaces, with the experiment's own space. Of several "
        "draws the image is generated from the features in which the emotion head is most "
        "confident of the emotion."
    )
    arms = {"one": "one draw, as published", "four": "the most confident of four"}
    subject = "four"
    controls = ("one",)
    measures = IMAGES
    rated = True

    def changes(self, trial: Trial, arm: str) -> Changes:
        """Return the number of draws."""
        return {"model.sampling.draws": {"one": 1, "four": 4}[arm]}

    def run(self, trial: Trial, arms: Sequence[str]) -> Iterator[tuple[str, Numbers]]:
        """Generate and measure images."""
        evaluator = TrialEvaluator(trial)
        for arm in arms:
            sampling = self.changed(trial, arm).experiment.sampling
            yield arm, evaluator.measure(evaluator.module, sampling)
