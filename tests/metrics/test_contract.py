"""What every metric must do: streaming, processes, reset, forward, checkpoints, no data, CUDA."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from torch import Tensor
from torchmetrics import Metric

from uniemo.emotions import N_EMOTIONS
from uniemo.metrics import (
    DensityCoverage,
    EmotionAccuracy,
    FrechetDistance,
    KernelDistance,
    LabelDistribution,
    PerceptualDiversity,
    PointingGame,
    PublishedSemanticDiversity,
    SemanticClarity,
    SemanticDiversity,
)

N_IMAGES, WIDTH = 163, 6

Call = dict[str, Any]
Rows = Tensor


def images() -> dict[str, Tensor]:
    """Return the same random images on every process."""
    generator = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Tensor:
        return torch.randn(N_IMAGES, *shape, generator=generator)

    corner = torch.rand(N_IMAGES, 2, generator=generator) * 0.5
    return {
        "features": normal(WIDTH) + 3,
        "emotion": torch.arange(N_IMAGES) % N_EMOTIONS,
        "index": torch.arange(N_IMAGES),
        "real": torch.arange(N_IMAGES) // N_EMOTIONS % 2 == 0,
        "logits": normal(N_EMOTIONS),
        "object_probabilities": normal(5).softmax(1),
        "scene_probabilities": normal(4).softmax(1),
        "attention": normal(4, 5),
        "box": torch.cat([corner, corner + 0.4], dim=1),
        "probabilities": normal(N_EMOTIONS).softmax(1),
        "votes": normal(N_EMOTIONS).softmax(1),
    }


def takes(*names: str) -> Callable[[Rows], list[Call]]:
    """Return a function from rows to calls of ``update``, for a metric of one kind of images."""
    return lambda rows: [{name: images()[name][rows] for name in names}]


def takes_both(*names: str) -> Callable[[Rows], list[Call]]:
    """Return the same for a metric that compares generated with real images."""

    def calls(rows: Rows) -> list[Call]:
        data = images()
        sides = [(real, rows[data["real"][rows] == real]) for real in (True, False)]
        return [{name: data[name][side] for name in names} | {"real": real} for real, side in sides]

    return calls


CASES: dict[str, tuple[Callable[[], Metric], Callable[[Rows], list[Call]]]] = {
    "votes": (LabelDistribution, takes("probabilities", "votes")),
    "emo_a": (EmotionAccuracy, takes("logits", "emotion")),
    "sem_c": (
        SemanticClarity,
        takes("object_probabilities", "scene_probabilities", "emotion"),
    ),
    "sem_d": (lambda: SemanticDiversity(WIDTH), takes("features", "emotion")),
    "diversity": (lambda: PerceptualDiversity(WIDTH), takes("features", "emotion")),
    "published_sem_d": (
        lambda: PublishedSemanticDiversity(WIDTH),
        takes("features", "emotion", "index"),
    ),
    "density": (lambda: DensityCoverage(WIDTH, k=2), takes_both("features", "emotion")),
    "pointing": (PointingGame, takes("attention", "box")),
    "fid": (lambda: FrechetDistance(WIDTH, "noise"), takes_both("features")),
    "kid": (lambda: KernelDistance(WIDTH), takes_both("features", "emotion")),
}

# The images of each of two processes, batch by batch: batches differ in size and number.
ORDER = torch.randperm(N_IMAGES, generator=torch.Generator().manual_seed(5))
SPLITS = {
    "uneven": [list(ORDER[:111].split(31)), list(ORDER[111:].split(40))],
    "one process without data": [list(ORDER.split(50)), []],
}

quiet = pytest.mark.filterwarnings("ignore::UserWarning")


def fed(case: str, batches: list[Rows]) -> Metric:
    """Return a metric updated with some batches."""
    make, calls = CASES[case]
    metric = make()
    for rows in batches:
        for call in calls(rows):
            metric.update(**call)
    return metric


def assert_same(actual: Any, expected: Any) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9, equal_nan=True)


def flat(value: Any) -> Tensor:
    """Put a metric's value or values in one vector."""
    parts = value.values() if isinstance(value, dict) else [value]
    return torch.cat([part.flatten() for part in parts])


def work(rank: int, folder: str) -> None:
    """Compute every metric on every split, as one of two processes."""
    torch.set_num_threads(1)  # the parent's thread pool does not survive the fork
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=2,
        timeout=timedelta(minutes=2),
    )
    values = {}
    for split, batches in SPLITS.items():
        for case in CASES:
            metric = fed(case, batches[rank])
            values[split, case] = metric.compute()
            # Gathering must leave each process with its own images, so that more may follow.
            metric._computed = None
            again = metric.compute()
            assert_same(again, values[split, case])
    torch.save(list(values.items()), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@quiet
def test_two_processes_with_uneven_data_agree_with_one(tmp_path: Path) -> None:
    # Forked, not spawned: importing torch and torchmetrics twice over would take most of the time.
    torch.multiprocessing.start_processes(
        work, (str(tmp_path),), nprocs=2, daemon=True, start_method="fork"
    )
    everything = torch.arange(N_IMAGES)
    for rank in range(2):
        for (_, case), value in torch.load(tmp_path / f"{rank}.pt", weights_only=True):
            expected = fed(case, [everything]).compute()
            assert not flat(expected).isnan().any(), case
            assert_same(value, expected)


@quiet
@pytest.mark.parametrize("case", CASES)
def test_batches_agree_with_one_update(case: str) -> None:
    batches = list(torch.arange(N_IMAGES).split(23))
    assert_same(fed(case, batches).compute(), fed(case, [torch.arange(N_IMAGES)]).compute())


@quiet
@pytest.mark.parametrize("case", CASES)
def test_reset_forgets(case: str) -> None:
    first, second = torch.arange(90), torch.arange(90, N_IMAGES)
    metric = fed(case, [first])
    metric.compute()
    metric.reset()
    for call in CASES[case][1](second):
        metric.update(**call)
    assert_same(metric.compute(), fed(case, [second]).compute())


@quiet
@pytest.mark.parametrize("case", CASES)
def test_forward_returns_the_batch_and_keeps_the_whole(case: str) -> None:
    make, calls = CASES[case]
    metric = make()
    batches = torch.arange(N_IMAGES).split(60)
    for rows in batches:
        for call in calls(rows):
            alone = make()
            alone.update(**call)
            assert_same(metric(**call), alone.compute())
    assert_same(metric.compute(), fed(case, list(batches)).compute())


@quiet
@pytest.mark.parametrize("case", CASES)
def test_a_restored_metric_continues(case: str, tmp_path: Path) -> None:
    first, second = torch.arange(90), torch.arange(90, N_IMAGES)
    torch.save(fed(case, [first]).state_dict(), tmp_path / "metric.pt")
    metric = CASES[case][0]()
    metric.load_state_dict(torch.load(tmp_path / "metric.pt", weights_only=True))
    assert_same(metric.compute(), fed(case, [first]).compute())
    for call in CASES[case][1](second):
        metric.update(**call)
    assert_same(metric.compute(), fed(case, [first, second]).compute())


@pytest.mark.filterwarnings("ignore:Frechet distance")
@pytest.mark.parametrize("case", CASES)
def test_no_data_is_nan_and_a_warning(case: str) -> None:
    metric = CASES[case][0]()
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        value = metric.compute()
    assert flat(value).isnan().all()


@quiet
@pytest.mark.parametrize("case", CASES)
def test_an_empty_batch_changes_nothing(case: str) -> None:
    rows = [torch.arange(N_IMAGES)]
    nothing = torch.arange(0)
    assert_same(fed(case, [nothing, *rows, nothing]).compute(), fed(case, rows).compute())


@quiet
@pytest.mark.parametrize("case", CASES)
def test_values_are_float64(case: str) -> None:
    assert flat(fed(case, [torch.arange(N_IMAGES)]).compute()).dtype == torch.float64


@quiet
@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_the_gpu_agrees_with_the_cpu(case: str, gpu: torch.device) -> None:
    make, calls = CASES[case]
    metric = make().to(gpu)
    for rows in torch.arange(N_IMAGES).split(70):
        for call in calls(rows):
            moved = {name: v.to(gpu) if isinstance(v, Tensor) else v for name, v in call.items()}
            metric.update(**moved)
    found = flat(metric.compute())
    assert found.device.type == gpu.type
    expected = flat(fed(case, [torch.arange(N_IMAGES)]).compute())
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-6, atol=1e-8)


def test_a_wrong_width_is_named() -> None:
    with pytest.raises(ValueError, match=r"features has shape \[3, 5\], expected \[B, 6\]"):
        SemanticDiversity(6).update(torch.zeros(3, 5), torch.zeros(3, dtype=torch.long))


def test_missing_rows_are_named() -> None:
    with pytest.raises(ValueError, match="'features': 3, 'emotion': 2"):
        SemanticDiversity(6).update(torch.zeros(3, 6), torch.zeros(2, dtype=torch.long))
