"""How good generated pictures are, by yardsticks that did not make them (METHOD, "Metrics").

Legend: B, G generated pictures, N training pictures, R real test pictures, F feature width, C = 8
emotions, H side of a picture.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from uniemo.emotions import EMOTIONS, N_EMOTIONS, POLARITY
from uniemo.evaluation.judge import Judge
from uniemo.metrics import (
    DensityCoverage,
    EmotionAccuracy,
    FrechetDistance,
    KernelDistance,
    PerceptualDiversity,
    PublishedSemanticDiversity,
    SemanticClarity,
    SemanticDiversity,
    bootstrap_interval,
    image_clarity,
    published_pairs,
)
from uniemo.vision.features import FeatureTable
from uniemo.vision.images import GeneratedBatch
from uniemo.vision.networks import ImageNetwork

N_PAIRS = 10  # of the published scripts, per emotion
SHOWN = 8  # pictures of each emotion in the report
COPY_QUANTILE = 0.99


@dataclass(frozen=True)
class EvaluationNetworks:
    """The networks that look at generated pictures; the same one may stand in several places."""

    judge: Judge
    distances: ImageNetwork
    """Its features are FID's, KID's, density's and coverage's."""
    semantic: ImageNetwork
    """Its features are Sem-D's."""
    perceptual: ImageNetwork
    """Squared distance of its vectors is the perceptual distance of the diversity."""
    clarity: tuple[ImageNetwork, ImageNetwork] | None
    """Classifiers of objects and of scenes, logits; None for the judge's own probes."""

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """Return all networks' vectors of pictures [B, 3, H, H] by name, running none twice."""
        found = self.perceptual.all_vectors(image)  # may hold another's: it runs on the same layers
        for network in (self.judge.network, self.distances, self.semantic):
            if network.name not in found:
                found |= network.all_vectors(image)
        return found


class GeneratedExample(NamedTuple):
    """A generated picture for the report."""

    image: Tensor  # [3, H, H] uint8
    emotion: int
    verdict: int
    nearest: int  # row of the most similar training picture
    similarity: float  # cosine of the judge's features


class GenerationResult(NamedTuple):
    """The group of ``metrics.json``, and pictures to look at."""

    numbers: dict[str, Any]
    shown: list[GeneratedExample]
    copy_threshold: float  # similarity above which 1 % of real test pictures lie


class GenerationEvaluation:
    """Takes generated pictures batch by batch; keeps their features, and few of them themselves.

    Args:
        yardsticks: The networks, on ``device``.
        training: The training pictures as the judge's network sees them, for near-copies.
        testing: The test pictures, likewise.
        reference: The real pictures of FID, KID, density and coverage: the test split.
        counts: Generated pictures of each emotion to come, [C] long.
        published: Whether to compute the published scripts' variants too.
        device: Where the work is done.
    """

    def __init__(
        self,
        yardsticks: EvaluationNetworks,
        training: FeatureTable,
        testing: FeatureTable,
        reference: FeatureTable,
        counts: Tensor,
        published: bool,
        device: torch.device,
    ) -> None:
        self.yardsticks = yardsticks
        self.device = device
        self.training = F.normalize(training.features.to(device), dim=1)  # [N, F]
        own = F.normalize(testing.features.to(device), dim=1)  # [R, F]
        self.copy_threshold = nearest(own, self.training)[0].quantile(COPY_QUANTILE).item()

        width, name = yardsticks.distances.width, yardsticks.distances.name
        self.frechet = FrechetDistance(width, name).to(device)
        self.kernel = KernelDistance(width, name).to(device)
        self.kernels = [KernelDistance(width, name).to(device) for _ in EMOTIONS]
        self.neighbours = DensityCoverage(width).to(device)
        self.accuracy = EmotionAccuracy().to(device)
        self.clarity = SemanticClarity().to(device)
        self.semantic = SemanticDiversity(yardsticks.semantic.width).to(device)
        self.diversity = PerceptualDiversity(yardsticks.perceptual.width).to(device)
        self.published = PublishedPairs(yardsticks, counts, device) if published else None
        self.hits: list[Tensor] = []
        self.polarity_hits: list[Tensor] = []
        self.clarities: list[Tensor] = []
        self.copies: list[Tensor] = []
        self.shown: list[GeneratedExample] = []
        self.counts = torch.zeros(N_EMOTIONS, dtype=torch.long)

        real, emotion = reference.features.to(device), reference.emotion.to(device)
        self.frechet.update(real, real=True)
        self.kernel.update(real, real=True)
        self.neighbours.update(real, emotion, real=True)
        for e, kernel in enumerate(self.kernels):
            kernel.update(real[emotion == e], real=True)

    @torch.no_grad()
    def update(self, painted: GeneratedBatch) -> None:
        """Judge a batch of generated pictures."""
        image, emotion = painted.image.to(self.device), painted.emotion.to(self.device)
        self.counts += painted.emotion.bincount(minlength=N_EMOTIONS)
        sticks = self.yardsticks
        features = sticks.features(image)

        distances = features[sticks.distances.name]  # [B, F]
        self.frechet.update(distances, real=False)
        self.kernel.update(distances, real=False)
        self.neighbours.update(distances, emotion, real=False)
        for e, kernel in enumerate(self.kernels):
            kernel.update(distances[emotion == e], real=False)
        semantic = features[sticks.semantic.name]
        self.semantic.update(semantic, emotion)
        perceptual = features[sticks.perceptual.name]
        self.diversity.update(perceptual, emotion)
        if self.published is not None:
            self.published.update(semantic, perceptual, painted)

        judgement = sticks.judge.judge(features[sticks.judge.network.name])
        seen = judgement.emotion.argmax(dim=1)  # [B]
        self.accuracy.update(judgement.emotion, emotion)
        self.hits.append((seen == emotion).cpu())
        polarity = torch.tensor(POLARITY, device=self.device)
        self.polarity_hits.append((polarity[seen] == polarity[emotion]).cpu())
        objects, scene = judgement.objects, judgement.scene
        if sticks.clarity is not None:
            objects, scene = (network(image).softmax(dim=1) for network in sticks.clarity)
        if objects is not None and scene is not None:
            self.clarity.update(objects, scene, emotion)
            self.clarities.append(image_clarity(objects, scene).cpu())

        own = F.normalize(features[sticks.judge.network.name], dim=1)
        similarity, row = nearest(own, self.training)  # [B] each
        self.copies.append((similarity > self.copy_threshold).cpu())
        for i in (painted.index < SHOWN).nonzero()[:, 0].tolist():
            picture = (image[i] * 255).round().to(torch.uint8).cpu()
            verdict, closest = int(seen[i]), int(row[i])
            self.shown.append(
                GeneratedExample(picture, int(emotion[i]), verdict, closest, similarity[i].item())
            )

    def compute(self) -> GenerationResult:
        """Return the numbers over all pictures so far; NaN where there are too few."""
        sticks = self.yardsticks
        accuracy, neighbours = self.accuracy.compute(), self.neighbours.compute()
        diversity, semantic = self.diversity.compute(), self.semantic.compute()
        numbers: dict[str, Any] = {
            "n_images": int(self.counts.sum()),
            "fid": self.frechet.compute().item(),
            "fid_features": sticks.distances.name,
            "fid_reference": "real pictures of the test split",
            "kid": self.kernel.compute().item(),
            "diversity": diversity["diversity"].item(),
            "diversity_metric": sticks.perceptual.name,
            "density": neighbours["density"].item(),
            "coverage": neighbours["coverage"].item(),
            "emo_a_8": accuracy["emo_a_8"].item(),
            "emo_a_2": accuracy["emo_a_2"].item(),
            "sem_d": semantic["sem_d"].item(),
            "sem_d_features": sticks.semantic.name,
            "near_copies": torch.cat(self.copies).double().mean().item(),
        }
        intervals = {
            "emo_a_8": bootstrap_interval(torch.cat(self.hits)),
            "emo_a_2": bootstrap_interval(torch.cat(self.polarity_hits)),
        }
        per_emotion = {
            "n_images": self.counts,
            "emo_a_8": accuracy["emo_a_8_per_emotion"],
            "emo_a_2": accuracy["emo_a_2_per_emotion"],
            "kid": torch.stack([kernel.compute() for kernel in self.kernels]),
            "diversity": diversity["diversity_per_emotion"],
            "density": neighbours["density_per_emotion"],
            "coverage": neighbours["coverage_per_emotion"],
            "sem_d": semantic["sem_d_per_emotion"],
        }
        if self.clarities:
            clarity = self.clarity.compute()
            numbers["sem_c"] = clarity["sem_c"].item()
            numbers["sem_c_classifiers"] = (
                f"linear probes on {sticks.judge.network.name}"
                if sticks.clarity is None
                else " and ".join(network.name for network in sticks.clarity)
            )
            intervals["sem_c"] = bootstrap_interval(torch.cat(self.clarities))
            per_emotion["sem_c"] = clarity["sem_c_per_emotion"]
        if self.published is not None:
            numbers["published"] = self.published.compute()
        numbers["per_emotion"] = {
            name: {key: values[e].item() for key, values in per_emotion.items()}
            for e, name in enumerate(EMOTIONS)
        }
        numbers["intervals"] = intervals
        return GenerationResult(numbers, self.shown, self.copy_threshold)


class PublishedPairs:
    """Sem-D and diversity on the published scripts' pairs (METHOD, "Defects").

    Ten random pairs per emotion, out of the pictures of it and of all emotions before it.

    Args:
        yardsticks: The networks.
        counts: Pictures of each emotion to come, [C] long.
        device: Where the work is done.
    """

    def __init__(
        self, yardsticks: EvaluationNetworks, counts: Tensor, device: torch.device
    ) -> None:
        self.semantic = PublishedSemanticDiversity(yardsticks.semantic.width, N_PAIRS).to(device)
        self.pairs = published_pairs(counts, N_PAIRS)  # [C, P, 2]
        self.start = counts.cumsum(0) - counts  # [C] position of each emotion's first picture
        self.wanted = set(self.pairs.flatten().tolist())
        self.kept: dict[int, Tensor] = {}

    def update(self, semantic: Tensor, perceptual: Tensor, painted: GeneratedBatch) -> None:
        """Add vectors [B, F] of a batch; only those that a pair needs are kept."""
        device = semantic.device
        self.semantic.update(semantic, painted.emotion.to(device), painted.index.to(device))
        for i, position in enumerate((self.start[painted.emotion] + painted.index).tolist()):
            if position in self.wanted:
                self.kept[position] = perceptual[i].cpu()

    def compute(self) -> dict[str, float]:
        """Return both, averaged over the emotions."""
        distances = [
            (self.kept[first].double() - self.kept[second]).square().sum()
            for first, second in self.pairs.flatten(0, 1).tolist()
        ]
        return {
            "sem_d": self.semantic.compute()["published_sem_d"].item(),
            "diversity": torch.stack(distances).mean().item(),
        }


def nearest(own: Tensor, others: Tensor, chunk: int = 1024) -> tuple[Tensor, Tensor]:
    """Return each unit row's greatest cosine with, and the row of, another set: [G] each."""
    found = [(part @ others.T).max(dim=1) for part in own.split(chunk)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def judge_accuracy(judge: Judge, table: FeatureTable) -> tuple[float, tuple[float, float]]:
    """Return a judge's accuracy on pictures it is right about, with its interval."""
    logits = judge.emotion(table.features.to(judge.network.mean.device))
    hit = (logits.argmax(dim=1).cpu() == table.emotion).double()
    return hit.mean().item(), bootstrap_interval(hit)


def without_nan(content: Any) -> Any:
    """Replace every NaN by None, for JSON knows none."""
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
