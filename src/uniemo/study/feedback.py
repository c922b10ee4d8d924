"""Does generated data help understanding, and does the filter (METHOD, "Explicit feedback")?

All arms finetune the same joint checkpoint for the same number of steps, with the same number of
further draws in every epoch; they differ in what is drawn.
"""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from uniemo.curriculum.phases import finetune_arguments, run_phase
from uniemo.emotions import N_EMOTIONS
from uniemo.filtering import Candidates, FilterConfig, Reference, Scores, Selection, score, select
from uniemo.filtering.baselines import (
    keep_all,
    keep_clip_probable,
    keep_most_confident,
    keep_random,
    keep_realistic,
)
from uniemo.filtering.filter import emotion_budget
from uniemo.study import pools
from uniemo.study.plan import Trial
from uniemo.study.records import Arm, Numbers, Record, settings_of
from uniemo.study.runs import fit, joint

ARMS = ("none", "unfiltered", "random", "top_k", "clip_probable", "realism", "ours", "more_real")
REAL = ("none", "more_real")


def records(trial: Trial, group: str = "feedback", names: Sequence[str] = ARMS) -> dict[str, Arm]:
    """Return the arms of a trial, by their names in a group."""
    groups = ("model", "data", "trainer", "generate", "finetune")
    arms = {}
    for arm in names:
        read = arm == "more_real" and trial.fraction == 1  # else the rest of the split is at hand
        further = trial.more_real if read else None
        settings = settings_of(trial.experiment, *groups, arm=arm, more_real=further)
        arms[arm] = Arm.of(trial, f"{group}/{arm}", settings)
    return arms


def run(trial: Trial, pending: dict[str, Arm]) -> None:
    """Run some arms of a trial."""
    finetune(trial, joint(trial), pending)


def finetune(trial: Trial, checkpoint: Path, pending: dict[str, Arm]) -> None:
    """Paint with a joint checkpoint, filter and finetune it as each arm does."""
    experiment = trial.experiment
    # Beside the phase's own folder, which it clears as it sees fit.
    asked = settings_of(experiment, "model", "data", "trainer", "generate")
    painted = Record(trial.folder / "candidates", asked)
    if painted.recall() is None:
        run_phase("generate", experiment, trial.file, trial.overrides)
        painted.finish({"images": float(N_EMOTIONS * experiment.generate.n_images)})
    looked = pools.look(trial, checkpoint)
    candidates, reference = looked.examined.candidates, looked.examined.reference
    scores = score(candidates, reference, experiment.generate.filter)
    evokes = pools.judged(trial, looked)
    for arm, record in pending.items():
        pool = record.folder / "pool"
        if arm in REAL:
            numbers = write_real_pool(trial, looked, arm, pool)
        else:
            selection = filtered(
                arm, candidates, reference, experiment.generate.filter, scores, trial.seed
            )
            pools.write_generated(looked, selection, pool)
            numbers = pool_numbers(looked, selection, evokes, experiment.generate.filter)
        if numbers["kept"]:
            arguments = ["--finetune.root", str(pool)]
            if arm in REAL:  # real pictures weigh 1, wherever they are drawn from
                arguments += ["--finetune.weight", "1"]
            finetuning = finetune_arguments(trial.read(*arguments))
            numbers = {**numbers, **fit(trial, record.name, finetuning)}
        record.finish(numbers)


def filtered(
    arm: str,
    candidates: Candidates,
    reference: Reference,
    config: FilterConfig,
    scores: Scores,
    seed: int,
) -> Selection:
    """Choose images as an arm does.

    Args:
        arm: Its name.
        candidates: The pool.
        reference: The real images.
        config: Thresholds and budget.
        scores: Of the candidates.
        seed: Of random choices.
    """
    given = (candidates, reference, config, scores)
    match arm:
        case "unfiltered":
            return keep_all(*given)
        case "random":
            return keep_random(*given, seed=seed)
        case "top_k":
            return keep_most_confident(*given)
        case "clip_probable":
            return keep_clip_probable(*given, seed=seed)
        case "realism":
            return keep_realistic(*given, seed=seed)
        case "ours":
            return select(*given)
    raise ValueError(f"arm {arm!r} filters nothing; give one of {', '.join(ARMS)}")


def pool_numbers(
    looked: pools.Looked, selection: Selection, evokes: Tensor, config: FilterConfig
) -> Numbers:
    """Measure what a filter kept.

    Args:
        looked: The candidates.
        selection: What was kept of them.
        evokes: Whether the judge sees a candidate's target in it [N] bool.
        config: The filter's settings.
    """
    candidates, kept = looked.examined.candidates, selection.kept
    features, emotion = candidates.features[kept], candidates.target[kept]
    share = pools.validation_coverage(features, emotion, looked.validation, config.neighbours)
    accuracy = evokes[kept].float().mean().item()
    return {"kept": float(len(features)), "coverage": share, "emo_a": accuracy}


def write_real_pool(trial: Trial, looked: pools.Looked, arm: str, folder: Path) -> Numbers:
    """Write and measure a pool of real rows: the trial's own, or further ones."""
    config = trial.experiment.generate.filter
    budget = emotion_budget(looked.examined.candidates, config)
    if arm == "none":
        real = pools.own_rows(trial, looked)
        features, emotion = looked.examined.reference.features, looked.examined.reference.emotion
    else:
        further = pools.further_rows(trial, looked, budget)
        if further is None:
            return {"kept": None, "coverage": None}
        real = further
        features, emotion = pools.features_of(real, looked.eye)
    pools.write_real(real, folder)
    share = pools.validation_coverage(features, emotion, looked.validation, config.neighbours)
    return {"kept": float(len(real.rows)), "coverage": share}
