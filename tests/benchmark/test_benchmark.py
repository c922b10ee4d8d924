"""What the benchmark measures does what its name says."""

import pytest
import torch

from tests.conftest import settings
from uniemo.benchmark.__main__ import filter_growth
from uniemo.benchmark.input_pipeline import input_works
from uniemo.benchmark.measuring import Work, busiest, measure, product_ceiling
from uniemo.benchmark.workloads import Workloads
from uniemo.config.experiment import Experiment
from uniemo.diffusion import NoiseDraw

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def load(tiny_files) -> Workloads:
    changes = {"trainer.precision": "32-true", "model.model.dropout": 0}
    return Workloads(Experiment.read("emoscenes", settings(tiny_files, **changes)), CPU)


def test_the_public_procedures_two_backward_passes_give_autograds_gradient(load, monkeypatch):
    batch, plain = load.batch(1), load.plain
    monkeypatch.setattr(plain, "_step", lambda: None)
    torch.manual_seed(3)
    plain.joint(batch)
    mappers = plain.model.fusion.emotion_mapper
    expected = [parameter.grad for parameter in mappers.parameters()]
    # The same noise, and plain autograd in one pass.
    torch.manual_seed(3)
    latent = plain.head.encode(batch["diffusion_image"])
    noise, timestep = torch.randn_like(latent), torch.randint(1000, (1,))
    model = load.ours
    model.settings.understanding_epochs = 0
    same = {**batch, "latent": latent, **NoiseDraw(noise, timestep)._asdict()}
    model.zero_grad()
    model.training_step(same, 0).backward()
    for found, gradient in zip(model.fusion.emotion_mapper.parameters(), expected, strict=True):
        torch.testing.assert_close(found.grad, gradient, rtol=1e-3, atol=1e-6)
    plain.model.zero_grad()
    model.zero_grad()


@pytest.mark.parametrize(
    "kind", ["understanding", "joint", "generation", "joint_batches", "joint_pixels"]
)
def test_every_work_is_measured(load, kind):
    for found in measure(getattr(load, kind)(), CPU, repeats=2):
        assert len(found.rates) == 2
        assert min(found.rates) > 0
        assert found.flops > 0
        assert 0.1 < found.memory < 100


def test_twice_the_images_take_twice_the_arithmetic(load):
    one, two = measure(load.joint_batches()[:2], CPU, repeats=1)
    assert two.name == "4 images"
    assert one.flops == pytest.approx(two.flops, rel=0.05)  # of an image


def test_counted_arithmetic_is_that_of_a_product():
    a = torch.randn(8, 16)
    (found,) = measure([Work("product", lambda: a @ a.T, 4)], CPU, repeats=3)
    assert found.flops == 2 * 8 * 8 * 16 / 4
    assert product_ceiling(CPU, torch.float32) > 1e8


def test_input_filter_and_trainer_are_measured(load):
    ours, published = measure(input_works(load.ours), CPU, 1, count_flops=False)
    assert 0.1 < ours.rate / published.rate < 100
    assert [each.name for each in filter_growth(200)] == ["200", "400", "800"]
    assert load.rate_in_trainer(2) > 0
    shares = [share for _, share in busiest(load.joint()[0].run, CPU)]
    assert sorted(shares, reverse=True) == shares
    assert 0 < sum(shares) <= 1
