"""Which generated images teach most: the field's answers."""

from functools import partial
from pathlib import Path

from uniemo.filtering.baselines import keep_nearest_confidence
from uniemo.study.claim import ACCURACY, TEST, VALIDATION, Measure
from uniemo.study.claims.budgets import Budgets, Prepared, large_pool, share_of
from uniemo.study.pools import CandidatePool
from uniemo.study.runs import finetune
from uniemo.study.trial import Trial

CONFIDENCE = {"easy": 1.0, "medium": 0.5, "hard": 0.0, "refreshed": 0.5}
"""The student's p(target) that an arm chooses by."""


class Field(Budgets):
    """As many images as real ones, chosen from the largest pool or generated on purpose."""

    name = "field"
    title = "The best of the field: which generated images teach most?"
    about = (
        "As for few labels, with as many generated images as real ones in every arm. Difficulty is "
        "the student's calibrated p(target); a linear probe on frozen CLIP confirms the target "
        "(arXiv 2411.18109). `practice` generates where the student is least certain, from the "
        "features of those real images (Deliberate Practice, arXiv 2502.15588). `refreshed` "
        "chooses by `medium` again after half of the epochs (GenDataAgent, ICLR 2025)."
    )
    arms = {
        "none": "as many steps on the same real images",
        "random": "a random part of the pool",
        "easy": "the most confident ones that the probe confirms",
        "medium": "p(target) nearest to one half, confirmed",
        "hard": "the least confident ones, confirmed",
        "refreshed": "as `medium`, chosen again by the student after half of the epochs",
        "practice": "generated from the real images that the student is least certain of",
    }
    subject = "medium"
    controls = ("none", "random")
    measures = (TEST, ACCURACY, VALIDATION, Measure("kept", "images", digits=0, compared=False))
    shared = {"none": "none", "random": "pool_1x"}

    def asks(self, trial: Trial) -> bool:
        """Return whether there is something to choose from."""
        return super().asks(trial) and trial.scale.largest_pool > 1

    def prepare(self, trial: Trial, pool: CandidatePool, arm: str, folder: Path) -> Prepared:
        """Choose or generate what an arm draws from; train the first half of ``refreshed``."""
        share = share_of(trial)
        if arm == "practice":
            rows = pool.uncertain_rows(share)
            return Prepared(pool.write_remade(rows, pool.repainted, folder))
        keep = partial(keep_nearest_confidence, confidence=CONFIDENCE[arm])
        kept = pool.filtered(partial(keep, confirmed=pool.confirmed), share)
        if arm != "refreshed":
            return Prepared(pool.write_generated(kept, folder))
        first = folder.parent / "first"
        pool.write_generated(kept, first)
        half = max(trial.experiment.finetune.epochs // 2, 1)
        changes = {"finetune.root": first, "finetune.ratio": 1.0, "finetune.epochs": half}
        student = finetune(trial, f"{self.name}/{arm}/half", changes).checkpoint
        pool = large_pool(trial, student)
        again = pool.filtered(partial(keep, confirmed=pool.confirmed), share)
        rest = {"finetune.epochs": max(trial.experiment.finetune.epochs - half, 1)}
        return Prepared(pool.write_generated(again, folder), rest, student)
