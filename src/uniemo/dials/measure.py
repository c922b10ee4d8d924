"""Pictures at many settings of each dial, and what independent networks say of them.

All photos are of the validation split, so that defaults may be chosen by what is found.

Legend: N pictures, H their side in pixels, C emotions, E width of CLIP's joint space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from uniemo.config.experiment import Experiment
from uniemo.evaluation.evaluator import Evaluator
from uniemo.pipeline import UniEmoPipeline
from uniemo.understanding import load_clip
from uniemo.utils.progress import track
from uniemo.utils.sources import resolve
from uniemo.vision.frozen_clip import frozen_clip
from uniemo.vision.images import evenly_spaced

INTENSITIES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9)
EDIT_INTENSITIES = (0.5, 1.0, 1.5)
PROMPTS = 8

Row: TypeAlias = dict[str, float]
"""A setting and what was measured at it, by the names that the page prints."""


@dataclass
class Dials:
    """What was measured of each dial, a row for each setting."""

    intensity: list[Row]
    """Emo-A and p(target) of pictures at each intensity."""

    blend: list[Row]
    """The judge's shares of both emotions at each weight of the first."""

    edit: list[Row]
    """p(target), and how much of the photo is kept, at each strength and intensity."""

    prompt: list[Row]
    """How often CLIP finds the object that a prompt names, and p(target)."""

    same_photo: Row
    """Likeness of photos to their own reconstructions: the most that an edit can keep."""

    other_photo: Row
    """Likeness of photos to other photos: nothing kept."""


class Instruments:
    """The judge, the pretrained CLIP and a perceptual distance; none was trained on emotions here.

    Args:
        experiment: Names the networks and the data.
        pipe: The pipeline that is measured.
    """

    def __init__(self, experiment: Experiment, pipe: UniEmoPipeline) -> None:
        head, clip = pipe.head, experiment.model.clip
        size = head.image_size
        self.data = experiment.data((size, [0.5] * 3, [0.5] * 3), size)
        evaluator = Evaluator(experiment, self.data, head)
        self.judge, self.perceptual = evaluator.judge, evaluator.networks.perceptual
        self.clip = frozen_clip(clip, experiment.device).network
        self.text = load_clip(resolve(clip.model), clip.pretrained)
        self.template = clip.object_template

    def photos(self, n: int) -> tuple[Tensor, Tensor]:
        """Return n validation photos of each emotion [N, 3, H, H], and their emotions [N]."""
        labels = self.data.annotations("val").emotion
        rows = [
            row
            for label in range(len(self.data.emotions))
            for row in evenly_spaced((labels == label).nonzero()[:, 0].tolist(), n)
        ]
        batches = list(self.data.plain_dataloader("val", sorted(rows)))
        view = torch.cat([batch["diffusion_image"] for batch in batches])
        return view / 2 + 0.5, torch.cat([batch["emotion"] for batch in batches])

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the judge's p(emotion | image): [N, C]."""
        return self.judge(images).emotion.softmax(dim=1).cpu()

    def likeness(self, images: Tensor, others: Tensor) -> Row:
        """Compare images [N, 3, H, H] with as many others, pair by pair."""
        pairs = [F.normalize(self.clip(part), dim=1) for part in (images, others)]  # [N, E]
        vectors = [self.perceptual(part) for part in (images, others)]
        distance = (vectors[0] - vectors[1]).square().sum(dim=1)
        return {
            "CLIP similarity to the photo": float((pairs[0] * pairs[1]).sum(dim=1).mean()),
            "perceptual distance": float(distance.mean()),
        }

    def named_first(self, images: Tensor, names: Sequence[str], named: Tensor) -> Row:
        """Return how often CLIP finds the object ``named`` [N] nearest among the names."""
        text = self.text.encode_names(names, self.template)  # [K, E]
        similarity = F.normalize(self.clip(images).cpu(), dim=1) @ text.T  # [N, K]
        found = (similarity.argmax(dim=1) == named).double().mean()
        own = similarity.gather(1, named[:, None]).mean()
        return {"object found": float(found), "CLIP similarity to its name": float(own)}


def measure_dials(pipe: UniEmoPipeline, tools: Instruments, n: int) -> Dials:
    """Paint at every setting and measure.

    Args:
        pipe: The pipeline.
        tools: What measures.
        n: Pictures of each emotion at each setting, and photos of each emotion.
    """
    pipe.set_progress_bar_config(disable=True)
    photos, labels = tools.photos(n)
    head = pipe.head
    rebuilt = head.decode(head.encode(photos * 2 - 1))
    return Dials(
        intensity=[intensity(pipe, tools, n, value) for value in track(INTENSITIES, "Intensity")],
        blend=[blend(pipe, tools, n, weight) for weight in track(WEIGHTS, "Blends")],
        edit=[
            edit(pipe, tools, photos, labels, strength, intensity)
            for intensity in EDIT_INTENSITIES
            for strength in track(STRENGTHS, f"Edits at intensity {intensity:g}")
        ],
        prompt=[prompt(pipe, tools, n, value) for value in track((None, 0.5, 1.0), "Prompts")],
        same_photo=tools.likeness(photos, rebuilt),
        other_photo=tools.likeness(photos, photos.roll(n + 1, dims=0)),
    )


def paint(pipe: UniEmoPipeline, emotion: Any, n: int, **how: Any) -> Tensor:
    """Return n pictures [N, 3, H, H] in [0, 1]."""
    images = pipe(emotion, num_images=n, output_type="pt", **how).images
    assert isinstance(images, Tensor)
    return images


def intensity(pipe: UniEmoPipeline, tools: Instruments, n: int, value: float) -> Row:
    """Measure pictures of every emotion at one intensity."""
    images = torch.cat(
        [paint(pipe, emotion, n, intensity=value) for emotion in pipe.emotions.names]
    )
    target = torch.arange(len(pipe.emotions)).repeat_interleave(n)
    return {"intensity": value} | _reading(tools.probabilities(images), target)


def blend(pipe: UniEmoPipeline, tools: Instruments, n: int, weight: float) -> Row:
    """Measure blends of each emotion with the one half the circle away, at one weight."""
    names = pipe.emotions.names
    first = torch.arange(len(names))
    second = (first + len(names) // 2) % len(names)
    images = torch.cat(
        [
            paint(pipe, {names[a]: weight, names[b]: 1 - weight}, n)
            for a, b in zip(first.tolist(), second.tolist(), strict=True)
        ]
    )
    p = tools.probabilities(images)
    shares = [p.gather(1, label.repeat_interleave(n)[:, None]).mean() for label in (first, second)]
    return {
        "weight of the first": weight,
        "p(first)": float(shares[0]),
        "p(second)": float(shares[1]),
        "share of the first": float(shares[0] / (shares[0] + shares[1])),
    }


def edit(
    pipe: UniEmoPipeline,
    tools: Instruments,
    photos: Tensor,
    labels: Tensor,
    strength: float,
    intensity: float,
) -> Row:
    """Measure edits of photos, each towards another emotion than its own."""
    names = pipe.emotions.names
    shift = torch.arange(len(photos)) % (len(names) - 1) + 1
    target = (labels + shift) % len(names)
    how: dict[str, Any] = {"intensity": intensity, "output_type": "pt"}
    edited = [
        pipe.edit(photo, names[t], strength, **how).images
        for photo, t in zip(photos, target.tolist(), strict=True)
    ]
    shown = torch.cat([image for image in edited if isinstance(image, Tensor)])
    before = tools.probabilities(photos).gather(1, target[:, None]).mean()
    return (
        {"strength": strength, "intensity": intensity, "p(target) before": float(before)}
        | _reading(tools.probabilities(shown), target)
        | tools.likeness(shown, photos)
    )


def prompt(pipe: UniEmoPipeline, tools: Instruments, n: int, value: float | None) -> Row:
    """Measure pictures that are to show a named object, at one intensity; None: of no prompt."""
    names = evenly_spaced(pipe.emotion_model.fusion.object_names, PROMPTS)
    count = max(1, n // PROMPTS)
    images, named, target = [], [], []
    for label, emotion in enumerate(pipe.emotions.names):
        for i, name in enumerate(names):
            words = {} if value is None else {"prompt": f"a * {name.lower()}", "intensity": value}
            images.append(paint(pipe, emotion, count, **words))
            named += [i] * count
            target += [label] * count
    shown = torch.cat(images)
    return (
        {"intensity": float("nan") if value is None else value}
        | tools.named_first(shown, names, torch.tensor(named))
        | _reading(tools.probabilities(shown), torch.tensor(target))
    )


def _reading(p: Tensor, target: Tensor) -> Row:
    """Return what the judge's probabilities [N, C] say of the emotions that were meant [N]."""
    return {
        "Emo-A": float((p.argmax(dim=1) == target).double().mean()),
        "p(target)": float(p.gather(1, target[:, None]).mean()),
    }
