from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn

from uniemo.backbones.denoiser import SCHEDULE
from uniemo.backbones.velocity_loss import MASK_WEIGHT, velocity_loss


class Nothing(nn.Module):
    """A U-Net that predicts 0."""

    def forward(self, noisy: Tensor, _time: Tensor, _states: Tensor) -> Any:
        return type("Output", (), {"sample": torch.zeros_like(noisy)})


@pytest.mark.parametrize("low_noise", [1.0, 2.0])
def test_velocity_loss_weighs_the_object_as_the_closed_form_says(low_noise: float) -> None:
    scheduler = DDPMScheduler(**SCHEDULE)
    latents, mask = torch.randn(3, 8, 4, 4), torch.rand(3, 4, 4)
    torch.manual_seed(5)
    states = torch.zeros(3, 16, 16)
    loss, error = velocity_loss(Nothing(), scheduler, latents, states, mask, low_noise)

    torch.manual_seed(5)
    noise = torch.randn_like(latents).numpy()
    quantile = (torch.rand(()).item() + np.arange(3) / 3) % 1
    time = (1000 * quantile**low_noise).astype(int)
    root = np.linspace(SCHEDULE["beta_start"] ** 0.5, SCHEDULE["beta_end"] ** 0.5, 1000)
    kept = np.cumprod(1 - root**2)[time][:, None, None, None]
    squared = (np.sqrt(kept) * noise - np.sqrt(1 - kept) * latents.numpy()) ** 2
    weight = np.broadcast_to(1 + MASK_WEIGHT * mask.numpy()[:, None], squared.shape)
    np.testing.assert_allclose(error, squared.mean(), rtol=1e-4)
    np.testing.assert_allclose(loss, np.average(squared, weights=weight), rtol=1e-4)
