"""The precision of a trainer that is told none."""

import pytest
import torch

from uniemo.config import experiment
from uniemo.config.experiment import Experiment
from uniemo.utils.precision import native_precision


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bfloat16_is_taken_where_the_processor_has_it(native, expected, monkeypatch):
    capabilities = {"avx512_bf16": native}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert native_precision("cpu") == expected


def test_an_old_pytorch_does_not_know_the_processor(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert native_precision("cpu") == "32-true"


@pytest.mark.parametrize("given", [None, "32-true", "bf16-mixed"])
def test_an_experiment_takes_what_is_given_else_the_native_one(given, monkeypatch):
    monkeypatch.setattr(experiment, "native_precision", lambda accelerator: "bf16-mixed")
    overrides = [] if given is None else ["--trainer.precision", given]
    read = Experiment.read("emoscenes", overrides)
    assert read.precision == (given or "bf16-mixed")
