import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uniemo.batch import Features
from uniemo.fusion import DiagonalGaussian, Mixture, StoredFeatures, TiedGaussian

D = 3
SPACES = {
    "diagonal": lambda: DiagonalGaussian(D),
    "tied": lambda: TiedGaussian(D, rank=4, capacity=12),
    "mixture": lambda: Mixture(D, modes=3, capacity=12),
    "stored": lambda: StoredFeatures(D, jitter=0.1, capacity=12),
}
every_space = pytest.mark.parametrize("kind", SPACES)


def split(n_rows=200, seed=0):
    """Rows of [fe, fs, fo] with ties, an offset, and their emotions."""
    random = np.random.default_rng(seed)
    emotion = np.arange(n_rows) % 8
    shared = random.standard_normal((n_rows, 1))
    rows = 100 + emotion[:, None] + 2 * shared + random.standard_normal((n_rows, 3 * D))
    return torch.from_numpy(rows).float(), torch.from_numpy(emotion)


def stream(space, rows, emotion, order, batch):
    for chunk in order.split(batch):
        space.update(Features(*rows[chunk].chunk(3, 1)), emotion[chunk], chunk)


def filled(kind, batch=32, order=None):
    rows, emotion = split()
    space = SPACES[kind]()
    stream(space, rows, emotion, torch.arange(200) if order is None else order, batch)
    space.synchronise()
    return space


def generators(n, seed=0):
    return [torch.Generator().manual_seed(seed + i) for i in range(n)]


def assert_same_state(one, other):
    for (name, a), (_, b) in zip(one.named_buffers(), other.named_buffers(), strict=True):
        torch.testing.assert_close(
            a, b, rtol=1e-4, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
        )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 70))
def test_moments_equal_numpy_whatever_the_batches(seed, batch):
    rows, emotion = split(seed=seed)
    space = DiagonalGaussian(D)
    stream(space, rows, emotion, torch.arange(200), batch)
    space.synchronise()
    for label in range(8):
        mine = rows[emotion == label].double().numpy()
        assert space.moments.count[label] == len(mine)
        np.testing.assert_allclose(space.moments.mean[label], mine.mean(0), rtol=1e-12)
        np.testing.assert_allclose(space.moments.std()[label], mine.std(0), rtol=1e-9)


def test_moments_do_not_cancel_far_from_zero():
    rows, emotion = split()
    space = DiagonalGaussian(D)
    far = rows.double() + 1e7
    stream(space, far, emotion, torch.arange(200), 8)
    expected = far[emotion == 2].std(0, correction=0)
    torch.testing.assert_close(space.moments.std()[2], expected, rtol=1e-6, atol=0)


@every_space
def test_order_and_batches_change_nothing(kind):
    order = torch.randperm(200, generator=torch.Generator().manual_seed(3))
    assert_same_state(filled(kind), filled(kind, batch=7, order=order))


@every_space
def test_a_checkpoint_restores_the_same_draws(kind):
    space, again = filled(kind), SPACES[kind]()
    again.load_state_dict(space.state_dict())
    emotion = torch.arange(8)
    expected = space.sample(emotion, generators(8))
    for a, b in zip(expected, again.sample(emotion, generators(8)), strict=True):
        assert torch.equal(a, b)
        assert a.shape == (8, D)
        assert a.dtype == torch.float32


@every_space
def test_a_draw_is_the_same_in_any_batch(kind):
    space = filled(kind)
    together = space.sample(torch.arange(8), generators(8))
    alone = space.sample(torch.tensor([5]), generators(1, seed=5))
    for a, b in zip(together, alone, strict=True):
        assert torch.equal(a[5:6], b)


@every_space
def test_draws_have_the_mean_and_deviation_of_the_emotion(kind):
    space = filled(kind)
    drawn = torch.cat(space.sample(torch.full((800,), 3), generators(800)), 1)
    rows = space.reservoir.of(3) if kind in ("mixture", "stored") else split()[0][split()[1] == 3]
    error = (drawn.mean(0) - rows.mean(0)).abs() / rows.std(0)
    assert (error < 0.2).all()
    assert ((drawn.std(0) / rows.std(0, correction=0) - 1).abs() < 0.15).all()


@pytest.mark.parametrize(("kind", "tied"), [("diagonal", False), ("tied", True), ("stored", True)])
def test_ties_between_the_features_are_kept_or_lost(kind, tied):
    drawn = filled(kind).sample(torch.full((600,), 3), generators(600))
    correlation = np.corrcoef(drawn.emotion[:, 0], drawn.scene[:, 0])[0, 1]
    assert (correlation > 0.5) == tied  # of the split: 0.8


def test_tied_factor_gives_back_the_correlations_of_a_low_rank_emotion():
    random = np.random.default_rng(0)
    rows = torch.from_numpy(random.standard_normal((64, 2)) @ random.standard_normal((2, 3 * D)))
    space = TiedGaussian(D, rank=2, capacity=64)
    stream(space, rows.float(), torch.zeros(64, dtype=torch.long), torch.arange(64), 10)
    space.synchronise()
    factor = space.factor[0].double()
    np.testing.assert_allclose(factor @ factor.T, np.corrcoef(rows.numpy().T), atol=1e-5)


def test_mixture_draws_at_the_modes_and_not_between():
    random = np.random.default_rng(0)
    mode = torch.from_numpy(random.integers(0, 2, 60)).float()
    rows = (20 * mode - 10)[:, None] + torch.from_numpy(random.standard_normal((60, 3 * D))).float()
    space = Mixture(D, modes=2, capacity=60)
    stream(space, rows, torch.full((60,), 4), torch.arange(60), 16)
    space.synchronise()
    drawn = torch.cat(space.sample(torch.full((300,), 4), generators(300)), 1)
    assert (drawn.abs() > 4).all()
    assert ((drawn > 0) == (drawn[:, :1] > 0)).all()  # all of one draw from one mode
    assert abs((drawn[:, 0] > 0).float().mean() - mode.mean()) < 0.1


def test_stored_features_without_jitter_are_rows_of_the_split():
    space = StoredFeatures(D, jitter=0, capacity=12)
    rows, emotion = split()
    stream(space, rows, emotion, torch.arange(200), 32)
    space.synchronise()
    drawn = torch.cat(space.sample(torch.arange(8), generators(8)), 1)
    for label in range(8):
        assert (drawn[label] == rows[emotion == label]).all(1).any()


def test_reservoir_keeps_a_fixed_spread_subset_and_counts_a_repeated_row_once():
    rows, emotion = split(800)
    rows[:, 0] = torch.arange(800)
    space = StoredFeatures(D, capacity=20)
    stream(space, rows, emotion, torch.arange(800).repeat(2), 50)
    for label in range(8):
        kept = space.reservoir.of(label)[:, 0]
        assert len(kept) == len(kept.unique()) == 20
        assert (kept % 8 == label).all()
        assert 200 < kept.mean() < 600  # of rows numbered 0 to 799
    few = StoredFeatures(D, capacity=500)
    stream(few, rows, emotion, torch.arange(800), 50)
    assert len(few.reservoir.of(0)) == 100


def test_reset_forgets_everything():
    for kind in SPACES:
        space = filled(kind)
        space.reset()
        with pytest.raises(ValueError, match="no features of emotion 1"):
            space.sample(torch.tensor([1]), generators(1))
    rows, emotion = split()
    stream(space, rows, emotion, torch.arange(200), 32)
    space.synchronise()
    assert_same_state(space, filled(kind))


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="1 generators for 2 images"):
        filled("diagonal").sample(torch.tensor([0, 1]), generators(1))
    for build in (
        lambda: TiedGaussian(D, rank=0),
        lambda: Mixture(D, modes=0),
        lambda: StoredFeatures(D, jitter=-1),
        lambda: StoredFeatures(D, capacity=0),
    ):
        with pytest.raises(ValueError, match=r"is (0|-1);"):
            build()


def fill_half(rank, directory):
    torch.set_num_threads(1)  # a forked process has no pool of threads
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{directory}/meet", rank=rank, world_size=2
    )
    rows, emotion = split()
    for kind, make in SPACES.items():
        space = make()
        stream(space, rows, emotion, torch.arange(200)[rank::2], 13)
        space.synchronise()
        torch.save(dict(space.named_buffers()), f"{directory}/{kind}{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_states_of_one(tmp_path):
    # Forked, to spare two imports of torch.
    torch.multiprocessing.start_processes(
        fill_half, (str(tmp_path),), nprocs=2, start_method="fork"
    )
    for kind in SPACES:
        for rank in range(2):
            state = torch.load(tmp_path / f"{kind}{rank}.pt", weights_only=True)
            for name, expected in filled(kind).named_buffers():
                torch.testing.assert_close(state[name], expected, rtol=1e-4, atol=1e-6)
