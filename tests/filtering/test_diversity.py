"""The diverse selection, compared with brute force over all subsets."""

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from uniemo.filtering import ball_radii, select_diverse, unit
from uniemo.filtering.diversity import cover_kernel, objective


def _problem(seed: int, n: int, n_real: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, n_real, generator=generator) ** 3, torch.rand(n, generator=generator)


def _choose(
    kernel: torch.Tensor, confidence: torch.Tensor, budget: int, **constraints: object
) -> torch.Tensor:
    n = len(kernel)
    free: dict = {
        "copies": torch.eye(n, dtype=torch.bool),
        "groups": torch.full((n, 0), -1),
        "quotas": [],
    }
    return select_diverse(kernel, confidence, budget, **(free | constraints))


def _plain_greedy(kernel: torch.Tensor, budget: int) -> list[int]:
    kept: list[int] = []
    for _ in range(budget):
        rest = [row for row in range(len(kernel)) if row not in kept]
        kept.append(max(rest, key=lambda row: kernel[[*kept, row]].amax(0).double().sum().item()))
    return kept


def test_kernel_is_the_gaussian_of_distance_over_radius() -> None:
    generator = torch.Generator().manual_seed(0)
    images, real = (unit(torch.randn(n, 6, generator=generator)) for n in (9, 20))
    radii = ball_radii(real, 3)
    expected = (-(torch.tensor(cdist(images, real)) ** 2) / (2 * radii.double() ** 2)).exp()
    torch.testing.assert_close(
        cover_kernel(images, real, radii).double(), expected, atol=1e-5, rtol=1e-4
    )


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 12))
@settings(max_examples=20, deadline=None)
def test_lazy_greedy_takes_what_plain_greedy_takes(seed: int, n: int, budget: int) -> None:
    kernel, confidence = _problem(seed, n, n_real=60)
    kept = _choose(kernel, confidence, budget)
    assert len(kept) == min(budget, n)
    plain = torch.tensor(_plain_greedy(kernel, min(budget, n)))
    best_plain = max(
        objective(kernel, rows, torch.zeros(n))
        for rows in (plain, confidence.argsort(descending=True)[:budget])
    )
    assert abs(objective(kernel, kept, torch.zeros(n)) - best_plain) < 1e-4


@given(st.integers(0, 10_000), st.booleans(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_guarantees_hold_against_the_best_subset(seed: int, quotas: bool, copies: bool) -> None:
    n, budget = 9, 4
    kernel, confidence = _problem(seed, n)
    generator = torch.Generator().manual_seed(seed)
    utility = torch.rand(n, generator=generator)
    groups = torch.randint(-1, 3, (n, 2), generator=generator)
    label = torch.randint(5, (n,), generator=generator)
    graph = label[:, None] == label if copies else torch.eye(n, dtype=torch.bool)
    limits = [2, 1] if quotas else [n, n]

    def allowed(rows: tuple[int, ...]) -> bool:
        pairs = itertools.combinations(rows, 2)
        if any(graph[a, b] for a, b in pairs):
            return False
        columns = groups[list(rows)].T.tolist()
        return all(
            column.count(group) <= limit
            for column, limit in zip(columns, limits, strict=True)
            for group in column
            if group >= 0
        )

    kept = _choose(
        kernel, confidence, budget, copies=graph, groups=groups, quotas=limits, utility=utility
    )
    rows = tuple(kept.tolist())
    assert allowed(rows)
    assert len(rows) == budget or not any(
        allowed((*rows, row)) for row in range(n) if row not in rows
    )
    feasible = [
        subset
        for size in range(1, budget + 1)
        for subset in itertools.combinations(range(n), size)
        if allowed(subset)
    ]
    best = max(objective(kernel, torch.tensor(subset), utility) for subset in feasible)
    share = 1 / (1 + 2 * quotas + copies) if quotas or copies else 1 - 1 / torch.e
    assert objective(kernel, kept, utility) >= share * best - 1e-4


def test_top_k_replaces_greedy_where_it_covers_more() -> None:
    # Greedy takes the first image, which adds nothing once the other two are selected.
    kernel = torch.tensor(
        [[0.0, 1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0, 0.9], [0.0, 0.0, 1.0, 1.0, 0.9]]
    )
    assert _choose(kernel, torch.tensor([0.1, 0.9, 0.8]), 2).sort().values.tolist() == [1, 2]
    assert _choose(kernel, torch.tensor([0.9, 0.8, 0.1]), 2).tolist()[0] == 0


def test_when_all_is_covered_the_budget_is_filled_by_confidence() -> None:
    kernel = torch.tensor([[1.0, 1.0], [0.5, 0.5], [0.5, 0.2], [0.1, 0.1]])
    kept = _choose(kernel, torch.tensor([0.1, 0.3, 0.4, 0.9]), 3)
    assert kept.tolist() == [0, 3, 2]
