"""Compiled networks compute the same; how many images fit."""

import pytest
import torch

from tests.tiny import joint_batch, make_batch, tiny_model
from uniemo.diffusion import memory
from uniemo.model.compilation import compile_networks


def test_compiled_networks_give_the_same_loss_gradient_and_picture(
    tiny_files, tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    model = tiny_model(tiny_files)
    batch = joint_batch(model, make_batch(4))

    def compute() -> list[torch.Tensor]:
        model.zero_grad()
        loss = model.training_step(batch, 0)
        loss.backward()
        tokens = model.understanding.chain.object_queries.tokens
        return [loss.detach(), tokens.grad, model.head.decode(batch["latent"])]

    expected = compute()
    names = list(model.state_dict())
    assert compile_networks(model.understanding.chain, model.head, "aot_eager") == tmp_path
    counted = torch._dynamo.utils.counters["stats"]
    before = counted["unique_graphs"]
    for found, value in zip(compute(), expected, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-4, atol=1e-5)
    assert counted["unique_graphs"] > before
    assert list(model.state_dict()) == names


@pytest.mark.parametrize(
    ("n", "most", "size"), [(64, 100, 64), (64, 40, 32), (64, 30, 22), (7, 3, 3), (5, 1, 1)]
)
def test_chunks_are_equal_and_no_larger_than_fits(n, most, size):
    assert memory.equal_chunk(n, most) == size


def test_a_free_gpus_memory_decides(tiny_files, monkeypatch):
    model = tiny_model(tiny_files)
    head = model.painter.diffusion
    states = head.condition(torch.zeros(8, head.width), "a *").detach()
    kept = memory.kept_bytes(head, states[:1])
    assert 1e4 < kept < 1e7
    assert memory.images_that_fit(head, states) == memory.DEFAULT
    free = int(4.5 * kept / memory.SHARE)
    monkeypatch.setattr(type(head), "device", torch.device("cuda"))
    monkeypatch.setattr(memory, "kept_bytes", lambda *_: kept)
    for name, value in {
        "mem_get_info": (free, 2 * free),
        "memory_reserved": 5,
        "memory_allocated": 5,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    assert memory.images_that_fit(head, states) == 4
