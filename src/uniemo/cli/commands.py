"""The subcommands of ``uniemo`` and ``lightning``, which are the same program.

``fit``, ``validate``, ``test`` and ``predict`` are Lightning's, with ``-c FILE`` and every key as a
flag; what ``predict`` predicts are images: it is the generate phase. ``train`` runs phases of an
experiment; ``data`` and ``configs`` help around them.
"""

import argparse

from uniemo.cli import lightning
from uniemo.cli.lightning import LIGHTNING
from uniemo.config.experiment import Experiment
from uniemo.config.parser import shipped_configs
from uniemo.curriculum.phases import PHASES, run_all, run_phase
from uniemo.errors import UserError


def train(arguments: list[str]) -> None:
    """Run phases of an experiment: ``uniemo train --experiment FILE --phase joint [--key value]``.

    An interrupted training resumes after its last whole epoch, generation after its last batch,
    unless settings have changed; a finished phase starts anew. All phases together go on after the
    last finished one, or start anew when all are finished.
    """
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
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP)
    elif arguments[0] in LIGHTNING:
        lightning.main(arguments[0], arguments[1:])
    elif arguments[0] in COMMANDS:
        COMMANDS[arguments[0]](arguments[1:])
    else:
        known = ", ".join([*LIGHTNING, *COMMANDS])
        raise UserError(f"command {arguments[0]!r} is unknown; choose one of {known}")
