"""Does the filter pay where there is more to refuse?

The study of the feedback on another pool: the one that the published emotion space paints, of one
draw, with the same weights.
"""

from dataclasses import replace
from pathlib import Path

import torch

from uniemo.curriculum.checkpoints import BEST
from uniemo.model.checkpoint import read_checkpoint
from uniemo.study import feedback
from uniemo.study.plan import Trial
from uniemo.study.records import RESULT, Arm, Record, settings_of
from uniemo.study.runs import joint
from uniemo.utils.files import read_json

GROUP = "published"
ARMS = ("none", "unfiltered", "random", "top_k", "ours")
SPACE = {"kind": "diagonal"}


def published(trial: Trial) -> Trial:
    """Return a trial that paints as published."""
    changes = {
        "experiment": f"{trial.experiment.name}/as_published",
        "model.space.kind": SPACE["kind"],
        "model.sampling.draws": "1",
    }
    flags = [part for key, value in changes.items() for part in (f"--{key}", value)]
    return replace(trial, overrides=[*trial.overrides, *flags])


def records(trial: Trial) -> dict[str, Arm]:
    """Return the arms of a trial."""
    return feedback.records(published(trial), GROUP, ARMS)


def run(trial: Trial, pending: dict[str, Arm]) -> None:
    """Run some arms of a trial."""
    filtered = dict(pending)
    if "none" in filtered:  # no pool is drawn from, so it is the arm of the other study
        own = feedback.records(trial)["none"]
        if own.recall() is None:
            feedback.run(trial, {"none": own})
        numbers = own.recall()
        assert numbers is not None
        filtered.pop("none").finish(numbers)
    if filtered:
        other = published(trial)
        feedback.finetune(other, write_joint(trial, other), filtered)


def write_joint(trial: Trial, other: Trial) -> Path:
    """Write a trial's joint checkpoint with the published space; return its path.

    All spaces count the moments of which that one consists, and no training reads a space.
    """
    asked = settings_of(other.experiment, "model", "data", "trainer")
    record = Record(other.folder / "joint", asked)
    if record.recall() is None:
        checkpoint = read_checkpoint(joint(trial))
        state = checkpoint["state_dict"]
        for name in list(state):
            if name.startswith("space.") and not name.startswith("space.moments."):
                del state[name]
        checkpoint["hyper_parameters"]["space"] |= SPACE
        torch.save(checkpoint, record.folder / BEST)
        record.finish(read_json(trial.folder / "joint" / RESULT)["numbers"])
    return record.folder / BEST
