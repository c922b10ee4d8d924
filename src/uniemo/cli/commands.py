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
import warnings
from pathlib import Path
from typing import NoReturn

import transformers
from jsonargparse import ArgumentError

from uniemo.cli import lightning
from uniemo.cli.lightning import LIGHTNING
from uniemo.config.experiment import Experiment
from uniemo.config.parser import find_config, shipped_configs
from uniemo.curriculum.phases import PHASES, run_all, run_phase
from uniemo.errors import UserError


def train(arguments: list[str]) -> None:
    """Run phases of an experiment: ``uniemo train --experiment FILE --phase joint [--key value]``.

    An interrupted training resumes after its last whole epoch, generation after its last batch,
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


def data(arguments: list[str]) -> None:
    """Check a data set: ``uniemo data check ROOT``; write EmoScenes: ``uniemo data emoscenes``.

    Raises:
        UserError: If the arguments are others, or the data set is broken.
    """
    usage = "usage: uniemo data check ROOT, or uniemo data emoscenes [--root ROOT]"
    from data_modules import check
    from data_modules.emoscenes.__main__ import main as write

    match arguments:
        case ["-h" | "--help"] | ["check", "-h" | "--help"]:
            print(usage)
        case ["check", root]:
            print(check(root))
        case ["emoscenes", *rest]:
            sys.exit(write(rest))
        case _:
            raise UserError(usage)


def evaluate(arguments: list[str]) -> None:
    """Evaluate a checkpoint, or a folder of any system's images: see ``uniemo eval --help``."""
    from uniemo.cli.eval import main as command

    command(arguments)


def ablate(arguments: list[str]) -> None:
    """Compare the method with its alternatives: see ``uniemo ablate --help``."""
    from uniemo.cli.ablate import main as command

    command(arguments)


COMMANDS = {
    "train": train,
    "eval": evaluate,
    "ablate": ablate,
    "data": data,
    "configs": configs,
}
EXTRAS = {"eval": "eval", "ablate": "study"}
"""Commands whose packages an extra installs."""

HELP = """usage: uniemo COMMAND [arguments]

  fit, validate, test, predict   Lightning's own: -c FILE, every key as a flag, --print_config
  train                          run the phases of an experiment (make train)
  eval                           every number of the paper (make eval)
  ablate                         does each part help? (make ablate)
  data                           check a data set, or write the embedded one
  configs                        list or copy the configurations that come along

Commands explain themselves: uniemo COMMAND --help
"""


def quiet() -> None:
    """Keep the libraries' chatter off the screen."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", module="lightning")
    for name in ("lightning.pytorch.utilities.rank_zero", "transformers", "diffusers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()


def run() -> None:
    """Run the program; bad input is one line and exit code 2."""
    arguments = sys.argv[1:]
    quiet()
    try:
        run_command(arguments)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(arguments[0])
        if extra is None or (error.name or "").startswith(("uniemo", "data_modules")):
            raise
        fail(f"package {error.name} is missing; run: pip install 'uniemo[{extra}]'")
    except (UserError, ArgumentError) as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Print an error's line and exit."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def run_command(arguments: list[str]) -> None:
    """Run a command with its arguments.

    Raises:
        UserError: If it is unknown, or its input is bad.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP)
    elif arguments[0] in LIGHTNING:
        lightning.main(arguments[0], arguments[1:])
    elif arguments[0] in COMMANDS:
        COMMANDS[arguments[0]](arguments[1:])
    else:
        known = ", ".join([*LIGHTNING, *COMMANDS])
        raise UserError(f"command {arguments[0]!r} is unknown; choose one of {known}")
