"""A model on another data set: what is mapped, what is left out, what is measured."""

import pytest
import torch

from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.evaluation.transfer import ClassMap, transfer_metrics

SIX = Emotions.of(("anger", "disgust", "fear", "joy", "sadness", "surprise"))


def test_equal_names_are_mapped_and_the_rest_is_left_out() -> None:
    classes = ClassMap.of(Emotions(), SIX)
    assert classes.as_dict() == {
        "mapped": {name: name for name in ("anger", "disgust", "fear", "sadness")},
        "left_out_of_model": ["amusement", "awe", "contentment", "excitement"],
        "left_out_of_data": ["joy", "surprise"],
    }
    # amusement counts for nothing; of what is mapped fear is the most probable
    probability = torch.tensor([[0.6, 0, 0, 0, 0.1, 0, 0.2, 0.1]] * 3)
    result = transfer_metrics(classes, probability, torch.tensor([2, 3, 0]))
    assert (result["n_images"], result["n_classes"]) == (2, 4)
    assert result["accuracy"] == 0.5
    # joy is positive, fear and anger negative: the positive share is 0.6 of every image
    assert (result["n_images_polarity"], result["accuracy_polarity"]) == (3, 1 / 3)


def test_several_emotions_may_count_as_one() -> None:
    given = {"awe": "joy", "amusement": "joy", "fear": "fear"}
    classes = ClassMap.of(Emotions(), SIX, given)
    probability = torch.tensor([[0.25, 0.25, 0, 0, 0, 0, 0.4, 0.1]])
    result = transfer_metrics(classes, probability, torch.tensor([3]))
    assert result["accuracy"] == 1


def test_polarity_is_measured_where_nothing_else_fits() -> None:
    two = Emotions.of(("negative", "positive"))
    classes = ClassMap.of(Emotions(), two)
    probability = torch.full((1, 8), 0.1)
    probability[0, 1] = 0.3
    result = transfer_metrics(classes, probability, torch.tensor([1]))
    assert "accuracy" not in result
    assert result["accuracy_polarity"] == 1
    nothing = ClassMap.of(Emotions(), Emotions.of(("calm", "surprise")))
    with pytest.raises(UserError, match="nothing of the model's emotions"):
        transfer_metrics(nothing, probability, torch.tensor([1]))


def test_a_map_of_unknown_names_is_refused() -> None:
    with pytest.raises(UserError, match="the map has awe: bliss"):
        ClassMap.of(Emotions(), SIX, {"awe": "bliss"})
