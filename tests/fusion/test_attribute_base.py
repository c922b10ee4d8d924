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
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_probabilities_are_counted_frequencies(seed, support):
    text, emotion, names = annotations(seed)
    base = filled_base(text, emotion, names, support)
    for name in range(5):
        rows = emotion[names[:, name]].numpy()
        assert bool(base.supported[name]) == (len(rows) >= support)
        expected = np.bincount(rows, minlength=8) / len(rows) if len(rows) >= support else 0.0
        np.testing.assert_allclose(base.probability[name], expected, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_retrieval_is_the_nearest_supported_name_by_cosine(seed):
    text, emotion, names = annotations(seed)
    base = filled_base(text, emotion, names, support=4)
    query = np.random.default_rng(seed + 1).standard_normal((6, 4)).astype("float32")
    target = torch.arange(6)
    alpha, name = base.coefficient(torch.from_numpy(query), target)
    supported = np.flatnonzero(base.supported)
    for i in range(6):
        if not len(supported):
            assert name[i] == -1
            assert alpha[i] == 0
            continue
        lengths = np.linalg.norm(text, axis=1) * np.linalg.norm(query[i])
        cosine = text.numpy() @ query[i] / lengths
        nearest = supported[cosine[supported].argmax()]
        assert name[i] == nearest
        assert alpha[i] == base.probability[nearest, i]


def test_an_attribute_outside_the_base_has_coefficient_zero():
    names = torch.tensor([[True, False], [True, False], [False, True]])
    emotion = torch.tensor([3, 3, 3])
    base = filled_base(torch.eye(2), emotion, names, support=2)
    outside = base.probability_of(torch.tensor([-1, 1, 0]), emotion)
    assert outside.tolist() == [0, 0, 1]
    assert base.retrieve(torch.eye(2)).tolist() == [0, 0]


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
        AttributeBase(6, 4).fill(text, emotion, names, 1)
    with pytest.raises(ValueError, match="support is 0"):
        AttributeBase(5, 4).fill(text, emotion, names, 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_evidence_is_the_log_lift_of_the_names_softmax(seed):
    text, emotion, names = annotations(seed)
    base = filled_base(text, emotion, names, support=4)
    query = torch.nn.functional.normalize(
        torch.randn(3, 4, generator=torch.Generator().manual_seed(seed)), dim=1
    )
    evidence = base.evidence(query, torch.tensor(5.0))
    supported = np.flatnonzero(base.supported)
    if not len(supported):
        assert (evidence == 0).all()
        return
    prior = np.bincount(emotion, minlength=8) / len(emotion)
    for i in range(3):
        weight = np.exp(5 * (base.text_features.numpy()[supported] @ query[i].numpy()))
        meant = weight @ base.probability.numpy()[supported] / weight.sum()
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
    base.fill(torch.zeros(0, 8), torch.tensor([0, 3]), torch.zeros(2, 0, dtype=torch.bool), 1)
    query, emotion = torch.randn(4, 8), torch.tensor([0, 1, 2, 3])
    alpha, name = base.coefficient(query, emotion)
    assert name.tolist() == [-1] * 4
    assert alpha.tolist() == [0.0] * 4
    assert torch.equal(base.evidence(query, torch.tensor(10.0)), torch.zeros(4, 8))
