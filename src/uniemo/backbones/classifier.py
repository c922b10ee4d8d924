"""An independent classifier of scenes and objects, for the evaluation of generated images.

Legend: B images of a batch, N images, F width of the network's features, K classes.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES
from uniemo.backbones.composed_images import ObjectSettings
from uniemo.backbones.stage import Stage, run_once
from uniemo.diffusion import StableDiffusion
from uniemo.utils.progress import track
from uniemo.vision.networks import efficientnet_lite0

NAMES = {"object": OBJECT_NAMES, "scene": SCENE_NAMES}

SEED = 97
"""Seed of its weights and its images, which no other part is trained on."""

STEPS = 400
"""Enough to recognise the object in 99 % of reconstructed images."""

SIZE = 128
"""Side in pixels of its input: twice that of the images."""


class Classifier(Stage):
    """An ImageNet network, trained on with a linear head each for object and scene.

    It is trained on every image and its reconstruction by the autoencoder: trained on sharp images
    alone, it would count the autoencoder's blur as an error of the U-Net, as a linear probe on the
    original network does. It is trained on no generated image, and uses neither CLIP nor U-Net.

    Args:
        head: The Stable Diffusion whose autoencoder decodes every generated image.
        **arguments: Of :class:`Stage`.
    """

    object_settings = ObjectSettings(large=0)  # as in the held-out images

    def __init__(self, head: StableDiffusion, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.head = head  # moves to the trainer's device
        self.extractor = efficientnet_lite0(SIZE)
        # Batch statistics are not frozen: that is less accurate.
        self.extractor.network.requires_grad_(True).train()
        self.heads = nn.ModuleDict(
            {kind: nn.Linear(self.extractor.width, len(names)) for kind, names in NAMES.items()}
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the logits [B, K] by kind of label of images [B, 3, 64, 64] in [0, 1]."""
        features = self.extractor.network(self.extractor.preprocess(image))  # [B, F]
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
        """Return the accuracy on images by kind of label.

        Args:
            name: Of a score; ``{}`` is where the kind goes.
            image: Images [N, 3, 64, 64] in [0, 1].
            labels: The true ``object`` and ``scene`` [N], -1 for none.
        """
        self.extractor.network.eval()
        parts = [self(part) for part in track(image.split(16), "Classifying")]
        return {
            name.format(kind): accuracy(torch.cat([part[kind] for part in parts]), labels[kind])
            for kind in NAMES
        }


def train_classifier(head: StableDiffusion) -> Classifier:
    """Return a trained classifier; minutes on a CPU."""
    stage = Classifier(head, seed=SEED, steps=STEPS, batch_size=32, learning_rate=1e-3, warmup=40)
    run_once(stage)
    return stage


def accuracy(logits: Tensor, label: Tensor) -> float:
    """Return the share of labelled images (label [N], not -1) whose logits [N, K] are right."""
    has = label >= 0
    return (logits[has].argmax(1) == label[has]).float().mean().item()


@torch.no_grad()
def reconstruct(head: StableDiffusion, image: Tensor) -> Tensor:
    """Return the autoencoder's reconstructions of images [N, 3, 64, 64] in [0, 1]."""
    return head.decode(head.encode(image * 2 - 1))
