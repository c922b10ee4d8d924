from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from uniemo.backbones import classifier
from uniemo.backbones.classifier import NAMES, Classifier
from uniemo.backbones.stage import run
from uniemo.diffusion import StableDiffusion
from uniemo.vision.networks import ImageNetwork


def small_network(size: int) -> ImageNetwork:
    """Stands for the ImageNet network: a convolution, a normalisation over the batch, means."""
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return ImageNetwork(nn.Sequential(*layers), "small", 8, size, (0.5,) * 3, (0.5,) * 3)


@pytest.fixture
def stage(head: StableDiffusion, monkeypatch: pytest.MonkeyPatch) -> Classifier:
    monkeypatch.setattr(classifier, "efficientnet_lite0", small_network)
    return Classifier(head, seed=1, steps=2, batch_size=4, learning_rate=1e-2)


def test_training_moves_network_and_heads_and_not_the_autoencoder(
    stage: Classifier, tmp_path: Path
) -> None:
    frozen = [weight.clone() for weight in stage.head.parameters()]
    moving = [*stage.extractor.network.parameters(), *stage.heads.parameters()]
    before = [weight.clone() for weight in moving]
    run(stage, tmp_path)
    assert stage.global_step == 2
    assert all(torch.equal(a, b) for a, b in zip(frozen, stage.head.parameters(), strict=True))
    # The convolution's bias has no effect before a normalisation.
    changed = [not torch.equal(a, b) for a, b in zip(before, moving, strict=True)]
    assert sum(changed) >= len(changed) - 1
    statistics = stage.extractor.network[1].running_mean
    assert statistics.all()
    kept = statistics.clone()
    stage.scores("it_{}", torch.rand(2, 3, 64, 64), {kind: torch.zeros(2) for kind in NAMES})
    assert torch.equal(statistics, kept)


def test_it_learns_from_each_image_crisp_and_reconstructed(
    stage: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    seen: list[Tensor] = []
    plain = stage.forward
    monkeypatch.setattr(stage, "forward", lambda x: seen.append(x) or plain(x))
    monkeypatch.setattr(classifier, "reconstruct", lambda _head, x: 1 - x)
    labels = {"object": torch.tensor([5, -1]), "scene": torch.tensor([-1, 7])}
    loss = stage.loss({"image": image, **labels}, 0)
    crisp = image.float() / 255
    torch.testing.assert_close(seen[0], torch.cat([crisp, 1 - crisp]))
    logits = plain(seen[0])
    rows = {"object": ([0, 2], 5), "scene": ([1, 3], 7)}
    expected = sum(
        -logits[kind][chosen].log_softmax(1)[:, label].mean()
        for kind, (chosen, label) in rows.items()
    )
    torch.testing.assert_close(loss, torch.as_tensor(expected))


def test_scores_count_labelled_images_alone_and_do_not_depend_on_the_batch(
    stage: Classifier,
) -> None:
    image = torch.rand(20, 3, 64, 64)
    stage.extractor.network.eval()
    with torch.no_grad():
        found = {kind: logits.argmax(1) for kind, logits in stage(image).items()}
    right = stage.scores("it_{}", image, found)
    assert right == {"it_object": 1.0, "it_scene": 1.0}
    found["object"][:5] = -1
    found["object"][5:10] = (found["object"][5:10] + 1) % len(NAMES["object"])
    assert stage.scores("it_{}", image, found)["it_object"] == pytest.approx(10 / 15)
