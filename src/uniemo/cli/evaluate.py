"""``uniemo eval``: every number of the paper from one command."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from uniemo.config.evaluation import Protocol
from uniemo.config.experiment import Experiment
from uniemo.curriculum.curves import read_curves
from uniemo.curriculum.phases import PHASES
from uniemo.diffusion import StableDiffusion
from uniemo.emotions import N_EMOTIONS
from uniemo.errors import UserError
from uniemo.evaluation.generation import (
    EvaluationNetworks,
    GenerationEvaluation,
    GenerationResult,
    judge_accuracy,
    without_nan,
)
from uniemo.evaluation.image_sources import images_from_model, images_from_prompt
from uniemo.evaluation.report import Report, print_table, read_filtered
from uniemo.evaluation.setup import EvaluationSetup
from uniemo.evaluation.understanding import evaluate_understanding, linear_probe_accuracy
from uniemo.model.uniemo import UniEmo
from uniemo.vision.clip import frozen_clip
from uniemo.vision.features import FeatureCache, FeatureRequest
from uniemo.vision.images import EmotionImageFolder


def main(arguments: list[str]) -> None:
    """Evaluate a checkpoint, a folder of pictures, or Stable Diffusion alone.

    Raises:
        UserError: If something that is needed is missing or does not fit.
    """
    parser = argparse.ArgumentParser(
        prog="uniemo eval",
        allow_abbrev=False,
        description="Measure understanding and generation; write metrics.json and report.html to "
        "runs/EXPERIMENT/eval. Any key of the experiment, and eval.*, can be given as --key value.",
    )
    parser.add_argument("--experiment", default="experiments/emoscenes.yaml", help="a config file")
    parser.add_argument("--ckpt", help="checkpoint; the experiment's newest if not given")
    parser.add_argument("--images", help="pictures of any system instead: <emotion>/*.png|jpg")
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="evaluate the experiment's Stable Diffusion alone, with 'an image of {emotion}'",
    )
    parser.add_argument(
        "--protocol",
        choices=Protocol.__args__,  # type: ignore[attr-defined]
        default="ours",
        help="published: also the published scripts' variants, under their own names",
    )
    known, overrides = parser.parse_known_args(arguments)
    if sum(map(bool, (known.ckpt, known.images, known.calibrate))) > 1:
        raise UserError("give one of --ckpt, --images and --calibrate")
    experiment = Experiment.read(known.experiment, overrides, "uniemo eval")
    if known.images:
        evaluate_folder(experiment, Path(known.images), known.protocol)
    elif known.calibrate:
        evaluate_baseline(experiment, known.protocol)
    else:
        checkpoint = Path(known.ckpt) if known.ckpt else newest_checkpoint(experiment.folder)
        evaluate_checkpoint(experiment, checkpoint, known.protocol)


# --- What is asked for ----------------------------------------------------------------------------


def newest_checkpoint(folder: Path) -> Path:
    """Return the newest best checkpoint of an experiment's phases.

    Raises:
        UserError: If there is none.
    """
    found = [path for path in folder.glob("*/best.ckpt") if path.is_file()]
    if not found:
        raise UserError(f"{folder} holds no */best.ckpt; train first, or give --ckpt or --images")
    return max(found, key=lambda path: path.stat().st_mtime)


# --- What is evaluated ----------------------------------------------------------------------------


def evaluate_checkpoint(
    experiment: Experiment, checkpoint: Path, protocol: Protocol
) -> dict[str, Any]:
    """Evaluate a trained model: understanding, queries and generation.

    The third phase loads no diffusion head: what is painted then comes from the joint phase's
    checkpoint beside it, if there is one.
    """
    module = UniEmo.from_checkpoint(checkpoint).to(experiment.device)
    joint = checkpoint.parent.parent / "joint" / "best.ckpt"
    painter, source = module, checkpoint
    if module.head is None and joint.is_file():
        painter, source = UniEmo.from_checkpoint(joint).to(experiment.device), joint
    data = experiment.data(module.clip_view, painter.image_size)
    read = evaluate_understanding(module, data, experiment.device)
    clip = frozen_clip(module.clip_config, experiment.device)
    bench = None
    if painter.head is not None:
        bench = Bench(experiment, data, painter.head, [clip])
    read.understanding["linear_probe"] = linear_probe_accuracy(
        clip, FeatureCache(data, experiment.cache, experiment.device)
    )
    metrics = headings(experiment, str(checkpoint), module.seed, protocol)
    metrics["understanding"] = read.understanding
    result = None
    if bench is not None:
        n, size = experiment.evaluation.n_images, experiment.evaluation.batch_size
        batches = images_from_model(painter, n, size, experiment.sampling)
        result = bench.evaluate(batches, torch.full((N_EMOTIONS,), n), protocol)
        metrics["generation"] = {"checkpoint": str(source)} | result.numbers
    metrics["queries"] = read.queries
    report = Report(metrics, *describe(data), examples=read.examples)
    report.curves = {p: read_curves(experiment.folder / p) for p in PHASES}
    report.filtered = read_filtered(experiment.folder / "generate")
    return finish(experiment, experiment.folder / "eval", report, data, result)


def evaluate_folder(experiment: Experiment, images: Path, protocol: Protocol) -> dict[str, Any]:
    """Evaluate pictures that lie in a folder, by the yardsticks of the experiment's data."""
    head = experiment.head()
    folder = EmotionImageFolder(images, experiment.evaluation.n_images, head.image_size)
    data = experiment.data(view_of(head), head.image_size)
    batches = folder.batches(experiment.evaluation.batch_size)
    result = Bench(experiment, data, head).evaluate(batches, folder.counts, protocol)
    metrics = headings(experiment, str(images), None, protocol) | {"generation": result.numbers}
    target = experiment.folder / "eval" / images.resolve().name
    return finish(experiment, target, Report(metrics, *describe(data)), data, result)


def evaluate_baseline(experiment: Experiment, protocol: Protocol) -> dict[str, Any]:
    """Evaluate Stable Diffusion alone with EmoGen's baseline prompt: the calibration."""
    head = experiment.head()
    data = experiment.data(view_of(head), head.image_size)
    n, size = experiment.evaluation.n_images, experiment.evaluation.batch_size
    seed = experiment.seed
    batches = images_from_prompt(head, n, size, experiment.sampling, seed)
    result = Bench(experiment, data, head).evaluate(batches, torch.full((N_EMOTIONS,), n), protocol)
    source = f'{experiment.config.model.diffusion.source}, "an image of {{emotion}}"'
    metrics = headings(experiment, source, seed, protocol) | {"generation": result.numbers}
    report = Report(metrics, *describe(data))
    return finish(experiment, experiment.folder / "eval" / "calibration", report, data, result)


def view_of(head: StableDiffusion) -> tuple[int, list[float], list[float]]:
    """Return a CLIP view for where no CLIP looks: the smallest that costs nothing."""
    return head.image_size, [0.5] * 3, [0.5] * 3


class Bench:
    """The yardsticks for one data set and one VAE.

    Args:
        experiment: The experiment.
        data: Its data module.
        head: The head whose VAE every picture of the system passes.
        also: Looks at the data that others will need, to be read in the same passes.
    """

    def __init__(
        self,
        experiment: Experiment,
        data: Any,
        head: StableDiffusion,
        also: Sequence[FeatureRequest] = (),
    ) -> None:
        self.experiment = experiment
        self.data = data
        panel = EvaluationSetup(experiment, data, head, also, also)
        networks, self.training = panel.networks, panel.training
        self.testing, self.reconstructed, self.reference, *_ = panel.library.tables(
            [panel.crisp, panel.decoded, panel.distances, *also], "test"
        )
        self.yardsticks = EvaluationNetworks(
            panel.judge,
            networks.distances,
            networks.semantic,
            networks.perceptual,
            networks.clarity,
        )
        self.judge_name = networks.judge_name

    def evaluate(self, batches: Any, counts: torch.Tensor, protocol: Protocol) -> GenerationResult:
        """Judge generated pictures.

        Args:
            batches: Iterable of ``GeneratedBatch``.
            counts: How many of each emotion it will yield, [8] long.
            protocol: Whether to add the published scripts' variants.
        """
        evaluation = GenerationEvaluation(
            self.yardsticks,
            self.training,
            self.testing,
            self.reference,
            counts,
            protocol == "published",
            self.experiment.device,
        )
        steps = -(-int(counts.sum()) // self.experiment.evaluation.batch_size)
        for painted in track(batches, "Generated pictures", total=steps, transient=True):
            evaluation.update(painted)
        result = evaluation.compute()
        numbers = result.numbers
        numbers["judge"] = self.judge_name
        judge = self.yardsticks.judge
        for name, table in (("real", self.testing), ("reconstructed", self.reconstructed)):
            key = f"judge_accuracy_{name}"
            numbers[key], numbers["intervals"][key] = judge_accuracy(judge, table)
        return result


# --- What comes out -------------------------------------------------------------------------------


def headings(
    experiment: Experiment, source: str, seed: int | None, protocol: str
) -> dict[str, Any]:
    """Return the first keys of ``metrics.json``."""
    return {
        "experiment": experiment.name,
        "checkpoint": source,
        "seed": seed,
        "protocol": protocol,
    }


def describe(data: Any) -> tuple[str, bool]:
    """Return a data set's name, and whether it is another than the published numbers'."""
    root = Path(data.root).expanduser()
    card = root / "card.json"
    if card.is_file():
        return json.loads(card.read_text("utf-8"))["name"], True
    return root.name, "emoset" not in root.name.lower()


def finish(
    experiment: Experiment, folder: Path, report: Report, data: Any, result: GenerationResult | None
) -> dict[str, Any]:
    """Write ``metrics.json`` and ``report.html``, print the table; return the metrics."""
    if result is not None:
        report.shown, report.copy_threshold = result.shown, result.copy_threshold
        rows = sorted({shown.nearest for shown in result.shown})
        for batch in data.plain_dataloader("train", rows):
            for row, image in zip(batch["index"].tolist(), batch["diffusion_image"], strict=True):
                report.nearest[row] = image / 2 + 0.5
    metrics = report.metrics = without_nan(report.metrics)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", "utf-8")
    (folder / "report.html").write_text(report.html(), "utf-8")
    console = Console(soft_wrap=True)
    print_table(metrics, Console())
    console.print(f"Numbers: {folder / 'metrics.json'}", highlight=False)
    console.print(f"Report: {folder / 'report.html'}", highlight=False)
    return metrics
