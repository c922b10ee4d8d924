"""The command line: ``uniemo`` and ``lightning`` are the same program.

``fit``, ``validate``, ``test`` and ``predict`` are Lightning's, with ``-c FILE`` and every key as a
flag. ``train`` runs phases of an experiment; ``data`` and ``configs`` help around them.
"""

import argparse
import logging
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import transformers
from jsonargparse import ArgumentError
from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, RichProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from uniemo.configs import Parser, find_config, shipped_configs
from uniemo.curriculum.keep import BEST, LAST, BestCheckpoint, LastCheckpoint
from uniemo.curriculum.report import Report, print_results
from uniemo.errors import UserError
from uniemo.module import UniEmo

LIGHTNING = ("fit", "validate", "test", "predict")
PHASES = ("joint",)


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
        parser.add_argument("--experiment", default="experiment", help="name of the experiment")
        parser.add_argument("--phase", default="joint", help="name of the phase")
        parser.add_argument("--runs", default="runs", help="folder of all runs")
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

    @property
    def folder(self) -> Path:
        """The run's folder."""
        name = [self._get(self.config, key) for key in ("runs", "experiment", "phase")]
        return Path(*name)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer with the run's loggers, checkpoints and report."""
        config = self._get(self.config_init, "trainer")
        if self.subcommand == "fit" and not config.get("fast_dev_run"):
            folder = self.folder
            if config.get("logger") in (None, True):
                kwargs["logger"] = [
                    CSVLogger(folder, name=None, version=""),
                    TensorBoardLogger(folder, name=None, version=""),
                ]
            given = config.get("callbacks") or []
            kwargs["callbacks"] = [
                *given,
                BestCheckpoint(folder),
                LastCheckpoint(folder),
                LearningRateMonitor("step"),
                RichProgressBar(leave=True),
                Report(folder),
            ]
            kwargs["default_root_dir"] = str(folder)
        else:
            kwargs["logger"] = config.get("logger") or False
        return super().instantiate_trainer(**kwargs)


def train(arguments: list[str]) -> None:
    """Run phases of an experiment: ``uniemo train --experiment FILE --phase joint [--key value]``.

    A phase that was interrupted goes on from its last checkpoint; a finished one starts anew.
    """
    parser = argparse.ArgumentParser(prog="uniemo train", description=train.__doc__)
    parser.add_argument("--experiment", default="experiments/emoscenes.yaml", help="a config file")
    parser.add_argument("--phase", choices=[*PHASES, "all"], default="all")
    known, overrides = parser.parse_known_args(arguments)
    experiment = find_config(known.experiment)
    for phase in PHASES if known.phase == "all" else (known.phase,):
        run_phase(phase, experiment, overrides)


def run_phase(phase: str, experiment: Path, overrides: list[str]) -> None:
    """Fit one phase and test its best checkpoint."""
    arguments = ["-c", str(experiment), "--phase", phase, *overrides]
    folder = run_folder(arguments)
    done = folder / "done"
    last = folder / LAST
    if last.is_file() and not done.is_file():
        print(f"Going on from {last}", flush=True)
        arguments += ["--ckpt_path", str(last)]
    done.unlink(missing_ok=True)
    cli = UniEmoCLI(["fit", *arguments])
    best = folder / BEST
    if best.is_file():
        results = cli.trainer.test(cli.model, cli.datamodule, str(best), verbose=False)[0]
        if cli.trainer.is_global_zero:
            done.touch()
            print_results(results, f"Phase {phase}: best epoch on validation, test split")
            print(f"Checkpoint: {best}")
            print(f"Samples: {folder / 'samples.png'}", flush=True)


def run_folder(arguments: list[str]) -> Path:
    """Return the folder that a configuration names, without building anything."""
    import yaml

    values = {"runs": "runs", "experiment": "experiment", "phase": "joint"}
    for i, argument in enumerate(arguments):
        if argument in ("-c", "--config"):
            settings = yaml.safe_load(Path(arguments[i + 1]).read_text())
            values |= {key: settings[key] for key in values if key in settings}
        key, _, value = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and key in values:
            values[key] = value or arguments[i + 1]
    return Path(values["runs"], values["experiment"], values["phase"])


def configs(arguments: list[str]) -> None:
    """List the shipped configurations: ``uniemo configs``; or ``uniemo configs copy NAME``."""
    shipped = shipped_configs()
    if not arguments:
        print("\n".join(f"{name:30} {path}" for name, path in shipped.items()))
        return
    if len(arguments) != 2 or arguments[0] != "copy":
        raise UserError("usage: uniemo configs, or uniemo configs copy NAME")
    source = find_config(arguments[1])
    target = Path(source.name)
    if target.exists():
        raise UserError(f"{target} exists; remove it or copy from another folder")
    shutil.copyfile(source, target)
    print(f"Wrote {target}")


def data(arguments: list[str]) -> None:
    """Check a data set: ``uniemo data check ROOT``; write EmoScenes: ``uniemo data emoscenes``."""
    from data_modules import check
    from data_modules.emoscenes.__main__ import main as write

    match arguments:
        case ["check", root]:
            print(check(root))
        case ["emoscenes", *rest]:
            write(rest)
        case _:
            raise UserError("usage: uniemo data check ROOT, or uniemo data emoscenes [--root ROOT]")


def run_lightning(arguments: list[str]) -> None:
    """Run one of Lightning's subcommands."""
    resolved = list(arguments)
    for i, argument in enumerate(resolved):
        if argument in ("-c", "--config") and i + 1 < len(resolved):
            resolved[i + 1] = str(find_config(resolved[i + 1]))
    UniEmoCLI(resolved)


def evaluate(arguments: list[str]) -> None:
    """Evaluate a checkpoint, or a folder of any system's pictures: see ``uniemo eval --help``."""
    from uniemo.evaluation.command import main as command

    command(arguments)


COMMANDS = {"train": train, "eval": evaluate, "data": data, "configs": configs}

HELP = """usage: uniemo COMMAND [arguments]

  fit, validate, test, predict   Lightning's own: -c FILE, every key as a flag, --print_config
  train                          run the phases of an experiment (make train)
  eval                           every number of the paper (make eval)
  data                           check a data set, or write the embedded one
  configs                        list or copy the configurations that come along

Commands explain themselves: uniemo COMMAND --help
"""


def quiet() -> None:
    """Keep the libraries' chatter off the screen."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # sys.argv must stay, because DDP's launcher starts the other processes from it.
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
    warnings.filterwarnings("ignore", module="lightning")
    for name in ("lightning.pytorch.utilities.rank_zero", "transformers", "diffusers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()


def main() -> None:
    """Run the program; a user's mistake is one line and exit code 2."""
    arguments = sys.argv[1:]
    quiet()
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(HELP)
        elif arguments[0] in LIGHTNING:
            run_lightning(arguments)
        elif arguments[0] in COMMANDS:
            COMMANDS[arguments[0]](arguments[1:])
        else:
            known = ", ".join([*LIGHTNING, *COMMANDS])
            raise UserError(f"command {arguments[0]!r} is unknown; choose one of {known}")
    except (UserError, ArgumentError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
