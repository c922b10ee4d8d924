"""The posterior of names, against the generator's own tables."""

import numpy as np
import torch

from data_modules.emoscenes.recipe import build_recipe
from data_modules.emoscenes.scenes import SCENE_NAMES
from uniemo.study.oracle import mean_posterior


def test_the_mean_posterior_of_a_name_is_the_generators():
    recipe, rng = build_recipe(), np.random.default_rng(0)
    drawn = [recipe.draw(rng, row % 8) for row in range(20_000)]
    posterior = torch.tensor(np.stack([recipe.posterior(each) for each in drawn]))
    found = mean_posterior([SCENE_NAMES[each.scene] for each in drawn], SCENE_NAMES, posterior)
    exact = torch.tensor(recipe.scene / recipe.scene.sum(1, keepdims=True))
    assert (found - exact).abs().max() < 0.1
    assert (found - exact).abs().mean() < 0.01


def test_a_name_that_nothing_shows_says_no_more_than_the_whole():
    posterior = torch.tensor([[0.8, 0.2], [0.4, 0.6]], dtype=torch.float64)
    found = mean_posterior(["a", None], ["a", "b"], posterior)
    torch.testing.assert_close(found[1], posterior.mean(0))
    torch.testing.assert_close(found[0], (posterior[0] + posterior.mean(0)) / 2)
