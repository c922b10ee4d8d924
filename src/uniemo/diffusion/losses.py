"""The noise-prediction loss L(theta) (docs/method.md, "Noise-prediction loss").

With alpha-bar of the noise schedule, a scaled latent x and Gaussian noise e:

    noisy = sqrt(alpha-bar_t) x + sqrt(1 - alpha-bar_t) e
    L(theta) = mean of (prediction - target)^2
    target = e                                               for prediction_type "epsilon"
    target = sqrt(alpha-bar_t) e - sqrt(1 - alpha-bar_t) x   for prediction_type "v_prediction"

Sources: Ho et al. (NeurIPS 2020); velocity: Salimans and Ho (ICLR 2022).

Legend: B images, b of a chunk, c latent channels, h side length of a latent, T tokens of a prompt,
W width of the text encoder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from uniemo.diffusion.stable_diffusion import StableDiffusion


class NoiseDraw(NamedTuple):
    """The random numbers of the loss."""

    noise: Tensor  # [B, c, h, h] float32, standard normal
    timestep: Tensor  # [B] long in [0, steps of the noise schedule)

    def rows(self, part: slice) -> Self:
        """Return those of some images of the batch."""
        return type(self)(self.noise[part], self.timestep[part])


@dataclass(frozen=True)
class NoiseSource:
    """Draws each image's noise and timestep as a function of (seed, epoch, row) alone (extension).

    An image's loss then depends neither on its batch nor on the number of processes. It holds no
    weights, so that a loader's workers can draw.
    """

    shape: tuple[int, int, int]
    """(c, h, h)."""
    steps: int
    """Of the noise schedule."""
    seed: int
    """Of the run."""

    @classmethod
    def of(cls, head: StableDiffusion, seed: int) -> Self:
        """Return the source for a head's latents and noise schedule."""
        return cls(head.latent_shape, head.scheduler.config.num_train_timesteps, seed)

    def draw(self, index: Tensor, epoch: int) -> NoiseDraw:
        """Draw on the CPU.

        Args:
            index: Row of each image in its split [B] long.
            epoch: Number of the epoch; -1 for validation.

        Returns:
            Noise and timesteps on the device of the index.
        """
        noise, timestep = [], []
        for row in index.tolist():
            # Python's hash of a tuple of integers is the same in every process.
            generator = torch.Generator().manual_seed(hash((self.seed, epoch, row)) % 2**32)
            noise.append(torch.randn(self.shape, generator=generator))
            timestep.append(torch.randint(self.steps, (), generator=generator))
        drawn = NoiseDraw(torch.stack(noise), torch.stack(timestep))
        return NoiseDraw(*(part.to(index.device) for part in drawn))


def noise_prediction_loss(
    head: StableDiffusion, latents: Tensor, conditioning: Tensor, draw: NoiseDraw
) -> Tensor:
    """Compute the noise-prediction loss of each image; L(theta) is the mean over the batch.

    Args:
        head: Frozen Stable Diffusion; its scheduler's ``prediction_type`` sets the target.
        latents: Scaled latents [B, c, h, h] float32.
        conditioning: Hidden states of the prompts [B, T, W].
        draw: Noise and timesteps.

    Returns:
        Mean squared error of each image [B] float32, differentiable with respect to the
        conditioning.
    """
    noisy = head.scheduler.add_noise(latents, draw.noise, draw.timestep)  # [B, c, h, h]
    if head.scheduler.config.prediction_type == "v_prediction":
        target = head.scheduler.get_velocity(latents, draw.noise, draw.timestep)
    else:
        target = draw.noise
    prediction = head.predict(noisy, draw.timestep, conditioning)  # [B, c, h, h]
    return (prediction - target).square().mean(dim=(1, 2, 3))  # [B]


def in_chunks(
    losses: Callable[[Tensor, slice], Tensor], inputs: Tensor, size: int, scale: float = 1.0
) -> Tensor:
    """Compute losses chunk by chunk, each with its gradient, to save memory (extension).

    The head is frozen, so the backward pass needs only the gradient with respect to the inputs. It
    is computed together with the loss, so activations of one chunk are in memory at a time and
    nothing is computed twice. The result cannot be differentiated a second time.

    Args:
        losses: Function from the inputs of a chunk [b, ...] and its slice of the batch to the loss
            of each image [b]; each loss may depend on the image's own input only.
        inputs: Of all images [B, ...], such as the hidden states of their prompts.
        size: Images per chunk.
        scale: Gradients are computed of the losses times this number and then divided by it, since
            small ones would be lost in float16: the caller's own loss scaling comes too late.

    Returns:
        The loss of each image [B].
    """
    if len(inputs) <= size:
        return losses(inputs, slice(0, len(inputs)))
    return _InChunks.apply(inputs, losses, size, scale)


class _InChunks(torch.autograd.Function):
    """See :func:`in_chunks`."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        losses: Callable[[Tensor, slice], Tensor],
        size: int,
        scale: float,
    ) -> Tensor:
        needs_gradient = ctx.needs_input_grad[0]
        values: list[Tensor] = []
        gradients: list[Tensor] = []
        for start in range(0, len(inputs), size):
            part = slice(start, start + size)
            own = inputs[part].detach().requires_grad_(needs_gradient)
            with torch.set_grad_enabled(needs_gradient):
                value = losses(own, part)  # [b]
                if needs_gradient:
                    gradients += torch.autograd.grad(scale * value.sum(), own)
            values.append(value.detach())
        if needs_gradient:
            ctx.save_for_backward(torch.cat(gradients) / scale)  # [B, ...]
        return torch.cat(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (own,) = ctx.saved_tensors
        return gradient.view(-1, *[1] * (own.ndim - 1)) * own, None, None, None
