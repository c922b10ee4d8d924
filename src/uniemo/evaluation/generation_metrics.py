"""Metrics of generated images (docs/method.md, "Metrics").

Legend: B, G generated images, N training images, R real test images, F feature width, C
emotions, H side of an image.
"""

import math
import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from uniemo.emotions import Emotions
from uniemo.evaluation.build_networks import EvaluationNetworks
from uniemo.evaluation.judge import Judge
from uniemo.evaluation.published_metrics import PublishedMetrics
from uniemo.metrics import (
    DensityCoverage,
    EmotionAccuracy,
    FrechetDistance,
    KernelDistance,
    PerceptualDiversity,
    SemanticClarity,
    SemanticDiversity,
    bootstrap_interval,
    image_clarity,
)
from uniemo.utils.processes import gathered, rank_and_size
from uniemo.vision.features import FeatureTable
from uniemo.vision.images import GeneratedBatch

N_EXAMPLES = 8  # images of each emotion in the report
COPY_QUANTILE = 0.99  # of the test images' similarity to the nearest training image
BY_EMOTION = ("kid", "diversity", "density", "coverage", "sem_d", "sem_c")


class GeneratedExample(NamedTuple):
    """A generated image for the report."""

    image: Tensor  # [3, H, H] uint8
    emotion: int
    predicted: int  # by the judge
    nearest: int  # row of the most similar training image
    similarity: float  # cosine of the judge's features


class GenerationResult(NamedTuple):
    """The group ``generation`` of ``metrics.json``, and examples for the report."""

    metrics: dict[str, Any]
    examples: list[GeneratedExample]
    copy_threshold: float  # similarity above which 1 % of real test images lie


class GenerationMetrics:
    """All metrics of generated images, updated batch by batch.

    Several processes may share the batches out (:func:`uniemo.utils.processes.share`).

    Args:
        networks: The networks, on ``device``.
        judge: The judge.
        training: Its features of the training images, for near-copies.
        testing: Its features of the test images, for near-copies.
        reference: The real images of FID, KID, density and coverage: the test split.
        emotions: The C emotions.
        published: The published scripts' variants, to be computed too.
        device: Where the metrics are computed.
    """

    def __init__(
        self,
        networks: EvaluationNetworks,
        judge: Judge,
        training: FeatureTable,
        testing: FeatureTable,
        reference: FeatureTable,
        emotions: Emotions,
        published: PublishedMetrics | None,
        device: torch.device,
    ) -> None:
        self.networks = networks
        self.judge = judge
        self.device = device
        self.emotions, size = emotions, {"num_classes": len(emotions)}
        self.training = F.normalize(training.features.to(device), dim=1)  # [N, F]
        test = F.normalize(testing.features.to(device), dim=1)  # [R, F]
        self.copy_threshold = nearest(test, self.training)[0].quantile(COPY_QUANTILE).item()

        width = networks.distances.width
        self.frechet = FrechetDistance(width, networks.distances.name).to(device)
        self.kernel = KernelDistance(width, **size).to(device)
        self.neighbours = DensityCoverage(width, **size).to(device)
        self.accuracy = EmotionAccuracy(emotions).to(device)
        self.clarity = SemanticClarity(**size).to(device)
        self.semantic = SemanticDiversity(networks.semantic.width, **size).to(device)
        self.diversity = PerceptualDiversity(networks.perceptual.width, **size).to(device)
        self.published = published
        self.rows: list[dict[str, Tensor]] = []  # of each batch, a value per image [B]
        self.examples: list[list[GeneratedExample]] = []  # of each batch

        rank, step = rank_and_size()
        real = reference.features[rank::step].to(device)
        emotion = reference.emotion[rank::step].to(device)
        self.frechet.update(real, real=True)
        self.kernel.update(real, emotion, real=True)
        self.neighbours.update(real, emotion, real=True)

    @torch.no_grad()
    def update(self, batch: GeneratedBatch) -> None:
        """Add a batch of generated images."""
        image, emotion = batch.image.to(self.device), batch.emotion.to(self.device)
        networks = self.networks
        features = networks.features(image)

        distances = features[networks.distances.name]  # [B, F]
        self.frechet.update(distances, real=False)
        self.kernel.update(distances, emotion, real=False)
        self.neighbours.update(distances, emotion, real=False)
        semantic = features[networks.semantic.name]
        self.semantic.update(semantic, emotion)
        perceptual = features[networks.perceptual.name]
        self.diversity.update(perceptual, emotion)
        if self.published is not None:
            self.published.update(batch)

        judge_features = features[networks.judge.name]  # [B, F]
        prediction = self.judge.predict(judge_features)
        predicted = prediction.emotion.argmax(dim=1)  # [B]
        self.accuracy.update(prediction.emotion, emotion)
        values = {f"emo_a_{len(self.emotions)}": predicted == emotion}
        if self.emotions.two_classes:
            polarity = torch.tensor(self.emotions.two_classes, device=self.device)
            values["emo_a_2"] = polarity[predicted] == polarity[emotion]
        objects, scene = prediction.objects, prediction.scene
        if networks.clarity is not None:
            objects, scene = (network(image).softmax(dim=1) for network in networks.clarity)
        if objects is not None and scene is not None:
            self.clarity.update(objects, scene, emotion)
            values["sem_c"] = image_clarity(objects, scene)

        similarity, row = nearest(F.normalize(judge_features, dim=1), self.training)  # [B] each
        values |= {"emotion": emotion, "copy": similarity > self.copy_threshold}
        self.rows.append({key: column.cpu() for key, column in values.items()})
        self.examples.append([])
        for i in (batch.index < N_EXAMPLES).nonzero()[:, 0].tolist():
            kept = (image[i] * 255).round().to(torch.uint8).cpu()
            labels = int(emotion[i]), int(predicted[i]), int(row[i])
            self.examples[-1].append(GeneratedExample(kept, *labels, similarity[i].item()))

    def compute(self) -> GenerationResult:
        """Return the metrics over all images so far; NaN where there are too few."""
        networks = self.networks
        batches = gathered(self.rows)
        rows = {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}
        counts = rows.pop("emotion").bincount(minlength=len(self.emotions))
        with warnings.catch_warnings():  # of few images: summary and report say it
            warnings.filterwarnings("ignore", message="Frechet distance")
            frechet = self.frechet.compute().item()
        accuracy = self.accuracy.compute()
        values = self.kernel.compute() | self.neighbours.compute()
        values |= self.diversity.compute() | self.semantic.compute()
        metrics: dict[str, Any] = {
            "n_images": int(counts.sum()),
            "fid": frechet,
            "fid_features": networks.distances.name,
            "fid_reference": "real pictures of the test split",
            "kid": values["kid"].item(),
            "diversity": values["diversity"].item(),
            "diversity_metric": networks.perceptual.name,
            "density": values["density"].item(),
            "coverage": values["coverage"].item(),
            **{key: value.item() for key, value in accuracy.items() if value.ndim == 0},
            "sem_d": values["sem_d"].item(),
            "sem_d_features": networks.semantic.name,
            "near_copies": rows.pop("copy").double().mean().item(),
        }
        if "sem_c" in rows:
            values |= self.clarity.compute()
            metrics["sem_c"] = values["sem_c"].item()
            metrics["sem_c_classifiers"] = (
                f"linear probes on {networks.judge.name}"
                if networks.clarity is None
                else " and ".join(network.name for network in networks.clarity)
            )
        if self.published is not None:
            metrics["published"] = self.published.compute()
        columns = {"n_images": counts} | {
            key: (accuracy | values)[f"{key}_per_emotion"]
            for key in (*(key for key in accuracy if accuracy[key].ndim == 0), *BY_EMOTION)
            if key in accuracy | values
        }
        metrics["per_emotion"] = {
            name: {key: column[e].item() for key, column in columns.items()}
            for e, name in enumerate(self.emotions.names)
        }
        metrics["intervals"] = {key: bootstrap_interval(column) for key, column in rows.items()}
        examples = [example for batch in gathered(self.examples) for example in batch]
        return GenerationResult(metrics, examples, self.copy_threshold)


def nearest(features: Tensor, others: Tensor, chunk: int = 1024) -> tuple[Tensor, Tensor]:
    """Find the nearest of other images [N, F] to each image [G, F] by cosine of unit features.

    Returns:
        The greatest cosine, and its row among the others: [G] each.
    """
    found = [(part @ others.T).max(dim=1) for part in features.split(chunk)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def judge_accuracy(judge: Judge, table: FeatureTable) -> tuple[float, tuple[float, float]]:
    """Return a judge's accuracy on real images, with its interval."""
    logits = judge.emotion(table.features.to(judge.network.mean.device))
    hit = (logits.argmax(dim=1).cpu() == table.emotion).double()
    return hit.mean().item(), bootstrap_interval(hit)


def without_nan(content: Any) -> Any:
    """Replace every NaN by None, because JSON has no NaN."""
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
