"""How good painted images are, held against the *validation* split: choices are made by it.

The networks and the judge are the evaluation's (:mod:`uniemo.evaluation`); no arm trains them.

Legend: B images of a batch, N training and V validation pictures, F width of a network's features,
E of CLIP's image features.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from torch.nn import functional as F

from uniemo.config.experiment import Experiment
from uniemo.diffusion import SamplingConfig, StableDiffusion
from uniemo.evaluation.generation import nearest
from uniemo.evaluation.image_sources import images_from_model
from uniemo.evaluation.setup import EvaluationSetup
from uniemo.metrics import DensityCoverage, EmotionAccuracy, FrechetDistance
from uniemo.model.uniemo import UniEmo
from uniemo.study.plan import Trial
from uniemo.study.records import Numbers
from uniemo.vision.clip import frozen_clip
from uniemo.vision.features import FeatureRequest
from uniemo.vision.images import GeneratedBatch


class ImageEvaluator:
    """The judge, and what the validation split looks like to the network of the distances.

    Args:
        experiment: The trial's experiment.
        data: Its data module, with both views.
        head: The head whose VAE every image passes.
        clip: The pretrained CLIP, which covers where the judge's network, strange to all that a
            small head paints, hardly tells one set of images from another.
    """

    def __init__(
        self, experiment: Experiment, data: Any, head: StableDiffusion, clip: FeatureRequest
    ) -> None:
        self.device = experiment.device
        panel = EvaluationSetup(experiment, data, head, validation=[clip])
        self.judge, self.distances = panel.judge, panel.networks.distances
        self.reference, seen = panel.library.tables([panel.distances, clip], "val")
        self.clip = clip.network
        self.clip_reference = F.normalize(seen.features.to(self.device), dim=1)  # [V, E]
        self.training = F.normalize(panel.training.features.to(self.device), dim=1)  # [N, F]

    @torch.no_grad()
    def measure(self, batches: Iterable[GeneratedBatch]) -> Numbers:
        """Measure painted images.

        Args:
            batches: At least two images of every emotion.

        Returns:
            ``emo_a`` (8-class), ``fid`` (Frechet distance to the validation split by the
            experiment's ``fid_features``), ``density`` and ``coverage`` by the same,
            ``clip_coverage`` within each emotion by pretrained CLIP's unit features (mean over the
            emotions), and ``nearest_cosine``, the mean cosine to the nearest training picture in
            the judge's features.
        """
        width = self.distances.width
        frechet = FrechetDistance(width, self.distances.name).to(self.device)
        neighbours = DensityCoverage(width).to(self.device)
        accuracy = EmotionAccuracy().to(self.device)
        real, real_emotion = (
            column.to(self.device) for column in (self.reference.features, self.reference.emotion)
        )
        frechet.update(real, real=True)
        neighbours.update(real, real_emotion, real=True)
        covered = DensityCoverage(self.clip.width).to(self.device)
        covered.update(self.clip_reference, real_emotion, real=True)
        cosines = []
        for painted in track(batches, "Painting and judging", transient=True):
            image, emotion = painted.image.to(self.device), painted.emotion.to(self.device)
            judged = self.judge.network(image)  # [B, F]
            same = self.distances is self.judge.network
            seen = judged if same else self.distances(image)  # [B, F]
            frechet.update(seen, real=False)
            neighbours.update(seen, emotion, real=False)
            covered.update(F.normalize(self.clip(image), dim=1), emotion, real=False)
            accuracy.update(self.judge.emotion(judged), emotion)
            cosines.append(nearest(F.normalize(judged, dim=1), self.training)[0])
        near = neighbours.compute()
        return {
            "emo_a": accuracy.compute()["emo_a_8"].item(),
            "fid": frechet.compute().item(),
            "density": near["density"].item(),
            "coverage": near["coverage"].item(),
            "clip_coverage": covered.compute()["coverage_per_emotion"].mean().item(),
            "nearest_cosine": torch.cat(cosines).mean().item(),
        }


class TrialEvaluator:
    """A trial's yardstick, and painting with it; opened once for a group of arms.

    Args:
        trial: The trial.
        checkpoint: Of its joint training.
    """

    def __init__(self, trial: Trial, checkpoint: Path) -> None:
        self.experiment = trial.experiment
        self.per_emotion = trial.profile.images
        self.module = UniEmo.from_checkpoint(checkpoint).to(self.experiment.device)
        self.data = self.experiment.data(self.module.clip_view, self.module.image_size)
        clip = frozen_clip(self.module.clip_config, self.experiment.device)
        self.yardstick = ImageEvaluator(self.experiment, self.data, self.module.diffusion, clip)

    def measure(self, module: UniEmo, sampling: SamplingConfig | None = None) -> Numbers:
        """Paint from a model's emotion space, as the experiment says if not told, and measure."""
        size, sampling = self.experiment.evaluation.batch_size, sampling or self.experiment.sampling
        return self.yardstick.measure(
            images_from_model(module.eval(), self.per_emotion, size, sampling)
        )
