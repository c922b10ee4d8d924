"""Time and peak memory of the filter at paper scale: ``python -m uniemo.filtering.benchmark``.

100,000 candidates and 94,000 real images of 768 features, eight emotions of 40 modes each; the
candidates sit closer to the modes than the real images, and some are copies. Its aim: under two
minutes on two cores, and under 4 GiB for the whole process.
"""

import argparse
import resource
import sys
import time
from collections import Counter

import torch
from torch import Tensor
from torch.nn import functional

from uniemo.filtering import Candidates, FilterConfig, Reference, score, select
from uniemo.filtering.similarity import row_blocks


def synthetic_pool(
    n_candidates: int, n_real: int, width: int, n_emotions: int = 8, n_modes: int = 40
) -> tuple[Candidates, Reference]:
    """Return a clustered pool: 2 % copies of real images, about a tenth of wrong emotion."""
    generator = torch.Generator().manual_seed(0)
    # Spectra fall as those of embeddings do: the i-th direction has the deviation 1/sqrt(i).
    deviation = torch.arange(1, width + 1).rsqrt()  # [E]
    modes = torch.randn(n_emotions * n_modes, width, generator=generator) * deviation

    def around(mode: Tensor, evenly_spaced: float) -> Tensor:
        features = torch.empty(len(mode), width)  # [., E]
        for rows in row_blocks(len(mode)):
            noise = torch.randn(rows.stop - rows.start, width, generator=generator)
            features[rows] = modes[mode[rows]] + evenly_spaced * noise * deviation
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


def peak_memory_gib() -> float:
    """Return the largest resident size this process has had, in GiB."""
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 2**30


def main() -> None:
    """Filter a synthetic pool and print what it took."""
    parser = argparse.ArgumentParser(description="Time and peak memory of uniemo's data filter.")
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--real", type=int, default=94_000)
    parser.add_argument("--width", type=int, default=768)
    sizes = parser.parse_args()

    candidates, reference = synthetic_pool(sizes.candidates, sizes.real, sizes.width)
    config = FilterConfig()
    started, cpu_started = time.perf_counter(), time.process_time()
    scores = score(candidates, reference, config)
    scored = time.perf_counter()
    selection = select(candidates, reference, config, scores)
    ended, cpu_ended = time.perf_counter(), time.process_time()

    print(f"{sizes.candidates} candidates, {sizes.real} real, {sizes.width} features,", end=" ")
    print(f"{candidates.n_emotions} emotions, {torch.get_num_threads()} threads")
    print(f"score   {scored - started:6.1f} s")
    print(f"select  {ended - scored:6.1f} s")
    print(f"total   {ended - started:6.1f} s, {cpu_ended - cpu_started:.1f} s of processor time")
    print(f"memory  {peak_memory_gib():6.2f} GiB at its peak, inputs and libraries included")
    for name, count in Counter(selection.reason_names()).most_common():
        print(f"{count:7d} {name}")


if __name__ == "__main__":
    main()
