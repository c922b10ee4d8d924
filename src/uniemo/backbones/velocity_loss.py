"""The loss of velocity prediction, weighted by where the object is.

Legend: B images of a batch, c, h latent channels and side, T tokens of a caption, W width of the
text encoder.
"""

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import Tensor

MASK_WEIGHT = 3.0
"""The loss of a latent pixel weighs 1 + this x the share of it that the object covers."""


def velocity_loss(
    unet: UNet2DConditionModel,
    scheduler: DDPMScheduler,
    latents: Tensor,
    states: Tensor,
    mask: Tensor,
    low_noise: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Return the squared velocity error, weighted by where the object is, and the plain one.

    A velocity's target is sqrt(alpha-bar_t) e - sqrt(1 - alpha-bar_t) x (arXiv 2202.00512); noise e
    and timesteps t come from torch's global generator, the latter evenly spread over the batch as
    in arXiv 2107.00630: row i of B gets the quantile u + i / B, modulo 1.

    Args:
        unet: Predicts velocities.
        scheduler: The noise schedule.
        latents: x [B, c, h, h].
        states: Hidden states of the captions [B, T, W].
        mask: Share of each latent pixel that the object covers [B, h, h].
        low_noise: Exponent on the quantile that t comes from; above 1 prefers little noise.

    Returns:
        Two scalars.
    """
    latents = latents.float()  # an autoencoder under autocast gives fewer bits
    noise = torch.randn_like(latents)
    steps = scheduler.config.num_train_timesteps
    rows = torch.arange(len(latents), device=latents.device) / len(latents)
    uniform = (torch.rand((), device=latents.device) + rows) % 1
    time = (steps * uniform**low_noise).long().clamp(max=steps - 1)
    noisy = scheduler.add_noise(latents, noise, time)
    target = scheduler.get_velocity(latents, noise, time)
    error = (unet(noisy, time, states).sample.float() - target).square()  # [B, c, h, h]
    weight = 1 + MASK_WEIGHT * mask[:, None]  # [B, 1, h, h]
    return (weight * error).mean() / weight.mean(), error.mean()
