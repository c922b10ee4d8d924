"""Time and peak memory of the filter at paper scale: ``python -m uniemo.filtering.benchmark``.

100,000 candidates and 94,000 real images with 768 features, eight emotions with 40 modes each; the
candidates lie closer to the modes than the real images, and some are copies. Target: under two
minutes on two cores, and under 4 GiB for the whole process.

Legend: E feature width.
"""

import resource
import sys
import time
from collections import Counter

import torch
from jsonargparse import auto_cli
from torch import Tensor
from torch.nn import functional

from uniemo.filtering import Candidates, FilterConfig, Reference, score, select
from uniemo.filtering.similarity import row_blocks
from uniemo.utils.allocator import configure_memory


def synthetic_pool(
    n_candidates: int, n_real: int, width: int, n_emotions: int = 8, n_modes: int = 40
) -> tuple[Candidates, Reference]:
    """Return a clustered pool of ``n_modes`` per emotion and features of ``width`` E.

    2 % are copies of real images, about 10 % have the wrong emotion.
    """
    generator = torch.Generator().manual_seed(0)
    # As in embeddings, the spectrum falls: direction i has the standard deviation 1 / sqrt(i).
    deviation = torch.arange(1, width + 1).rsqrt()  # [E]
    modes = torch.randn(n_emotions * n_modes, width, generator=generator) * deviation

    def around(mode: Tensor, spread: float) -> Tensor:
        features = torch.empty(len(mode), width)  # [., E]
        for rows in row_blocks(len(mode)):
            noise = torch.randn(rows.stop - rows.start, width, generator=generator)
            features[rows] = modes[mode[rows]] + spread * noise * deviation
        return features

    def draw(limit: int, n: int) -> Tensor:
        return torch.randint(limit, (n,), generator=generator)

    real_mode, mode = draw(len(modes), n_real), draw(len(modes), n_candidates)
    real, features = around(real_mode, 1.0), around(mode, 0.8)
    target = mode // n_modes
    copies = draw(n_candidates, n_candidates // 50)
    features[copies] = real[draw(n_real, len(copies))]
    logits = 3.0 * functional.one_hot(target, n_emotions)
    logits += torch.randn(n_candidates, n_emotions, generator=generator)
    scene, thing = draw(254, n_candidates), draw(409, n_candidates)
    candidates = Candidates(features, logits, target, scene, thing)
    return candidates, Reference(real, real_mode // n_modes)


def benchmark(candidates: int = 100_000, real: int = 94_000, width: int = 768) -> None:
    """Filter a synthetic pool and print time and peak memory.

    Args:
        candidates: Generated images.
        real: Real images.
        width: Features per image.
    """
    configure_memory()
    pool, reference = synthetic_pool(candidates, real, width)
    config = FilterConfig()
    started, cpu_started = time.perf_counter(), time.process_time()
    scores = score(pool, reference, config)
    scored = time.perf_counter()
    selection = select(pool, reference, config, scores)
    ended, cpu_ended = time.perf_counter(), time.process_time()
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 2**30  # GiB

    print(f"{candidates} candidates, {real} real, {width} features,", end=" ")
    print(f"{pool.n_emotions} emotions, {torch.get_num_threads()} threads")
    print(f"score   {scored - started:6.1f} s")
    print(f"select  {ended - scored:6.1f} s")
    print(f"total   {ended - started:6.1f} s, {cpu_ended - cpu_started:.1f} s of CPU time")
    print(f"memory  {peak:6.2f} GiB at the peak, including inputs and libraries")
    for name, count in Counter(selection.reason_names()).most_common():
        print(f"{count:7d} {name}")


if __name__ == "__main__":
    auto_cli(benchmark)
