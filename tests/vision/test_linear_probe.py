"""Linear probes against scikit-learn's logistic regression."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tests.vision.helpers import blobs
from uniemo.vision import linear_probe
from uniemo.vision.linear_probe import fit_linear_probe


def test_probe_is_the_logistic_regression_that_scikit_learn_finds(monkeypatch):
    monkeypatch.setattr("uniemo.vision.linear_probe.PENALTIES", (0.03,))
    monkeypatch.setattr("uniemo.vision.linear_probe.STEPS", 500)
    features, labels = blobs(200, 0)
    probe = fit_linear_probe(features, labels, 3, blobs(50, 1))
    mean, deviation = features.mean(0), features.std(0, correction=0)
    # scikit-learn sums the losses: its C is 1 / (penalty N).
    reference = LogisticRegression(C=1 / (0.03 * 200), max_iter=5000, tol=1e-8)
    reference.fit(((features - mean) / deviation).numpy(), labels.numpy())
    test, _ = blobs(40, 2)
    expected = reference.predict_proba(((test - mean) / deviation).numpy())
    np.testing.assert_allclose(probe(test).softmax(1).numpy(), expected, atol=2e-3)


def test_probe_without_a_validation_set_sets_rows_aside():
    features, labels = blobs(400, 3)
    probe = fit_linear_probe(features, labels, 3)
    test, target = blobs(400, 4)
    assert (probe(test).argmax(1) == target).float().mean() > 0.8


def test_probe_takes_a_stronger_penalty_on_fewer_images(monkeypatch):
    tried: list[float] = []
    minimize = linear_probe._minimize

    def record(weight, bias, x, labels, penalty):
        tried.append(penalty)
        minimize(weight, bias, x, labels, penalty)

    monkeypatch.setattr(linear_probe, "_minimize", record)
    chosen = {}
    for n in (12, 2000):
        tried.clear()
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(n, 40, generator=generator)
        signal, labels = blobs(n, 5)
        held_signal, held_labels = blobs(200, 6)
        held = torch.cat([held_signal, torch.randn(200, 40, generator=generator)], 1)
        fit_linear_probe(torch.cat([signal, noise], 1), labels, 3, (held, held_labels))
        chosen[n] = len(tried)
    assert chosen[12] <= chosen[2000] <= len(linear_probe.PENALTIES)


def test_probe_survives_a_feature_that_never_varies():
    features, labels = blobs(60, 7)
    probe = fit_linear_probe(torch.cat([features, torch.full((60, 1), 5.0)], 1), labels, 3)
    assert probe.weight.isfinite().all()


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(2, dtype=torch.long), "a label for each"),
        (torch.zeros(2, 2), torch.tensor([0, -1]), "must lie in"),
        (torch.zeros(2, 2), torch.tensor([0, 3]), "must lie in"),
    ],
)
def test_probe_refuses_what_cannot_be_fitted(features, labels, message):
    with pytest.raises(ValueError, match=message):
        fit_linear_probe(features, labels, 3)
