"""From an emotion, or a condition, to images.

Legend: B images, H their side in pixels, D width of the features.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from uniemo.batch import Features
from uniemo.diffusion import SamplingConfig, StableDiffusion, image_generator, sample
from uniemo.errors import UserError
from uniemo.fusion import Condition, EmotionSpace, Fusion
from uniemo.understanding import Understanding, UnderstandingOutput


def read_features(
    understanding: Understanding, fusion: Fusion, features: Features
) -> UnderstandingOutput:
    """Read features [B, D], of images or drawn; the bases' evidence is part of the logits."""
    output = understanding.read_features(features)
    scales = understanding.scene_scale(), understanding.object_scale()
    evidence = fusion.evidence_logits(output.scene, output.object, *scales)
    return output._replace(logits=output.logits + evidence)


class Painter(nn.Module):
    """Emotion space and diffusion head: draws features, fuses them and denoises images.

    Source: docs/method.md, "Emotion space" and "Sampling".

    Args:
        understanding: Reads drawn features; registered elsewhere.
        fusion: Fuses them into words; registered elsewhere.
        space: The emotion space.
        head: The diffusion head; None for a model that only understands.
        sampling: How images are denoised.
        prompt: The prompt; its ``*`` is the pseudo-word.
        seed: With emotion and index, all that an image depends on.
    """

    def __init__(
        self,
        understanding: Understanding,
        fusion: Fusion,
        space: EmotionSpace,
        head: StableDiffusion | None,
        sampling: SamplingConfig | None = None,
        prompt: str = "a *",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._reader = (understanding, fusion)  # in a tuple, so that neither is registered twice
        self.space = space
        self.head = head
        self.sampling = sampling or SamplingConfig()
        self.prompt = prompt
        self.seed = seed

    @property
    def diffusion(self) -> StableDiffusion:
        """The diffusion head.

        Raises:
            UserError: If the model was built without one.
        """
        if self.head is None:
            raise UserError("this model has no diffusion head; set model.diffusion.source")
        return self.head

    @torch.no_grad()
    def draw_conditions(self, emotion: Tensor, index: Tensor, draws: int = 1) -> Condition:
        """Draw features for emotions [B] and images [B] of theirs, and fuse them.

        Args:
            emotion: What the images are to evoke.
            index: Number of each image within its emotion.
            draws: Of this many draws the one with the highest p(emotion | features) is fused
                (extension; published: 1).
        """
        generators = self.generators(emotion, index)
        drawn = [self.space.sample(emotion, generators) for _ in range(draws)]
        device = self.diffusion.device
        stacked = Features(*(torch.stack(f).to(device) for f in zip(*drawn, strict=True)))
        emotion = emotion.to(device)
        flat = Features(*(f.flatten(0, 1) for f in stacked))
        confidence = self.confidence(flat, emotion.repeat(draws)).view(draws, -1)
        best, image = confidence.argmax(0), torch.arange(len(emotion), device=device)
        return self.fuse_features(Features(*(f[best, image] for f in stacked)), emotion)

    def confidence(self, features: Features, emotion: Tensor) -> Tensor:
        """Return p(emotion | features) [B] of emotions [B], as read from features [B, D]."""
        output = read_features(*self._reader, features)
        probability = output.logits.float().softmax(1)  # [B, C]
        return probability.gather(1, emotion[:, None]).squeeze(1)

    def fuse_features(self, features: Features, emotion: Tensor) -> Condition:
        """Return the pseudo-words that express emotions [B], fused from features [B, D]."""
        understanding, fusion = self._reader
        output = understanding.read_features(features)
        return fusion(features, output.scene, output.object, emotion)

    @torch.no_grad()
    def paint(
        self,
        condition: Condition,
        generators: list[torch.Generator],
        sampling: SamplingConfig | None = None,
    ) -> Tensor:
        """Denoise B conditions to images [B, 3, H, H] in [0, 1].

        Args:
            condition: Of B images.
            generators: B generators on the CPU, one per image.
            sampling: How; the painter's own settings if None.
        """
        states = self.diffusion.condition(condition.word, self.prompt)
        return sample(self.diffusion, states, generators, sampling or self.sampling)

    def generate(
        self, emotion: Tensor, index: Tensor, sampling: SamplingConfig | None = None, **how: float
    ) -> tuple[Tensor, Condition]:
        """Generate image number ``index`` [B] of each ``emotion`` [B] from the emotion space.

        Image k of an emotion is the same, to rounding, whatever the batch it is generated in.

        Args:
            emotion: [B] long, what the images are to evoke.
            index: [B] long, number of each image within its emotion.
            sampling: How; the painter's own settings if None.
            how: Fields of the sampling settings to replace, such as ``guidance_scale=5.0``.

        Returns:
            Images [B, 3, H, H] in [0, 1], and their conditions.
        """
        sampling = replace(sampling or self.sampling, **how)  # type: ignore[arg-type]
        condition = self.draw_conditions(emotion, index, sampling.draws)
        # A second stream: the first drew the features, however many numbers that took.
        generators = self.generators(emotion, index, stream=1)
        return self.paint(condition, generators, sampling), condition

    def generators(self, emotion: Tensor, index: Tensor, stream: int = 0) -> list[torch.Generator]:
        """Return the random generators of images [B] of emotions [B].

        Args:
            emotion: [B] long.
            index: [B] long, number of each image within its emotion.
            stream: 0 for drawing features, 1 for the noise that is denoised.
        """
        pairs = zip(emotion.tolist(), index.tolist(), strict=True)
        return [image_generator(2 * self.seed + stream, e, k) for e, k in pairs]
