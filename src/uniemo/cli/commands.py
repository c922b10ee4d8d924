"""The subcommands of ``uniemo`` and ``lightning``, which are the same program.

``fit``, ``validate``, ``test`` and ``predict`` are Lightning's, with ``-c FILE`` and every key as a
flag; what ``predict`` predicts are images: it is the generate phase. ``train`` runs phases of an
experiment; ``data`` and ``configs`` help around them.
"""

import argparse
import logging
import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import transformers

from uniemo.cli import lightning
from uniemo.cli.failures import explain_failure
from uniemo.cli.lightning import LIGHTNING
from uniemo.config.experiment import Experiment
from uniemo.config.parser import Parser, find_config, shipped_configs
from uniemo.curriculum.phases import PHASES, run_all, run_phase
from uniemo.errors import UserError
from uniemo.utils.stopping import stop_signals


def train(arguments: list[str]) -> None:
    """Run phases of an experiment: ``uniemo train --experiment FILE --phase joint [--key value]``.

    An interrupted training resumes after its last saved step, generation after its last batch,
    unless settings have changed; a finished phase starts anew. All phases together go on after the
    last finished one, or start anew when all are finished.
    """
    # jsonargparse cannot pass unknown flags on, and an experiment has a key "experiment" itself.
    parser = argparse.ArgumentParser(
        prog="uniemo train", description=train.__doc__, allow_abbrev=False
    )
    parser.add_argument("--experiment", default="experiments/emoscenes.yaml", help="a config file")
    parser.add_argument(
        "--phase", choices=[*PHASES, "all"], default="all", help="the phase to run, or all of them"
    )
    known, overrides = parser.parse_known_args(arguments)
    experiment = Experiment.read(known.experiment, overrides, "uniemo train")
    if known.phase == "all":
        run_all(experiment)
    else:
        run_phase(known.phase, experiment)


def configs(arguments: list[str]) -> None:
    """List the shipped configurations: ``uniemo configs``; or ``uniemo configs copy NAME``.

    Raises:
        UserError: If the arguments are others, there is no such configuration, or the copy would
            replace a file.
    """
    usage = "usage: uniemo configs, or uniemo configs copy NAME"
    shipped = shipped_configs()
    if arguments[-1:] in (["-h"], ["--help"]):
        print(usage)
        return
    if not arguments:
        print("\n".join(f"{name:30} {path}" for name, path in shipped.items()))
        return
    if len(arguments) != 2 or arguments[0] != "copy":
        raise UserError(usage)
    source = find_config(arguments[1])
    target = Path(source.name)
    if target.exists():
        raise UserError(f"{target} exists; remove it or copy from another folder")
    shutil.copyfile(source, target)
    print(f"Wrote {target}")


def run_module(name: str, arguments: list[str], function: str = "main") -> None:
    """Run a command with a module of its own, imported here: its packages may be missing."""
    getattr(import_module(f"uniemo.cli.{name}"), function)(arguments)


EXTRAS = {
    "eval": "eval",
    "ablate": "study",
    "dials": "eval",
    "play": "app",
}
"""Commands whose packages an extra installs."""
PICTURES = ("read", "paint", "blend", "edit")
"""Commands that use a trained model on photos and emotions."""
COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "train": train,
    **{name: partial(run_module, name) for name in EXTRAS},
    "data": partial(run_module, "data"),
    "configs": configs,
    **{name: partial(run_module, "pictures", function=name) for name in PICTURES},
    "export": partial(run_module, "exports"),
}

DEBUG, TRUST = "--debug", "--trust-config"
"""Flags of every command."""

HELP = """usage: uniemo COMMAND [arguments]

  fit, validate, test, predict   Lightning's own: -c FILE, every key as a flag, --print_config
  train                          run the phases of an experiment (make train)
  eval                           every number of the paper (make eval)
  ablate                         does each part help? (make ablate)
  data                           check, resize or write a data set
  configs                        list or copy the configurations that come along

  read                           what photos make people feel
  paint, blend                   pictures that evoke an emotion, or several
  edit                           a photo with another emotion
  dials                          what intensity, blends, edits and prompts do, measured
  play                           all of this on a page in the browser
  export                         a word or the model, for other tools

Commands explain themselves: uniemo COMMAND --help

  --debug                        show the traceback of an error
  --trust-config                 let a configuration import classes of any module
"""


def quiet() -> None:
    """Keep the libraries' chatter off the screen."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", module="lightning")
    for name in ("lightning.pytorch.utilities.rank_zero", "transformers", "diffusers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()


def dispatch(command: str, arguments: list[str]) -> None:
    """Run one command.

    Raises:
        UserError: If there is no such command, or an extra of the package is missing.
    """
    try:
        if command in ("-h", "--help"):
            print(HELP)
        elif command in LIGHTNING:
            lightning.main(command, arguments)
        elif command in COMMANDS:
            COMMANDS[command](arguments)
        else:
            known = ", ".join([*LIGHTNING, *COMMANDS])
            raise UserError(f"command {command!r} is unknown; choose one of {known}")
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(command)
        if extra is None or (error.name or "").startswith(("uniemo", "data_modules")):
            raise
        raise UserError(
            f"package {error.name} is missing; run: pip install 'uniemo[{extra}]'"
        ) from error


def run() -> None:
    """Run the program; what goes wrong is one line and an exit code, with its traceback on demand.

    Exit codes are 2 for what the user can correct and 1 for a bug of this package.
    """
    quiet()
    command, *arguments = sys.argv[1:] or ["--help"]
    Parser.trusted = TRUST in arguments
    try:
        dispatch(command, [each for each in arguments if each not in (DEBUG, TRUST)])
    except Exception as error:
        if stop_signals.received is not None:
            raise  # what a stop in another process has led to
        if DEBUG in arguments:
            traceback.print_exc()
        line, code = explain_failure(error)
        print(f"error: {line}", file=sys.stderr)
        sys.exit(code)
