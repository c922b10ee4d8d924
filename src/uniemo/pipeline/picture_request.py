"""What pictures are to be made from, and their denoising.

Legend: N pictures, W width of a word, c latent channels, h side of a latent, T tokens of a prompt.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from uniemo.diffusion import SamplingConfig, StableDiffusion, denoise, initial_noise
from uniemo.errors import UserError
from uniemo.fusion import Condition
from uniemo.model import Painter
from uniemo.pipeline.words import mix_means, neutral_word

MAX_INTENSITY = 2.0


@dataclass
class PictureRequest:
    """What N pictures are to be made from."""

    painter: Painter
    condition: Condition
    generators: list[torch.Generator]
    how: SamplingConfig
    prompt: str | None
    intensity: float
    negative: Mapping[int, float] | None  # weights by label index
    origin: Tensor | None = None  # the word [1, W] of intensity 0; None for the neutral one

    def __post_init__(self) -> None:
        """Check the intensity.

        Raises:
            UserError: If it is out of range.
        """
        if not 0 <= self.intensity <= MAX_INTENSITY:
            raise UserError(f"intensity is {self.intensity}; give 0 to {MAX_INTENSITY:g}")

    def states(self, head: StableDiffusion, prompt: str) -> Tensor:
        """Return the prompt's hidden states [N, T, W], as intense as asked for.

        They are moved, not the words: the text encoder normalises a word's length away, so that
        half the way of the word is most of the way of the states.
        """
        states = head.condition(self.condition.word, prompt)
        if self.intensity == 1:
            return states
        word = neutral_word(self.painter) if self.origin is None else self.origin
        origin = head.condition(word, prompt)  # [1, T, W]
        return origin + self.intensity * (states - origin)

    def unconditional(self, head: StableDiffusion, prompt: str) -> Tensor | None:
        """Return the hidden states to guide away from: [1, T, W]; None without guidance."""
        if self.how.guidance_scale == 1:
            if self.negative is not None:
                raise UserError("negative has no effect at guidance_scale 1; give a higher one")
            return None
        if self.negative is None:
            return head.prompts.encode([""])
        away = mix_means(self.painter, self.negative)
        return head.condition(away[None], prompt)

    def latents(
        self,
        prompt: str,
        scheduler: Any,
        on_step_end: Callable[[int, Tensor, Tensor], Tensor],
        start: Tensor | None = None,
        first: int = 0,
    ) -> Tensor:
        """Denoise the pictures, from noise or from a noised latent.

        Args:
            prompt: Where the words stand.
            scheduler: diffusers' scheduler, whose kind and settings are used.
            on_step_end: (step, timestep, latent) -> latent, after each step.
            start: Latent [1, c, h, h] to be noised; None for noise alone.
            first: Steps that are left out where there is a start.

        Returns:
            Scaled latents [N, c, h, h].
        """
        head, how = self.painter.diffusion, self.how
        conditioning = self.states(head, prompt)  # [N, T, W]
        unconditional = self.unconditional(head, prompt)
        latents = []
        for i in range(0, len(conditioning), how.batch_size):
            batch = slice(i, i + how.batch_size)
            generators = self.generators[batch]
            # A scheduler of its own for each batch and call: multistep ones have a state.
            own = type(scheduler).from_config(scheduler.config)
            own.set_timesteps(how.num_inference_steps)
            noise = initial_noise(head, generators)
            if start is None:
                noisy = noise * own.init_noise_sigma
            else:
                begin = first * own.order
                if hasattr(own, "set_begin_index"):
                    own.set_begin_index(begin)
                noisy = own.add_noise(
                    start.expand_as(noise), noise, own.timesteps[begin : begin + 1]
                )
            part = (noisy, conditioning[batch], unconditional, how.guidance_scale, generators)
            latents.append(denoise(head, own, *part, first, on_step_end))
        return torch.cat(latents)
