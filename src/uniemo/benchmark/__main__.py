"""``python -m uniemo.benchmark``: both sides in one run, as tables in Markdown."""

import argparse
import platform
from collections.abc import Sequence
from importlib.metadata import version

import torch

from uniemo.benchmark.input_pipeline import input_works
from uniemo.benchmark.measuring import (
    Measurement,
    Work,
    busiest,
    measure,
    product_ceiling,
    reset_peak,
)
from uniemo.benchmark.workloads import Workloads
from uniemo.config.experiment import Experiment
from uniemo.filtering import FilterConfig, score, select
from uniemo.filtering.benchmark import synthetic_pool
from uniemo.utils.allocator import configure_memory

EMOSET_TRAIN = 94_481
"""Images of EmoSet-118K's training split."""


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    for row in (titles, ["---"] * len(titles), *rows, None):
        print("" if row is None else f"| {' | '.join(map(str, row))} |", flush=True)


def benchmark(experiment: str | None, short: bool) -> None:
    """Measure training, generation, input and filter beside the public procedure, in one run.

    Networks have the structure of an experiment and see random images: no data are needed, and at
    paper scale no weights. What a number means: docs/performance.md.

    Args:
        experiment: A configuration; None for emoset on CUDA, with random weights, else emoscenes.
        short: Whether to repeat less and filter fewer candidates: under four minutes.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = experiment or ("emoset" if device.type == "cuda" else "emoscenes")
    changes = {"model.random_weights": True} if name == "emoset" else {}
    read = Experiment.read(name).changed(changes)
    print(f"# {name} on {machine(device)}\n")
    load = Workloads(read, device)
    repeats = 3 if short else 7
    ceiling = product_ceiling(device, load.dtype)
    print(
        f"Ours in {read.precision}; a product of matrices reaches {ceiling / 1e12:.3g} TFLOP/s.\n"
    )

    # 1. Both sides.
    reset_peak(device)
    both = {
        "understanding": measure(load.understanding(), device, repeats),
        "joint": measure(load.joint(), device, repeats),
        "generation": measure(load.generation(), device, repeats),
        "input, one core": measure(input_works(load.ours), torch.device("cpu"), repeats, False),
    }
    titles = "", "ours, images/s", "public, images/s", "ratio", "TFLOP an image", "share", "GiB"
    table(titles, [_both_sides(kind, sides, ceiling) for kind, sides in both.items()])
    bare, steps = both["joint"][0].rate, 3 * repeats
    within = load.rate_in_trainer(steps)
    print(
        f"Joint steps through the Trainer: {within:.4g} images/s, {1 - within / bare:.1%} less.\n"
    )
    if name == "emoset":
        hours = read.model.understanding_epochs * EMOSET_TRAIN / both["understanding"][0].rate
        hours += EMOSET_TRAIN / both["joint"][0].rate
        pictures = 8 * read.generate.n_images / both["generation"][0].rate
        print(f"One such device trains the first phase in {hours / 3600:.1f} h if the input keeps")
        print(f"up, and generates the second phase's pictures in {pictures / 3600:.1f} h.\n")

    # 2. Growth.
    rows = [
        *_growth("joint, batch", measure(load.joint_batches(), device, 2, count_flops=False)),
        *_growth("L(theta), pixels", measure(load.joint_pixels(), device, 2, count_flops=False)),
        *_growth("filter, candidates", filter_growth(1000 if short else 4000)),
    ]
    table(("", "size", "seconds", "GiB"), rows)

    # 3. Where the time goes.
    step = load.joint()[0]
    step.run()
    operations = busiest(step.run, device)
    table(("operation of a joint step", "share"), [(k, f"{part:.1%}") for k, part in operations])


def machine(device: torch.device) -> str:
    """Return what the numbers were measured on."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    return f"{name}, torch {torch.__version__}, diffusers {version('diffusers')}"


def filter_growth(smallest: int) -> list[Measurement]:
    """Measure the filter with 1, 2 and 4 times the candidates, as many real images each."""
    config = FilterConfig()

    def work(n: int) -> Work:
        pool, reference = synthetic_pool(n, n, 768)
        return Work(
            f"{n:,}", lambda: select(pool, reference, config, score(pool, reference, config)), n
        )

    works = [work(smallest * factor) for factor in (1, 2, 4)]
    return measure(works, torch.device("cpu"), 2, count_flops=False)


def _both_sides(kind: str, sides: Sequence[Measurement], ceiling: float) -> tuple[str, ...]:
    ours, public = sides

    def spread(side: Measurement) -> str:
        return f"{side.rate:.4g} ({min(side.rates):.4g} to {max(side.rates):.4g})"

    counted = ours.flops > 0
    return (
        kind,
        spread(ours),
        spread(public),
        f"{ours.rate / public.rate:.2f}",
        f"{ours.flops / 1e12:.3g}" if counted else "",
        f"{ours.rate * ours.flops / ceiling:.0%}" if counted else "",
        f"{ours.memory:.3g} / {public.memory:.3g}",
    )


def _growth(kind: str, sizes: list[Measurement]) -> list[tuple[str, ...]]:
    return [(kind, m.name, f"{1 / m.rate:.3g} an image", f"{m.memory:.3g}") for m in sizes]


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m uniemo.benchmark",
        description="Training, generation, input and filter beside the public procedure, in one "
        "run, as tables in Markdown. No data are needed, and at paper scale no weights.",
    )
    parser.add_argument(
        "--experiment",
        help="a configuration; default: emoset on CUDA, with random weights, or emoscenes",
    )
    parser.add_argument("--short", action="store_true", help="repeat less: under four minutes")
    return parser


if __name__ == "__main__":
    configure_memory()
    benchmark(**vars(argument_parser().parse_args()))
