"""The published scripts' variants of the metrics of generated images.

docs/method.md, "Defects of the public code", says in what they differ. They are reported beside the
defaults, to be compared with published numbers.

Legend: B generated images, R real images of all splits, F feature width, C emotions, P pairs per
emotion, H side of an image.
"""

import warnings

import torch
from torch import Tensor

from uniemo.config.evaluation import EvaluationConfig, Protocol
from uniemo.evaluation.build_networks import EvaluationNetworks
from uniemo.metrics import (
    FrechetDistance,
    PublishedSemanticDiversity,
    SemanticClarity,
    published_pairs,
)
from uniemo.utils.processes import gathered, rank_and_size
from uniemo.vision.images import GeneratedBatch, squash

N_PAIRS = 10
"""Random pairs per emotion, of its images and those of all emotions before it."""

FID_SIDE = 299
"""Side to which whole images, real and generated, are squashed for FID."""


def as_published(config: EvaluationConfig, protocol: Protocol) -> list[str]:
    """Return which metrics of generated images are by the published measure.

    Those of the default protocol differ from it in preprocessing or pairs; Emo-A does not, if
    EmoGen's own classifier judges.
    """
    found = ["emo_a"] if config.emotion_weights is not None else []
    if protocol == "published":
        by_network = {
            "fid": config.fid_features == "inception",
            "diversity": config.diversity == "lpips",
            "sem_c": config.clarity == "resnet50",
            "sem_d": config.semantic == "clip_vit_l14",
        }
        found += [key for key, own in by_network.items() if own]
    return found


class PublishedMetrics:
    """FID, diversity, Sem-C and Sem-D as the published scripts compute them.

    FID: whole images squashed to 299 pixels, against those of all splits. Diversity and Sem-D: ten
    pairs per emotion that mix emotions. Preprocessing: ``published_features`` of the networks.

    Args:
        networks: The networks, on ``device``.
        reference: Features [R, F] of the network of the distances, of real images squashed.
        counts: How many images of each emotion will come, [C] long.
        device: Where the metrics are computed.
    """

    def __init__(
        self,
        networks: EvaluationNetworks,
        reference: Tensor,
        counts: Tensor,
        device: torch.device,
    ) -> None:
        self.networks, self.device = networks, device
        distances, classes = networks.distances, len(counts)
        self.frechet = FrechetDistance(distances.width, distances.name).to(device)
        rank, size = rank_and_size()
        self.frechet.update(reference[rank::size].to(device), real=True)
        self.clarity = SemanticClarity(num_classes=classes).to(device)
        self.semantic = PublishedSemanticDiversity(
            networks.semantic.width, N_PAIRS, num_classes=classes
        ).to(device)
        self.pairs = published_pairs(counts, N_PAIRS)  # [C, P, 2]
        self.start = counts.cumsum(0) - counts  # [C] position of each emotion's first image
        self.needed = torch.zeros(int(counts.sum()), dtype=torch.bool)
        self.needed[self.pairs.flatten()] = True
        self.kept: dict[int, Tensor] = {}  # perceptual vectors of the images that a pair needs

    def update(self, batch: GeneratedBatch) -> None:
        """Add a batch of generated images."""
        networks = self.networks
        image, emotion, index = (
            part.to(self.device) for part in (batch.image, batch.emotion, batch.index)
        )
        self.frechet.update(networks.distances(squash(image, FID_SIDE)), real=False)
        self.semantic.update(networks.semantic.published_features(image), emotion, index)
        if networks.clarity is not None:
            objects, scene = (
                network.published_features(image).softmax(dim=1) for network in networks.clarity
            )
            self.clarity.update(objects, scene, emotion)
        position = self.start[batch.emotion] + batch.index  # [B]
        chosen = self.needed[position]  # [B]
        if chosen.any():
            vectors = networks.perceptual.published_features(image[chosen.to(self.device)])
            self.kept |= dict(zip(position[chosen].tolist(), vectors.cpu(), strict=True))

    def compute(self) -> dict[str, float]:
        """Return ``fid``, ``diversity``, ``sem_d`` and, with own classifiers, ``sem_c``."""
        kept = dict(gathered(list(self.kept.items())))
        distances = [
            (kept[first].double() - kept[second]).square().sum()
            for first, second in self.pairs.flatten(0, 1).tolist()
        ]
        with warnings.catch_warnings():  # of few images: summary and report say it
            warnings.filterwarnings("ignore", message="Frechet distance")
            frechet = self.frechet.compute().item()
        values = {
            "fid": frechet,
            "diversity": torch.stack(distances).mean().item(),
            "sem_d": self.semantic.compute()["published_sem_d"].item(),
        }
        if self.networks.clarity is not None:
            values["sem_c"] = self.clarity.compute()["sem_c"].item()
        return values
