"""Evaluation of a checkpoint, of a folder of images, or of Stable Diffusion alone.

Each function writes ``metrics.json`` and ``report.html`` to ``runs/EXPERIMENT/eval`` (or a folder
in it), prints a summary and returns the content of ``metrics.json``. ``protocol`` "published" adds
the variants of the published scripts.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from uniemo.config.evaluation import Protocol
from uniemo.config.experiment import Experiment
from uniemo.curriculum.curves import read_curves
from uniemo.diffusion import StableDiffusion
from uniemo.errors import UserError, first_line
from uniemo.evaluation.evaluator import Evaluator
from uniemo.evaluation.generation_metrics import GenerationResult, without_nan
from uniemo.evaluation.image_sources import BASELINE_PROMPT, images_from_model, images_from_prompt
from uniemo.evaluation.report import EvaluationReport, read_filter_examples
from uniemo.evaluation.summary import print_summary
from uniemo.evaluation.understanding_metrics import (
    evaluate_understanding,
    linear_probe_accuracy,
    names_baseline_accuracy,
)
from uniemo.model import load_model
from uniemo.utils.files import read_json, write_bytes, write_json
from uniemo.utils.processes import is_first
from uniemo.utils.stopping import stop_signals
from uniemo.vision.features import FeatureCache
from uniemo.vision.frozen_clip import frozen_clip
from uniemo.vision.images import EmotionImageFolder, GeneratedBatch

TRAINED = ("joint", "finetune")  # phases that leave curves


def newest_checkpoint(folder: Path) -> Path:
    """Return the newest best checkpoint of an experiment's phases; UserError if there is none."""
    found = [path for path in folder.glob("*/best.ckpt") if path.is_file()]
    if not found:
        raise UserError(f"{folder} holds no */best.ckpt; train first, or give --ckpt or --images")
    return max(found, key=lambda path: path.stat().st_mtime)


def evaluate_checkpoint(
    experiment: Experiment, checkpoint: Path | None = None, protocol: Protocol = "default"
) -> dict[str, Any]:
    """Evaluate a checkpoint of any phase, or the newest: understanding, generation and queries.

    A checkpoint of the finetune phase has no diffusion head: the joint phase's checkpoint beside
    it, if there is one, generates the images.

    Raises:
        UserError: If there is no checkpoint, or it does not fit.
    """
    checkpoint = checkpoint or newest_checkpoint(experiment.folder)
    _launch(experiment)
    config, device = experiment.evaluation, experiment.device

    # 1. Load the model, and the one that generates.
    module = load_model(checkpoint).to(device)
    joint = checkpoint.parent.parent / "joint" / "best.ckpt"
    generator, source = module, checkpoint
    if module.head is None and joint.is_file():
        generator, source = load_model(joint).to(device), joint
    data = experiment.data(module.clip_view, generator.image_size)
    if data.emotions.names != module.emotions.names:
        raise UserError(
            f"{checkpoint} knows the emotions {module.emotions}; the data set has {data.emotions}; "
            "give the latter as --data to map one to the other"
        )

    # 2. Evaluate the understanding and the queries.
    recognition = evaluate_understanding(module, data, device)
    metrics = _header(experiment, str(checkpoint), module.settings.seed, protocol)
    metrics["understanding"] = recognition.understanding

    # 3. Evaluate the generation; one pass over a split computes the features of both.
    clip = frozen_clip(module.settings.clip, device)
    result, cache = None, FeatureCache(data, experiment.cache, device)
    if generator.head is not None:
        also = {split: [clip] for split in ("train", "val", "test")}
        evaluator = Evaluator(experiment, data, generator.head, also)
        batches = images_from_model(
            generator, config.n_images, config.batch_size, experiment.sampling
        )
        counts = torch.full((len(module.emotions),), config.n_images)
        result = evaluator.evaluate(batches, counts, protocol)
        metrics["generation"] = {"checkpoint": str(source)} | result.metrics
    recognition.understanding["linear_probe"] = linear_probe_accuracy(
        clip, cache, len(module.emotions)
    )
    baseline = names_baseline_accuracy(module, data, clip, cache)
    if baseline is not None:
        recognition.understanding["names_baseline"] = baseline
    metrics["queries"] = recognition.queries

    # 4. Write it down.
    report = EvaluationReport(metrics, *_dataset(data), attention_examples=recognition.examples)
    folder, names = experiment.folder, module.emotions.names
    return write_results(report, folder / "eval", data, result, folder, names)


def evaluate_folder(
    experiment: Experiment, images: Path, protocol: Protocol = "default"
) -> dict[str, Any]:
    """Evaluate any system's images, a folder of ``<emotion>/*.png|jpg``.

    The networks, the judge and the data are those of the experiment.

    Raises:
        UserError: If images are missing or cannot be read.
    """
    _launch(experiment)
    head = experiment.head()
    folder = EmotionImageFolder(
        images, experiment.emotions, experiment.evaluation.n_images, head.image_size
    )
    batches = folder.batches(experiment.evaluation.batch_size)
    header = _header(experiment, str(images), None, protocol)
    name = images.resolve().name
    return _evaluate_images(experiment, head, batches, folder.counts, header, name)


def evaluate_baseline(experiment: Experiment, protocol: Protocol = "default") -> dict[str, Any]:
    """Evaluate Stable Diffusion alone with EmoGen's baseline prompt, to calibrate the metrics.

    Raises:
        UserError: If the experiment has no diffusion head.
    """
    _launch(experiment)
    head, config, seed = experiment.head(), experiment.evaluation, experiment.seed
    batches = images_from_prompt(
        head, experiment.emotions, config.n_images, config.batch_size, experiment.sampling, seed
    )
    prompt = BASELINE_PROMPT.format("{emotion}")
    source = f'{experiment.config.model.diffusion.source}, "{prompt}"'
    header = _header(experiment, source, seed, protocol)
    counts = torch.full((len(experiment.emotions),), config.n_images)
    return _evaluate_images(experiment, head, batches, counts, header, "calibration")


def _launch(experiment: Experiment) -> None:
    """Start the other processes, if the trainer's keys name several devices."""
    launcher: Any = experiment.fabric.strategy.launcher
    stop_signals.children = lambda: getattr(launcher, "procs", ())
    experiment.fabric.launch()


def _evaluate_images(
    experiment: Experiment,
    head: StableDiffusion,
    batches: Iterable[GeneratedBatch],
    counts: Tensor,
    header: dict[str, Any],
    name: str,
) -> dict[str, Any]:
    """Evaluate images that need no UniEmo model, and write the results to a named folder."""
    clip_view = head.image_size, [0.5] * 3, [0.5] * 3  # not used; this one costs nothing
    data = experiment.data(clip_view, head.image_size)
    result = Evaluator(experiment, data, head).evaluate(batches, counts, header["protocol"])
    report = EvaluationReport(header | {"generation": result.metrics}, *_dataset(data))
    return write_results(report, experiment.folder / "eval" / name, data, result)


def _header(
    experiment: Experiment, source: str, seed: int | None, protocol: Protocol
) -> dict[str, Any]:
    """Return the first keys of ``metrics.json``."""
    return {
        "experiment": experiment.name,
        "checkpoint": source,
        "seed": seed,
        "protocol": protocol,
        "emotions": list(experiment.emotions.names),
    }


def _dataset(data: Any) -> tuple[str, bool]:
    """Return a data set's name, and whether it is another than that of the published results."""
    root = Path(data.root).expanduser()
    try:
        return str(read_json(root / "card.json")["name"]), True
    except (OSError, ValueError, KeyError, TypeError):  # none, or a broken one
        return root.name, "emoset" not in root.name.lower()


def write_results(
    report: EvaluationReport,
    folder: Path,
    data: Any,
    result: GenerationResult | None,
    run: Path | None = None,
    emotions: Sequence[str] = (),
) -> dict[str, Any]:
    """Write ``metrics.json``, then ``report.html``, print the summary; return the metrics.

    Curves and examples of the filter are those of an experiment's folder ``run``. What cannot be
    read of them is missing in the report. Of several processes the first writes.
    """
    metrics = report.metrics = without_nan(report.metrics)
    if not is_first():
        return metrics
    write_json(folder / "metrics.json", metrics)
    if run is not None:
        for phase in TRAINED:
            with _section(f"the curves in {run / phase}"):
                report.curves[phase] = read_curves(run / phase)
        with _section(f"examples of the filter in {run / 'generate'}"):
            report.filter_examples = read_filter_examples(run / "generate", emotions)
    if result is not None:
        report.generated_examples, report.copy_threshold = result.examples, result.copy_threshold
        rows = sorted({example.nearest for example in result.examples})
        for batch in data.plain_dataloader("train", rows):
            for row, image in zip(batch["index"].tolist(), batch["diffusion_image"], strict=True):
                report.nearest[row] = image / 2 + 0.5
    write_bytes(folder / "report.html", report.html().encode())
    print_summary(metrics, Console(), folder)
    return metrics


@contextmanager
def _section(what: str) -> Iterator[None]:
    """Do without a section of the report whose files, of an earlier run, cannot be read."""
    try:
        yield
    except Exception as error:  # Arrow, Pillow and csv raise a dozen kinds
        print(f"The report lacks {what}: {first_line(error)}", flush=True)
