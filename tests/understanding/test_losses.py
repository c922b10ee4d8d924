import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from uniemo.understanding import (
    LogitScale,
    attribute_contrastive_loss,
    emotion_classification_loss,
    gather,
    name_positives,
)

SCALE = torch.tensor(1 / 0.07)


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def brute_force(projected, text, positives, scale):
    """The loss pair by pair, in NumPy."""
    e = np.exp(scale * projected @ text.T)
    images = [i for i in range(len(e)) if positives[i].any()]
    names = [k for k in range(e.shape[1]) if positives[:, k].any()]
    total = 0.0
    for i in images:
        for k in np.flatnonzero(positives[i]):
            wrong_names = sum(e[i, n] for n in names if not positives[i, n])
            wrong_images = sum(e[j, k] for j in images if not positives[j, k])
            for wrong in (wrong_names, wrong_images):
                total -= np.log(e[i, k] / (e[i, k] + wrong)) / 2 / positives[i].sum()
    return total / max(len(images), 1)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 6), st.floats(0, 1))
def test_contrastive_loss_equals_brute_force(seed, n_images, n_names, density):
    projected, text = unit(n_images, 5, seed=seed), unit(n_names, 5, seed=seed + 1)
    positives = torch.from_numpy(np.random.default_rng(seed).random((n_images, n_names)) < density)
    loss = attribute_contrastive_loss(projected, text, positives, SCALE)
    expected = brute_force(
        *(x.double().numpy() for x in (projected, text)), positives.numpy(), 1 / 0.07
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-4, atol=1e-5)


def test_each_image_counts_by_its_weight():
    projected, text = unit(5, 6), unit(4, 6, seed=1)
    positives = torch.tensor([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]])

    def loss(*weight: float):
        return attribute_contrastive_loss(
            projected, text, positives.bool(), SCALE, torch.tensor(weight)
        )

    plain = attribute_contrastive_loss(projected, text, positives.bool(), SCALE)
    torch.testing.assert_close(loss(1, 1, 1, 1, 1), plain)
    apart = [loss(*torch.eye(5)[i].tolist()) for i in range(5)]
    torch.testing.assert_close(loss(1, 0.5, 3, 0, 2), apart[0] + 0.5 * apart[1] + 2 * apart[4])
    assert apart[1] > 0
    assert apart[2] == 0  # it has no name


def test_with_one_distinct_name_each_it_is_clips_loss():
    projected, text = unit(4, 6), unit(9, 6, seed=1)
    name = torch.tensor([7, 0, 3, 5])
    logits = SCALE * projected @ text[name].T
    target = torch.arange(4)
    expected = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    loss = attribute_contrastive_loss(projected, text, name_positives(name, 9), SCALE)
    torch.testing.assert_close(loss, expected)


def test_an_image_without_the_attribute_adds_nothing():
    projected, text = unit(4, 6).requires_grad_(), unit(9, 6, seed=1)
    name = torch.tensor([7, -1, 3, 7])
    loss = attribute_contrastive_loss(projected, text, name_positives(name, 9), SCALE)
    (gradient,) = torch.autograd.grad(loss, projected)
    kept = name >= 0
    alone = attribute_contrastive_loss(projected[kept], text, name_positives(name[kept], 9), SCALE)
    torch.testing.assert_close(loss, alone)
    assert (gradient[1] == 0).all()
    assert (gradient[kept].norm(dim=1) > 0).all()


@pytest.mark.parametrize("name", [[-1, -1], [3, 3]])
def test_nothing_to_contrast_is_zero_with_a_graph(name):
    projected, scale = unit(2, 6).requires_grad_(), SCALE.clone().requires_grad_()
    positives = name_positives(torch.tensor(name), 9)
    loss = attribute_contrastive_loss(projected, unit(9, 6), positives, scale)
    assert loss.item() == 0
    loss.backward()
    assert (projected.grad == 0).all()
    assert scale.grad == 0


def test_logits_are_not_rounded_under_autocast():
    projected, text = unit(4, 6), unit(9, 6, seed=1)
    positives = name_positives(torch.tensor([7, 0, 3, 5]), 9)
    exact = attribute_contrastive_loss(projected, text, positives, SCALE)
    with torch.autocast("cpu", torch.bfloat16):
        assert attribute_contrastive_loss(projected, text, positives, SCALE) == exact


def test_classification_loss_of_eight_is_the_mean_of_eight_of_one():
    logits = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    emotion, weight = torch.arange(8), torch.linspace(0.2, 1, 8)
    for weights in (None, weight):
        whole = emotion_classification_loss(logits, emotion, weights)
        parts = [
            emotion_classification_loss(
                logits[i : i + 1],
                emotion[i : i + 1],
                None if weights is None else weights[i : i + 1],
            )
            for i in range(8)
        ]
        torch.testing.assert_close(whole, torch.stack(parts).mean(), atol=1e-5, rtol=1e-5)
    expected = -(logits.log_softmax(1).diagonal() * weight).mean()
    torch.testing.assert_close(emotion_classification_loss(logits, emotion, weight), expected)


def test_logit_scale_starts_and_stops_as_clips_and_can_return_from_the_limit():
    scale = LogitScale()
    assert math.isclose(scale().item(), 1 / 0.07, rel_tol=1e-5)
    with torch.no_grad():
        scale.logarithm.fill_(9.0)
    assert math.isclose(scale().item(), 100, rel_tol=1e-5)
    scale().backward()
    assert scale.logarithm.grad > 0


def test_names_become_positives():
    expected = torch.tensor([[False, True, False], [False] * 3, [False, False, True]])
    assert torch.equal(name_positives(torch.tensor([1, -1, 2]), 3), expected)


def test_gather_alone_is_the_identity():
    x = torch.randn(2, 3)
    assert gather(x) is x


def sharded_loss(rank, directory, projected, text, name):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{directory}/meet", rank=rank, world_size=2
    )
    mine = slice(3 * rank, 3 * rank + 3)
    local = projected[mine].clone().requires_grad_()
    scale = SCALE.clone().requires_grad_()
    positives = gather(name_positives(name[mine], len(text)))
    loss = attribute_contrastive_loss(gather(local), text, positives, scale)
    loss.backward()
    result = {"loss": loss.detach(), "local": local.grad / 2, "scale": scale.grad}
    torch.save(result, f"{directory}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_loss_and_gradients_of_one(tmp_path):
    projected, text = unit(6, 6), unit(9, 6, seed=1)
    name = torch.tensor([7, 0, -1, 7, 5, 5])
    arguments = (str(tmp_path), projected, text, name)
    torch.multiprocessing.spawn(sharded_loss, arguments, nprocs=2)
    whole, scale = projected.clone().requires_grad_(), SCALE.clone().requires_grad_()
    loss = attribute_contrastive_loss(whole, text, name_positives(name, 9), scale)
    loss.backward()
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for part in parts:
        torch.testing.assert_close(part["loss"], loss.detach())
        torch.testing.assert_close(part["scale"], scale.grad)  # DDP's mean leaves it as it is
    torch.testing.assert_close(torch.cat([part["local"] for part in parts]), whole.grad)


def test_votes_are_soft_labels() -> None:
    logits, votes = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([[0.5, 0.25, 0.25]])
    total = math.log(math.exp(2) + 1 + math.exp(-1))
    by_hand = 0.5 * (total - 2) + 0.25 * (total - 0) + 0.25 * (total + 1)
    assert emotion_classification_loss(logits, votes).item() == pytest.approx(by_hand)
