"""Lightning's command line around :class:`uniemo.model.uniemo.UniEmo`."""

from pathlib import Path
from typing import Any

from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, RichProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger

from uniemo.config.experiment import add_groups
from uniemo.config.parser import Parser
from uniemo.curriculum.checkpoints import BEST, LAST, BestCheckpoint, LastCheckpoint, phase_result
from uniemo.curriculum.curves import curve_logger
from uniemo.curriculum.generate import generate
from uniemo.curriculum.reporting import Report
from uniemo.errors import UserError
from uniemo.model.checkpoint import read_checkpoint
from uniemo.model.uniemo import UniEmo
from uniemo.utils.precision import native_precision

HALF_PRECISION = ("bf16-true", "16-true", "transformer-engine", "transformer-engine-float16")
"""Lightning's names of what would convert every buffer of the model."""


class UniEmoCLI(LightningCLI):
    """Lightning's command line around :class:`UniEmo` and any data module.

    ``experiment``, ``phase`` and ``runs`` name the folder of a run, which takes checkpoints, logs,
    pictures and the configuration.
    """

    def __init__(self, args: list[str]) -> None:
        super().__init__(
            UniEmo,
            LightningDataModule,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            save_config_kwargs={"overwrite": True},
            seed_everything_default=0,
            trainer_defaults={"num_sanity_val_steps": 0},
            parser_class=Parser,
            args=args,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Name the run, and tell the data module what the model's CLIP wants to see."""
        add_groups(parser)
        parser.link_arguments("seed_everything", "model.seed")
        parser.link_arguments("seed_everything", "data.init_args.seed")
        parser.link_arguments("model.understanding_epochs", "data.init_args.crop_epochs")
        for i, key in enumerate(("clip_size", "clip_mean", "clip_std")):
            parser.link_arguments(
                "model.clip_view",
                f"data.init_args.{key}",
                compute_fn=lambda view, i=i: view[i],
                apply_on="instantiate",
            )
        parser.link_arguments(
            "model.image_size", "data.init_args.diffusion_size", apply_on="instantiate"
        )

    def _parse_ckpt_path(self) -> None:
        """Leave the configuration as it was given: a checkpoint restores weights, not settings."""

    def _prepare_subcommand_parser(
        self, klass: type, subcommand: str, **kwargs: Any
    ) -> LightningArgumentParser:
        """Say what the checkpoint is by default: Lightning's help does not know."""
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand != "fit":
            phase = "joint phase" if subcommand == "predict" else "run"
            (action,) = (each for each in parser._actions if each.dest == "ckpt_path")
            action.help = (
                f"A checkpoint file, or ``best`` or ``last`` of the {phase}; null for best"
            )
        return parser

    def before_instantiate_classes(self) -> None:
        """Find, before anything is built, the checkpoint to start from, to measure or to paint by.

        Without a file it is the best one of the run, or to paint by of the joint phase: Lightning
        would measure random weights where it finds none.

        Raises:
            UserError: If the checkpoint is missing, broken or another model's.
        """
        given = self._get(self.config, "ckpt_path")
        if self.subcommand != "fit" and given in (None, "best", "last"):
            phase = "joint" if self.subcommand == "predict" else self._get(self.config, "phase")
            name = LAST if given == "last" else BEST
            given = str(phase_result(self.experiment_folder, phase, name))
            self.config[self.subcommand].ckpt_path = given
        if given not in (None, "best", "last"):
            read_checkpoint(given)

    @property
    def experiment_folder(self) -> Path:
        """The folder of all phases."""
        return Path(self._get(self.config, "runs"), self._get(self.config, "experiment"))

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.experiment_folder / self._get(self.config, "phase")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer with the run's loggers, checkpoints and report.

        Raises:
            UserError: If its precision would ruin what is summed in float64.
        """
        config = self._get(self.config_init, "trainer")
        if config.get("precision") in HALF_PRECISION:
            raise UserError(
                f"trainer.precision {config.precision} would keep the emotion space's sums in half "
                "precision; give bf16-mixed, and model.diffusion.dtype bfloat16 to save memory"
            )
        if self.subcommand != "fit":
            self.save_config_callback = None  # it would write where the command was given
        if self.subcommand == "fit" and not config.get("fast_dev_run"):
            folder = self.folder
            if config.get("logger") in (None, True):
                kwargs["logger"] = [
                    # The first one's folder is where Lightning writes the configuration.
                    TensorBoardLogger(folder, name=None, version=""),
                    curve_logger(folder),
                ]
            given = config.get("callbacks") or []
            kwargs["callbacks"] = [
                *given,
                BestCheckpoint(folder),
                LastCheckpoint(folder),
                LearningRateMonitor("step"),
                Report(folder),
            ]
            if config.get("enable_progress_bar") in (None, True):
                kwargs["callbacks"].append(RichProgressBar(leave=True))
            kwargs["default_root_dir"] = str(folder)
        else:
            kwargs["logger"] = config.get("logger") or False
        if self.subcommand == "predict":
            kwargs["enable_progress_bar"] = False  # the images are counted instead
        if config.get("precision") is None:
            kwargs["precision"] = native_precision(config.get("accelerator"))
        return super().instantiate_trainer(**kwargs)

    def predict(self, model: UniEmo, datamodule: Any, ckpt_path: str, **_: Any) -> None:
        """Run the generate phase."""
        config = self._get(self.config_init, "generate")
        folder = self.experiment_folder / "generate"
        cache = Path(self._get(self.config_init, "eval").cache).expanduser()
        generate(self.trainer, model, datamodule, Path(ckpt_path), config, folder, cache)
