"""``uniemo ablate``: every claim against its alternatives, from one resumable command."""

import argparse
from pathlib import Path

from rich.console import Console

from uniemo.ablation import draws, feedback, generation, spaces, structure
from uniemo.ablation.page import Study, command_line, write_page
from uniemo.ablation.plan import PROFILES, PROGRAM, Profile, Trial, build_trials
from uniemo.configs import find_config
from uniemo.errors import UserError


def main(arguments: list[str]) -> None:
    """Run a study and write its page.

    Raises:
        UserError: If the file or a key is wrong, or something that is needed is missing.
    """
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        allow_abbrev=False,
        description="Compare the method with its alternatives; write the page, and all runs to "
        "runs/EXPERIMENT/ablate/PROFILE. What is finished there is not run again. Any key of the "
        "experiment can be given as --key value.",
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
        help="further real pictures in EmoSet's layout, for trials on the whole training split",
    )
    parser.add_argument("--page", default="docs/RESULTS.md", help="the page to write")
    known, overrides = parser.parse_known_args(arguments)
    more_real = None if known.more_real is None else Path(known.more_real).expanduser()
    if more_real is not None and not (more_real / "train.json").is_file():
        raise UserError(f"--more-real {more_real} holds no train.json; give EmoSet's layout")
    file = str(find_config(known.experiment))
    run_study(
        file,
        overrides,
        PROFILES[known.profile],
        more_real,
        Path(known.page),
        command_line(arguments),
    )


def run_study(
    file: str,
    overrides: list[str],
    profile: Profile,
    more_real: Path | None,
    page: Path,
    command: str,
) -> None:
    """Run whatever of a study is not finished; the page is written anew after every trial.

    Args:
        file: The experiment's file.
        overrides: ``--key value`` pairs.
        profile: How thorough.
        more_real: Folder of further real pictures.
        page: The page to write.
        command: What the page says it was made by.
    """
    study = Study(command, profile, list(build_trials(file, overrides, profile)))
    for scale in profile.scales:
        for group in profile.groups:
            for trial in study.trials:
                if trial.fraction == scale.fraction:
                    print(f"Group {group}, {trial.folder.name}", flush=True)
                    run_group(group, trial, more_real)
                    write_page(study, page)
    Console(soft_wrap=True).print(f"Results: {page}", highlight=False)


def run_group(group: str, trial: Trial, more_real: Path | None) -> None:
    """Run one group of arms of a trial."""
    match group:
        case "feedback":
            feedback.run(trial, more_real)
        case "spaces":
            spaces.run(trial)
        case "draws":
            draws.run(trial)
        case "structure":
            structure.run(trial)
        case "generation":
            generation.run(trial)
        case _:
            raise ValueError(f"group {group!r} is unknown")
