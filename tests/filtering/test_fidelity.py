"""Calibration of the verifier, and the fidelity scores."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from uniemo.filtering import calibrate_temperature, fidelity_scores
from uniemo.filtering.fidelity import TEMPERATURE_RANGE


def test_temperature_minimises_the_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(400, 8, generator=generator)
    labels = torch.multinomial((logits / 2.5).softmax(1), 1, generator=generator).squeeze(1)

    def loss(temperature: float) -> float:
        scaled = logits.double().numpy() / temperature
        normaliser = np.log(np.exp(scaled).sum(1))
        return float((normaliser - scaled[np.arange(400), labels.numpy()]).mean())

    best = minimize_scalar(loss, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-8})
    temperature = calibrate_temperature(logits, labels)
    assert temperature == pytest.approx(best.x, rel=1e-4)
    assert temperature == pytest.approx(2.5, rel=0.2)
    assert calibrate_temperature(4 * logits, labels) == pytest.approx(4 * temperature, rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_temperature_is_the_root_that_bisection_finds(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(120) % 8
    logits = torch.randn(120, 8, generator=generator) + (1 + seed) * torch.eye(8)[labels]
    z = logits.double() - logits.double().gather(1, labels[:, None])
    low, high = -math.log(TEMPERATURE_RANGE[1]), -math.log(TEMPERATURE_RANGE[0])
    for _ in range(50):
        middle = (low + high) / 2
        rises = (torch.softmax(z * math.exp(middle), 1) * z).sum(1).mean() >= 0
        low, high = (low, middle) if rises else (middle, high)
    assert calibrate_temperature(logits, labels) == pytest.approx(math.exp(-low), rel=1e-12)


def test_temperature_stays_in_range_where_the_optimum_is_infinite() -> None:
    labels = torch.arange(8)
    always_right = 10.0 * torch.eye(8)
    low, high = TEMPERATURE_RANGE
    assert calibrate_temperature(always_right, labels) == pytest.approx(low)
    assert calibrate_temperature(always_right, labels.roll(1)) == pytest.approx(high)


def test_temperature_needs_a_split() -> None:
    with pytest.raises(ValueError, match="validation split"):
        calibrate_temperature(torch.zeros(0, 8), torch.zeros(0, dtype=torch.long))


def test_scores_are_the_softmax_of_the_target_and_the_argmax() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    fidelity = fidelity_scores(logits, torch.tensor([0, 0, 1]), temperature=2.0)
    expected = torch.tensor([np.e / (np.e + 1), 1 / (np.e + 1), 0.5])
    torch.testing.assert_close(fidelity.confidence, expected.float())
    assert fidelity.agrees.tolist() == [True, False, True]  # a tie counts for the target
