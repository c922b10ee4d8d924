"""Which emotion space paints best (METHOD, "Emotion space")?

All spaces are fitted to the features of one pass through one joint checkpoint, and paint the same
images by number.
"""

from typing import Any, get_args, get_type_hints

import torch
from rich.progress import track

from uniemo.ablation.measuring import Easel
from uniemo.ablation.plan import Trial
from uniemo.ablation.runs import Record, joint, settings_of
from uniemo.batch import Features
from uniemo.fusion import EmotionSpace
from uniemo.module import UniEmo
from uniemo.settings import EmotionSpaceConfig

ARMS: tuple[Any, ...] = get_args(get_type_hints(EmotionSpaceConfig)["kind"])
JITTER = 0.2


def run(trial: Trial) -> None:
    """Run all arms of a trial that are not finished."""
    checkpoint = joint(trial)
    experiment = trial.experiment
    groups, images = ("model", "data", "trainer", "eval"), trial.profile.images
    records = {
        arm: Record(
            trial.folder / "spaces" / arm,
            settings_of(experiment, *groups, arm=arm, jitter=JITTER, images=images),
        )
        for arm in ARMS
    }
    pending = {arm: record for arm, record in records.items() if record.recall() is None}
    if not pending:
        return
    easel = Easel(trial, checkpoint)
    spaces = fit_spaces(easel.module, easel.data, list(pending))
    for arm, record in pending.items():
        easel.module.space = spaces[arm]
        record.finish(easel.measure(easel.module))


@torch.inference_mode()
def fit_spaces(module: UniEmo, data: Any, kinds: list[Any]) -> dict[str, EmotionSpace]:
    """Fit several emotion spaces to a model's features of the training split, in one pass."""
    spaces = {
        kind: EmotionSpaceConfig(kind, jitter=JITTER).build(module.chain.width).to(module.device)
        for kind in kinds
    }
    for batch in track(data.plain_dataloader("train"), "Measuring the emotion spaces"):
        features = module.read(batch["clip_image"].to(module.device)).features
        seen = Features(*(part.float() for part in features))
        emotion, index = (batch[key].to(module.device) for key in ("emotion", "index"))
        for space in spaces.values():
            space.update(seen, emotion, index)
    for space in spaces.values():
        space.synchronise()
    return spaces
