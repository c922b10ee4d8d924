"""Run whatever of a study is not finished."""

from collections.abc import Collection
from pathlib import Path

from uniemo.study.page import Study, write_page


def run_study(study: Study, page: Path, seeds: Collection[int]) -> None:
    """Run a study's unfinished arms of some seeds; write the page after every claim of a trial."""
    steps = [
        (trial, claim)
        for scale in study.profile.scales
        for claim in study.claims
        for trial in study.trials
        if trial.scale == scale and trial.seed in seeds and claim.asks(trial)
    ]
    # All before the first is run: numbers of other settings must not stand on the page.
    pending = [claim.unfinished(trial) for trial, claim in steps]
    write_page(study, page)
    for (trial, claim), arms in zip(steps, pending, strict=True):
        if arms:
            print(f"Claim {claim.name}, {trial.folder.name}: {', '.join(arms)}", flush=True)
            claim.finish(trial, arms)
            write_page(study, page)
