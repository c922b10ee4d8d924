"""Does the generation's gradient teach understanding?"""

from collections.abc import Iterator, Sequence
from typing import Any

from uniemo.study.claim import ACCURACY, TEST, VALIDATION, Claim
from uniemo.study.claims.structure import Structure
from uniemo.study.ledger import Numbers
from uniemo.study.runs import train
from uniemo.study.trial import Changes, Trial

ALONE = {"model.loss.condition": 0.0, "model.loss.diffusion": 0.0}
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "understanding_alone": ("the same schedule, freezing and selection on L_U alone", ALONE),
    "default": ("as the experiment's file says", {}),
    "condition_0.01": ("L_cond of weight 0.01", {"model.loss.condition": 0.01}),
    "condition_0.1": ("L_cond of weight 0.1", {"model.loss.condition": 0.1}),
    "diffusion_alone": ("L(theta) without L_cond", {"model.loss.condition": 0.0}),
    "names_0.05": (
        "L_S and L_O of weight 0.05, as published",
        {"model.loss.scene": 0.05, "model.loss.object": 0.05},
    ),
    "names_0.05_alone": (
        "the same on L_U alone",
        {"model.loss.scene": 0.05, "model.loss.object": 0.05, **ALONE},
    ),
    "names_1": ("L_S and L_O of weight 1", {"model.loss.scene": 1.0, "model.loss.object": 1.0}),
    "names_1_alone": (
        "the same on L_U alone",
        {"model.loss.scene": 1.0, "model.loss.object": 1.0, **ALONE},
    ),
}
BORROWED = {"default": "default", "diffusion_alone": "no_condition_loss"}
"""Arms that are arms of :class:`Structure`, by their names there."""


class Gradients(Claim):
    """Every arm is a joint training with other weights of the losses."""

    name = "gradients"
    title = "Feedback through gradients: does generation teach understanding?"
    about = (
        "Joint trainings with other weights of the losses, for as many steps. The visual tower is "
        "as frozen in the joint epochs as by default."
    )
    arms = {arm: description for arm, (description, _) in ARMS.items()}
    subject = "default"
    controls = ("understanding_alone",)
    measures = (TEST, ACCURACY, VALIDATION)
    profiles = ("full",)
    depends_on = ("model", "data", "trainer")

    def changes(self, trial: Trial, arm: str) -> Changes:
        """Return the weights of an arm."""
        return ARMS[arm][1]

    def run(self, trial: Trial, arms: Sequence[str]) -> Iterator[tuple[str, Numbers]]:
        """Train."""
        for arm in arms:
            if arm in BORROWED:
                yield arm, Structure().training(trial, BORROWED[arm]).numbers
            else:
                yield arm, train(self.changed(trial, arm), f"{self.name}/{arm}").numbers
