"""FID, compared with its closed form and with SciPy."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from uniemo.metrics import FrechetDistance

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def normal(count: int, width: int, seed: int) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def fid(real: Tensor, generated: Tensor) -> float:
    metric = FrechetDistance(real.shape[1], "noise")
    metric.update(real, real=True)
    metric.update(generated, real=False)
    return metric.compute().item()


def gaussian(count: int, mean: Tensor, deviation: Tensor, seed: int) -> Tensor:
    """Return points whose own mean and covariance are exactly those of the Gaussian."""
    points = normal(count, len(mean), seed).double()
    points -= points.mean(dim=0)
    points = points @ torch.linalg.inv(torch.linalg.cholesky(points.T.cov())).T
    return points * deviation + mean


def test_fid_of_two_gaussians_is_the_closed_form() -> None:
    means = torch.tensor([[0.0, 1.0, 2.0, -1.0], [0.5, 1.0, -1.0, 3.0]], dtype=torch.float64)
    deviations = torch.tensor([[1.0, 2.0, 0.5, 1.0], [3.0, 1.0, 0.5, 0.1]], dtype=torch.float64)
    points = [gaussian(300, means[i], deviations[i], seed=i) for i in range(2)]
    expected = (means[0] - means[1]).square().sum() + (deviations[0] - deviations[1]).square().sum()
    assert fid(points[0], points[1]) == pytest.approx(expected.item(), rel=1e-9)


def test_fid_equals_scipy_on_the_same_features() -> None:
    real = normal(200, 12, 0) @ normal(12, 12, 1)
    generated = normal(150, 12, 2) @ normal(12, 12, 3) + 1
    x, y = real.double().numpy(), generated.double().numpy()
    covariances = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(sum(covariances) - 2 * root)
    assert fid(real, generated) == pytest.approx(expected, rel=1e-6)


def test_fid_far_from_the_origin_loses_no_precision() -> None:
    real, generated = normal(100, 5, 0).double(), 2 * normal(100, 5, 1).double()
    assert fid(real + 1000, generated + 1000) == pytest.approx(fid(real, generated), rel=1e-6)


@pytest.mark.parametrize("count", [200, 10])  # 10 images: covariances of deficient rank
def test_fid_of_real_to_real_is_zero_and_to_noise_is_large(count: int) -> None:
    real = normal(count, 16, 0)
    assert fid(real, real) == pytest.approx(0, abs=1e-4)
    assert fid(real, 5 * normal(count, 16, 1)) > 100


def test_fid_names_its_features_and_warns_once_below_2048_images() -> None:
    metric = FrechetDistance(4, "EfficientNet-Lite0 at 224 px")
    metric.update(normal(3000, 4, 0), real=True)
    metric.update(normal(50, 4, 1), real=False)
    with pytest.warns(UserWarning, match="EfficientNet-Lite0 at 224 px on 3000 real and 50 gen"):
        metric.compute()
    metric.update(normal(50, 4, 1), real=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **kwargs: pytest.fail(str(args[0])))
        metric.compute()
