"""The discriminator's view, the two losses and whom they teach, and the adaptive weight."""

import pytest
import torch
from torch import nn

from uniemo.backbones.adversarial_loss import (
    adaptive_weight,
    adversarial_losses,
    build_discriminator,
)


def test_a_score_depends_on_34_pixels_each_way() -> None:
    discriminator = build_discriminator(8)
    for module in discriminator:
        if isinstance(module, nn.GroupNorm):  # it looks at the whole image
            module.forward = lambda x: x  # type: ignore[method-assign]
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    scores = discriminator(image)
    assert scores.shape == (1, 1, 14, 14)
    scores[0, 0, 7, 7].backward()
    assert image.grad is not None
    touched = image.grad.abs().sum((0, 1)) > 0
    assert touched.any(0).sum() == touched.any(1).sum() == 34


def test_each_loss_teaches_its_own_side() -> None:
    discriminator = build_discriminator(8)
    image, output = torch.rand(2, 3, 3, 64, 64)
    output.requires_grad_()
    deceived, hinge = adversarial_losses(discriminator, image, output)

    deceived.backward()
    assert output.grad is not None
    assert output.grad.abs().sum() > 0
    assert all(p.grad is None for p in discriminator.parameters())
    output.grad = None
    hinge.backward()
    assert output.grad is None
    assert all(p.grad is not None for p in discriminator.parameters())


def test_the_hinge_loss_is_one_without_an_opinion_and_zero_beyond_the_margins() -> None:
    image, output = torch.full((2, 3, 8, 8), 1.0), torch.full((2, 3, 8, 8), -1.0)
    scale = torch.nn.Conv2d(3, 1, 1, bias=False)
    for factor, expected in ((0.0, 1.0), (0.5, 0.5), (2.0, 0.0)):
        nn.init.constant_(scale.weight, factor / 3)
        deceived, hinge = adversarial_losses(scale, image, output)
        assert hinge.item() == pytest.approx(expected, abs=1e-6)
        assert deceived.item() == pytest.approx(factor)


def test_weighted_by_it_both_losses_have_equal_gradients() -> None:
    last = nn.Parameter(torch.randn(4, 3))
    loss, adversarial = (last @ torch.randn(3)).square().mean(), 50 * last.sin().mean()
    weight = adaptive_weight(loss, adversarial, last)
    norms = [
        torch.autograd.grad(part, last, retain_graph=True)[0].norm()
        for part in (loss, weight * adversarial)
    ]
    torch.testing.assert_close(norms[0], norms[1], rtol=1e-3, atol=0)
