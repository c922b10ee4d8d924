"""Pools to learn from: filtered images, or rows of a real training split.

Legend: N images of a pool, V validation pictures, E width of CLIP's image features, C emotions.
"""

import json
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from statistics import fmean
from typing import Any, NamedTuple

import pyarrow
import torch
from torch import Tensor

from uniemo.curriculum.images import plan, read_painted
from uniemo.curriculum.pool import EncodedPool, ImageReader, encode_pool, write_pool
from uniemo.emotions import EMOTIONS, N_EMOTIONS
from uniemo.errors import UserError
from uniemo.evaluation.image_sources import BASELINE_PROMPT
from uniemo.evaluation.setup import EvaluationSetup
from uniemo.filtering import Selection, ball_radii, coverage, unit
from uniemo.model.uniemo import UniEmo
from uniemo.study.plan import Trial
from uniemo.understanding import load_clip
from uniemo.utils.files import write_json
from uniemo.utils.sources import resolve
from uniemo.vision.features import FeatureTable
from uniemo.vision.images import read_image


class Looked(NamedTuple):
    """A trial's candidates and real pictures, looked at once for all arms."""

    module: UniEmo
    data: Any
    eye: ImageReader
    painted: pyarrow.Table  # images by absolute paths
    examined: EncodedPool
    validation: FeatureTable


def look(trial: Trial, checkpoint: Path) -> Looked:
    """Look at what the generate phase of a trial painted.

    Args:
        trial: The trial, its generate phase done.
        checkpoint: Of its joint training.
    """
    experiment = trial.experiment
    config, folder = experiment.generate, experiment.folder / "generate"
    module = UniEmo.from_checkpoint(checkpoint).to(experiment.device)
    data = experiment.data(module.clip_view, None)
    painted = read_painted(folder, plan(module, config))
    paths = [str((folder / path).resolve()) for path in painted["image"].to_pylist()]
    column = painted.schema.get_field_index("image")
    painted = painted.set_column(column, "image", pyarrow.array(paths))
    examined = encode_pool(
        module, data, painted, folder, config.verifier, experiment.cache, experiment.device
    )
    probability = zero_shot(module, examined.seen.features, examined.candidates.target)
    candidates = replace(examined.candidates, clip_probability=probability)
    eye = ImageReader(module, data, experiment.cache, experiment.device)
    examined = examined._replace(candidates=candidates)
    return Looked(module, data, eye, painted, examined, eye.real("val"))


def zero_shot(module: UniEmo, features: Tensor, target: Tensor) -> Tensor:
    """Return the frozen CLIP's own p(target) [N] of image features [N, E], by its text tower."""
    config = module.clip_config
    clip = load_clip(resolve(config.model), config.pretrained)
    text = clip.encode_names(EMOTIONS, BASELINE_PROMPT)  # [C, E]
    logits = clip.model.logit_scale.exp().detach() * unit(features) @ text.T  # [N, C]
    return logits.softmax(dim=1).gather(1, target[:, None])[:, 0]


def judged(trial: Trial, looked: Looked) -> Tensor:
    """Return whether the evaluation's judge sees each image's target in it, [N] bool."""
    head, device = looked.module.diffusion, looked.eye.device
    data = trial.experiment.data(looked.module.clip_view, head.image_size)
    judge = EvaluationSetup(trial.experiment, data, head).judge
    paths = [Path(path) for path in looked.painted["image"].to_pylist()]
    size = trial.experiment.evaluation.batch_size
    seen = []
    for start in range(0, len(paths), size):
        pictures = [read_image(path, head.image_size) for path in paths[start : start + size]]
        with torch.inference_mode():
            seen.append(judge(torch.stack(pictures).to(device)).emotion.argmax(1).cpu())
    return torch.cat(seen) == looked.examined.candidates.target


def write_generated(looked: Looked, selection: Selection, folder: Path) -> None:
    """Write down what a filter kept, as a folder in EmoSet's layout."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pool(looked.painted, looked.examined, selection, looked.module, folder)


class RealRows(NamedTuple):
    """Some rows of a real training split."""

    data: Any  # a data module on the whole of that split
    rows: list[int]


def own_rows(trial: Trial, looked: Looked) -> RealRows:
    """Return the rows that a trial trains on."""
    whole = whole_split(trial, looked, Path(looked.data.root))
    own = set(image_ids(looked.data))
    return RealRows(whole, [row for row, name in enumerate(image_ids(whole)) if name in own])


def further_rows(trial: Trial, looked: Looked, budget: int) -> RealRows | None:
    """Return real rows that a trial does not train on, ``budget`` of each emotion if there are.

    Args:
        trial: The trial.
        looked: Its pictures.
        budget: Rows per emotion.

    Returns:
        The rows; None if there are none to be had.
    """
    if trial.fraction < 1:
        whole, own = whole_split(trial, looked, Path(looked.data.root)), set(image_ids(looked.data))
    elif trial.more_real is not None:
        whole, own = whole_split(trial, looked, trial.more_real), set()
    else:
        return None
    free = torch.tensor([name not in own for name in image_ids(whole)])
    emotion = whole.annotations("train").emotion
    order = torch.randperm(len(emotion), generator=torch.Generator().manual_seed(trial.seed))
    rows: list[int] = []
    for label in range(N_EMOTIONS):
        mine = order[(free & (emotion == label))[order]]
        rows += mine[:budget].tolist()
    return RealRows(whole, sorted(rows))


def whole_split(trial: Trial, looked: Looked, root: Path) -> Any:
    """Return a data module on the whole training split of a folder."""
    changes = ["--data.init_args.root", str(root), "--data.init_args.fraction", "1.0"]
    return trial.read(*changes).data(looked.module.clip_view, None)


def image_ids(data: Any) -> list[str]:
    """Return the names of a data module's training pictures, in the order of its rows."""
    return list(data.plain_dataloader("train").dataset.table["image_id"])


def write_real(real: RealRows, folder: Path) -> None:
    """List real rows by absolute paths, as a folder in EmoSet's layout.

    Raises:
        UserError: If they do not lie in that layout themselves.
    """
    root = Path(real.data.root).expanduser().resolve()
    if not (root / "train.json").is_file():
        raise UserError(f"{root} holds no train.json; ablate needs a folder in EmoSet's layout")
    listed = json.loads((root / "train.json").read_text("utf-8"))
    rows = []
    for number in real.rows:
        emotion, *_, image, annotation = listed[number]
        rows.append([emotion, Path(image).stem, str(root / image), str(root / annotation)])
    folder.mkdir(parents=True, exist_ok=True)
    copyfile(root / "info.json", folder / "info.json")
    write_json(folder / "train.json", rows)


@torch.inference_mode()
def features_of(real: RealRows, eye: ImageReader) -> tuple[Tensor, Tensor]:
    """Return frozen CLIP's features [N, E] and the emotions [N] of real rows."""
    parts = [
        (eye.clip.network(eye.clip.view.pictures(batch).to(eye.device)).cpu(), batch["emotion"])
        for batch in real.data.plain_dataloader("train", real.rows)
    ]
    features, emotion = (torch.cat(column) for column in zip(*parts, strict=True))
    return features, emotion


def validation_coverage(
    features: Tensor, emotion: Tensor, validation: FeatureTable, neighbours: int
) -> float:
    """Return which share of the validation pictures a pool covers, mean over the emotions.

    Args:
        features: [N, E] of the pool's images.
        emotion: [N].
        validation: The validation split.
        neighbours: k of the balls.

    Returns:
        In [0, 1]; NaN if no emotion has two validation pictures.
    """
    shares = []
    for label in range(N_EMOTIONS):
        real = unit(validation.features[validation.emotion == label])
        if len(real) > 1:
            own = unit(features[emotion == label])
            shares.append(coverage(own, real, ball_radii(real, neighbours)))
    return fmean(shares) if shares else float("nan")
