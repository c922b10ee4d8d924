"""The perceptual loss: what it is zero for, what it has gradients for, and LPIPS by hand."""

import open_clip
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from uniemo.backbones.perceptual_loss import PerceptualLoss


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    first, second = torch.rand(2, 3, 3, 64, 64) * 2 - 1
    return first, second


def test_equal_images_have_no_distance_and_others_a_symmetric_one(
    clip: open_clip.CLIP, images: tuple[Tensor, Tensor]
) -> None:
    loss = PerceptualLoss(clip.visual)
    first, second = images
    assert loss(first, first).item() == 0
    torch.manual_seed(1)
    there = loss(first, second)
    torch.manual_seed(1)
    assert loss(second, first).item() == pytest.approx(there.item(), rel=1e-5)
    assert 0 < there.item() < 4  # of unit vectors


def test_the_gradient_reaches_the_image_alone(
    clip: open_clip.CLIP, images: tuple[Tensor, Tensor]
) -> None:
    loss = PerceptualLoss(clip.visual)
    image, target = (part.requires_grad_() for part in images)
    loss(image, target).backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert target.grad is None
    assert all(p.grad is None for p in clip.parameters())


def test_one_block_and_no_move_give_the_cosine_of_its_outputs(
    clip: open_clip.CLIP, images: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = PerceptualLoss(clip.visual)  # of one block
    reach = clip.visual.patch_size[0] - 1
    monkeypatch.setattr(torch, "randint", lambda *_: torch.tensor([reach, reach]))
    found = loss(*images)

    outputs: list[Tensor] = []
    block = clip.visual.transformer.resblocks[0]
    handle = block.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    with torch.no_grad():
        for image in images:
            clip.encode_image((image / 2 + 0.5 - loss.mean) / loss.std)
    handle.remove()
    first, second = (output[:, 1:] for output in outputs)  # without the class token
    expected = (2 - 2 * functional.cosine_similarity(first, second, dim=-1)).mean()
    torch.testing.assert_close(found, expected)
