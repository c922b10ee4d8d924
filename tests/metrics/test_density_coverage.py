"""Density, coverage, precision and recall, compared with loops over all distances."""

import numpy as np
import pytest
import torch
from torch import Tensor

from uniemo.metrics import DensityCoverage, density_coverage

NAMES = ("density", "coverage", "precision", "recall")


def brute_force(real: np.ndarray, generated: np.ndarray, k: int) -> list[float]:
    """Follow the definitions of Naeem et al., one distance at a time."""

    def radius(rows: np.ndarray, i: int) -> float:
        others = [np.linalg.norm(rows[i] - rows[j]) for j in range(len(rows)) if j != i]
        return float(sorted(others)[k - 1])

    def inside(point: np.ndarray, centre: np.ndarray, reach: float) -> bool:
        return bool(np.linalg.norm(point - centre) < reach)

    real_radius = [radius(real, i) for i in range(len(real))]
    made_radius = [radius(generated, i) for i in range(len(generated))]
    held = np.array(
        [
            [inside(g, r, reach) for r, reach in zip(real, real_radius, strict=True)]
            for g in generated
        ]
    )
    reached = [
        any(inside(r, g, reach) for g, reach in zip(generated, made_radius, strict=True))
        for r in real
    ]
    density = held.sum() / (k * len(generated))
    return [density, held.any(0).mean(), held.any(1).mean(), float(np.mean(reached))]


def scores(real: Tensor, generated: Tensor, emotions: tuple[Tensor, Tensor], k: int = 5) -> dict:
    metric = DensityCoverage(real.shape[1], k=k)
    metric.update(real, emotions[0], real=True)
    metric.update(generated, emotions[1], real=False)
    return metric.compute()


def test_scores_equal_brute_force_pooled_and_per_emotion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(density_coverage, "CHUNK", 7)
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(60, 3, generator=generator)
    generated = torch.randn(45, 3, generator=generator) * 0.8 + 0.3
    emotions = torch.arange(60) % 3, torch.arange(45) % 3  # five emotions stay without images
    value = scores(real, generated, emotions, k=3)
    x, y = real.double().numpy(), generated.double().numpy()
    pooled = brute_force(x, y, 3)
    for position, name in enumerate(NAMES):
        assert value[name].item() == pytest.approx(pooled[position], abs=1e-12)
    for emotion in range(3):
        own = [rows[labels == emotion] for rows, labels in zip((x, y), emotions, strict=True)]
        expected = brute_force(own[0], own[1], 3)
        found = [value[f"{name}_per_emotion"][emotion].item() for name in NAMES]
        assert found == pytest.approx(expected, abs=1e-12)
    assert all(value[f"{name}_per_emotion"][3:].isnan().all() for name in NAMES)


def test_real_against_real_is_1_and_distant_noise_is_0() -> None:
    real = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    emotion = torch.zeros(50, dtype=torch.long)
    same = scores(real, real, (emotion, emotion))
    assert [same[name].item() for name in NAMES[1:]] == [1, 1, 1]
    assert same["density"] >= 1
    far = scores(real, real + 100, (emotion, emotion))
    assert [far[name].item() for name in NAMES] == [0, 0, 0, 0]


def test_a_single_mode_is_dense_but_covers_little() -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(200, 2, generator=generator)
    mode = torch.randn(200, 2, generator=generator) * 0.02
    emotion = torch.zeros(200, dtype=torch.long)
    value = scores(real, mode, (emotion, emotion))
    assert value["precision"] > 0.9
    assert value["coverage"] < 0.2
