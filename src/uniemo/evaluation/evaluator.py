"""Evaluation of generated images against one data set and one VAE."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from uniemo.config.evaluation import Protocol
from uniemo.config.experiment import Experiment
from uniemo.diffusion import StableDiffusion, latent_fingerprint
from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.evaluation.build_networks import build_networks
from uniemo.evaluation.generation_metrics import GenerationMetrics, GenerationResult, judge_accuracy
from uniemo.evaluation.judge import fit_judge, published_emotion_probe
from uniemo.evaluation.published_metrics import FID_SIDE, PublishedMetrics, as_published
from uniemo.metrics import FrechetDistance
from uniemo.utils.emoset_files import SPLITS
from uniemo.utils.processes import is_first, rank_and_size
from uniemo.utils.progress import track
from uniemo.vision.features import (
    FeatureCache,
    FeatureRequest,
    FeatureTable,
    Reconstruction,
    chosen_rows,
    diffusion_view,
)
from uniemo.vision.images import GeneratedBatch


class Evaluator:
    """The networks that an experiment names, and its judge, fitted on its real images.

    Args:
        experiment: The experiment.
        data: Its data module, with the diffusion view.
        head: The head whose VAE encodes and decodes all images of the system.
        also: Further features by split ("train", "val", "test"), to be computed in the same pass
            over it; they can be loaded from ``features`` afterwards.

    Attributes:
        networks: The networks by their use.
        judge: The judge, fitted on real training images and on reconstructions of some of them.
        features: The features of the data set.
        real: Request for the judge's features of real images.
        reconstructed: The same of what the VAE makes of them.
        distances: Request for features of real images by the network of the distances.
        distances_reconstructed: The same of what the VAE makes of them.
        training: The judge's features of the training split.
    """

    def __init__(
        self,
        experiment: Experiment,
        data: Any,
        head: StableDiffusion,
        also: Mapping[str, Sequence[FeatureRequest]] | None = None,
    ) -> None:
        self.experiment = experiment
        self.config, self.device = experiment.evaluation, experiment.device
        self.also, self.emotions = also or {}, data.emotions
        self.networks = build_networks(self.config, head.image_size, self.device)
        view = diffusion_view(head.image_size)
        through_vae = Reconstruction(
            lambda image: head.decode(head.encode(image * 2 - 1)),
            latent_fingerprint(head.vae, head.image_size, "reconstruction"),
        )
        self.real = FeatureRequest(self.networks.judge, view)
        self.reconstructed = self.real._replace(reconstruction=through_vae)
        self.distances = FeatureRequest(self.networks.distances, view)
        self.distances_reconstructed = self.distances._replace(reconstruction=through_vae)
        self.features = FeatureCache(data, experiment.cache, self.device)
        some = self.reconstructed._replace(limit=self.config.n_reconstructed)
        self.training, reconstructed = self._load("train", self.real, some)
        validation, validation_reconstructed = self._load("val", self.real, self.reconstructed)
        weights = self.config.emotion_weights
        if weights is not None and data.emotions != Emotions():
            raise UserError(
                f"eval.emotion_weights know Mikels' eight emotions, the data set {data.emotions}; "
                "leave it null to fit a probe"
            )
        self.judge = fit_judge(
            self.networks.judge,
            self.training.joined(reconstructed),
            validation.joined(validation_reconstructed),
            len(data.emotions),
            len(data.scene_names),
            experiment.cache,
            None if weights is None else published_emotion_probe(weights),
        )

    def _load(self, split: str, *requests: FeatureRequest) -> Any:
        """Return the requested features of a split; those asked for besides are computed too."""
        return self.features.load([*requests, *self.also.get(split, ())], split)[: len(requests)]

    def evaluate(
        self, batches: Iterable[GeneratedBatch], counts: Tensor, protocol: Protocol = "default"
    ) -> GenerationResult:
        """Evaluate generated images, ``counts`` [C] long of each emotion, on the test split.

        Several processes share the batches out; each returns the result of all.
        """
        testing, reconstructed, reference, rebuilt = self._load(
            "test",
            self.real,
            self.reconstructed,
            self.distances,
            self.distances_reconstructed,
        )
        real = self.training, testing, reference
        published = self._published(counts) if protocol == "published" else None
        evaluation = GenerationMetrics(
            self.networks, self.judge, *real, self.emotions, published, self.device
        )
        steps = -(-int(counts.sum()) // (self.config.batch_size * rank_and_size()[1]))
        for batch in track(batches, "Generated images", steps):
            evaluation.update(batch)
        result = evaluation.compute()
        metrics = result.metrics
        metrics["fid_reconstructed"] = self._distance(reference, rebuilt, int(counts.sum()))
        metrics["judge"] = self.networks.judge_name
        metrics["as_published"] = as_published(self.config, protocol)
        for name, table in (("real", testing), ("reconstructed", reconstructed)):
            key = f"judge_accuracy_{name}"
            metrics[key], metrics["intervals"][key] = judge_accuracy(self.judge, table)
        return result

    def _published(self, counts: Tensor) -> PublishedMetrics:
        """Return the published scripts' metrics; their FID needs the whole images of all splits."""
        view = FID_SIDE, [0.5] * 3, [0.5] * 3  # CLIP's is not used
        data = self.experiment.data(view, FID_SIDE, squash=True)
        features = FeatureCache(data, self.features.cache, self.device)
        request = FeatureRequest(self.networks.distances, diffusion_view(FID_SIDE, squash=True))
        tables = [features.load([request], split)[0].features for split in SPLITS]
        return PublishedMetrics(self.networks, torch.cat(tables), counts, self.device)

    def _distance(self, real: FeatureTable, reconstructed: FeatureTable, count: int) -> float:
        """Return the Frechet distance of ``count`` reconstructed test images to the other ones.

        At most half of the test split is reconstructed. It says what the VAE alone loses.
        """
        network = self.networks.distances
        distance = FrechetDistance(network.width, network.name).to(self.device)
        chosen = chosen_rows(real.emotion, min(count, len(real.emotion) // 2))  # [N]
        if is_first():  # it sums over the processes, and all have the same tables
            distance.update(real.features[~chosen].to(self.device), real=True)
            distance.update(reconstructed.features[chosen].to(self.device), real=False)
        with warnings.catch_warnings():  # of few images: summary and report say it
            warnings.filterwarnings("ignore", message="Frechet distance")
            return distance.compute().item()
