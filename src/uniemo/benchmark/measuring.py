"""Time, memory and arithmetic of a piece of work."""

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

GIB = 2**30
_CLEAR_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


@dataclass(frozen=True)
class Work:
    """Something to measure."""

    name: str
    run: Callable[[], Any]
    images: int
    """Images that one call works on."""


@dataclass(frozen=True)
class Measurement:
    """What was measured of a piece of work."""

    name: str
    rates: list[float]
    """Images per second of every call."""
    memory: float
    """GiB at the peak: of the device on CUDA, else of the whole process."""
    flops: float
    """Floating-point operations per image, a product counting two; 0 if they were not counted."""

    @property
    def rate(self) -> float:
        """The median of images per second."""
        return median(self.rates)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    """Forget the peak of memory until now, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR_REFS.exists():
        _CLEAR_REFS.write_text("5")  # Linux: the high-water mark alone


def peak_memory(device: torch.device) -> float:
    """Return the peak of memory in GiB, since :func:`reset_peak` where the system can."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIB
    if _STATUS.exists():
        line = next(x for x in _STATUS.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / GIB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB


def measure(
    works: Sequence[Work], device: torch.device, repeats: int, count_flops: bool = True
) -> list[Measurement]:
    """Measure pieces of work in turn, so that a machine that slows down slows all of them.

    Each is called once to warm up, with its arithmetic counted, then ``repeats`` times.
    """
    flops, rates, memory = [], [[] for _ in works], [0.0 for _ in works]  # type: ignore[var-annotated]
    for work in works:
        with FlopCounterMode(display=False) if count_flops else _Nothing() as counter:
            work.run()
        flops.append(counter.get_total_flops() / work.images)
        work.run()  # what is compiled was not while its arithmetic was counted
    for _ in range(repeats):
        for number, work in enumerate(works):
            reset_peak(device)
            synchronise(device)
            started = time.perf_counter()
            work.run()
            synchronise(device)
            rates[number].append(work.images / (time.perf_counter() - started))
            memory[number] = max(memory[number], peak_memory(device))
    return [
        Measurement(w.name, r, m, f) for w, r, m, f in zip(works, rates, memory, flops, strict=True)
    ]


class _Nothing:
    """Counts nothing."""

    def __enter__(self) -> "_Nothing":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_total_flops(self) -> int:
        return 0


def product_ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """Return the FLOP/s of a large product of matrices: the most that a network could reach."""
    side, repeats = (8192, 20) if device.type == "cuda" else (2048, 3)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    work = Work("product", lambda: a @ b, 1)
    (found,) = measure([work], device, repeats, count_flops=False)
    return 2 * side**3 * max(found.rates)


def busiest(run: Callable[[], Any], device: torch.device, n: int = 8) -> list[tuple[str, float]]:
    """Return the operations that take most time of their own, and their shares of the whole."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profile:
        run()
        synchronise(device)
    own = f"self_{'device' if device.type == 'cuda' else 'cpu'}_time_total"
    events = sorted(profile.key_averages(), key=lambda e: -getattr(e, own))
    total = sum(getattr(event, own) for event in events)
    return [(event.key, getattr(event, own) / total) for event in events[:n]]
