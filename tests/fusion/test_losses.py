import numpy as np
import torch

from uniemo.fusion import emotional_condition_loss, word_alignment_loss, words_of_names


def case(n_images=8):
    generator = torch.Generator().manual_seed(0)
    logits, own = torch.randn(2, n_images, 8, generator=generator)
    return logits, torch.arange(n_images) % 8, own


def test_condition_loss_is_the_equation():
    logits, emotion, own = case()
    expected = []
    for row, y, mine in zip(*(x.double().numpy() for x in (logits, emotion, own)), strict=True):
        y = int(y)
        wrong = max((c for c in range(8) if c != y), key=lambda c, mine=mine: mine[c])
        cosine = [row @ np.eye(8)[c] / np.linalg.norm(row) for c in range(8)]
        cross_entropy = -row[y] + np.log(np.exp(row).sum())
        expected.append(cross_entropy + max(0, 0.5 + cosine[wrong] - cosine[y]))
    loss = emotional_condition_loss(logits, emotion, own)
    np.testing.assert_allclose(loss, np.mean(expected), rtol=1e-6)


def test_condition_loss_of_eight_is_the_mean_of_eight_of_one():
    logits, emotion, own = case()
    logits.requires_grad_()
    whole = emotional_condition_loss(logits, emotion, own)
    parts = torch.stack(
        [
            emotional_condition_loss(*(x[i : i + 1] for x in (logits, emotion, own)))
            for i in range(8)
        ]
    ).mean()
    torch.testing.assert_close(whole, parts, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (whole, parts)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


def test_no_gradient_flows_to_the_images_own_prediction():
    logits, emotion, own = case()
    own.requires_grad_()
    loss = emotional_condition_loss(logits.requires_grad_(), emotion, own)
    assert torch.autograd.grad(loss, own, allow_unused=True) == (None,)


def test_a_clear_right_answer_leaves_no_triplet_loss():
    logits = 50 * torch.eye(8)
    loss = emotional_condition_loss(logits, torch.arange(8), torch.randn(8, 8))
    assert loss < 1e-6


def test_alignment_is_the_mean_distance_to_the_mean_of_an_images_words():
    generator = torch.Generator().manual_seed(1)
    mapped, words = torch.randn(4, 6, generator=generator), torch.randn(3, 6, generator=generator)
    positives = torch.tensor([[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]]).bool()
    distances = []
    for row, own in zip(mapped.numpy(), positives.numpy(), strict=True):
        if own.any():
            distances.append(((row - words.numpy()[own].mean(0)) ** 2).mean())
    loss = word_alignment_loss(mapped, *words_of_names(words, positives))
    np.testing.assert_allclose(loss, np.mean(distances), rtol=1e-6)
    nothing = words_of_names(words, torch.zeros_like(positives))
    assert word_alignment_loss(mapped, *nothing) == 0
    assert word_alignment_loss(mapped, *words_of_names(words[:0], positives[:, :0])) == 0
