"""Does generated data help understanding, and does the filter?

See docs/method.md, "Generate and filter" and "Finetune".
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from uniemo.filtering import Selection, select
from uniemo.filtering.baselines import (
    keep_all,
    keep_clip_probable,
    keep_most_confident,
    keep_random,
    keep_realistic,
)
from uniemo.study.claim import ACCURACY, TEST, VALIDATION, Claim, Measure
from uniemo.study.ledger import Numbers, settings_of
from uniemo.study.pools import CandidatePool
from uniemo.study.runs import finetune, joint
from uniemo.study.trial import Trial


def filters(seed: int) -> dict[str, Callable[..., Selection]]:
    """Return the filters by the arms that use them; ``seed`` is that of random choices."""
    return {
        "unfiltered": keep_all,
        "random": partial(keep_random, seed=seed),
        "top_k": keep_most_confident,
        "clip_probable": partial(keep_clip_probable, seed=seed),
        "realism": partial(keep_realistic, seed=seed),
        "full_filter": select,
    }


class Feedback(Claim):
    """All arms finetune the same joint checkpoint; they differ in the pool that is drawn from."""

    name = "feedback"
    title = "Feedback: does generated data help understanding?"
    about = (
        "All arms finetune the same joint checkpoint for the same number of steps, with the same "
        "number of further draws per epoch. They differ in what is drawn. Coverage is the share of "
        "validation images that the pool covers in frozen CLIP's features; the pool's Emo-A is "
        "by the evaluation's judge, which no filter uses. CLIP's zero-shot "
        "probability means little where CLIP was trained without emotion words, as the embedded "
        'small one was, but for "amusement park", the name of a scene.'
    )
    arms = {
        "not_finetuned": "the joint checkpoint as it is",
        "none": "no generated data: the further draws are the same real rows again",
        "unfiltered": "all candidates, twice as many as a filter may keep",
        "random": "a random subset of the budget's size",
        "top_k": "the most confident by the verifier",
        "clip_probable": "CLIP's zero-shot p(target) > 1/C, then random",
        "realism": "inside the real images' k-NN balls, then random",
        "full_filter": "the whole filter",
        "more_real": "as many further real images as the budget: the upper baseline",
    }
    subject = "full_filter"
    controls: tuple[str, ...] = ("none", "not_finetuned")
    measures = (
        TEST,
        ACCURACY,
        VALIDATION,
        Measure("emo_a", "pool's Emo-A, %", 100, 1),
        Measure("kept", "images", digits=0, compared=False),
        Measure("coverage", "coverage", compared=False),
    )
    depends_on = ("model", "data", "trainer", "generate", "finetune")

    def settings(self, trial: Trial, arm: str) -> dict[str, Any]:
        """Add the folder of further real images where it is read."""
        read = arm == "more_real" and trial.fraction == 1  # else the rest of the split is used
        more_real = trial.more_real if read else None
        return settings_of(trial.experiment, *self.depends_on, arm=arm, more_real=more_real)

    def run(self, trial: Trial, arms: Sequence[str]) -> Iterator[tuple[str, Numbers]]:
        """Generate candidates, filter them and finetune."""
        if "not_finetuned" in arms:
            yield "not_finetuned", joint(trial).numbers
        arms = [arm for arm in arms if arm != "not_finetuned"]
        if not arms:
            return
        pool = CandidatePool(trial)
        for arm in arms:
            name = f"{self.name}/{arm}"
            changes: dict[str, Any] = {"finetune.root": trial.folder / name / "pool"}
            if arm in ("none", "more_real"):
                changes["finetune.weight"] = 1  # real images, wherever they are drawn from
                rows = pool.own_rows() if arm == "none" else pool.further_rows()
                numbers = pool.write_real(rows, changes["finetune.root"])
            else:
                selection = pool.filtered(filters(trial.seed)[arm])
                written = pool.write_generated(selection, changes["finetune.root"])
                numbers = {**written, **pool.emo_a(selection)}
            if numbers["kept"]:
                numbers = {**numbers, **finetune(trial, name, changes).numbers}
            yield arm, numbers
