"""Probes, judges, networks: against references, and where weights are wrong."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression

from uniemo.errors import UserError
from uniemo.evaluation.judge import fit_judge, published_emotion_probe
from uniemo.vision.features import FeatureTable, fingerprint
from uniemo.vision.linear_probe import PENALTIES, fit_linear_probe
from uniemo.vision.networks import (
    PerceptualNetwork,
    efficientnet_lite0,
    places_resnet50,
    read_weights,
)


def blobs(n: int, seed: int, width: int = 6, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(classes, width, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(classes, (n,), generator=generator)
    return centres[labels] + 1.5 * torch.randn(n, width, generator=generator), labels


def table(n: int, seed: int) -> FeatureTable:
    features, labels = blobs(n, seed)
    objects = torch.nn.functional.one_hot(labels, 3).bool()
    objects[0] = True  # several objects
    objects[1] = False
    return FeatureTable(features, labels, labels - 1, objects, torch.arange(n))


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
    test, truth = blobs(400, 4)
    assert (probe(test).argmax(1) == truth).float().mean() > 0.8


def test_probe_takes_a_stronger_penalty_on_fewer_pictures(monkeypatch):
    chosen = {}
    for n in (12, 2000):
        tried: list[float] = []
        monkeypatch.setattr("uniemo.vision.linear_probe._descend", record(tried), raising=True)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(n, 40, generator=generator)
        signal, labels = blobs(n, 5)
        held_signal, held_labels = blobs(200, 6)
        held = torch.cat([held_signal, torch.randn(200, 40, generator=generator)], 1)
        fit_linear_probe(torch.cat([signal, noise], 1), labels, 3, (held, held_labels))
        chosen[n] = len(tried)
        monkeypatch.undo()
    assert chosen[12] <= chosen[2000] <= len(PENALTIES)


def record(tried: list[float]):
    from uniemo.evaluation import probes

    original = probes._descend

    def descend(weight, bias, x, labels, penalty):
        tried.append(penalty)
        original(weight, bias, x, labels, penalty)

    return descend


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


def test_judge_is_fitted_once_and_then_found(tmp_path, monkeypatch):
    network = efficientnet_lite0(32)
    first = fit_judge(network, table(60, 0), table(30, 1), 2, tmp_path)
    monkeypatch.setattr("uniemo.evaluation.judge.fit_linear_probe", None)
    second = fit_judge(network, table(60, 0), table(30, 1), 2, tmp_path)
    features = table(5, 2).features
    a, b = first.judge(features), second.judge(features)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert a.scene is not None
    torch.testing.assert_close(a.scene.sum(1), torch.ones(5))
    assert len(list(tmp_path.iterdir())) == 1
    assert load_file(next(tmp_path.iterdir())).keys() >= {"emotion.weight", "objects.bias"}


def without_names(t: FeatureTable) -> FeatureTable:
    return t._replace(scene=t.scene * 0 - 1, objects=t.objects[:, :0])


def test_judge_has_no_probe_of_what_the_data_do_not_name(tmp_path):
    bare = [without_names(t) for t in (table(60, 0), table(9, 1))]
    judgement = fit_judge(efficientnet_lite0(32), *bare, 0, tmp_path).judge(table(5, 2).features)
    assert judgement.scene is None
    assert judgement.objects is None


def test_networks_read_bytes_and_fractions_alike_and_uneven_batches():
    image = torch.randint(0, 256, (3, 3, 20, 20), dtype=torch.uint8)
    network = efficientnet_lite0(32)
    whole = network(image)
    parts = torch.cat([network(part) for part in (image / 255).split(2)])
    assert whole.shape == (3, 1280)
    torch.testing.assert_close(whole, parts, atol=1e-4, rtol=1e-3)


def test_networks_stay_frozen():
    network = efficientnet_lite0(32).train()
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_perceptual_distance_is_zero_between_equal_pictures_and_grows_with_noise():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 32, 32, generator=generator)
    noise = torch.randn(1, 3, 32, 32, generator=generator)
    pictures = torch.cat([image, image, (image + 0.05 * noise).clamp(0, 1), 1 - image])
    vectors = PerceptualNetwork(efficientnet_lite0(32))(pictures)
    distance = (vectors - vectors[:1]).square().sum(1)
    assert distance[1] < 1e-6 < distance[2] < distance[3]


def test_perceptual_network_gives_the_plain_vectors_in_the_same_run():
    plain = efficientnet_lite0(32)
    perceptual = PerceptualNetwork(plain)
    image = torch.rand(11, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    expected = {plain.name: plain(image), perceptual.name: perceptual(image)}
    runs = []
    plain.network.conv_stem.register_forward_hook(lambda _, inputs, __: runs.append(len(inputs[0])))
    found = perceptual.all_vectors(image)
    assert sum(runs) == 11
    assert found.keys() == expected.keys()
    for name, vectors in found.items():
        torch.testing.assert_close(vectors, expected[name])


def test_fingerprints_change_with_any_byte_and_shape():
    tensor = torch.arange(6)
    names = {fingerprint(tensor), fingerprint(tensor.view(2, 3)), fingerprint(tensor + 1)}
    assert len(names) == 3
    assert fingerprint("a", "b") != fingerprint("ab")


def test_published_classifier_is_read_and_others_refused(tmp_path):
    path = tmp_path / "weights.pth"
    weight, bias = torch.randn(8, 768), torch.randn(8)
    torch.save({"fc.weight": weight, "fc.bias": bias}, path)
    probe = published_emotion_probe(str(path))
    x = torch.randn(2, 768)
    torch.testing.assert_close(probe(x), x @ weight.T + bias)
    torch.save({"fc.weight": weight[:, :9], "fc.bias": bias}, path)
    with pytest.raises(UserError, match="no Linear"):
        published_emotion_probe(str(path))
    with pytest.raises(UserError, match="do not exist"):
        published_emotion_probe(str(tmp_path / "missing.pth"))


def test_places_checkpoint_must_be_there_and_fit(tmp_path):
    with pytest.raises(UserError, match=r"eval\.places365"):
        places_resnet50(None)
    path = tmp_path / "places.pth.tar"
    torch.save({"state_dict": {"module.fc.weight": torch.zeros(2, 2)}}, path)
    with pytest.raises(UserError, match="no ResNet-50"):
        places_resnet50(str(path))
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match="cannot be read"):
        read_weights(str(path))
