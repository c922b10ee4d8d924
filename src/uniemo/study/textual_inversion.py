"""Textual inversion, one learnt word per emotion (Gal et al., ICLR 2023).

With the joint phase's latents, noise and number of steps, so that the comparison is fair.

Legend: B images, W width of the text encoder, C emotions.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from uniemo.batch import Batch
from uniemo.config.experiment import Experiment
from uniemo.config.model import ModelSettings
from uniemo.diffusion import (
    NoiseDraw,
    SamplingConfig,
    StableDiffusion,
    image_generator,
    noise_prediction_loss,
    sample,
)
from uniemo.evaluation.image_sources import emotion_index_batches
from uniemo.model.callbacks import LatentPass
from uniemo.vision.images import GeneratedBatch

LEARNING_RATE = 0.1  # in standard deviations of the real token embeddings (extension)


class LearntWords(lightning.LightningModule):
    """One word embedding for each emotion, learnt through the frozen head by L(theta).

    Args:
        head: The head.
        prompt: Holds the word's placeholder.
        settings: Of the model; the cache of the latents, and the seed of noise and images.
    """

    stage = "joint"  # LatentPass reads it, head and settings

    def __init__(self, head: StableDiffusion, prompt: str, settings: ModelSettings) -> None:
        super().__init__()
        self.prompt, self.seed = prompt, settings.seed
        self.head, self.settings = head, settings
        self.mean, self.deviation = head.prompts.word_statistics()
        self.standard = nn.Parameter(torch.zeros(len(settings.emotions), head.width))  # [C, W]

    def words(self, emotion: Tensor) -> Tensor:
        """Return the words [B, W] of emotions [B]."""
        standard = self.standard[emotion.to(self.standard.device)]  # [B, W]
        return self.mean.to(standard) + self.deviation.to(standard) * standard

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return L(theta)."""
        latent = batch["latent"].float()
        states = self.head.condition(self.words(batch["emotion"]), self.prompt)
        draw = NoiseDraw(batch["noise"], batch["timestep"])
        return noise_prediction_loss(self.head, latent, states, draw).mean()

    def configure_optimizers(self) -> Any:
        """Return Adam with a cosine."""
        optimizer = torch.optim.Adam([self.standard], LEARNING_RATE)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    @torch.no_grad()
    def images(
        self, per_emotion: int, batch_size: int, sampling: SamplingConfig
    ) -> Iterator[GeneratedBatch]:
        """Generate images 0, 1, ... of every emotion, from the same noise as UniEmo."""
        for emotion, index in emotion_index_batches(len(self.standard), per_emotion, batch_size):
            pairs = zip(emotion.tolist(), index.tolist(), strict=True)
            generators = [image_generator(2 * self.seed + 1, *pair) for pair in pairs]
            states = self.head.condition(self.words(emotion), self.prompt)
            yield GeneratedBatch(sample(self.head, states, generators, sampling), emotion, index)


def learn_words(
    experiment: Experiment, head: StableDiffusion, prompt: str, view: Any, folder: Path
) -> LearntWords:
    """Learn the words of an experiment's emotions, for as many epochs as its joint ones.

    Args:
        experiment: The experiment.
        head: Its head.
        prompt: Its prompt.
        view: The input of its CLIP (size, mean, standard deviation).
        folder: The trainer's.
    """
    lightning.seed_everything(experiment.seed, verbose=False)
    trainer = experiment.trainer
    joint = experiment.changed({"model.understanding_epochs": 0})
    data = joint.data(view, head.image_size)
    words = LearntWords(head, prompt, replace(joint.model, emotions=data.emotions))
    fitter = lightning.Trainer(
        accelerator=trainer["accelerator"],
        devices=1,
        precision=experiment.precision,
        max_epochs=trainer["max_epochs"] - experiment.model.understanding_epochs,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        limit_val_batches=0,
        callbacks=[LatentPass()],
    )
    fitter.fit(words, datamodule=data)
    return words.to(experiment.device).eval()
