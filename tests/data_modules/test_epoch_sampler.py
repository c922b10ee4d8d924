"""Order from (seed, epoch) alone, fair shares of ranks, and the exact position when resuming."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules.epoch_sampler import EpochSampler, ResumableLoader
from uniemo.utils.seeding import shuffled_rows, stratified_rows


def rows_of(sampler: EpochSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return [key.row for key in sampler]


def shuffler(n: int, seed: int = 0, **ranks: int) -> EpochSampler:
    return EpochSampler(partial(shuffled_rows, n, seed), n, even=True, **ranks)


def test_order_depends_on_seed_and_epoch_alone():
    first = rows_of(shuffler(50), 3)
    sampler = shuffler(50)
    rows_of(sampler, 0)  # what came before, as a sanity check, does not matter
    assert rows_of(sampler, 3) == first
    assert sorted(first) == list(range(50))
    assert rows_of(sampler, 4) != first
    assert rows_of(shuffler(50, seed=1), 3) != first


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 4), st.integers(0, 9))
def test_ranks_together_draw_what_one_process_draws(n, world_size, batch, epoch):
    alone = rows_of(shuffler(n), epoch)
    ranks = [rows_of(shuffler(n, rank=r, world_size=world_size), epoch) for r in range(world_size)]
    assert {len(rows) for rows in ranks} == {n // world_size}
    for step in range(n // (world_size * batch)):
        together = {row for rows in ranks for row in rows[step * batch : (step + 1) * batch]}
        start = step * batch * world_size
        assert together == set(alone[start : start + batch * world_size])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 60), st.integers(1, 5))
def test_uneven_ranks_share_every_row_out_once(n, world_size):
    samplers = [
        EpochSampler(lambda epoch: np.arange(n), n, even=False, rank=r, world_size=world_size)
        for r in range(world_size)
    ]
    shares = [rows_of(sampler, 0) for sampler in samplers]
    assert sorted(row for rows in shares for row in rows) == list(range(n))
    assert [len(sampler) for sampler in samplers] == [len(rows) for rows in shares]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=80),
    st.floats(0.01, 1),
    st.floats(0.01, 1),
    st.integers(0, 5),
)
def test_fractions_are_stratified_and_nested(labels, one, other, seed):
    label = np.array(labels)
    small, large = (stratified_rows(label, f, seed) for f in sorted((one, other)))
    assert set(small) <= set(large)
    assert np.array_equal(small, np.unique(small))
    for name in np.unique(label):
        kept = int((label[small] == name).sum())
        assert kept == max(1, round(min(one, other) * int((label == name).sum())))
    assert len(stratified_rows(label, 1.0, seed)) == len(label)


class Rows:
    """A data set whose samples are the rows and epochs requested."""

    def __getitem__(self, key):
        return tuple(key)


def loader(num_workers: int = 0) -> ResumableLoader:
    return ResumableLoader(
        Rows(),  # type: ignore[arg-type]
        batch_size=3,
        sampler=shuffler(20),
        num_workers=num_workers,
        collate_fn=list,
        drop_last=True,
        persistent_workers=num_workers > 0,
    )


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("consumed", [0, 1, 4, 6])
def test_a_resumed_epoch_goes_on_with_the_next_batch(num_workers, consumed):
    whole = loader()
    whole.sampler.set_epoch(2)
    batches = list(whole)
    assert len(batches) == len(whole) == 6

    stopped = loader(num_workers)
    stopped.sampler.set_epoch(2)
    iterator = iter(stopped)
    assert [next(iterator) for _ in range(consumed)] == batches[:consumed]
    position = stopped.position
    stopped.sampler.set_epoch(3)  # set, not begun: the position stays that of epoch 2
    assert stopped.position == position

    resumed = loader(num_workers)
    if consumed:
        assert position == {"epoch": 2, "batches": consumed}
        resumed.resume_at(position)
        assert resumed.position == position
    else:
        resumed.sampler.set_epoch(2)
    assert len(resumed) == 6
    assert list(resumed) == batches[consumed:]
    assert list(resumed) == batches  # the position is used once


def test_a_position_of_another_epoch_is_ignored():
    resumed = loader()
    resumed.resume_at({"epoch": 2, "batches": 6})
    resumed.sampler.set_epoch(3)
    assert len(list(resumed)) == 6
    assert resumed.position == {"epoch": 3, "batches": 6}


def test_the_epoch_begins_when_the_first_batch_is_requested():
    late = loader()
    iterator = iter(late)
    late.sampler.set_epoch(5)  # as Lightning does, after opening the loader
    assert {epoch for _, epoch in next(iterator)} == {5}
