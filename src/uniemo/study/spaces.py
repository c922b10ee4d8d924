"""Which emotion space paints best (METHOD, "Emotion space")?

All spaces are fitted to the features of one pass through one joint checkpoint, and paint the same
images by number.
"""

from typing import Any, get_args, get_type_hints

import torch
from rich.progress import track

from uniemo.batch import Features
from uniemo.config.model import EmotionSpaceConfig
from uniemo.fusion import EmotionSpace
from uniemo.model.uniemo import UniEmo
from uniemo.study.measuring import TrialEvaluator
from uniemo.study.plan import Trial
from uniemo.study.records import Arm, settings_of
from uniemo.study.runs import joint

ARMS: tuple[Any, ...] = get_args(get_type_hints(EmotionSpaceConfig)["kind"])
JITTER = 0.2


def records(trial: Trial) -> dict[str, Arm]:
    """Return the arms of a trial."""
    groups, images = ("model", "data", "trainer", "eval"), trial.profile.images
    arms = {}
    for arm in ARMS:
        settings = settings_of(trial.experiment, *groups, arm=arm, jitter=JITTER, images=images)
        arms[arm] = Arm.of(trial, f"spaces/{arm}", settings)
    return arms


def run(trial: Trial, pending: dict[str, Arm]) -> None:
    """Run some arms of a trial."""
    evaluator = TrialEvaluator(trial, joint(trial))
    spaces = fit_spaces(evaluator.module, evaluator.data, list(pending))
    for arm, record in pending.items():
        evaluator.module.space = spaces[arm]
        record.finish(evaluator.measure(evaluator.module))


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
