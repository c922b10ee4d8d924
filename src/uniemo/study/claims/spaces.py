"""Which emotion space generates the best images (docs/method.md, "Emotion space")?"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from uniemo.batch import Features
from uniemo.config.model import EmotionSpaceConfig
from uniemo.fusion import EmotionSpace
from uniemo.model import UniEmo
from uniemo.study.claim import IMAGES, Claim
from uniemo.study.evaluators import TrialEvaluator
from uniemo.study.ledger import Numbers
from uniemo.study.trial import Trial
from uniemo.utils.progress import track

JITTER = 0.2


class EmotionSpaces(Claim):
    """All spaces are fitted in one pass, and generate the same images by emotion and number."""

    name = "spaces"
    title = "Emotion space: which one generates the best images?"
    about = (
        "All spaces are fitted to the same features of one joint checkpoint. Everything is "
        "compared with the validation split. The networks of the distances and of Emo-A's judge "
        "are frozen and trained by others; the judge's probe is fitted to real training images, as "
        "they are and as the VAE decodes them. Frechet distances of so few images compare only "
        "within a table. Coverage and density are of the distances' network over all emotions; "
        "coverage (CLIP) is of the pretrained CLIP that the model is built on, within each emotion."
    )
    arms = {
        "diagonal": "the published Gaussians, fe, fs and fo apart",
        "tied": "one low-rank Gaussian over [fe, fs, fo]",
        "mixture": "several modes over [fe, fs, fo]",
        "stored": f"features of training images, jittered by {JITTER}",
    }
    subject = "stored"
    controls = ("diagonal",)
    measures = IMAGES
    rated = True

    def settings(self, trial: Trial, arm: str) -> dict[str, Any]:
        """Add the jitter."""
        return super().settings(trial, arm) | {"jitter": JITTER}

    def run(self, trial: Trial, arms: Sequence[str]) -> Iterator[tuple[str, Numbers]]:
        """Fit the spaces, then generate and measure images."""
        evaluator = TrialEvaluator(trial)
        spaces = fit_spaces(evaluator.module, evaluator.data, arms)
        for arm in arms:
            evaluator.module.painter.space = spaces[arm]
            yield arm, evaluator.measure(evaluator.module)


@torch.inference_mode()
def fit_spaces(module: UniEmo, data: Any, kinds: Sequence[Any]) -> dict[str, EmotionSpace]:
    """Fit several emotion spaces to a model's features of the training split, in one pass."""
    width, n = module.understanding.chain.width, len(module.emotions)
    configs = {kind: EmotionSpaceConfig(kind, jitter=JITTER) for kind in kinds}
    spaces = {kind: own.build(width, n).to(module.device) for kind, own in configs.items()}
    for batch in track(data.plain_dataloader("train"), "Fitting the emotion spaces"):
        encoded = module.read(batch["clip_image"].to(module.device)).features
        features = Features(*(part.float() for part in encoded))
        emotion, index = (batch[key].to(module.device) for key in ("emotion", "index"))
        for space in spaces.values():
            space.update(features, emotion, index)
    for space in spaces.values():
        space.synchronise()
    return spaces
