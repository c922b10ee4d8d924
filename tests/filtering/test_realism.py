"""k-NN balls, compared with brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from uniemo.filtering import ball_radii, realism_scores, unit
from uniemo.filtering import similarity as blocks
from uniemo.filtering.realism import lowest_kept


def _features(seed: int, n: int) -> torch.Tensor:
    return unit(torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)))


def test_radii_and_scores_equal_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_WHOLE_ROWS", 200)
    monkeypatch.setattr("uniemo.filtering.realism.BLOCK_COLUMNS", 7)
    images, real = _features(0, 50), _features(1, 40)
    radii = np.sort(cdist(real, real), axis=1)[:, 5]
    torch.testing.assert_close(ball_radii(real, 5).double(), torch.tensor(radii), atol=1e-4, rtol=0)
    distance = cdist(images, real)
    realism = realism_scores(images, real, ball_radii(real, 5))
    expected = torch.tensor((radii / distance).max(1))
    torch.testing.assert_close(realism.score.double(), expected, atol=1e-3, rtol=1e-3)
    assert ((realism.score >= 1).numpy() == (distance <= radii).any(1)).all()
    nearest = torch.tensor((images.numpy() @ real.numpy().T).max(1))
    torch.testing.assert_close(realism.nearest_cosine, nearest)


def test_repeated_real_images_have_a_ball_of_their_own_place_only() -> None:
    real = torch.cat([_features(0, 1).expand(6, 6), -_features(0, 1)])
    radii = ball_radii(real, 5)
    assert radii[:6].max() < 2e-3
    images = torch.cat([real[:1], unit(real[:1] + 0.1 * _features(2, 1))])
    inside = realism_scores(images, real[:6], radii[:6]).score >= 1
    assert inside.tolist() == [True, False]


def test_few_real_images_use_all_neighbours_and_one_is_rejected() -> None:
    real = _features(0, 3)
    expected = torch.tensor(cdist(real, real).max(1))
    torch.testing.assert_close(ball_radii(real, 5).double(), expected, atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="at least 2"):
        ball_radii(real[:1])


@given(st.lists(st.floats(0, 3), min_size=1, max_size=30), st.floats(0, 0.99))
def test_lowest_kept_drops_no_more_than_its_share(values: list[float], drop: float) -> None:
    scores = torch.tensor(values)
    n_dropped = (scores < lowest_kept(scores, drop)).sum()
    assert n_dropped <= drop * len(scores)
    if scores.unique().numel() == len(scores):
        assert n_dropped == int(drop * len(scores))
