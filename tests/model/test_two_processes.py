"""Two gloo processes against one with the whole batch: losses, gradients, bases, emotion space."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tests.tiny import MODEL_OBJECTS, MODEL_SCENES, joint_batch, make_batch, tiny_model
from uniemo.batch import Annotations, Batch
from uniemo.model import UniEmo

N = 8


class Step(nn.Module):
    """What Lightning's DDP wraps: a batch to its loss."""

    def __init__(self, module: UniEmo) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        module = self.module
        reading = module.read(batch["clip_image"])
        losses = module.understanding_losses(reading, batch)
        losses |= module.joint_losses(reading, joint_batch(module, batch))
        total = module.understanding_loss(losses) + losses["condition"] + losses["theta"]
        return total, {name: value.detach() for name, value in losses.items()}


def run(rank: int, world_size: int, folders: dict[str, str], out: str) -> None:
    """Take every second picture, step once, fill bases and space; rank 0 keeps the results."""
    torch.set_num_threads(1)
    if world_size > 1:
        dist.init_process_group(
            "gloo", init_method=f"file://{out}.store", rank=rank, world_size=world_size
        )
    module = tiny_model(folders)
    whole = make_batch(N)
    annotations = Annotations(whole["emotion"], whole["scene"], whole["objects"])
    module.fill_bases(annotations, MODEL_SCENES, MODEL_OBJECTS)
    batch: Any = {key: value[rank::world_size] for key, value in whole.items()}
    step: nn.Module = Step(module)
    if world_size > 1:
        step = DistributedDataParallel(step, find_unused_parameters=True)
    total, losses = step(batch)
    total.backward()
    for value in losses.values():
        if world_size > 1:
            dist.all_reduce(value)
            value /= world_size
    with torch.no_grad():
        module.eval()
        features = module.read(batch["clip_image"]).features
        module.painter.space.update(features, batch["emotion"], batch["index"])
        module.painter.space.synchronise()
    result = {
        "losses": losses,
        "gradients": {n: p.grad for n, p in module.named_parameters() if p.grad is not None},
        "buffers": dict(module.named_buffers()),
    }
    if rank == 0:
        torch.save(result, out)
    if world_size > 1:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tiny_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder = tmp_path_factory.mktemp("processes")
    folders = {name: str(path) for name, path in tiny_files.items()}
    loaded = []
    for world_size in (1, 2):
        out = str(folder / f"{world_size}.pt")
        torch.multiprocessing.spawn(run, (world_size, folders, out), nprocs=world_size)
        loaded.append(torch.load(out, weights_only=True))
    return loaded


@pytest.mark.parametrize("part", ["losses", "gradients", "buffers"])
def test_two_processes_equal_one(results, part):
    one, two = (result[part] for result in results)
    assert one.keys() == two.keys()
    assert len(one) >= 5
    for name, value in one.items():
        scale = float(value.float().abs().max().clamp(min=1e-3))
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-4 * scale)
