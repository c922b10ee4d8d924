"""Macro F1 of resamples; boxes and posteriors of composed data."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from uniemo.evaluation.understanding_metrics import _f1_macro, read_composed_annotations


def test_macro_f1_of_resamples_is_scikit_learns():
    generator = np.random.default_rng(0)
    target, predicted = generator.integers(0, 8, (2, 5, 200))
    scores = _f1_macro(8, torch.from_numpy(8 * target + predicted).double())
    for row in range(5):
        expected = f1_score(target[row], predicted[row], average="macro")
        assert scores[row].item() == pytest.approx(expected)


def test_boxes_are_relative_and_absent_where_the_data_have_none(composed, tiny_files):
    class Data:
        root = str(composed)

    annotations = read_composed_annotations(Data, "test")
    assert annotations is not None
    rows = json.loads((composed / "test.json").read_text())
    assert len(annotations.box) == len(rows) == len(annotations.posterior)
    assert annotations.box[0].tolist() == [0, 0.25, 0.5, 0.75]
    assert annotations.box[3].isnan().all()
    Data.root = str(tiny_files["emoset"])
    assert read_composed_annotations(Data, "test") is None
