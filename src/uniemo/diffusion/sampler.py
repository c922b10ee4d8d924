"""Images from conditions, by classifier-free guidance, each image from its own generator.

Source: METHOD, "Understanding guides generation" (50 UniPC steps, guidance 7.5). Because an image's
noise comes from a generator of its own, image k does not depend on the batch it is made in.

Legend: N images, c, h latent channels and side, H side of a picture, T tokens of a prompt, W width
of the text encoder.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uniemo.diffusion.stable_diffusion import StableDiffusion
from uniemo.emotions import N_EMOTIONS
from uniemo.errors import UserError

MAX_INDEX = 2**29
"""Images per emotion that have distinct seeds: three bits of 32 tell the emotion."""


@dataclass
class SamplingConfig:
    """How images are drawn and denoised."""

    scheduler: str = "UniPCMultistepScheduler"
    """Name of a diffusers scheduler; it takes over the Stable Diffusion's own noise schedule."""

    num_inference_steps: int = 50
    """Denoising steps per image."""

    guidance_scale: float = 7.5
    """Classifier-free guidance: higher is truer to the condition and less diverse. 1.0 switches it
    off and halves the work."""

    batch_size: int = 8
    """Images denoised at once. Only speed and memory depend on it."""

    draws: int = 1
    """Features drawn from the emotion space for an image; those that the emotion head reads the
    emotion from most surely are painted (ours; published: 1). More is truer and less diverse."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            UserError: If draws, steps or batch size are below 1.
        """
        for name in ("draws", "num_inference_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1")


def image_generator(seed: int, emotion: int, index: int) -> torch.Generator:
    """Make the generator of one image, a function of (seed, emotion, index) alone.

    torch's CPU generator keeps only 32 bits of its seed, so a plain hash would give two images of a
    large pool the same noise (at 94,000 images with probability 0.6). Instead the emotion (3 bits)
    and the index (29 bits) are laid side by side and sent through a permutation of the 32-bit
    numbers that depends on the seed: within one seed no two images can share a generator.

    Args:
        seed: Any non-negative seed.
        emotion: Label index, 0 to 7.
        index: Number of the image within its emotion, below 2**29.

    Returns:
        A generator on the CPU.

    Raises:
        ValueError: If a number is out of range.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must not be negative")
    if not 0 <= emotion < N_EMOTIONS:
        raise ValueError(f"emotion is {emotion}; it must lie in [0, {N_EMOTIONS})")
    if not 0 <= index < MAX_INDEX:
        raise ValueError(f"index is {index}; it must lie in [0, {MAX_INDEX})")
    bits = emotion * MAX_INDEX + index
    for key in np.random.SeedSequence(seed).generate_state(3):
        bits = _mix(bits ^ int(key))
    return torch.Generator().manual_seed(bits)


def _mix(bits: int) -> int:
    """Scramble a 32-bit number by a bijection (the finaliser of MurmurHash3, public domain)."""
    bits = (bits ^ bits >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    bits = (bits ^ bits >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return bits ^ bits >> 16


@torch.no_grad()
def sample(
    head: StableDiffusion,
    conditioning: Tensor,
    generators: Sequence[torch.Generator],
    config: SamplingConfig,
    progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Denoise one image for each condition.

    Args:
        head: Frozen Stable Diffusion.
        conditioning: Hidden states of the prompts [N, T, W].
        generators: N generators on the CPU, one for each image; each is advanced.
        config: Scheduler, steps, guidance, batch size.
        progress: Called after each batch with the number of images finished so far.

    Returns:
        Images [N, 3, H, H] float32 in [0, 1] on the head's device.

    Raises:
        ValueError: If the numbers of conditions and generators differ.
        UserError: If the scheduler is not one for Stable Diffusion.
    """
    if len(conditioning) != len(generators):
        raise ValueError(
            f"{len(conditioning)} conditions need as many generators, not {len(generators)}"
        )
    unconditional = None if config.guidance_scale == 1 else head.prompts.encode([""])  # [1, T, W]
    images = []
    for start in range(0, len(generators), config.batch_size):
        chunk = slice(start, start + config.batch_size)
        images.append(
            _denoise(head, conditioning[chunk], unconditional, list(generators[chunk]), config)
        )
        if progress is not None:
            progress(min(start + config.batch_size, len(generators)))
    return torch.cat(images)


def _denoise(
    head: StableDiffusion,
    conditioning: Tensor,
    unconditional: Tensor | None,
    generators: list[torch.Generator],
    config: SamplingConfig,
) -> Tensor:
    """Denoise one batch [n, T, W] to images [n, 3, H, H]."""
    n = len(generators)
    # 1. A fresh scheduler, because multistep ones remember the batch before.
    scheduler = build_scheduler(head, config.scheduler)
    scheduler.set_timesteps(config.num_inference_steps, device=head.device)
    draws = "generator" in inspect.signature(scheduler.step).parameters
    extra = {"generator": generators} if draws else {}

    # 2. Initial noise, drawn on the CPU in float32 whatever the device and format of the U-Net.
    noise = [torch.randn(head.latent_shape, generator=generator) for generator in generators]
    latents = torch.stack(noise).to(head.device) * scheduler.init_noise_sigma  # [n, c, h, h]

    # 3. With guidance each step runs the unconditional and the conditional half as one batch.
    if unconditional is not None:
        conditioning = torch.cat([unconditional.expand(n, -1, -1), conditioning.to(unconditional)])
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(latents, timestep)
        if unconditional is None:
            prediction = head.predict(scaled, timestep, conditioning)
        else:
            without, given = head.predict(torch.cat([scaled] * 2), timestep, conditioning).chunk(2)
            prediction = without + config.guidance_scale * (given - without)
        with torch.autocast(head.device.type, enabled=False):  # half would round the corrections
            latents = scheduler.step(prediction, timestep, latents, **extra).prev_sample

    # 4. Back to pixels.
    return head.decode(latents)


def build_scheduler(head: StableDiffusion, name: str) -> Any:
    """Build a diffusers scheduler by its class name on the head's noise schedule.

    Raises:
        UserError: If it is no scheduler for Stable Diffusion.
    """
    known = {scheduler.__name__: scheduler for scheduler in head.scheduler.compatibles}
    if name not in known:
        raise UserError(f"scheduler {name!r} is unknown; choose one of {', '.join(sorted(known))}")
    return known[name].from_config(head.scheduler.config)
