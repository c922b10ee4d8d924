"""The judge: fitted once, on what the data name; EmoGen's published classifier."""

import pytest
import torch
from safetensors.torch import load_file

from tests.vision.helpers import blobs
from uniemo.errors import UserError
from uniemo.evaluation.judge import fit_judge, published_emotion_probe
from uniemo.vision.features import FeatureTable
from uniemo.vision.networks import efficientnet_lite0


def table(n: int, seed: int) -> FeatureTable:
    features, labels = blobs(n, seed)
    objects = torch.nn.functional.one_hot(labels, 3).bool()
    objects[0] = True  # several objects
    objects[1] = False
    return FeatureTable(features, labels, labels - 1, objects, torch.arange(n))


def test_judge_is_fitted_once_and_then_read(tmp_path, monkeypatch):
    network = efficientnet_lite0(32)
    first = fit_judge(network, table(60, 0), table(30, 1), 8, 2, tmp_path)
    monkeypatch.setattr("uniemo.evaluation.judge.fit_linear_probe", None)
    second = fit_judge(network, table(60, 0), table(30, 1), 8, 2, tmp_path)
    features = table(5, 2).features
    a, b = first.predict(features), second.predict(features)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert a.scene is not None
    torch.testing.assert_close(a.scene.sum(1), torch.ones(5))
    assert len(list(tmp_path.iterdir())) == 1
    assert load_file(next(tmp_path.iterdir())).keys() >= {"emotion.weight", "objects.bias"}


def without_names(t: FeatureTable) -> FeatureTable:
    return t._replace(scene=t.scene * 0 - 1, objects=t.objects[:, :0])


def test_judge_has_no_probe_of_names_that_the_data_lack(tmp_path):
    bare = [without_names(t) for t in (table(60, 0), table(9, 1))]
    judge = fit_judge(efficientnet_lite0(32), *bare, 8, 0, tmp_path)
    prediction = judge.predict(table(5, 2).features)
    assert prediction.scene is None
    assert prediction.objects is None


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
