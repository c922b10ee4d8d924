"""The simpler filters keep their budget of what they allow."""

from collections.abc import Callable

import torch

from tests.filtering.pools import clustered_pool
from uniemo.filtering import FilterConfig, Selection, baselines, select


def test_baselines_keep_their_budget_of_what_they_allow() -> None:
    candidates, reference = clustered_pool(0)
    assert candidates.clip_probability is not None
    config = FilterConfig(budget=5)
    assert baselines.keep_all(candidates, reference, config).kept.all()
    rules: dict[Callable[..., Selection], torch.Tensor] = {
        baselines.keep_random: torch.ones(60, dtype=torch.bool),
        baselines.keep_clip_probable: candidates.clip_probability > 0.5,
        baselines.keep_realistic: select(candidates, reference, config).scores.realism >= 1,
    }
    for rule, allowed in rules.items():
        first, second = (rule(candidates, reference, config, seed=seed).kept for seed in (0, 1))
        assert allowed[first].all()
        assert candidates.target[first].bincount().tolist() == [5, 5]
        assert not first.equal(second)
    top = baselines.keep_most_confident(candidates, reference, config)
    for emotion in range(2):
        own = candidates.target == emotion
        confidence = top.scores.confidence
        assert confidence[own & top.kept].min() >= confidence[own & ~top.kept].max()


def test_the_nearest_to_a_confidence_are_kept_if_they_are_confirmed() -> None:
    candidates, reference = clustered_pool(0)
    config = FilterConfig(budget=5)
    confirmed = torch.arange(60) % 3 > 0
    kept = baselines.keep_nearest_confidence(
        candidates, reference, config, confidence=0.5, confirmed=confirmed
    )
    assert not (kept.kept & ~confirmed).any()
    for emotion in range(2):
        own = (candidates.target == emotion) & confirmed
        away = (kept.scores.confidence - 0.5).abs()
        assert own[kept.kept & (candidates.target == emotion)].sum() == 5
        assert away[own & kept.kept].max() <= away[own & ~kept.kept].min()
