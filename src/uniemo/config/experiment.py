"""An experiment as its file and the flags after it describe it, before anything is built."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser
from lightning import Fabric, LightningDataModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser

from uniemo.config.evaluation import EvaluationConfig
from uniemo.config.parser import Parser, find_config
from uniemo.config.phases import FinetuneConfig, GenerateConfig
from uniemo.diffusion import SamplingConfig, StableDiffusion
from uniemo.errors import UserError
from uniemo.model.uniemo import UniEmo
from uniemo.utils.precision import native_precision
from uniemo.utils.sources import resolve


def add_groups(parser: ArgumentParser) -> None:
    """Add what an experiment's file holds beside model, data and trainer."""
    parser.add_argument("--experiment", default="experiment", help="name of the experiment")
    parser.add_argument("--phase", default="joint", help="name of the phase")
    parser.add_argument("--runs", default="runs", help="folder of all runs")
    parser.add_argument("--generate", type=GenerateConfig, default=GenerateConfig())
    parser.add_argument("--finetune", type=FinetuneConfig, default=FinetuneConfig())
    parser.add_argument("--eval", type=EvaluationConfig, default=EvaluationConfig())


@dataclass
class Experiment:
    """An experiment's settings, and what can be built from them."""

    config: Any
    parser: LightningArgumentParser

    @classmethod
    def read(cls, file: str, overrides: list[str], prog: str) -> "Experiment":
        """Read an experiment's file and the flags after it.

        Args:
            file: A file, or the name of one that comes with the package.
            overrides: ``--key value`` pairs.
            prog: The command that asks, for its help.

        Raises:
            UserError: If the file or a key is wrong.
        """
        parser = Parser(prog=prog, allow_abbrev=False)
        parser.add_argument("--config", action="config")
        parser.add_argument("--seed_everything", type=int, default=0)
        add_groups(parser)
        parser.add_class_arguments(UniEmo, "model", instantiate=False)
        parser.add_subclass_arguments(
            LightningDataModule, "data", required=True, fail_untyped=False
        )
        parser.add_class_arguments(Trainer, "trainer", instantiate=False, fail_untyped=False)
        arguments = ["--config", str(find_config(file)), *overrides]
        experiment = cls(parser.parse_args(arguments), parser)
        _ = experiment._groups  # their numbers are checked where they are built
        return experiment

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.config.experiment

    @property
    def seed(self) -> int:
        """The seed that everything flows from."""
        return self.config.seed_everything

    @property
    def folder(self) -> Path:
        """The folder of the experiment's runs."""
        return Path(self.config.runs, self.config.experiment)

    @cached_property
    def _groups(self) -> Any:
        return self.parser.instantiate_classes(self.config)

    @property
    def evaluation(self) -> EvaluationConfig:
        """The settings of the evaluation."""
        return self._groups.eval

    @property
    def generate(self) -> GenerateConfig:
        """The settings of the generate phase."""
        return self._groups.generate

    @property
    def finetune(self) -> FinetuneConfig:
        """The settings of the finetune phase."""
        return self._groups.finetune

    @property
    def cache(self) -> Path:
        """The folder of what frozen networks see in real pictures."""
        return Path(self.evaluation.cache).expanduser()

    @property
    def sampling(self) -> SamplingConfig:
        """How images are denoised."""
        return SamplingConfig(**self.config.model.sampling.as_dict())

    @property
    def precision(self) -> Any:
        """The trainer's precision; if none is given, the device's own."""
        trainer = self.config.trainer
        return trainer.precision or native_precision(trainer.accelerator)

    @property
    def device(self) -> torch.device:
        """Where work outside a trainer is done."""
        return Fabric(accelerator=self.config.trainer.accelerator, devices=1).device

    def data(self, view: tuple[int, Any, Any], image_size: int | None) -> Any:
        """Build the data module for a CLIP's view (size, mean, deviation) and pictures' side H."""
        arguments = self.config.data.init_args
        arguments.clip_size, arguments.clip_mean, arguments.clip_std = view
        arguments.diffusion_size, arguments.seed = image_size, self.seed
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
