"""The perceptual diversity, compared with torchmetrics' LPIPS of every pair."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.image.lpips import _NoTrainLpips

from uniemo.metrics import LPIPSEmbedding, PerceptualDiversity, perceptual_embedding


def test_perceptual_diversity_equals_lpips_over_all_pairs() -> None:
    torch.manual_seed(0)
    lpips = _NoTrainLpips(net="squeeze", pnet_rand=True)  # its linear weights are real
    image = torch.rand(5, 3, 40, 48) * 2 - 1
    emotion = torch.tensor([1, 4, 1, 4, 1])
    embed = LPIPSEmbedding(lpips).train()
    embedding = embed(image)
    metric = PerceptualDiversity(embedding.shape[1])
    metric.update(embedding, emotion)

    def distance(first: int, second: int) -> float:
        return lpips(image[first : first + 1], image[second : second + 1]).item()

    value = metric.compute()["diversity_per_emotion"]
    among_first = [distance(0, 2), distance(0, 4), distance(2, 4)]
    assert value[1].item() == pytest.approx(np.mean(among_first), rel=1e-4)
    assert value[4].item() == pytest.approx(distance(1, 3), rel=1e-4)
    assert metric.compute()["diversity"] == pytest.approx(value[[1, 4]].mean().item())


def test_a_negative_channel_weight_is_rejected() -> None:
    with pytest.raises(ValueError, match="negative"):
        perceptual_embedding([torch.rand(1, 2, 3, 3)], [torch.tensor([1.0, -0.1])])
