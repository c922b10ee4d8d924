"""An independent classifier of scenes and objects, which tells whether painted pictures show them.

Legend: B pictures of a batch, N pictures, F width of the network's features, K classes.
"""

from collections.abc import Mapping
from typing import Any

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES
from uniemo.backbones.pictures import Subject
from uniemo.backbones.stage import Stage, run_for_once
from uniemo.diffusion import StableDiffusion
from uniemo.vision.networks import efficientnet_lite0

NAMES = {"object": OBJECT_NAMES, "scene": SCENE_NAMES}

SEED = 97
"""Of its weights and pictures, which no other part has seen."""

STEPS = 400
"""Enough to read the object of 99 % of reconstructed pictures."""

BATCH = 32

SIZE = 128
"""Side in pixels at which it reads pictures: twice their own."""


class Classifier(Stage):
    """An ImageNet network, trained on with a linear head each for object and scene.

    It sees every picture as it is and as the autoencoder leaves it: one that knows crisp pictures
    alone blames the autoencoder's blur on whoever painted, and so does a linear probe on the
    network as it comes. It sees no painted picture, and nothing of the CLIP or the U-Net.

    Args:
        head: The Stable Diffusion whose autoencoder every painted picture comes through.
        **arguments: Of :class:`Stage`.
    """

    subject = Subject(large=0)  # as in the held-out pictures

    def __init__(self, head: StableDiffusion, **arguments: Any) -> None:
        super().__init__(**arguments)
        torch.manual_seed(self.seed)
        self.head = head  # moves to the trainer's device
        self.eye = efficientnet_lite0(SIZE)
        self.eye.network.requires_grad_(True).train()  # with frozen batch statistics it reads worse
        self.heads = nn.ModuleDict(
            {kind: nn.Linear(self.eye.width, len(names)) for kind, names in NAMES.items()}
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the logits [B, K] by kind of label of pictures [B, 3, 64, 64] in [0, 1]."""
        features = self.eye.network(self.eye.prepare(image))  # [B, F]
        return {kind: head(features) for kind, head in self.heads.items()}

    def loss(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the sum of the two cross-entropies; a label of -1 adds nothing."""
        image = batch["image"].float() / 255
        logits = self(torch.cat([image, reconstruct(self.head, image)]))
        losses = [
            F.cross_entropy(logits[kind].float(), batch[kind].repeat(2), ignore_index=-1)
            for kind in NAMES
        ]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def scores(self, name: str, image: Tensor, labels: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the accuracy on pictures by kind of label.

        Args:
            name: Of a score; ``{}`` is where the kind goes.
            image: Pictures [N, 3, 64, 64] in [0, 1].
            labels: What ``object`` and ``scene`` [N] they are to show, -1 for none.
        """
        self.eye.network.eval()
        parts = [self(part) for part in track(image.split(16), "Classifying")]
        return {
            name.format(kind): accuracy(torch.cat([part[kind] for part in parts]), labels[kind])
            for kind in NAMES
        }


def train_classifier(head: StableDiffusion) -> Classifier:
    """Return a trained classifier; minutes on a CPU."""
    stage = Classifier(
        head, seed=SEED, steps=STEPS, batch_size=BATCH, learning_rate=1e-3, warmup=40
    )
    run_for_once(stage)
    return stage


def accuracy(logits: Tensor, label: Tensor) -> float:
    """Return the share of labelled pictures (label [N], not -1) whose logits [N, K] are right."""
    has = label >= 0
    return (logits[has].argmax(1) == label[has]).float().mean().item()


@torch.no_grad()
def reconstruct(head: StableDiffusion, image: Tensor) -> Tensor:
    """Return what the autoencoder makes of pictures [N, 3, 64, 64] in [0, 1]: alike."""
    return head.decode(head.encode(image * 2 - 1))
