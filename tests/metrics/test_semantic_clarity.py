"""Sem-C, compared with counting by hand."""

import pytest
import torch

from uniemo.metrics import SemanticClarity, image_clarity


def test_semantic_clarity_takes_the_clearer_of_object_and_scene() -> None:
    objects = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.6, 0.4]])
    scenes = torch.tensor([[0.4, 0.3, 0.3], [0.7, 0.2, 0.1], [0.2, 0.4, 0.4]])
    metric = SemanticClarity()
    metric.update(objects, scenes, torch.tensor([2, 2, 7]))
    value = metric.compute()
    assert value["sem_c"].item() == pytest.approx((0.9 + 0.7 + 0.6) / 3)
    assert value["sem_c_per_emotion"][2].item() == pytest.approx(0.8)
    assert value["sem_c_per_emotion"][7].item() == pytest.approx(0.6)
    assert value["sem_c_per_emotion"][0].isnan()


@pytest.mark.parametrize("wrong", [torch.tensor([[3.0, -1.0]]), torch.tensor([[-2.0, -1.0]])])
def test_logits_are_rejected_as_probabilities(wrong: torch.Tensor) -> None:
    right = torch.tensor([[0.5, 0.5]])
    for arguments in ((wrong, right), (right, wrong)):
        with pytest.raises(ValueError, match="softmax"):
            image_clarity(*arguments)
