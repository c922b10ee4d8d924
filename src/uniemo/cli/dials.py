"""``uniemo dials``: what the dials of painting do, measured."""

import shlex
from pathlib import Path

from uniemo.cli.pictures import command_parser, open_pipeline
from uniemo.config.experiment import Experiment
from uniemo.errors import UserError


def main(arguments: list[str]) -> None:
    """Measure the dials and write their page.

    Raises:
        UserError: If an argument is wrong, or something that is needed is missing.
    """
    parser = command_parser(
        "dials",
        "Measure what intensity, blends, edits and prompts do, by judges that took no part in the "
        "training; write dials.md and its figures. Any key of the experiment, which names data and "
        "judges, can be given as --key value.",
        ["-o docs", "--run runs/my-run --experiment my.yaml -n 16"],
    )
    parser.add_argument("--experiment", default="experiments/emoscenes.yaml", help="a config file")
    parser.add_argument(
        "-n", "--number", type=int, default=8, help="pictures of each emotion at each setting (8)"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"), help="folder (docs)")
    given, overrides = parser.parse_known_args(arguments)
    if given.number < 1:
        raise UserError(f"the number of pictures is {given.number}; give 1 or more")
    # Here, because a plain install, which lacks the extra's packages, should show the help too.
    from uniemo.dials.measure import PROMPTS, Instruments, measure_dials
    from uniemo.dials.page import write_page

    experiment = Experiment.read(given.experiment, overrides, "uniemo dials")
    pipe = open_pipeline(given)
    dials = measure_dials(pipe, Instruments(experiment, pipe), given.number)
    command = shlex.join(["uniemo", "dials", *arguments])
    seed = pipe.emotion_model.settings.seed
    path = write_page(given.output, dials, command, given.number, seed, PROMPTS)
    print(f"Wrote {path}")
