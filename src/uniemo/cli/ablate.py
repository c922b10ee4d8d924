"""``uniemo ablate``: every claim against its alternatives, from one resumable command."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from uniemo.config.parser import find_config
from uniemo.errors import UserError
from uniemo.study import draws, feedback, generation, guidance, published, spaces, structure
from uniemo.study.page import Study, beside, command_line, write_page
from uniemo.study.plan import PROFILES, PROGRAM, Trial, build_trials
from uniemo.study.records import Arm

MODULES = {
    "feedback": feedback,
    "published": published,
    "spaces": spaces,
    "draws": draws,
    "structure": structure,
    "generation": generation,
    "guidance": guidance,
}


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
        help="further real pictures in EmoSet's layout, for trials on the whole training split",
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
    strange = sorted(set(known.seeds or ()) - set(profile.seeds))
    if strange:
        raise UserError(
            f"profile {profile.name} has no seed {strange[0]}; give some of "
            f"{', '.join(map(str, profile.seeds))}"
        )
    file, command = str(find_config(known.experiment)), command_line(arguments)
    trials = build_trials(file, overrides, profile, beside(page), more_real)
    run_study(Study(command, profile, list(trials)), page, known.seeds or profile.seeds)


def run_study(study: Study, page: Path, seeds: Sequence[int]) -> None:
    """Run whatever of a study is not finished; the page is written anew after every trial.

    Args:
        study: The study.
        page: The page to write.
        seeds: Seeds to run.
    """
    steps = [
        (trial, group)
        for scale in study.profile.scales
        for group in study.profile.groups
        for trial in study.trials
        if trial.fraction == scale.fraction and trial.seed in seeds
    ]
    # All before the first is run: what was run with other settings has no place on the page.
    pending = [unfinished(trial, group) for trial, group in steps]
    write_page(study, page)
    for (trial, group), arms in zip(steps, pending, strict=True):
        if arms:
            print(f"Group {group}, {trial.folder.name}: {', '.join(arms)}", flush=True)
            MODULES[group].run(trial, arms)
            write_page(study, page)
    Console(soft_wrap=True).print(f"Results: {page}", highlight=False)


def unfinished(trial: Trial, group: str) -> dict[str, Arm]:
    """Return the arms of a group that have no numbers yet."""
    arms = MODULES[group].records(trial)
    return {name: arm for name, arm in arms.items() if arm.recall() is None}
