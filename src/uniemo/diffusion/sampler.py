"""Sampling of images with classifier-free guidance (docs/method.md, "Sampling").

Every image has a random generator of its own (extension), so it does not depend on the batch in
which it is sampled.

Legend: N images, n of a batch, c latent channels, h side length of a latent, H of an image, T
tokens of a prompt, W width of the text encoder.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uniemo.diffusion.stable_diffusion import StableDiffusion
from uniemo.emotions import MAX_EMOTIONS
from uniemo.errors import UserError, check_least

MAX_INDEX = 2**26
"""Images per emotion with distinct seeds: of 32 bits, six hold the emotion."""


@dataclass
class SamplingConfig:
    """How images are denoised."""

    scheduler: str = "UniPCMultistepScheduler"
    """Class name of a diffusers scheduler; it uses the noise schedule of the Stable Diffusion."""

    num_inference_steps: int = 50
    """Denoising steps per image."""

    guidance_scale: float = 7.5
    """Scale of classifier-free guidance. Higher values follow the condition more closely and are
    less diverse; 1.0 disables guidance and halves the computation."""

    batch_size: int = 8
    """Images sampled at once. Lower it to save memory; the images stay the same."""

    draws: int = 1
    """Features drawn from the emotion space per image, of which those with the highest probability
    of the requested emotion are used (extension; published: 1). Higher values follow the emotion
    more closely and are less diverse."""

    def __post_init__(self) -> None:
        """Raise a UserError if draws, steps or batch size are below 1."""
        check_least(self, "sampling", draws=1, num_inference_steps=1, batch_size=1)


def image_generator(seed: int, emotion: int, index: int) -> torch.Generator:
    """Return the CPU generator of one image, a function of (seed, emotion, index) alone.

    PyTorch's CPU generator uses only 32 bits of its seed, so a hash as seed would give two images
    of a large set the same noise (with probability 0.6 among 94,000 images). Here emotion (6 bits)
    and index (26 bits) form a 32-bit number, to which a permutation that depends on ``seed`` is
    applied: for one seed, no two images share a generator. The emotion's lower three bits come
    first, so that eight emotions have the seeds that they had when there were no more.

    Args:
        seed: Seed of the run, 0 or more.
        emotion: Label index, 0 to 63.
        index: Number of the image within its emotion, below 2**26.

    Raises:
        ValueError: If an argument is out of range.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must not be negative")
    if not 0 <= emotion < MAX_EMOTIONS:
        raise ValueError(f"emotion is {emotion}; it must lie in [0, {MAX_EMOTIONS})")
    if not 0 <= index < MAX_INDEX:
        raise ValueError(f"index is {index}; it must lie in [0, {MAX_INDEX})")
    bits = (emotion % 8) << 29 | (emotion // 8) << 26 | index
    for key in np.random.SeedSequence(seed).generate_state(3):
        bits = _mix(bits ^ int(key))
    return torch.Generator().manual_seed(bits)


def _mix(bits: int) -> int:
    """Permute the 32-bit numbers (the finaliser of MurmurHash3, public domain)."""
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
    """Sample one image per condition (Ho and Salimans, 2022; Zhao et al., NeurIPS 2023: UniPC).

    Args:
        head: Frozen Stable Diffusion.
        conditioning: Hidden states of the prompts [N, T, W], from ``head.condition``.
        generators: N generators on the CPU, one per image, which this call advances; from
            :func:`image_generator`.
        config: All but its ``draws`` has an effect.
        progress: Called after each batch with the number of images sampled so far.

    Returns:
        Images [N, 3, H, H] float32 in [0, 1] on the head's device.

    Raises:
        ValueError: If the numbers of conditions and generators differ.
        UserError: If the scheduler does not exist or does not fit Stable Diffusion.
    """
    if len(conditioning) != len(generators):
        raise ValueError(
            f"got {len(generators)} generators for {len(conditioning)} conditions; give one each"
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
    # A new scheduler per batch, because multistep schedulers have a state.
    scheduler = build_scheduler(head, config.scheduler)
    scheduler.set_timesteps(config.num_inference_steps)
    latents = initial_noise(head, generators) * scheduler.init_noise_sigma
    return head.decode(
        denoise(
            head, scheduler, latents, conditioning, unconditional, config.guidance_scale, generators
        )
    )


def initial_noise(head: StableDiffusion, generators: Sequence[torch.Generator]) -> Tensor:
    """Draw the noise of each image: [n, c, h, h] float32 on the head's device.

    It is drawn on the CPU, so that it is the same on every device.
    """
    noise = [torch.randn(head.latent_shape, generator=generator) for generator in generators]
    return torch.stack(noise).to(head.device)


@torch.no_grad()
def denoise(
    head: StableDiffusion,
    scheduler: Any,
    latents: Tensor,
    conditioning: Tensor,
    unconditional: Tensor | None,
    guidance_scale: float,
    generators: list[torch.Generator],
    first_step: int = 0,
    on_step_end: Callable[[int, Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """Denoise the latents of one batch with classifier-free guidance.

    Args:
        head: Frozen Stable Diffusion.
        scheduler: A diffusers scheduler with its timesteps set, on the CPU, so that looking up the
            step waits for no GPU; used by no other batch.
        latents: Noisy latents [n, c, h, h] at the timestep of the first step.
        conditioning: Hidden states of the prompts [n, T, W].
        unconditional: Hidden states to guide away from, [1, T, W] or [n, T, W]; None for no
            guidance.
        guidance_scale: Scale of the guidance; no effect without ``unconditional``.
        generators: One per image, for schedulers that draw noise in every step.
        first_step: Steps to leave out, for latents that are partly denoised.
        on_step_end: Called with the step's number, its timestep and the latents, which it returns,
            changed or not.

    Returns:
        Scaled latents [n, c, h, h] float32.
    """
    n = len(latents)
    accepts_generator = "generator" in inspect.signature(scheduler.step).parameters
    extra = {"generator": generators} if accepts_generator else {}
    if unconditional is not None:  # one batch holds the unconditional and the conditional half
        conditioning = torch.cat([unconditional.expand(n, -1, -1), conditioning.to(unconditional)])
    timesteps = scheduler.timesteps[first_step * scheduler.order :]
    for step, (timestep, own) in enumerate(zip(timesteps, timesteps.to(head.device), strict=True)):
        scaled = scheduler.scale_model_input(latents, timestep)
        if unconditional is None:
            prediction = head.predict(scaled, own, conditioning)
        else:
            without, given = head.predict(torch.cat([scaled] * 2), own, conditioning).chunk(2)
            prediction = without + guidance_scale * (given - without)
        with torch.autocast(head.device.type, enabled=False):  # corrections need float32
            latents = scheduler.step(prediction, timestep, latents, **extra).prev_sample
        if on_step_end is not None:
            latents = on_step_end(step, timestep, latents)
    return latents


def build_scheduler(head: StableDiffusion, name: str) -> Any:
    """Build a diffusers scheduler, by its class's name, with the noise schedule of a head.

    Raises:
        UserError: If the scheduler does not exist or does not fit Stable Diffusion.
    """
    known = {scheduler.__name__: scheduler for scheduler in head.scheduler.compatibles}
    if name not in known:
        raise UserError(f"scheduler {name!r} is unknown; choose one of {', '.join(sorted(known))}")
    return known[name].from_config(head.scheduler.config)
