"""Does the filter help more where the pool is worse?"""

from collections.abc import Iterator, Sequence

import torch

from uniemo.model.checkpoint import read_checkpoint
from uniemo.model.saving import BEST
from uniemo.study.claims.feedback import Feedback
from uniemo.study.ledger import Numbers
from uniemo.study.runs import joint, joint_record
from uniemo.study.trial import Changes, Trial

SPACE = "diagonal"


class PublishedPool(Feedback):
    """The claim of the feedback on the pool of the published emotion space."""

    name = "published"
    title = "Does the filter pay where there is more to refuse?"
    about = (
        "The same study on a worse pool: the one that the published emotion space (`diagonal`) "
        "generates, of one draw, with the same weights."
    )
    arms = {
        "none": "no generated data, as above",
        **{arm: Feedback.arms[arm] for arm in ("unfiltered", "random", "top_k", "full_filter")},
    }
    subject = "full_filter"
    controls = ("random",)
    profiles = ("full",)

    def changes(self, trial: Trial, arm: str) -> Changes:
        """Return the published emotion space and number of draws."""
        return {
            "experiment": f"{trial.experiment.name}/as_published",
            "model.space.kind": SPACE,
            "model.sampling.draws": 1,
        }

    def run(self, trial: Trial, arms: Sequence[str]) -> Iterator[tuple[str, Numbers]]:
        """Generate candidates as published, filter them and finetune."""
        if "none" in arms:  # no pool is drawn from, so it is the arm of the other claim
            yield "none", Feedback().numbers(trial, "none")
        filtered = [arm for arm in arms if arm != "none"]
        if filtered:
            published = self.changed(trial, filtered[0])
            write_joint(trial, published)
            yield from super().run(published, filtered)


def write_joint(trial: Trial, published: Trial) -> None:
    """Write a trial's joint checkpoint with the published space, unless it is there.

    All spaces keep the moments of which that one consists, and no training reads a space.
    """
    record = joint_record(published)
    if record.load() is None:
        own = joint(trial)
        checkpoint = read_checkpoint(own.checkpoint)
        state = checkpoint["state_dict"]
        for name in list(state):
            if name.startswith("painter.space.") and ".moments." not in name:
                del state[name]
        checkpoint["hyper_parameters"]["space"] |= {"kind": SPACE}
        torch.save(checkpoint, record.folder / BEST)
        record.finish(own.numbers)
