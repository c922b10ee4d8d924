"""Metrics of emotion recognition and of the queries' attention (docs/method.md, "Metrics").

Legend: B, N images, h their side, C emotions, gh x gw patches.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from uniemo.batch import Batch
from uniemo.fusion import AttributeBase
from uniemo.metrics import LabelDistribution, PointingGame, bootstrap_interval
from uniemo.model.uniemo import UniEmo
from uniemo.understanding import name_positives
from uniemo.utils.processes import gathered
from uniemo.utils.progress import track
from uniemo.vision.features import FeatureCache, FeatureRequest
from uniemo.vision.linear_probe import fit_linear_probe

N_BINS = 15  # of the calibration error


class ComposedAnnotations(NamedTuple):
    """Annotations of a split's N images that only a composed data set has."""

    box: Tensor  # [N, 4] left, top, right, bottom of the object in [0, 1]; NaN where none
    posterior: Tensor  # [N, C] p(emotion | all that was composed)


class AttentionExample(NamedTuple):
    """A real image with the mean attention of each set of queries, for the report."""

    image: Tensor  # [3, h, h] in [0, 1]
    scene: Tensor  # [gh, gw]
    object: Tensor  # [gh, gw]
    box: Tensor  # [4], NaN without an object
    emotion: int
    predicted: int


class UnderstandingResult(NamedTuple):
    """Two groups of ``metrics.json``, and examples for the report."""

    understanding: dict[str, Any]
    queries: dict[str, Any]
    examples: list[AttentionExample]


def read_composed_annotations(data: Any, split: str) -> ComposedAnnotations | None:
    """Read boxes and posteriors beside a split's annotations; None where the data have none.

    EmoScenes has them: square images whose ``card.json`` gives the side in pixels.
    """
    root = Path(data.root).expanduser()
    card, rows = root / "card.json", root / f"{split}.json"
    if not card.is_file() or not rows.is_file():
        return None
    size = json.loads(card.read_text("utf-8"))["size"]
    boxes, posteriors = [], []
    for row in json.loads(rows.read_text("utf-8")):
        annotation = json.loads((root / row[-1]).read_text("utf-8"))
        box = annotation["box"]
        boxes.append([float("nan")] * 4 if box is None else [side / size for side in box])
        posteriors.append(annotation["posterior"])
    return ComposedAnnotations(torch.tensor(boxes).clamp(0, 1), torch.tensor(posteriors))


@torch.inference_mode()
def evaluate_understanding(
    module: UniEmo, data: Any, device: torch.device, n_examples: int = 8
) -> UnderstandingResult:
    """Evaluate a model, on ``device``, on the test split; return ``n_examples`` with attention.

    Several processes share the images out. It runs without autocast, in the precision of the
    weights. The test of a training phase runs in the precision of the training, so the two can
    differ where two emotions are nearly as likely.
    """
    n_emotions, two_classes = len(module.emotions), module.emotions.two_classes
    metrics = MetricCollection(
        {
            "accuracy": MulticlassAccuracy(n_emotions, average="micro"),
            "f1_macro": MulticlassF1Score(n_emotions, average="macro"),
            "ece": MulticlassCalibrationError(n_emotions, n_bins=N_BINS, norm="l1"),
            "confusion": MulticlassConfusionMatrix(n_emotions),
        },
        compute_groups=False,
    ).to(device)
    pointing = {"scene": PointingGame().to(device), "object": PointingGame().to(device)}
    composed = read_composed_annotations(data, "test")
    voted = LabelDistribution().to(device)
    rows: list[tuple[Tensor, Tensor, Tensor]] = []  # of each batch: image, emotion, predicted
    retrieved: dict[str, list[Tensor]] = {"scene": [], "object": []}
    examples: list[AttentionExample] = []
    loader = data.test_dataloader()
    for batch in track(loader, "Emotion recognition on the test split", len(loader)):
        image, emotion = batch["clip_image"].to(device), batch["emotion"].to(device)
        needs_attention = composed is not None or len(examples) < n_examples
        if needs_attention:
            features, attention = module.understanding.chain.features_and_attention(image)
        else:
            features = module.understanding.chain(image)
        output = module.read_features(features)
        probability = output.logits.float().softmax(dim=1)  # [B, C]
        predicted = probability.argmax(dim=1)  # [B]
        metrics.update(probability, emotion)
        if "votes" in batch:
            voted.update(probability, batch["votes"].to(device))
        rows.append((batch["index"], emotion.cpu(), predicted.cpu()))
        scene = module.fusion.scene_base.retrieve(output.scene).cpu()  # [B]
        object_ = module.fusion.object_base.retrieve(output.object).cpu()  # [B]
        retrieved["scene"].append((scene == batch["scene"])[batch["scene"] >= 0])
        named = F.pad(batch["objects"], (0, 1))  # [B, O + 1]; -1 reads the column of False
        is_named = named.gather(1, object_.remainder(named.shape[1])[:, None])[:, 0]  # [B]
        retrieved["object"].append(is_named[batch["objects"].any(dim=1)])
        if needs_attention:
            # The feature of a set is the mean over its queries, so its attention is their mean too.
            maps = {n: m.float().mean(dim=1) for n, m in attention._asdict().items()}
            nowhere = torch.full((len(image), 4), torch.nan)
            box = nowhere if composed is None else composed.box[batch["index"]]
            box = box.to(device)  # [B, 4]
            boxed = box[:, 0].isfinite()  # [B]
            for name, metric in pointing.items():
                if maps[name].isfinite().all() and boxed.any():
                    metric.update(maps[name][boxed], box[boxed])
            missing = max(n_examples - len(examples), 0)
            examples += _examples(module, batch, maps, box, predicted, missing)

    index, target, prediction = (torch.cat(part) for part in zip(*gathered(rows), strict=True))
    target, prediction = target[index.argsort()], prediction[index.argsort()]
    values = metrics.compute()
    hit = (target == prediction).double()
    understanding: dict[str, Any] = {
        name: values[name].item() for name in ("accuracy", "f1_macro", "ece")
    }
    if any(gathered([voted.update_called])):
        distances = voted.compute()
        understanding |= {f"votes_{name}": value.item() for name, value in distances.items()}
    understanding["confusion"] = values["confusion"].tolist()
    if composed is not None:
        understanding["ceiling"] = composed.posterior.amax(dim=1).double().mean().item()
        bayes_hit = composed.posterior.argmax(dim=1) == target
        understanding["bayes_rule"] = bayes_hit.double().mean().item()
    understanding["intervals"] = {
        "accuracy": bootstrap_interval(hit),
        "f1_macro": bootstrap_interval(
            (target * n_emotions + prediction).double(), partial(_f1_macro, n_emotions)
        ),
    }
    if two_classes is not None:
        polarity = torch.tensor(two_classes)  # [C]
        same = (polarity[target] == polarity[prediction]).double()
        understanding["accuracy_polarity"] = same.mean().item()
        understanding["intervals"]["accuracy_polarity"] = bootstrap_interval(same)
    queries: dict[str, Any] = {}  # stays empty without names and boxes
    for name, parts in retrieved.items():
        right = torch.cat(gathered(parts))
        if len(right):
            queries[f"retrieval_{name}"] = right.double().mean().item()
    for name, metric in pointing.items():
        if any(gathered([metric.update_called])):
            rates = metric.compute()
            queries[f"pointing_{name}"] = rates["pointing"].item()
            queries["pointing_chance"] = rates["pointing_chance"].item()
    return UnderstandingResult(understanding, queries, examples)


def linear_probe_accuracy(clip: FeatureRequest, cache: FeatureCache, n_emotions: int) -> float:
    """Return the test accuracy of a linear probe on frozen CLIP's image features: the baseline."""
    train, val, test = (cache.load([clip], split)[0] for split in ("train", "val", "test"))
    device = cache.device
    probe = fit_linear_probe(
        train.features.to(device), train.emotion, n_emotions, (val.features, val.emotion)
    )
    predicted = probe(test.features.to(device)).argmax(dim=1).cpu()
    return (predicted == test.emotion).double().mean().item()


def names_baseline_accuracy(
    module: UniEmo, data: Any, clip: FeatureRequest, cache: FeatureCache
) -> float | None:
    """Return the test accuracy of the names by frozen CLIP and count tables: a baseline.

    Frozen CLIP names scene and object, each the nearest of all names; naive Bayes multiplies
    p(emotion | name) of both, counted in the training split and smoothed. Nothing is trained.

    Args:
        module: The model, for the names and their text features.
        data: The data module.
        clip: See :func:`uniemo.vision.frozen_clip.frozen_clip`.
        cache: The features of the data set.

    Returns:
        None for data without names.
    """
    test, training = cache.load([clip], "test")[0], data.annotations("train")
    fusion = module.fusion
    bases = []
    for own, positives in (
        (fusion.scene_base, name_positives(training.scene, len(fusion.scene_names))),
        (fusion.object_base, training.objects),
    ):
        text = own.text_features.cpu()  # [K, E]
        if len(text):
            base = AttributeBase(len(text), text.shape[1], own.probability.shape[1])
            base.fill(text, training.emotion, positives)
            bases.append(base)
    if not bases:
        return None
    score = bases[0].prior.log()  # [C]
    for base in bases:
        lift = base.probability[base.retrieve(test.features)] / base.prior.clamp(min=1e-12)
        score = score + lift.log()  # [N, C]
    return (score.argmax(dim=1) == test.emotion).double().mean().item()


def _examples(
    module: UniEmo, batch: Batch, maps: dict[str, Tensor], box: Tensor, predicted: Tensor, n: int
) -> list[AttentionExample]:
    """Return the first ``n`` images of a batch, or all it has."""
    _, mean, std = module.clip_view
    scale, shift = torch.tensor(std)[:, None, None], torch.tensor(mean)[:, None, None]
    return [
        AttentionExample(
            (batch["clip_image"][i] * scale + shift).clamp(0, 1),
            maps["scene"][i].cpu(),
            maps["object"][i].cpu(),
            box[i].cpu(),
            int(batch["emotion"][i]),
            int(predicted[i]),
        )
        for i in range(min(n, len(predicted)))
    ]


def _f1_macro(n_emotions: int, pairs: Tensor) -> Tensor:
    """Return the macro F1 [n] of resampled pairs C target + prediction [n, N]."""
    counts = torch.zeros(len(pairs), n_emotions**2, dtype=torch.float64)
    counts.scatter_add_(1, pairs.long(), torch.ones_like(pairs))
    confusion = counts.unflatten(1, (n_emotions, n_emotions))  # [n, target, prediction]
    hits = confusion.diagonal(dim1=1, dim2=2)  # [n, C]
    total = confusion.sum(dim=1) + confusion.sum(dim=2)  # [n, C] predicted + true
    return torch.where(total > 0, 2 * hits / total.clamp(min=1), 0.0).mean(dim=1)
