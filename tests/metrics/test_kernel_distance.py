"""KID, compared with NumPy and torchmetrics."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance

from uniemo.metrics import KernelDistance, kernel_distance

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def normal(count: int, width: int, seed: int) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def kid(real: Tensor, generated: Tensor) -> float:
    metric = KernelDistance(real.shape[1])
    emotions = torch.arange(len(real)) % 3, torch.zeros(len(generated), dtype=torch.long)
    metric.update(real, emotions[0], real=True)
    metric.update(generated, emotions[1], real=False)
    value = metric.compute()
    own = real[emotions[0] == 0].float(), generated.float()
    assert value["kid_per_emotion"][0] == kernel_distance.unbiased_mean_discrepancy(*own)
    assert value["kid_per_emotion"][1:].isnan().all()
    return value["kid"].item()


def test_kid_of_real_to_real_is_near_zero_and_to_noise_is_large() -> None:
    real, more_real = normal(400, 16, 0), normal(400, 16, 1)
    assert abs(kid(real, more_real)) < 0.02
    assert kid(real, 5 * normal(400, 16, 2)) > 1


def test_kid_equals_numpy_on_the_same_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_distance, "CHUNK", 7)
    real, generated = normal(40, 6, 0), normal(25, 6, 1) * 1.5 + 0.2
    x, y = real.double().numpy(), generated.double().numpy()

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return (a @ b / 6 + 1) ** 3

    def mean_within(rows: np.ndarray) -> float:
        n = len(rows)
        pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
        return float(np.mean([kernel(rows[i], rows[j]) for i, j in pairs]))

    between = np.mean([kernel(a, b) for a in x for b in y])
    expected = mean_within(x) + mean_within(y) - 2 * between
    assert kid(real, generated) == pytest.approx(expected, rel=1e-9)


def test_kid_equals_torchmetrics_with_all_images_in_one_subset() -> None:
    real, generated = normal(60, 6, 0).double(), normal(60, 6, 1).double() + 0.3
    theirs = KernelInceptionDistance(nn.Identity(), subsets=1, subset_size=60)
    theirs.update(real, real=True)
    theirs.update(generated, real=False)
    assert kid(real, generated) == pytest.approx(theirs.compute()[0].item(), rel=1e-6)
