"""Textual inversion, one learnt word per emotion (Gal et al., ICLR 2023).

With the joint phase's latents, noise and number of steps, so that the comparison is fair.

Legend: B images, W width of the text encoder, C emotions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from uniemo.batch import Batch
from uniemo.config.experiment import Experiment
from uniemo.diffusion import (
    LatentCache,
    SamplingConfig,
    StableDiffusion,
    draw_noise,
    image_generator,
    noise_prediction_loss,
    sample,
)
from uniemo.emotions import N_EMOTIONS
from uniemo.evaluation.image_sources import emotion_index_batches
from uniemo.model.callbacks import LatentPass
from uniemo.vision.images import GeneratedBatch

LEARNING_RATE = 0.1  # in standard deviations of the real token embeddings (extension)


class LearntWords(lightning.LightningModule):
    """One word embedding for each emotion, learnt through the frozen head by L(theta).

    Args:
        head: The head.
        prompt: Holds the word's placeholder.
        cache: Folder of the latents.
        seed: Of the noise and of generated images.
    """

    stage = "joint"  # LatentPass reads it

    def __init__(self, head: StableDiffusion, prompt: str, cache: str, seed: int) -> None:
        super().__init__()
        self.save_hyperparameters("cache")  # LatentPass reads it
        self.prompt, self.seed = prompt, seed
        self.diffusion = head
        self.latents: LatentCache | None = None  # set by LatentPass
        self.mean, self.deviation = head.prompts.word_statistics()
        self.standard = nn.Parameter(torch.zeros(N_EMOTIONS, head.width))  # [C, W]

    def words(self, emotion: Tensor) -> Tensor:
        """Return the words [B, W] of emotions [B]."""
        standard = self.standard[emotion.to(self.standard.device)]  # [B, W]
        return self.mean.to(standard) + self.deviation.to(standard) * standard

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return L(theta)."""
        assert self.latents is not None  # LatentPass filled them
        latent = self.latents.lookup(batch["index"], batch["flipped"])
        states = self.diffusion.condition(self.words(batch["emotion"]), self.prompt)
        draw = draw_noise(self.diffusion, latent, batch["index"], self.seed, self.current_epoch)
        return noise_prediction_loss(self.diffusion, latent, states, draw).mean()

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
        for emotion, index in emotion_index_batches(per_emotion, batch_size):
            generators = [
                image_generator(2 * self.seed + 1, e, k)
                for e, k in zip(emotion.tolist(), index.tolist(), strict=True)
            ]
            states = self.diffusion.condition(self.words(emotion), self.prompt)
            yield GeneratedBatch(
                sample(self.diffusion, states, generators, sampling), emotion, index
            )


def learn_words(
    experiment: Experiment, head: StableDiffusion, view: tuple[int, Any, Any], folder: Path
) -> LearntWords:
    """Learn the words of an experiment's emotions.

    Args:
        experiment: The experiment; the words are learnt for its joint epochs.
        head: Its head.
        view: The input of its CLIP (size, mean, standard deviation).
        folder: The trainer's.
    """
    lightning.seed_everything(experiment.seed, verbose=False)
    model, trainer = experiment.config.model, experiment.config.trainer
    data = experiment.data(view, head.image_size)
    words = LearntWords(head, model.diffusion.prompt, model.cache, experiment.seed)
    fitter = lightning.Trainer(
        accelerator=trainer.accelerator,
        devices=1,
        precision=experiment.precision,
        max_epochs=trainer.max_epochs - model.understanding_epochs,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        limit_val_batches=0,
        callbacks=[LatentPass()],
    )
    fitter.fit(words, datamodule=data)
    return words.to(experiment.device).eval()
