from pathlib import Path

import numpy as np
import pytest
import torch

from uniemo.diffusion import (
    NoiseDraw,
    NoiseSource,
    StableDiffusion,
    in_chunks,
    noise_prediction_loss,
)


@pytest.fixture(params=["head", "velocity_head"])
def any_head(request: pytest.FixtureRequest) -> StableDiffusion:
    return request.getfixturevalue(request.param)


def test_equals_the_formula_in_numpy(any_head: StableDiffusion) -> None:
    latents = torch.randn(3, 4, 4, 4)
    conditioning = any_head.condition(torch.randn(3, 16), "a *").detach()
    draw = NoiseSource.of(any_head, seed=1).draw(torch.arange(len(latents)), epoch=0)
    loss = noise_prediction_loss(any_head, latents, conditioning, draw)

    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2  # "scaled_linear"
    alpha_bar = np.cumprod(1 - betas)[draw.timestep.numpy()].reshape(3, 1, 1, 1)
    x, e = latents.double().numpy(), draw.noise.double().numpy()
    noisy = np.sqrt(alpha_bar) * x + np.sqrt(1 - alpha_bar) * e
    with torch.no_grad():
        prediction = any_head.unet(
            torch.from_numpy(noisy).float(), draw.timestep, conditioning
        ).sample.numpy()
    velocity = np.sqrt(alpha_bar) * e - np.sqrt(1 - alpha_bar) * x
    target = velocity if any_head.scheduler.config.prediction_type == "v_prediction" else e
    np.testing.assert_allclose(
        loss.numpy(), ((prediction - target) ** 2).mean((1, 2, 3)), rtol=1e-4
    )


def test_batch_of_8_equals_the_mean_of_eight_batches_of_1(any_head: StableDiffusion) -> None:
    latents, words = torch.randn(8, 4, 4, 4), torch.randn(8, 16, requires_grad=True)
    draw = NoiseSource.of(any_head, seed=2).draw(torch.arange(len(latents)), epoch=0)

    def loss(part: slice) -> torch.Tensor:
        conditioning = any_head.condition(words[part], "a *")
        one_draw = draw.rows(part)
        return noise_prediction_loss(any_head, latents[part], conditioning, one_draw).mean()

    whole = loss(slice(None))
    single = torch.stack([loss(slice(i, i + 1)) for i in range(8)]).mean()
    torch.testing.assert_close(whole, single, rtol=0, atol=1e-5)
    whole_gradient, single_gradient = (torch.autograd.grad(x, words)[0] for x in (whole, single))
    assert whole_gradient.abs().max() > 0
    torch.testing.assert_close(whole_gradient, single_gradient, rtol=1e-3, atol=1e-7)


def test_chunks_change_neither_losses_nor_gradients(head: StableDiffusion) -> None:
    latents, words = torch.randn(7, 4, 4, 4), torch.randn(7, 16, requires_grad=True)
    draw = NoiseSource.of(head, seed=2).draw(torch.arange(7), epoch=0)
    weight = torch.rand(7)
    sizes: list[int] = []

    def losses(own: torch.Tensor, part: slice) -> torch.Tensor:
        sizes.append(len(own))
        one_draw = draw.rows(part)
        return noise_prediction_loss(head, latents[part], head.condition(own, "a *"), one_draw)

    def compute(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        found = in_chunks(losses, 2 * words, size)
        return found.detach(), torch.autograd.grad((weight * found).sum(), words)[0]

    (whole, gradient), (found, other) = compute(7), compute(3)
    assert sizes == [7, 3, 3, 1]
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-6)
    assert gradient.abs().max() > 0
    torch.testing.assert_close(other, gradient, rtol=1e-3, atol=1e-7)
    with torch.no_grad():
        without = in_chunks(losses, words, 3)
    assert not without.requires_grad
    torch.testing.assert_close(without, losses(words, slice(0, 7)).detach())


def test_gradients_of_chunks_that_float16_would_lose_are_kept() -> None:
    inputs = torch.randn(6, 5, requires_grad=True)

    def losses(own: torch.Tensor, _: slice) -> torch.Tensor:
        return 1e-8 * own.half().float().square().mean(dim=1)

    def gradient(scale: float) -> torch.Tensor:
        return torch.autograd.grad(in_chunks(losses, inputs, 4, scale).sum(), inputs)[0]

    assert not gradient(1.0).any()
    torch.testing.assert_close(gradient(2.0**14), 2e-8 / 5 * inputs.detach(), rtol=0.02, atol=1e-12)


def test_draw_depends_on_seed_epoch_and_row_alone(head: StableDiffusion) -> None:
    rows = torch.randperm(2000)
    one = NoiseSource.of(head, seed=3).draw(rows, epoch=1)
    part = NoiseSource.of(head, seed=3).draw(rows[100:107], epoch=1)
    assert torch.equal(part.noise, one.noise[100:107])
    assert torch.equal(part.timestep, one.timestep[100:107])
    for seed, epoch in ((4, 1), (3, 2), (3, -1)):
        other = NoiseSource.of(head, seed=seed).draw(rows, epoch=epoch)
        assert not (other.noise == one.noise).flatten(1).all(1).any()
    assert 0 <= one.timestep.min() < 5
    assert 995 <= one.timestep.max() < 1000
    assert abs(one.noise.mean()) < 0.02
    assert abs(one.noise.std() - 1) < 0.02


def test_autocast_changes_little_and_keeps_the_loss_in_float32(any_head: StableDiffusion) -> None:
    latents, words = torch.randn(4, 4, 4, 4), torch.randn(4, 16, requires_grad=True)
    draw = NoiseSource.of(any_head, seed=5).draw(torch.arange(len(latents)), epoch=0)

    def loss() -> torch.Tensor:
        conditioning = any_head.condition(words, "a *")
        return noise_prediction_loss(any_head, latents, conditioning, draw)

    exact = loss()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = loss()
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, exact, rtol=0.05, atol=0.05)
    assert torch.autograd.grad(mixed.mean(), words)[0].isfinite().all()


@pytest.mark.gpu
def test_the_gpu_computes_the_same_losses_and_gradients(folder: Path, gpu: torch.device) -> None:
    latents, words = torch.randn(5, 4, 4, 4), torch.randn(5, 16)

    def compute(device: torch.device) -> tuple[NoiseDraw, torch.Tensor, torch.Tensor]:
        head = StableDiffusion.from_pretrained(str(folder)).to(device)
        x, w = latents.to(device), words.to(device).requires_grad_()
        draw = NoiseSource.of(head, seed=2).draw(torch.arange(5, device=device), epoch=0)

        def losses(own: torch.Tensor, part: slice) -> torch.Tensor:
            one_draw = draw.rows(part)
            return noise_prediction_loss(head, x[part], head.condition(own, "a *"), one_draw)

        loss = in_chunks(losses, w, 2)
        loss.mean().backward()
        assert loss.device.type == device.type
        assert w.grad is not None
        return NoiseDraw(*(part.cpu() for part in draw)), loss.detach().cpu(), w.grad.cpu()

    (draw, loss, gradient), (other_draw, other_loss, other) = (
        compute(device) for device in (torch.device("cpu"), gpu)
    )
    assert all(map(torch.equal, draw, other_draw))
    torch.testing.assert_close(other_loss, loss, rtol=1e-2, atol=1e-3)
    assert (other - gradient).norm() < 2e-2 * gradient.norm()
