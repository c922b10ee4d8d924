"""``uniemo ablate``: every claim against its alternatives, from one resumable command."""

import argparse
import shlex
from pathlib import Path

from rich.console import Console

from uniemo.config.parser import find_config
from uniemo.errors import UserError
from uniemo.study.claims import CLAIMS
from uniemo.study.page import Study, results_folder
from uniemo.study.run import run_study
from uniemo.study.trial import PROFILES, PROGRAM, build_trials


def main(arguments: list[str]) -> None:
    """Run a study and write its page.

    Raises:
        UserError: If the file or a key is wrong, or something that is needed is missing.
    """
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        allow_abbrev=False,
        description="Compare the method with its alternatives; write the page, and all runs to "
        "runs/EXPERIMENT/ablate/PROFILE. What is finished there, or has its numbers beside the "
        "page, is not run again. Any key of the experiment can be given as --key value.",
    )
    parser.add_argument("--experiment", default="experiments/emoscenes.yaml", help="a config file")
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default="quick",
        help="quick: one seed, a tenth of the data, under 15 minutes; full: hours",
    )
    parser.add_argument(
        "--more-real",
        help="further real images in EmoSet's layout, for trials on the whole training split",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        help="run these seeds alone, for several processes or machines at once: the page is made "
        "from the numbers beside it, whoever wrote them",
    )
    parser.add_argument("--page", default="docs/RESULTS.md", help="the page to write")
    known, overrides = parser.parse_known_args(arguments)
    more_real = None if known.more_real is None else Path(known.more_real).expanduser()
    if more_real is not None and not (more_real / "train.json").is_file():
        raise UserError(f"--more-real {more_real} holds no train.json; give EmoSet's layout")
    profile, page = PROFILES[known.profile], Path(known.page)
    unknown = sorted(set(known.seeds or ()) - set(profile.seeds))
    if unknown:
        raise UserError(
            f"profile {profile.name} has no seed {unknown[0]}; give some of "
            f"{', '.join(map(str, profile.seeds))}"
        )
    file, command = str(find_config(known.experiment)), shlex.join([*PROGRAM.split(), *arguments])
    claims = [claim for claim in CLAIMS if profile.name in claim.profiles]
    trials = list(build_trials(file, overrides, profile, results_folder(page), more_real))
    run_study(Study(command, claims, profile, trials), page, known.seeds or profile.seeds)
    Console(soft_wrap=True).print(f"Results: {page}", highlight=False)
