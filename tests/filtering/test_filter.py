"""The guarantees of ``select``, each as a property."""

import doctest
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import uniemo.filtering
from tests.filtering.pools import clustered_pool
from uniemo.errors import UserError
from uniemo.filtering import (
    Candidates,
    FilterConfig,
    Reason,
    Reference,
    Selection,
    ball_radii,
    baselines,
    select,
    unit,
)
from uniemo.filtering.diversity import cover_kernel, objective
from uniemo.filtering.filter import emotion_budget
from uniemo.metrics.density_coverage import neighbour_scores

LENIENT = FilterConfig(
    confidence_threshold=0.0, realism_threshold=0.0, realism_drop=0.0, duplicate_quantile=None
)
NO_CONSTRAINTS = replace(LENIENT, duplicate_cosine=1.0, scene_share=1.0, object_share=1.0)

configs = st.builds(
    FilterConfig,
    budget=st.integers(1, 20),
    confidence_threshold=st.floats(0, 0.9),
    neighbours=st.integers(1, 6),
    realism_threshold=st.floats(0, 1.5),
    realism_drop=st.floats(0, 0.9),
    duplicate_cosine=st.floats(0.8, 1.0),
    duplicate_quantile=st.none() | st.floats(0.5, 0.99),
    scene_share=st.floats(0.1, 1.0),
    object_share=st.floats(0.1, 1.0),
    utility_weight=st.just(0.0) | st.floats(0, 5),
)
seeds = st.integers(0, 10_000)
quick = settings(max_examples=25, deadline=None)


def _permuted(candidates: Candidates, order: torch.Tensor) -> Candidates:
    return Candidates(*(column[order] for column in vars(candidates).values()))


def _cosine(candidates: Candidates) -> torch.Tensor:
    images = unit(candidates.features).double()
    return images @ images.T


@given(seeds, configs)
@quick
def test_never_keeps_a_near_duplicate_pair_nor_a_copy(seed: int, config: FilterConfig) -> None:
    candidates, reference = clustered_pool(seed)
    selection = select(candidates, reference, config)
    threshold = selection.scores.duplicate_threshold + 1e-5
    kept = unit(candidates.features[selection.kept]).double()
    assert ((kept @ kept.T).fill_diagonal_(0) <= threshold).all()
    assert (kept @ unit(reference.features).double().T <= threshold).all()


@given(seeds, configs)
@quick
def test_keeps_the_budget_when_it_can(seed: int, config: FilterConfig) -> None:
    candidates, reference = clustered_pool(seed)
    selection = select(candidates, reference, config)
    budget, cosine = emotion_budget(candidates, config), _cosine(candidates)
    for emotion in range(2):
        own = candidates.target == emotion
        kept = own & selection.kept
        assert kept.sum() + selection.shortfall[emotion] == budget
        for groups, share in ((candidates.scene, config.scene_share),
                              (candidates.object, config.object_share)):  # fmt: skip
            for group in groups[kept & (groups >= 0)].unique():
                assert (groups[kept] == group).sum() < share * budget + 1
        if selection.shortfall[emotion] == 0:
            continue
        # The reason of every eligible image that is left out is correct.
        left_out = own & selection.eligible & ~selection.kept
        assert not (selection.reason[left_out] == Reason.NOT_SELECTED).any()
        for row in left_out.nonzero().flatten():
            if selection.reason[row] == Reason.NEAR_DUPLICATE:
                nearest = cosine[row, selection.kept].max()
                assert nearest > selection.scores.duplicate_threshold - 1e-5
            else:
                full = [
                    group[row] >= 0 and (group[kept] == group[row]).sum() >= share * budget - 1e-5
                    for group, share in (
                        (candidates.scene, config.scene_share),
                        (candidates.object, config.object_share),
                    )
                ]
                assert any(full)


@given(seeds, st.integers(1, 40))
@quick
def test_without_constraints_keeps_exactly_budget_or_all(seed: int, budget: int) -> None:
    candidates, reference = clustered_pool(seed)
    selection = select(candidates, reference, replace(NO_CONSTRAINTS, budget=budget))
    for emotion in range(2):
        own = candidates.target == emotion
        n_eligible = int((own & selection.eligible).sum())
        assert (own & selection.kept).sum() == min(budget, n_eligible)


@given(seeds, configs, st.randoms())
@quick
def test_the_order_of_candidates_does_not_matter(
    seed: int, config: FilterConfig, random: object
) -> None:
    candidates, reference = clustered_pool(seed)
    order = list(range(len(candidates)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = _permuted(candidates, torch.tensor(order))
    for rule in (select, baselines.keep_random, baselines.keep_most_confident):
        straight = rule(candidates, reference, config)
        assert rule(shuffled, reference, config).reason.equal(straight.reason[order])


@given(seeds, configs, st.data())
@quick
def test_looser_thresholds_never_shrink_the_eligible_set(
    seed: int, config: FilterConfig, data: st.DataObject
) -> None:
    candidates, reference = clustered_pool(seed)
    loosened = replace(
        config,
        confidence_threshold=data.draw(st.floats(0, config.confidence_threshold)),
        realism_threshold=data.draw(st.floats(0, config.realism_threshold)),
        realism_drop=data.draw(st.floats(0, config.realism_drop)),
        duplicate_cosine=data.draw(st.floats(config.duplicate_cosine, 1)),
        duplicate_quantile=config.duplicate_quantile
        and data.draw(st.floats(config.duplicate_quantile, 0.995)),
    )
    eligible = select(candidates, reference, config).eligible
    assert select(candidates, reference, loosened).eligible[eligible].all()


def _objectives(
    candidates: Candidates, reference: Reference, chosen: list[torch.Tensor], emotion: int
) -> list[float]:
    real = unit(reference.features[reference.emotion == emotion])
    kernel = cover_kernel(unit(candidates.features), real, ball_radii(real))
    rows = [(kept & (candidates.target == emotion)).nonzero().flatten() for kept in chosen]
    return [objective(kernel, row, torch.zeros(len(candidates))) for row in rows]


@given(seeds, st.integers(1, 15))
@quick
def test_covers_at_least_as_much_as_top_k(seed: int, budget: int) -> None:
    """By the objective, which the guarantee is about."""
    candidates, reference = clustered_pool(seed)
    selection = select(candidates, reference, replace(NO_CONSTRAINTS, budget=budget))
    # Top-k on the same eligible images: the others get the lowest confidence.
    logits = candidates.logits.clone()
    target = candidates.target[:, None]
    rejected = ~selection.eligible
    logits[rejected] = logits[rejected].scatter(1, target[rejected], -100.0)
    top = baselines.keep_most_confident(
        replace(candidates, logits=logits), reference, replace(NO_CONSTRAINTS, budget=budget)
    )
    for emotion in range(2):
        own, of_top = _objectives(
            candidates, reference, [selection.kept, top.kept & selection.eligible], emotion
        )
        assert own >= of_top - 1e-4


def test_beats_top_k_in_measured_coverage_where_confidence_sits_in_the_modes() -> None:
    generator = torch.Generator().manual_seed(0)
    modes = torch.randn(10, 16, generator=generator)
    weight = torch.arange(10, 0, -1.0)
    real_mode = torch.multinomial(weight, 400, replacement=True, generator=generator)
    mode = torch.multinomial(weight**2, 400, replacement=True, generator=generator)
    real = modes[real_mode] + 0.4 * torch.randn(400, 16, generator=generator)
    noise = 0.4 * torch.randn(400, 16, generator=generator)
    certainty = weight[mode] / 5 - noise.norm(dim=1)  # high in large modes, near their centres
    zeros = torch.zeros(400, dtype=torch.long)
    candidates = Candidates(
        modes[mode] + noise, torch.stack([3 + certainty, zeros], 1), zeros, zeros - 1, zeros - 1
    )
    reference, config = Reference(real, zeros), FilterConfig(budget=60)
    measured = {}
    for rule in (select, baselines.keep_most_confident, baselines.keep_random):
        kept = rule(candidates, reference, config).kept
        assert kept.sum() == 60
        measured[rule.__name__] = neighbour_scores(
            unit(real), unit(candidates.features[kept])
        ).coverage
    assert measured["select"] > measured["keep_most_confident"] + 0.1
    assert measured["select"] > measured["keep_random"] + 0.05


def test_each_step_rejects_its_images() -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(30, 8, generator=generator) + torch.tensor([6.0] + 7 * [0.0])
    inside = unit(real[:5]) + 0.04 * torch.randn(5, 8, generator=generator)
    features = torch.stack(
        [inside[0], inside[1], inside[2], -real[0], 3 * real[9], inside[3], inside[3], inside[4]]
    )
    logits = torch.tensor([[2.0, 0.0]]).repeat(8, 1)
    logits[1] = torch.tensor([0.0, 2.0])
    logits[2] = torch.tensor([0.1, 0.0])
    zeros = torch.zeros(8, dtype=torch.long)
    scene = torch.tensor([7, -1, -1, -1, -1, -1, -1, 7])
    config = FilterConfig(
        budget=4,
        confidence_threshold=0.6,
        realism_drop=0.0,
        duplicate_cosine=0.9999,
        duplicate_quantile=None,
        scene_share=0.25,
    )
    selection = select(
        Candidates(features, logits, zeros, scene, zeros - 1),
        Reference(real, torch.zeros(30, dtype=torch.long)),
        config,
    )
    names = selection.reason_names()
    assert names[1:5] == ["wrong_emotion", "low_confidence", "unrealistic", "copy_of_training"]
    assert sorted(names[5:7]) == ["kept", "near_duplicate"]
    assert sorted([names[0], names[7]]) == ["kept", "over_quota"]
    assert selection.shortfall.tolist() == [2, 4]


def test_near_copies_are_kept_apart_across_emotions() -> None:
    candidates, reference = clustered_pool(3, n=40)
    features = candidates.features.clone()
    features[candidates.target == 1] = features[candidates.target == 0][0]
    both = replace(candidates, features=features)
    selection = select(both, reference, replace(LENIENT, budget=40))
    same = (features == features[candidates.target == 1][0]).all(1)
    assert (selection.kept & same).sum() <= 1


def test_given_scores_change_nothing() -> None:
    candidates, reference = clustered_pool(1)
    config = FilterConfig()
    scores = uniemo.filtering.score(candidates, reference, config)
    straight: Selection = select(candidates, reference, config)
    assert select(candidates, reference, config, scores).reason.equal(straight.reason)
    assert straight.shortfall.shape == (2,)  # by default half of the pool's mean: 15 each
    assert (straight.shortfall <= 15).all()


def test_an_empty_pool_keeps_nothing() -> None:
    candidates, reference = clustered_pool(0)
    nothing = _permuted(candidates, torch.zeros(0, dtype=torch.long))
    selection = select(nothing, reference, FilterConfig(budget=3))
    assert selection.kept.shape == (0,)
    assert selection.shortfall.tolist() == [3, 3]


def test_errors_name_what_is_wrong() -> None:
    candidates, reference = clustered_pool(0)
    with pytest.raises(UserError, match=r"realism_drop is 1\.0"):
        FilterConfig(realism_drop=1.0)
    with pytest.raises(ValueError, match="scene"):
        replace(candidates, scene=candidates.scene[:3])
    with pytest.raises(ValueError, match="NaN"):
        replace(candidates, features=candidates.features / 0)
    with pytest.raises(ValueError, match=r"\[0, 2\)"):
        replace(candidates, target=candidates.target + 1)
    with pytest.raises(ValueError, match="temperature"):
        replace(reference, temperature=0.0)
    only_zero = Reference(reference.features, torch.zeros_like(reference.emotion))
    with pytest.raises(UserError, match="emotion 1 has candidates but 0 real"):
        select(candidates, only_zero, FilterConfig())
    with pytest.raises(ValueError, match="clip_probability"):
        baselines.keep_clip_probable(
            replace(candidates, clip_probability=None), reference, FilterConfig()
        )


def test_the_example_of_the_package_runs() -> None:
    assert doctest.testmod(uniemo.filtering).failed == 0


@pytest.mark.gpu
@pytest.mark.parametrize("width", [12, 200])  # without and with the screen for near copies
def test_the_gpu_selects_what_the_cpu_selects(width: int, gpu: torch.device) -> None:
    candidates, reference = clustered_pool(0, n=400, n_real=300, n_emotions=4, width=width)
    config = FilterConfig(utility_weight=1.0)
    expected = select(candidates, reference, config)
    moved = Candidates(*(column.to(gpu) for column in vars(candidates).values()))
    real = replace(
        reference, features=reference.features.to(gpu), emotion=reference.emotion.to(gpu)
    )
    found = select(moved, real, config)
    assert found.kept.device.type == gpu.type
    # Rounding may decide on a candidate at a threshold, and with it on a few others.
    assert (found.reason.cpu() == expected.reason).float().mean() > 0.97
    for name in ("confidence", "realism", "nearest_cosine", "radii"):
        values, on_cpu = getattr(found.scores, name), getattr(expected.scores, name)
        torch.testing.assert_close(values.cpu(), on_cpu, rtol=1e-2, atol=1e-3)
    assert moved.order(3).cpu().equal(candidates.order(3))
