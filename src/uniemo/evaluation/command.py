"""``uniemo eval``: every number of the paper from one command."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Fabric, LightningDataModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser
from rich.console import Console
from rich.progress import track

from uniemo.configs import Parser, find_config
from uniemo.diffusion import SamplingConfig, StableDiffusion, latent_fingerprint
from uniemo.emotions import N_EMOTIONS
from uniemo.errors import UserError
from uniemo.evaluation.figures import read_curves
from uniemo.evaluation.generation import (
    GenerationEvaluation,
    GenerationResult,
    Yardsticks,
    judge_accuracy,
    without_nan,
)
from uniemo.evaluation.judges import fit_judge, published_emotion_probe
from uniemo.evaluation.painters import ImageFolder, painted_by_model, painted_by_prompt
from uniemo.evaluation.report import Report, print_table, read_filtered
from uniemo.evaluation.settings import EvaluationConfig, Protocol
from uniemo.evaluation.tables import Library, Reconstruction
from uniemo.evaluation.understanding import evaluate_understanding, linear_probe_accuracy
from uniemo.evaluation.yardsticks import build_networks
from uniemo.module import UniEmo
from uniemo.sources import resolve

PHASES = ("joint", "generate", "finetune")


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
    setting = read_setting(known.experiment, overrides)
    if known.images:
        evaluate_folder(setting, Path(known.images), known.protocol)
    elif known.calibrate:
        evaluate_baseline(setting, known.protocol)
    else:
        checkpoint = Path(known.ckpt) if known.ckpt else newest_checkpoint(setting.folder)
        evaluate_checkpoint(setting, checkpoint, known.protocol)


# --- What is asked for ----------------------------------------------------------------------------


@dataclass
class Setting:
    """An experiment as the evaluation needs it."""

    config: Any
    parser: LightningArgumentParser
    evaluation: EvaluationConfig
    sampling: SamplingConfig
    device: torch.device

    @property
    def folder(self) -> Path:
        """The folder of the experiment's runs."""
        return Path(self.config.runs, self.config.experiment)

    @property
    def cache(self) -> Path:
        """The folder of what is computed once."""
        return Path(self.evaluation.cache).expanduser()

    def data(self, view: tuple[int, Any, Any], image_size: int | None) -> Any:
        """Build the data module for a CLIP's view (size, mean, deviation) and pictures' side H."""
        arguments = self.config.data.init_args
        arguments.clip_size, arguments.clip_mean, arguments.clip_std = view
        arguments.diffusion_size, arguments.seed = image_size, self.config.seed_everything
        data = self.parser.instantiate_classes(self.config).data
        data.prepare_data()
        data.setup("fit")
        data.setup("test")
        return data

    def head(self) -> StableDiffusion:
        """Load the experiment's Stable Diffusion.

        Raises:
            UserError: If the experiment has none.
        """
        diffusion = self.config.model.diffusion
        if diffusion is None:
            raise UserError("the experiment has no diffusion head; set model.diffusion.source")
        return StableDiffusion(resolve(diffusion.source), diffusion.dtype).to(self.device)


def read_setting(experiment: str, overrides: list[str]) -> Setting:
    """Read an experiment's file and the flags after it.

    Args:
        experiment: A file, or the name of one that comes with the package.
        overrides: ``--key value`` pairs.

    Raises:
        UserError: If the file or a key is wrong.
    """
    path = find_config(experiment)
    parser = Parser(prog="uniemo eval", allow_abbrev=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--experiment", default="experiment")
    parser.add_argument("--phase", default="joint")
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--seed_everything", type=int, default=0)
    parser.add_class_arguments(UniEmo, "model", instantiate=False)
    parser.add_subclass_arguments(LightningDataModule, "data", required=True, fail_untyped=False)
    parser.add_class_arguments(Trainer, "trainer", instantiate=False, fail_untyped=False)
    parser.add_class_arguments(EvaluationConfig, "eval", instantiate=False)
    config = parser.parse_args(["--config", str(path), *overrides])
    accelerator = config.trainer.accelerator
    return Setting(
        config,
        parser,
        EvaluationConfig(**config.eval.as_dict()),
        SamplingConfig(**config.model.sampling.as_dict()),
        Fabric(accelerator=accelerator, devices=1).device,
    )


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


def evaluate_checkpoint(setting: Setting, checkpoint: Path, protocol: Protocol) -> dict[str, Any]:
    """Evaluate a trained model: understanding, queries and generation.

    The third phase loads no diffusion head: what is painted then comes from the joint phase's
    checkpoint beside it, if there is one.
    """
    module = UniEmo.from_checkpoint(checkpoint).to(setting.device)
    joint = checkpoint.parent.parent / "joint" / "best.ckpt"
    painter, source = module, checkpoint
    if module.head is None and joint.is_file():
        painter, source = UniEmo.from_checkpoint(joint).to(setting.device), joint
    data = setting.data(module.clip_view, painter.image_size)
    read = evaluate_understanding(module, data, setting.device)
    read.understanding["linear_probe"] = linear_probe_accuracy(
        module, data, setting.cache, setting.device
    )
    metrics = headings(setting, str(checkpoint), module.seed, protocol)
    metrics["understanding"] = read.understanding
    result = None
    if painter.head is not None:
        bench = Bench(setting, data, painter.head)
        n, size = setting.evaluation.n_images, setting.evaluation.batch_size
        batches = painted_by_model(painter, n, size, setting.sampling)
        result = bench.evaluate(batches, torch.full((N_EMOTIONS,), n), protocol)
        metrics["generation"] = {"checkpoint": str(source)} | result.numbers
    metrics["queries"] = read.queries
    report = Report(metrics, *describe(data), examples=read.examples)
    report.curves = {p: read_curves(setting.folder / p / "metrics.csv") for p in PHASES}
    report.filtered = read_filtered(setting.folder / "generate")
    return finish(setting, setting.folder / "eval", report, data, result)


def evaluate_folder(setting: Setting, images: Path, protocol: Protocol) -> dict[str, Any]:
    """Evaluate pictures that lie in a folder, by the yardsticks of the experiment's data."""
    head = setting.head()
    folder = ImageFolder(images, setting.evaluation.n_images, head.image_size)
    data = setting.data(view_of(head), head.image_size)
    batches = folder.batches(setting.evaluation.batch_size)
    result = Bench(setting, data, head).evaluate(batches, folder.counts, protocol)
    metrics = headings(setting, str(images), None, protocol) | {"generation": result.numbers}
    target = setting.folder / "eval" / images.resolve().name
    return finish(setting, target, Report(metrics, *describe(data)), data, result)


def evaluate_baseline(setting: Setting, protocol: Protocol) -> dict[str, Any]:
    """Evaluate Stable Diffusion alone with EmoGen's baseline prompt: the calibration."""
    head = setting.head()
    data = setting.data(view_of(head), head.image_size)
    n, size = setting.evaluation.n_images, setting.evaluation.batch_size
    seed = setting.config.seed_everything
    batches = painted_by_prompt(head, n, size, setting.sampling, seed)
    result = Bench(setting, data, head).evaluate(batches, torch.full((N_EMOTIONS,), n), protocol)
    source = f'{setting.config.model.diffusion.source}, "an image of {{emotion}}"'
    metrics = headings(setting, source, seed, protocol) | {"generation": result.numbers}
    report = Report(metrics, *describe(data))
    return finish(setting, setting.folder / "eval" / "calibration", report, data, result)


def view_of(head: StableDiffusion) -> tuple[int, list[float], list[float]]:
    """Return a CLIP view for where no CLIP looks: the smallest that costs nothing."""
    return head.image_size, [0.5] * 3, [0.5] * 3


class Bench:
    """The yardsticks for one data set and one VAE.

    Args:
        setting: The experiment.
        data: Its data module.
        head: The head whose VAE every picture of the system passes.
    """

    def __init__(self, setting: Setting, data: Any, head: StableDiffusion) -> None:
        self.setting = setting
        self.data = data
        config, device = setting.evaluation, setting.device
        networks = build_networks(config, head.image_size, device)
        self.library = Library(data, setting.cache, device, view=f"{head.image_size} px")
        through_vae = Reconstruction(
            lambda image: head.decode(head.encode(image * 2 - 1, 64), 64),
            latent_fingerprint(head.vae, head.image_size, "reconstruction"),
        )
        read, limit = self.library.table, config.n_reconstructed
        self.training = read(networks.judge, "train")
        self.testing = read(networks.judge, "test")
        self.reconstructed = read(networks.judge, "test", through_vae)
        validation = read(networks.judge, "val").joined(read(networks.judge, "val", through_vae))
        emotion = None
        if config.emotion_weights is not None:
            emotion = published_emotion_probe(config.emotion_weights)
        judge = fit_judge(
            networks.judge,
            self.training.joined(read(networks.judge, "train", through_vae, limit)),
            validation,
            len(data.scene_names),
            setting.cache,
            emotion,
        )
        self.yardsticks = Yardsticks(
            judge, networks.distances, networks.semantic, networks.perceptual, networks.clarity
        )
        self.judge_name = networks.judge_name

    def evaluate(self, batches: Any, counts: torch.Tensor, protocol: Protocol) -> GenerationResult:
        """Judge generated pictures.

        Args:
            batches: Iterable of ``Painted``.
            counts: How many of each emotion it will yield, [8] long.
            protocol: Whether to add the published scripts' variants.
        """
        reference = self.library.table(self.yardsticks.distances, "test")
        evaluation = GenerationEvaluation(
            self.yardsticks,
            self.training,
            self.testing,
            reference,
            counts,
            protocol == "published",
            self.setting.device,
        )
        steps = -(-int(counts.sum()) // self.setting.evaluation.batch_size)
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


def headings(setting: Setting, source: str, seed: int | None, protocol: str) -> dict[str, Any]:
    """Return the first keys of ``metrics.json``."""
    return {
        "experiment": setting.config.experiment,
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
    setting: Setting, folder: Path, report: Report, data: Any, result: GenerationResult | None
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
