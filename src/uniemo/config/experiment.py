"""An experiment as its file and the flags after it describe it, before anything is built."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import Namespace
from lightning import Fabric, LightningDataModule, Trainer

from uniemo.config.checks import check_filled, check_finite, check_trainer
from uniemo.config.curriculum import CheckpointConfig, FinetuneConfig, GenerateConfig
from uniemo.config.evaluation import EvaluationConfig
from uniemo.config.model import ModelSettings
from uniemo.config.parser import Parser
from uniemo.diffusion import SamplingConfig, StableDiffusion
from uniemo.emotions import Emotions
from uniemo.errors import UserError, check_least, known_step
from uniemo.utils.files import write_bytes
from uniemo.utils.precision import native_precision
from uniemo.utils.processes import barrier, is_distributed, is_first_of_node

GROUPS: dict[str, type] = {
    "model": ModelSettings,
    "checkpoints": CheckpointConfig,
    "generate": GenerateConfig,
    "finetune": FinetuneConfig,
    "eval": EvaluationConfig,
}
"""Groups of keys that are this package's own."""
CONFIG = "config.yaml"  # of a run, in its folder
IRRELEVANT = {
    # Where work is done and kept, not what it is.
    "cache", "cache_dir", "num_workers", "images_at_once", "compile",
    # What the model tells the data module.
    "clip_size", "clip_mean", "clip_std", "diffusion_size", "crop_epochs", "seed",
    # What the evaluation tells it.
    "squash",
}  # fmt: skip
"""Settings that no result depends on."""


def relevant_settings(content: Any) -> Any:
    """Return nested settings without those of :data:`IRRELEVANT`."""
    if not isinstance(content, dict):
        return content
    return {key: relevant_settings(content[key]) for key in content if key not in IRRELEVANT}


def experiment_parser(prog: str, description: str = "") -> Parser:
    """Return the parser of every key of an experiment, for a command with this description."""
    parser = Parser(prog=prog, description=description, allow_abbrev=False)
    parser.add_argument("-c", "--config", action="config", help="a file; later ones have priority")
    parser.add_argument(
        "--seed_everything", type=int, default=0, help="seed that all randomness flows from"
    )
    parser.add_argument(
        "--experiment", type=str, default="experiment", help="name of the experiment"
    )
    parser.add_argument("--phase", type=str, default="joint", help="name of the phase")
    parser.add_argument("--runs", type=str, default="runs", help="folder of all runs")
    parser.add_class_arguments(ModelSettings, "model", skip={"emotions"})  # the data's
    parser.add_subclass_arguments(LightningDataModule, "data", required=True, fail_untyped=False)
    parser.add_argument("--checkpoints", type=CheckpointConfig, default=CheckpointConfig())
    parser.add_argument("--generate", type=GenerateConfig, default=GenerateConfig())
    parser.add_argument("--finetune", type=FinetuneConfig, default=FinetuneConfig())
    parser.add_argument("--eval", type=EvaluationConfig, default=EvaluationConfig())
    parser.add_class_arguments(Trainer, "trainer", instantiate=False, fail_untyped=False)
    parser.set_defaults({"trainer.num_sanity_val_steps": 0})
    parser.link_arguments("seed_everything", "model.seed")
    parser.link_arguments("seed_everything", "data.init_args.seed")
    parser.link_arguments("model.understanding_epochs", "data.init_args.crop_epochs")
    return parser


class Experiment:
    """An experiment's settings, read once, and what can be built from them.

    Args:
        config: All keys, checked, with their defaults.
        parser: What has checked them.

    Raises:
        UserError: If a number is out of range.
    """

    def __init__(self, config: Namespace, parser: Parser) -> None:
        self.config, self.parser = config, parser
        given = config.clone()
        del given["data"]  # the data module needs to know the model
        for name, kind in GROUPS.items():
            check_filled(given[name], kind, name)
        for name in ("experiment", "phase", "runs"):
            if given[name] is None:
                raise UserError(f"key {name!r} is null; give a name")
        check_finite(given)
        check_trainer(given.trainer)
        with known_step("the settings cannot be used", "correct them"):
            groups = parser.instantiate_classes(given)
        check_least(groups, "experiment", seed_everything=0)
        self.name: str = groups.experiment
        self.phase: str = groups.phase
        self.seed: int = groups.seed_everything
        for key, value in (("experiment", self.name), ("phase", self.phase)):
            if not value or Path(value).is_absolute() or ".." in Path(value).parts:
                raise UserError(f"{key} is {value!r}; give a name within the folder of the runs")
        self.folder = Path(groups.runs, self.name)  # of all phases' runs
        self.phase_folder = self.folder / self.phase
        self.model: ModelSettings = groups.model
        self.checkpoints: CheckpointConfig = groups.checkpoints
        self.generate: GenerateConfig = groups.generate
        self.finetune: FinetuneConfig = groups.finetune
        self.evaluation: EvaluationConfig = groups.eval
        self.trainer: dict[str, Any] = groups.trainer.as_dict()  # callbacks and strategy built

    @classmethod
    def read(cls, file: str, overrides: Iterable[str] = (), prog: str = "uniemo") -> "Experiment":
        """Read an experiment's file and the flags after it.

        Args:
            file: A file, or the name of one that comes with the package.
            overrides: ``--key value`` pairs.
            prog: The command that asks, for its help.

        Raises:
            UserError: If the file or a key is wrong.
        """
        parser = experiment_parser(prog)
        return cls(parser.parse_args(["--config", file, *overrides]), parser)

    def changed(self, changes: Mapping[str, Any]) -> "Experiment":
        """Return the experiment with other values of some keys.

        Args:
            changes: Values by full key, such as ``{"model.loss.condition": 0.0}``; a group of
                settings may be given as a whole.

        Raises:
            UserError: If a key or a value is wrong.
        """
        content = yaml.safe_load(self.dump())
        for key, value in changes.items():
            *groups, name = key.split(".")
            inner = content
            for group in groups:
                inner = inner.setdefault(group, {})
            inner[name] = _plain(value)
        return Experiment(self.parser.parse_object(content), self.parser)

    def save(self, path: Path) -> None:
        """Write the settings as YAML, which ``--config`` reads."""
        write_bytes(path, self.dump().encode())

    def dump(self) -> str:
        """Return the settings as YAML."""
        return self.parser.dump(self.config, skip_none=False, skip_validation=True)

    # --- What follows from them ------------------------------------------------------------------

    @property
    def sampling(self) -> SamplingConfig:
        """How images are denoised."""
        return self.model.sampling

    @property
    def cache(self) -> Path:
        """The folder of frozen networks' features of real images."""
        return Path(self.evaluation.cache).expanduser()

    @property
    def precision(self) -> Any:
        """The trainer's precision; if none is given, the device's own."""
        trainer = self.config.trainer
        return trainer.precision or native_precision(trainer.accelerator)

    @property
    def device(self) -> torch.device:
        """Where work outside a trainer is done."""
        if is_distributed():
            return self.fabric.device
        accelerator = self.config.trainer.accelerator
        with known_step(f"trainer.accelerator {accelerator} cannot be used", "give auto or cpu"):
            return Fabric(accelerator=accelerator, devices=1).device

    @cached_property
    def fabric(self) -> Fabric:
        """The devices that the trainer's keys name, for work outside a trainer.

        Its ``launch`` starts a process for each; they share the work out.
        """
        trainer = self.config.trainer
        with known_step("trainer.devices cannot be used", "give as many as there are, or auto"):
            return Fabric(
                accelerator=trainer.accelerator,
                devices=trainer.devices,
                num_nodes=trainer.num_nodes,
            )

    @cached_property
    def emotions(self) -> Emotions:
        """What the data set labels."""
        return self._build_data(self.config.data.clone()).emotions

    # --- What is built from them -----------------------------------------------------------------

    def data_module(
        self, view: tuple[int, Any, Any], image_size: int | None, squash: bool = False
    ) -> Any:
        """Build the data module.

        Args:
            view: CLIP's side in pixels, mean and standard deviation.
            image_size: Side of the diffusion view in pixels; None for no such view.
            squash: Whether this view is the whole image, squashed to a square.
        """
        config = self.config.clone()
        arguments = config.data.init_args
        arguments.clip_size, arguments.clip_mean, arguments.clip_std = view
        arguments.diffusion_size = image_size
        if squash:  # asked of a data module only where it is needed
            arguments.squash = True
        return self._build_data(config.data)

    def _build_data(self, config: Namespace) -> Any:
        with known_step("the data module cannot be built", "correct data.init_args"):
            return self.parser.instantiate_classes(Namespace(data=config)).data

    def data(self, view: tuple[int, Any, Any], image_size: int | None, squash: bool = False) -> Any:
        """Build the data module and open all of its splits, for work outside a trainer."""
        data = self.data_module(view, image_size, squash)
        for first in (True, False):  # what one has prepared the others find
            if is_first_of_node() == first:
                data.prepare_data()
            barrier()
        data.setup("fit")
        data.setup("test")
        return data

    def head(self) -> StableDiffusion:
        """Load the experiment's Stable Diffusion.

        Raises:
            UserError: If the experiment has none.
        """
        if self.model.diffusion is None:
            raise UserError("the experiment has no diffusion head; set model.diffusion.source")
        return self.model.diffusion.load().to(self.device)


def _plain(value: Any) -> Any:
    """Return settings as the parser takes them: dataclasses as dictionaries, paths as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return str(value) if isinstance(value, Path) else value
