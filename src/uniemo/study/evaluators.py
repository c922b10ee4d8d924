"""How good generated images are, compared with the *validation* split: choices are made by it.

The networks and the judge are the evaluation's (:mod:`uniemo.evaluation`); no arm trains them.

Legend: B images of a batch, N training and V validation images, F width of a network's features,
E of CLIP's image features.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch.nn import functional as F

from uniemo.diffusion import SamplingConfig
from uniemo.evaluation.evaluator import Evaluator
from uniemo.evaluation.generation_metrics import nearest
from uniemo.evaluation.image_sources import images_from_model
from uniemo.metrics import DensityCoverage, EmotionAccuracy, FrechetDistance
from uniemo.model import UniEmo, load_model
from uniemo.study.ledger import Numbers
from uniemo.study.runs import joint
from uniemo.study.trial import Trial
from uniemo.utils.progress import track
from uniemo.vision.frozen_clip import frozen_clip
from uniemo.vision.images import GeneratedBatch


class TrialEvaluator:
    """The joint model of a trial, the judge, and the features of its real images.

    Args:
        trial: The trial; its joint training is run unless it is done.
    """

    def __init__(self, trial: Trial) -> None:
        self.experiment, self.device = trial.experiment, trial.experiment.device
        self.per_emotion = trial.profile.images
        self.module = self.load(joint(trial).checkpoint)
        self.data = self.experiment.data(self.module.clip_view, self.module.image_size)
        # The coverage of pretrained CLIP tells sets of images of a small head apart where that of
        # the judge's network hardly does.
        clip = frozen_clip(self.module.settings.clip, self.device)
        also = {"val": [clip]}
        evaluator = Evaluator(self.experiment, self.data, self.module.painter.diffusion, also)
        self.judge, self.distances = evaluator.judge, evaluator.networks.distances
        self.reference, in_clip = evaluator.features.load([evaluator.distances, clip], "val")
        self.clip = clip.network
        self.clip_reference = F.normalize(in_clip.features.to(self.device), dim=1)  # [V, E]
        self.training = F.normalize(evaluator.training.features.to(self.device), dim=1)  # [N, F]

    def load(self, checkpoint: Path) -> UniEmo:
        """Load a model to generate with."""
        return load_model(checkpoint).to(self.device).eval()

    def measure(self, module: UniEmo, sampling: SamplingConfig | None = None) -> Numbers:
        """Generate from a model's emotion space, by default as the experiment does, and measure."""
        size, sampling = self.experiment.evaluation.batch_size, sampling or self.experiment.sampling
        return self.measure_images(images_from_model(module, self.per_emotion, size, sampling))

    @torch.no_grad()
    def measure_images(self, batches: Iterable[GeneratedBatch]) -> Numbers:
        """Measure generated images.

        Args:
            batches: At least two images of every emotion.

        Returns:
            ``emo_a`` (of all emotions), ``fid`` (Frechet distance to the validation split by the
            experiment's ``fid_features``), ``density`` and ``coverage`` by the same,
            ``clip_coverage`` within each emotion by pretrained CLIP's unit features (mean over the
            emotions), and ``nearest_cosine``, the mean cosine to the nearest training image in
            the judge's features.
        """
        width, n_emotions = self.distances.width, len(self.data.emotions)
        frechet = FrechetDistance(width, self.distances.name).to(self.device)
        neighbours = DensityCoverage(width, num_classes=n_emotions).to(self.device)
        accuracy = EmotionAccuracy(self.data.emotions).to(self.device)
        real = self.reference.features.to(self.device)
        real_emotion = self.reference.emotion.to(self.device)
        frechet.update(real, real=True)
        neighbours.update(real, real_emotion, real=True)
        covered = DensityCoverage(self.clip.width, num_classes=n_emotions).to(self.device)
        covered.update(self.clip_reference, real_emotion, real=True)
        cosines = []
        for batch in track(batches, "Generating and measuring"):
            image, emotion = batch.image.to(self.device), batch.emotion.to(self.device)
            features = self.judge.network(image)  # [B, F]
            same = self.distances is self.judge.network
            distances = features if same else self.distances(image)  # [B, F]
            frechet.update(distances, real=False)
            neighbours.update(distances, emotion, real=False)
            covered.update(F.normalize(self.clip(image), dim=1), emotion, real=False)
            accuracy.update(self.judge.emotion(features), emotion)
            cosines.append(nearest(F.normalize(features, dim=1), self.training)[0])
        near = neighbours.compute()
        return {
            "emo_a": accuracy.compute()[f"emo_a_{n_emotions}"].item(),
            "fid": frechet.compute().item(),
            "density": near["density"].item(),
            "coverage": near["coverage"].item(),
            "clip_coverage": covered.compute()["coverage_per_emotion"].mean().item(),
            "nearest_cosine": torch.cat(cosines).mean().item(),
        }
