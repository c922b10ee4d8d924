"""What limits learning from generated images: their number, their look, or their labels?"""

from functools import partial
from pathlib import Path

from uniemo.filtering.baselines import keep_random
from uniemo.study.claim import ACCURACY, TEST, VALIDATION, Measure
from uniemo.study.claims.budgets import Budgets, Prepared, share_of, soft_labels
from uniemo.study.oracle import shown_posterior
from uniemo.study.pools import CandidatePool
from uniemo.study.trial import Trial


class Limits(Budgets):
    """As many further images as real ones, from real ones to generated ones step by step."""

    name = "limits"
    title = "What limits it: number, look or labels?"
    about = (
        "As for few labels, with as many further images as real ones in every arm. Real ones that "
        "the autoencoder has decoded have lost what it cannot paint. Generated ones have three "
        "kinds of labels; `posterior` is the data set's own of the scene and the object that "
        "frozen CLIP names on the image."
    )
    arms = {
        "none": "as many steps on the same real images",
        "more_real": "as many further real images",
        "more_real_decoded": "the same, as the autoencoder decodes them",
        "asked": "generated images with the labels that were asked for",
        "verifier": "the same with the model's own calibrated beliefs as labels",
        "posterior": "the same with the exact posterior of what they show",
    }
    subject = None
    controls = ("none",)
    measures = (TEST, ACCURACY, VALIDATION, Measure("kept", "images", digits=0, compared=False))
    shared = {"none": "none", "more_real": "more_real", "asked": "pool_1x"}

    def prepare(self, trial: Trial, pool: CandidatePool, arm: str, folder: Path) -> Prepared:
        """Write what an arm draws from, and the labels of an arm that has soft ones."""
        if arm == "more_real_decoded":
            real = pool.further_rows(share_of(trial))
            return Prepared(pool.write_remade(real, pool.decoded, folder))
        selection = pool.filtered(partial(keep_random, seed=trial.seed), share_of(trial))
        verified = arm == "verifier"
        labels = pool.verified(selection) if verified else shown_posterior(pool, selection)
        if labels is None:
            return Prepared({"kept": None})
        numbers = pool.write_generated(selection, folder)
        return Prepared(numbers, soft_labels(folder, pool.kept_ids(selection), labels))
