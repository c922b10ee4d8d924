import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import filled_base
from uniemo.fusion import AttributeBase


def annotations(seed, n_rows=40, n_names=5):
    random = np.random.default_rng(seed)
    text = torch.from_numpy(random.standard_normal((n_names, 4))).float()
    emotion = torch.from_numpy(random.integers(0, 8, n_rows))
    names = torch.from_numpy(random.random((n_rows, n_names)) < random.random(n_names) / 2)
    return text, emotion, names


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 12))
def test_the_published_estimate_is_the_frequency_above_a_threshold(seed, support):
    text, emotion, names = annotations(seed)
    base = filled_base(text, emotion, names, support)
    prior = np.bincount(emotion, minlength=8) / len(emotion)
    for name in range(5):
        rows = emotion[names[:, name]].numpy()
        assert bool(base.supported[name]) == (len(rows) >= support)
        known = len(rows) >= max(support, 1)
        frequency = np.bincount(rows, minlength=8) / max(len(rows), 1)
        np.testing.assert_allclose(base.probability[name], frequency if known else prior, rtol=1e-5)
        np.testing.assert_allclose(base.correlation[name], frequency if known else 0, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 20))
def test_smoothing_is_the_posterior_mean_under_a_dirichlet_prior(seed, smoothing):
    text, emotion, names = annotations(seed)
    base = filled_base(text, emotion, names, smoothing=smoothing)
    prior = np.bincount(emotion, minlength=8) / len(emotion)
    for name in range(5):
        count = np.bincount(emotion[names[:, name]], minlength=8)
        total = count.sum() + smoothing
        mean = (count + smoothing * prior) / total
        np.testing.assert_allclose(base.probability[name], mean, rtol=1e-5)
        np.testing.assert_allclose(base.correlation[name], count / total, rtol=1e-5)
    assert base.supported.all()


def test_a_name_that_was_never_seen_is_retrieved_but_tells_nothing():
    names = torch.tensor([[True, False]] * 3)
    base = filled_base(torch.eye(2), torch.tensor([3, 3, 4]), names, smoothing=2.0)
    alpha, name = base.coefficient(torch.tensor([[0.1, 1.0]]), torch.tensor([3]))
    assert (name.tolist(), alpha.tolist()) == ([1], [0.0])
    torch.testing.assert_close(base.probability[1], base.prior)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_retrieval_is_the_nearest_name_by_cosine_if_it_is_in_the_base(seed):
    text, emotion, names = annotations(seed)
    base = filled_base(text, emotion, names, support=4)
    query = np.random.default_rng(seed + 1).standard_normal((6, 4)).astype("float32")
    alpha, name = base.coefficient(torch.from_numpy(query), torch.arange(6))
    for i in range(6):
        lengths = np.linalg.norm(text, axis=1) * np.linalg.norm(query[i])
        nearest = int((text.numpy() @ query[i] / lengths).argmax())
        if base.supported[nearest]:
            assert name[i] == nearest
            assert alpha[i] == base.correlation[nearest, i]
        else:
            assert (name[i], alpha[i]) == (-1, 0)


def test_an_attribute_outside_the_base_gives_no_coefficient_and_no_evidence():
    names = torch.tensor([[True, False], [True, False], [False, True]])
    emotion = torch.tensor([3, 3, 4])
    base = filled_base(torch.eye(2), emotion, names, support=2)
    outside = base.coefficient_of(torch.tensor([-1, 1, 0]), torch.tensor([3, 3, 3]))
    assert outside.tolist() == [0, 0, 1]
    assert base.retrieve(torch.eye(2)).tolist() == [0, -1]
    evidence = base.evidence(torch.eye(2), torch.tensor(100.0))
    assert evidence[1, 3:5].abs().max() < 1e-5
    assert evidence[0, 3] > 0.3


def test_a_checkpoint_restores_it():
    text, emotion, names = annotations(0)
    base = filled_base(text, emotion, names, support=2)
    again = AttributeBase(5, 4)
    assert again.retrieve(text).tolist() == [-1] * 5
    again.load_state_dict(base.state_dict())
    alpha, name = base.coefficient(text, emotion[:5])
    restored_alpha, restored_name = again.coefficient(text, emotion[:5])
    assert torch.equal(alpha, restored_alpha)
    assert torch.equal(name, restored_name)


def test_order_of_rows_changes_nothing():
    text, emotion, names = annotations(1)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    base = filled_base(text, emotion, names, 2)
    shuffled = filled_base(text, emotion[order], names[order], 2)
    assert torch.equal(base.probability, shuffled.probability)


def test_wrong_sizes_are_refused():
    text, emotion, names = annotations(2)
    with pytest.raises(ValueError, match="should be"):
        AttributeBase(6, 4).fill(text, emotion, names)
    with pytest.raises(ValueError, match="smoothing -1"):
        AttributeBase(5, 4).fill(text, emotion, names, -1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_evidence_is_the_log_lift_of_the_names_softmax(seed):
    text, emotion, names = annotations(seed)
    base = filled_base(text, emotion, names, smoothing=2.0)
    query = torch.nn.functional.normalize(
        torch.randn(3, 4, generator=torch.Generator().manual_seed(seed)), dim=1
    )
    evidence = base.evidence(query, torch.tensor(5.0))
    prior = np.bincount(emotion, minlength=8) / len(emotion)
    for i in range(3):
        weight = np.exp(5 * (base.text_features.numpy() @ query[i].numpy()))
        meant = weight @ base.probability.numpy() / weight.sum()
        lift = np.divide(meant, prior, out=np.zeros(8), where=prior > 0)
        np.testing.assert_allclose(evidence[i], np.log(0.02 + 0.98 * lift), rtol=1e-4, atol=1e-5)


def test_names_that_follow_the_prior_are_no_evidence():
    emotion = torch.arange(8).repeat(4)
    base = filled_base(torch.eye(2), emotion, torch.ones(32, 2).bool(), 1)
    assert base.evidence(torch.eye(2), torch.tensor(10.0)).abs().max() < 1e-5


def test_evidence_moves_queries_towards_names_of_the_emotion():
    base = filled_base(
        torch.eye(2), torch.tensor([0, 0, 1, 1]), torch.eye(2).bool().repeat_interleave(2, 0), 1
    )
    query = torch.tensor([[0.5, 0.5]], requires_grad=True)
    base.evidence(query, torch.tensor(3.0))[0, 1].backward()
    assert query.grad[0, 1] > 0 > query.grad[0, 0]


def test_a_data_set_without_names_retrieves_nothing_and_gives_no_evidence():
    base = AttributeBase(0, 8)
    base.fill(torch.zeros(0, 8), torch.tensor([0, 3]), torch.zeros(2, 0, dtype=torch.bool))
    query, emotion = torch.randn(4, 8), torch.tensor([0, 1, 2, 3])
    alpha, name = base.coefficient(query, emotion)
    assert name.tolist() == [-1] * 4
    assert alpha.tolist() == [0.0] * 4
    assert torch.equal(base.evidence(query, torch.tensor(10.0)), torch.zeros(4, 8))
