"""The painting half of :class:`UniEmo`: from an emotion, or a condition, to images.

Legend: B images, H their side in pixels, D width of the features.
"""

from abc import ABC, abstractmethod
from dataclasses import replace

import lightning
import torch
from torch import Tensor

from uniemo.batch import Features
from uniemo.config.model import DiffusionConfig
from uniemo.curriculum.requests import Request
from uniemo.diffusion import SamplingConfig, StableDiffusion, image_generator, sample
from uniemo.errors import UserError
from uniemo.fusion import Condition, EmotionSpace


class Painting(lightning.LightningModule, ABC):
    """What a model paints with; :class:`uniemo.model.uniemo.UniEmo` brings the parts."""

    head: StableDiffusion | None
    space: EmotionSpace
    sampling: SamplingConfig
    diffusion_config: DiffusionConfig
    seed: int

    @property
    def diffusion(self) -> StableDiffusion:
        """The diffusion head.

        Raises:
            UserError: If the model was built without one.
        """
        if self.head is None:
            raise UserError("this model has no diffusion head; set model.diffusion.source")
        return self.head

    @property
    def image_size(self) -> int | None:
        """Side of the pictures that the diffusion head paints; None without one."""
        return None if self.head is None else self.head.image_size

    @abstractmethod
    def express(self, features: Features, emotion: Tensor) -> Condition:
        """Return the pseudo-words that express emotions [B], fused from drawn features [B, D]."""

    @abstractmethod
    def belief(self, features: Features, emotion: Tensor) -> Tensor:
        """Return p(emotion | features) [B] of emotions [B], as read from drawn features [B, D]."""

    @torch.no_grad()
    def conditions(self, emotion: Tensor, index: Tensor, draws: int = 1) -> Condition:
        """Draw features for emotions [B] and images [B] of theirs, and fuse them.

        Args:
            emotion: What the images are to evoke.
            index: Number of each image within its emotion.
            draws: Of this many draws the one with the highest :meth:`belief` is fused.
        """
        generators = self._generators(emotion, index)
        drawn = [self.space.sample(emotion, generators) for _ in range(draws)]
        stacked = Features(*(torch.stack(f).to(self.device) for f in zip(*drawn, strict=True)))
        emotion = emotion.to(self.device)
        belief = self.belief(
            Features(*(f.flatten(0, 1) for f in stacked)), emotion.repeat(draws)
        ).view(draws, -1)
        surest, image = belief.argmax(0), torch.arange(len(emotion), device=self.device)
        return self.express(Features(*(f[surest, image] for f in stacked)), emotion)

    @torch.no_grad()
    def paint(
        self,
        condition: Condition,
        generators: list[torch.Generator],
        sampling: SamplingConfig | None = None,
        prompt: str | None = None,
    ) -> Tensor:
        """Paint one image for each condition.

        Args:
            condition: Of B images.
            generators: B generators on the CPU, one per image.
            sampling: How; the model's own settings if None.
            prompt: Another prompt that holds the pseudo-word ``*``.

        Returns:
            Images [B, 3, H, H] in [0, 1].
        """
        states = self.diffusion.condition(condition.word, prompt or self.diffusion_config.prompt)
        return sample(self.diffusion, states, generators, sampling or self.sampling)

    def predict_step(self, request: Request) -> tuple[Tensor, Condition]:
        """Paint the images of a request; see :meth:`generate`."""
        sampling = replace(
            self.sampling,
            guidance_scale=request.guidance_scale,
            num_inference_steps=request.num_inference_steps,
        )
        return self.generate(request.emotion, request.image_index, sampling)

    def generate(
        self, emotion: Tensor, index: Tensor, sampling: SamplingConfig | None = None
    ) -> tuple[Tensor, Condition]:
        """Paint image number ``index`` [B] of each ``emotion`` [B] from the emotion space.

        Image k of an emotion is the same whatever the batch it is painted in.

        Returns:
            Images [B, 3, H, H] in [0, 1], and their conditions.
        """
        sampling = sampling or self.sampling
        condition = self.conditions(emotion, index, sampling.draws)
        # A second stream: the first drew the features, however many numbers that took.
        generators = self._generators(emotion, index, stream=1)
        return self.paint(condition, generators, sampling), condition

    def _generators(self, emotion: Tensor, index: Tensor, stream: int = 0) -> list[torch.Generator]:
        pairs = zip(emotion.tolist(), index.tolist(), strict=True)
        return [image_generator(2 * self.seed + stream, e, k) for e, k in pairs]
