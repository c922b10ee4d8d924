"""The baseline that trains nothing: frozen CLIP's names and count tables."""

from types import SimpleNamespace

import numpy as np
import torch

from uniemo.batch import Annotations
from uniemo.evaluation.understanding_metrics import names_baseline_accuracy
from uniemo.fusion import Fusion
from uniemo.vision.features import FeatureTable

SCENES, OBJECTS = ["coast", "jail_cell"], ["Lion", "Cake", "Skull"]


def build(seed: int = 0):
    """Return a model's names, training annotations and frozen CLIP's features of test images."""
    random = torch.Generator().manual_seed(seed)

    def integers(high: int, n: int) -> torch.Tensor:
        return torch.randint(high, (n,), generator=random)

    fusion = Fusion(4, 4, 3)
    fusion.set_names(SCENES, OBJECTS)
    fusion.scene_base.text_features.copy_(torch.eye(3)[:2])
    fusion.object_base.text_features.copy_(torch.eye(3))
    objects = torch.rand(60, 3, generator=random) < 0.4
    training = Annotations(integers(8, 60), integers(3, 60) - 1, objects)
    features = torch.randn(50, 3, generator=random)
    table = FeatureTable(features, integers(8, 50), *torch.zeros(3, 50).long())
    data = SimpleNamespace(annotations=lambda split: training)
    cache = SimpleNamespace(load=lambda requests, split: [table])
    return SimpleNamespace(fusion=fusion), data, cache, training, table


def test_it_is_naive_bayes_over_the_nearest_scene_and_object():
    module, data, cache, training, table = build()
    emotion = training.emotion.numpy()
    prior = np.bincount(emotion, minlength=8) / len(emotion)

    def posterior(rows: np.ndarray) -> np.ndarray:
        count = np.bincount(emotion[rows], minlength=8)
        return (count + 2 * prior) / (count.sum() + 2)

    hits = 0
    for feature, label in zip(table.features.numpy(), table.emotion.tolist(), strict=True):
        scene, object_ = feature[:2].argmax(), feature.argmax()
        score = posterior(training.scene.numpy() == scene) * posterior(
            training.objects[:, object_].numpy()
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            hits += np.nan_to_num(score / prior).argmax() == label
    assert names_baseline_accuracy(module, data, None, cache) == hits / 50


def test_data_without_names_have_no_such_baseline():
    module, data, cache, training, _ = build()
    module.fusion.set_names([], [])
    data.annotations = lambda split: training._replace(objects=torch.zeros(60, 0).bool())
    assert names_baseline_accuracy(module, data, None, cache) is None
