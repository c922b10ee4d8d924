"""The settings of the phases, as the command line and YAML files name them.

Published: that images are generated, filtered, and understanding fine-tuned on real + kept ones.
How many, how filtered and how tuned are extensions (docs/method.md, "Generate and filter" and
"Finetune").
"""

from dataclasses import dataclass, field
from typing import Literal

from uniemo.config.model import StageRates
from uniemo.errors import UserError, check_least
from uniemo.filtering import FilterConfig


@dataclass
class PoolConfig:
    """Images generated with the same settings; pools of different guidance may be mixed."""

    guidance_scale: float
    """Classifier-free guidance of these images."""

    num_inference_steps: int
    """Denoising steps of these images."""

    share: float = 1.0
    """Share of the images of every emotion, relative to the other pools' shares."""

    def __post_init__(self) -> None:
        """Raise a UserError if a number is out of range."""
        check_least(self, "generate.pools", num_inference_steps=1, guidance_scale=0)
        if not self.share > 0:
            raise UserError(f"generate.pools.share is {self.share}; give a share above 0")


@dataclass
class GenerateConfig:
    """The generate phase: images for every emotion, and which of them are kept."""

    n_images: int = 1000
    """Images per emotion, of all pools together."""

    pools: list[PoolConfig] = field(default_factory=list)
    """Guidance and steps of one or more pools; empty for one with those of ``model.sampling``."""

    images: str | None = None
    """Folder ``<emotion>/*.png|jpg`` of another system, or made by hand, to be filtered in place of
    generated images; null to generate."""

    verifier: Literal["understanding", "clip_probe"] = "understanding"
    """Who checks an image's emotion: the trained understanding, or a linear probe on the frozen
    CLIP's features, which knows nothing of the training. Never the evaluation's judge."""

    filter: FilterConfig = field(default_factory=FilterConfig)
    """Thresholds and budget."""

    def __post_init__(self) -> None:
        """Raise a UserError if there would be no image."""
        check_least(self, "generate", n_images=1)


@dataclass
class CheckpointConfig:
    """How often the state of a training is saved, besides at the end of every epoch."""

    every_minutes: float = 30.0
    """Minutes between two saves: at most so much is done again after a crash. A signal to stop
    saves at once."""

    every_n_steps: int | None = None
    """Optimiser steps between two saves; null for minutes alone."""

    def __post_init__(self) -> None:
        """Raise a UserError if a number is out of range."""
        check_least(self, "checkpoints", every_minutes=0)
        if self.every_n_steps is not None:
            check_least(self, "checkpoints", every_n_steps=1)


@dataclass
class FinetuneConfig:
    """The finetune phase: understanding on real and kept images, without a diffusion head."""

    root: str | None = None
    """Folder in EmoSet's layout whose ``train.json`` lists the images to learn from, made by hand
    or by another system; null for what the generate phase kept."""

    ratio: float = 0.5
    """Generated images per real one in each epoch."""

    weight: float = 1.0
    """Weight of a generated image in L_U, a real one having 1."""

    epochs: int = 2
    """Epochs on real and generated images."""

    refresh_epochs: int = 1
    """Epochs after them that see real images alone, at the rates ``model.optimizer.refresh``, which
    move the heads only; 0 for none."""

    rates: StageRates = field(default_factory=lambda: StageRates(visual=4e-6, queries=2.5e-4))
    """Peak learning rates of the epochs on real and generated images."""

    def __post_init__(self) -> None:
        """Raise a UserError if there would be no epoch."""
        check_least(self, "finetune", epochs=1, refresh_epochs=0, ratio=0, weight=0)
