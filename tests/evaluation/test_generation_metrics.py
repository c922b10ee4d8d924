"""Metrics of generated images against direct computation."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from uniemo.emotions import Emotions
from uniemo.evaluation.build_networks import EvaluationNetworks
from uniemo.evaluation.generation_metrics import GenerationMetrics, nearest, without_nan
from uniemo.evaluation.judge import Judge
from uniemo.vision.features import FeatureTable
from uniemo.vision.images import GeneratedBatch
from uniemo.vision.linear_probe import LinearProbe
from uniemo.vision.networks import ImageNetwork

SIDE, WIDTH = 4, 3 * 4 * 4


def network(name: str) -> ImageNetwork:
    return ImageNetwork(torch.nn.Flatten(), name, WIDTH, SIDE, (0.0,) * 3, (1.0,) * 3)


def random_images(n: int, seed: int) -> torch.Tensor:
    return torch.rand(n, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def real(n: int, seed: int) -> FeatureTable:
    features = random_images(n, seed).flatten(1)
    nothing = torch.full((n,), -1), torch.zeros(n, 0, dtype=torch.bool)
    return FeatureTable(features, torch.arange(n) % 8, *nothing, torch.arange(n))


@pytest.fixture
def networks_and_judge() -> tuple[EvaluationNetworks, Judge]:
    generator = torch.Generator().manual_seed(5)
    probe = LinearProbe(torch.randn(8, WIDTH, generator=generator), torch.zeros(8))
    plain = network("plain")
    networks = EvaluationNetworks(plain, "judge", plain, network("semantic"), network("perceptual"))
    return networks, Judge(plain, probe)


def evaluate(networks_and_judge, image, emotion, index, batch_size, published=None):
    evaluation = GenerationMetrics(
        *networks_and_judge, real(80, 1), real(64, 2), real(64, 2), Emotions(), published,
        torch.device("cpu"),
    )  # fmt: skip
    for part in torch.arange(len(image)).split(batch_size):
        evaluation.update(GeneratedBatch(image[part], emotion[part], index[part]))
    return evaluation.compute()


def test_metrics_are_those_of_direct_computation(networks_and_judge):
    n = 72
    image, emotion = random_images(n, 3), torch.arange(n) // 9
    result = evaluate(networks_and_judge, image, emotion, torch.arange(n) % 9, 7).metrics
    x, y = real(64, 2).features.double().numpy(), image.flatten(1).double().numpy()
    means = np.square(x.mean(0) - y.mean(0)).sum()
    a, b = np.cov(x.T), np.cov(y.T)
    expected = means + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert result["fid"] == pytest.approx(expected, rel=1e-3)
    predicted = networks_and_judge[1](image).emotion.argmax(1)
    assert result["emo_a_8"] == pytest.approx((predicted == emotion).double().mean().item())
    pairs = [
        np.square(y[i] - y[j]).mean()
        for e in range(8)
        for i in range(9 * e, 9 * e + 9)
        for j in range(i + 1, 9 * e + 9)
    ]
    assert result["sem_d"] == pytest.approx(np.mean(pairs), rel=1e-5)
    assert result["diversity"] == pytest.approx(WIDTH * np.mean(pairs), rel=1e-5)
    assert "sem_c" not in result  # these data name neither scenes nor objects
    assert "published" not in result


def test_copies_of_training_images_are_found(networks_and_judge):
    copies = real(80, 1).features[:16].view(16, 3, SIDE, SIDE)
    result = evaluate(networks_and_judge, copies, torch.arange(16) // 2, torch.arange(16) % 2, 5)
    assert result.metrics["near_copies"] == 1.0
    assert [example.nearest for example in result.examples] == list(range(16))
    fresh = evaluate(
        networks_and_judge, random_images(16, 9), torch.arange(16) // 2, torch.arange(16) % 2, 5
    )
    assert fresh.metrics["near_copies"] < 0.3


def test_nearest_is_brute_force():
    a = torch.nn.functional.normalize(torch.randn(7, 5), dim=1)
    b = torch.nn.functional.normalize(torch.randn(9, 5), dim=1)
    values, rows = nearest(a, b, chunk=2)
    for i in range(7):
        cosines = [(a[i] @ b[j]).item() for j in range(9)]
        assert rows[i] == int(np.argmax(cosines))
        assert values[i].item() == pytest.approx(max(cosines), abs=1e-6)


def test_json_holds_no_nan():
    content = {"a": [1.0, float("nan")], "b": (float("inf"), 2), "c": "nan"}
    assert without_nan(content) == {"a": [1.0, None], "b": [None, 2], "c": "nan"}
