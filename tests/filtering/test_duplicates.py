"""Near copies: the screen misses none; the calibrated threshold has the requested rate."""

import pytest
import torch

from uniemo.filtering import calibrate_duplicate_threshold, near_copies, unit
from uniemo.filtering.duplicates import _screen, copy_graph


def test_screened_search_equals_brute_force() -> None:
    generator = torch.Generator().manual_seed(0)
    spectrum = torch.arange(1, 201).rsqrt()
    others = unit(torch.randn(120, 200, generator=generator) * spectrum)
    near = unit(others[:60] + 0.03 * torch.rand(60, 1) * torch.randn(60, 200, generator=generator))
    images = torch.cat([near, unit(torch.randn(60, 200, generator=generator) * spectrum)])
    expected = ((images.double() @ others.double().T) > 0.95).any(1)
    assert 0 < expected.sum() < 60
    assert near_copies(images, others, 0.95).equal(expected)
    suspects = _screen(images, others, 0.95)
    assert suspects[expected].all()
    assert suspects.sum() < len(images)  # some are excluded


def test_nothing_is_a_copy_of_nothing() -> None:
    for width in (6, 200):
        images = unit(torch.randn(4, width, generator=torch.Generator().manual_seed(0)))
        assert not near_copies(images, images[:0], 0.95).any()
        assert near_copies(images[:0], images, 0.95).shape == (0,)


def test_copy_graph_is_the_thresholded_gram_matrix() -> None:
    images = unit(torch.randn(700, 3, generator=torch.Generator().manual_seed(0)))
    expected = (images.double() @ images.double().T > 0.95).fill_diagonal_(True)
    graph = copy_graph(images, 0.95)
    assert graph.equal(graph.T)
    assert (graph != expected).float().mean() < 1e-5


def test_new_real_images_are_copies_at_the_requested_rate() -> None:
    generator = torch.Generator().manual_seed(0)
    real, fresh = (unit(torch.randn(3000, 8, generator=generator) + 3) for _ in range(2))
    threshold = calibrate_duplicate_threshold(real, quantile=0.9)
    assert threshold > 0.95  # a cone in which all images are alike
    assert near_copies(fresh, real, threshold).float().mean().item() == pytest.approx(0.1, abs=0.03)


def test_an_exact_copy_is_found_even_if_real_images_are_duplicated() -> None:
    real = unit(torch.randn(10, 8, generator=torch.Generator().manual_seed(0))).repeat(2, 1)
    threshold = calibrate_duplicate_threshold(real)
    assert near_copies(real, real, threshold).all()
