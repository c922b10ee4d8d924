"""L(theta), the noise-prediction loss (METHOD, "Understanding guides generation").

With alpha-bar of the head's noise schedule, x a scaled latent and e Gaussian noise:

    noisy = sqrt(alpha-bar_t) x + sqrt(1 - alpha-bar_t) e
    L(theta) = mean of (prediction - target)^2
    target = e                                               for prediction_type "epsilon"
    target = sqrt(alpha-bar_t) e - sqrt(1 - alpha-bar_t) x   for prediction_type "v_prediction"

Legend: B images, c, h latent channels and side, T tokens of a prompt, W width of the text encoder.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from uniemo.diffusion.stable_diffusion import StableDiffusion


class NoiseDraw(NamedTuple):
    """What is random in the loss."""

    noise: Tensor  # [B, c, h, h] float32, standard normal
    timestep: Tensor  # [B] long in [0, steps of the noise schedule)


def draw_noise(
    head: StableDiffusion, latents: Tensor, index: Tensor, seed: int, epoch: int
) -> NoiseDraw:
    """Draw each image's noise and timestep from (seed, epoch, row) alone.

    So a picture's loss does not depend on the batch it is in, nor on the number of processes.

    Args:
        head: Owner of the noise schedule.
        latents: [B, c, h, h], what the noise is for; the draw lies on their device.
        index: Row of each picture in its split [B] long.
        seed: Seed of the run.
        epoch: Number of the epoch; -1 for validation.
    """
    steps = head.scheduler.config.num_train_timesteps
    noise, timestep = [], []
    for row in index.tolist():
        # Python's hash of a tuple of integers is the same in every process.
        generator = torch.Generator().manual_seed(hash((seed, epoch, row)) % 2**32)
        noise.append(torch.randn(latents.shape[1:], generator=generator))
        timestep.append(torch.randint(steps, (), generator=generator))
    return NoiseDraw(
        torch.stack(noise).to(latents.device), torch.stack(timestep).to(latents.device)
    )


def noise_prediction_loss(
    head: StableDiffusion, latents: Tensor, conditioning: Tensor, draw: NoiseDraw
) -> Tensor:
    """Compute each image's noise-prediction error; L(theta) is its mean over the batch.

    Args:
        head: Frozen Stable Diffusion; its scheduler's config says what the U-Net predicts.
        latents: Scaled latents [B, c, h, h] float32.
        conditioning: Hidden states of the prompts [B, T, W].
        draw: Noise and timesteps.

    Returns:
        Mean squared error of each image [B] float32.
    """
    noisy = head.scheduler.add_noise(latents, draw.noise, draw.timestep)  # [B, c, h, h]
    if head.scheduler.config.prediction_type == "v_prediction":
        target = head.scheduler.get_velocity(latents, draw.noise, draw.timestep)
    else:
        target = draw.noise
    prediction = head.predict(noisy, draw.timestep, conditioning)  # [B, c, h, h]
    return (prediction - target).square().mean(dim=(1, 2, 3))  # [B]


def in_chunks(losses: Callable[[Tensor, slice], Tensor], words: Tensor, size: int) -> Tensor:
    """Compute losses of images a few at a time, their gradients at once (ours).

    The head is frozen, so all that a backward pass wants of it is the words' gradient. With that
    taken along with the loss, activations live for ``size`` images alone, and no step is computed
    twice. The result is differentiable once.

    Args:
        losses: From the words [b, W] of some images, and which images those are, to the loss of
            each [b], which must depend on its own word alone.
        words: Words of all images [B, W].
        size: Images at a time.

    Returns:
        The loss of each image [B].
    """
    if len(words) <= size:
        return losses(words, slice(0, len(words)))
    return _InChunks.apply(words, losses, size)


class _InChunks(torch.autograd.Function):
    """See :func:`in_chunks`."""

    @staticmethod
    def forward(
        ctx: Any, words: Tensor, losses: Callable[[Tensor, slice], Tensor], size: int
    ) -> Tensor:
        wanted = ctx.needs_input_grad[0]
        values: list[Tensor] = []
        gradients: list[Tensor] = []
        for start in range(0, len(words), size):
            part = slice(start, start + size)
            own = words[part].detach().requires_grad_(wanted)
            with torch.set_grad_enabled(wanted):
                value = losses(own, part)  # [b]
                if wanted:
                    gradients += torch.autograd.grad(value.sum(), own)
            values.append(value.detach())
        if wanted:
            ctx.save_for_backward(torch.cat(gradients))  # [B, W]
        return torch.cat(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[:, None] * ctx.saved_tensors[0], None, None
