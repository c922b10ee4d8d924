"""How well the small backbones do, on pictures that no training saw.

Painted pictures are judged by an independent classifier: probes on an ImageNet network's features,
fitted on crisp and on reconstructed pictures, with its own accuracy on both beside the result.

Legend: N pictures, B of a batch, E width of CLIP's joint space, W width of the text encoder, T
tokens of a caption, F width of the judge's features.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.progress import Progress, track
from torch import Tensor, nn
from torchvision.utils import make_grid, save_image

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES, words
from uniemo.backbones.captions import PSEUDO_WORD, object_caption
from uniemo.backbones.denoiser import velocity_loss
from uniemo.backbones.pictures import loader, to_unit_range
from uniemo.backbones.stage import Stage, run
from uniemo.diffusion import SamplingConfig, StableDiffusion, image_generator, sample
from uniemo.evaluation.features import PictureNetwork, efficientnet_lite0
from uniemo.evaluation.probes import LinearProbe, fit_linear_probe
from uniemo.understanding import ClipBackbone, load_clip

NAMES = {"object": OBJECT_NAMES, "scene": SCENE_NAMES}

HELD_OUT = 99
"""Seed of the held-out pictures; pretraining uses 0 and 1."""

N_TEST = 640
"""Held-out pictures of a test, and pictures painted from captions."""

N_FIT = 5120
"""Further held-out pictures that the judge is fitted on, each as it is and reconstructed."""

JUDGE_SIZE = 224
"""Side in pixels at which the judge reads pictures, that of its network's training. At 128, twice
the pictures' own and four times as fast, it names the object of only 72 % of real pictures."""

ONE_WORD = 98
"""Seed of the map from CLIP's feature to one word: of its weights, its pictures, its noise."""

ONE_WORD_STEPS = 500
"""Few, so that the score stays affordable; it is a lower bound of what one word can carry."""

ONE_WORD_BATCH = 32

N_ONE_WORD = 512
"""Held-out pictures painted again from one word."""

SAMPLING = SamplingConfig(num_inference_steps=10, guidance_scale=3.0, batch_size=64)
"""As in ``experiments/emoscenes.yaml``."""


def held_out(start: int, count: int) -> dict[str, Tensor]:
    """Return held-out pictures [N, 3, 64, 64] in [0, 1] with scene and object [N]."""
    batches = list(loader(HELD_OUT, start, count, 64, large=0.0))
    joined = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    return joined | {"image": joined["image"].float() / 255}


def clip_features(backbone: ClipBackbone, image: Tensor) -> Tensor:
    """Return CLIP's unit features [N, E] of pictures [N, 3, 64, 64] in [0, 1]."""
    mean, std = (image.new_tensor(v)[:, None, None] for v in (backbone.mean, backbone.std))
    return backbone.model.encode_image((image - mean) / std, normalize=True)


@torch.no_grad()
def zero_shot(backbone: ClipBackbone, pictures: Mapping[str, Tensor]) -> dict[str, float]:
    """Return CLIP's zero-shot accuracy over all names, from the bare name as caption."""
    image = clip_features(backbone, pictures["image"])
    return {
        f"zero_shot_{kind}": accuracy(image @ backbone.encode_names(names, "{}").T, pictures[kind])
        for kind, names in NAMES.items()
    }


def accuracy(logits: Tensor, label: Tensor) -> float:
    """Return the share of labelled pictures (label [N], not -1) whose logits [N, K] are right."""
    has = label >= 0
    return (logits[has].argmax(1) == label[has]).float().mean().item()


def reconstruct(head: StableDiffusion, image: Tensor) -> Tensor:
    """Return what the autoencoder makes of pictures [N, 3, 64, 64] in [0, 1]: alike."""
    return head.decode(head.encode(image * 2 - 1, 64), 64)


def psnr(image: Tensor, other: Tensor) -> float:
    """Return the mean over pictures [N, 3, 64, 64] of their signal-to-noise ratio in dB."""
    return (-10 * (image - other).square().mean((1, 2, 3)).log10()).mean().item()


class Judge:
    """Linear probes of object and scene on the features of a network nobody here trained.

    Args:
        network: The network.
        image: Pictures [N, 3, 64, 64] in [0, 1] to fit on.
        reconstructed: The same pictures through the autoencoder.
        labels: Their ``object`` and ``scene`` [N], -1 for none.
    """

    def __init__(
        self,
        network: PictureNetwork,
        image: Tensor,
        reconstructed: Tensor,
        labels: Mapping[str, Tensor],
    ) -> None:
        self.network = network
        features = torch.stack([self.features(image), self.features(reconstructed)])  # [2, N, F]
        self.probes = {
            kind: fit_probe(features, labels[kind], len(names)) for kind, names in NAMES.items()
        }

    def features(self, image: Tensor) -> Tensor:
        """Return the network's features [N, F] of pictures [N, 3, 64, 64]."""
        return torch.cat([self.network(part) for part in track(image.split(64), "Judging")])

    def scores(self, name: str, image: Tensor, labels: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the accuracy on pictures by kind of label.

        Args:
            name: Of a score; ``{}`` is where the kind goes.
            image: Pictures [N, 3, 64, 64] in [0, 1].
            labels: What ``object`` and ``scene`` [N] they are to show, -1 for none.
        """
        features = self.features(image)
        return {
            name.format(kind): accuracy(probe(features), labels[kind])
            for kind, probe in self.probes.items()
        }


def fit_probe(features: Tensor, label: Tensor, n_classes: int) -> LinearProbe:
    """Fit a probe on the features [2, N, F] of pictures and of their reconstructions.

    Every eighth picture chooses the penalty, with its reconstruction: a probe that knows the one
    would find the other too easy.

    Args:
        features: Both features of each picture.
        label: Of each picture [N], -1 for none.
        n_classes: Number of labels.
    """
    has, aside = label >= 0, torch.arange(len(label)) % 8 == 7
    fit, validation = (
        (features[:, rows].flatten(0, 1), label[rows].repeat(len(features)))
        for rows in (has & ~aside, has & aside)
    )
    return fit_linear_probe(*fit, n_classes, validation)


def paint(head: StableDiffusion, states: Tensor, seed: int) -> Tensor:
    """Paint a picture [N, 3, 64, 64] in [0, 1] for each caption's hidden states [N, T, W]."""
    generators = [image_generator(seed, 0, k) for k in range(len(states))]
    with Progress() as progress:
        task = progress.add_task("Painting", total=len(states))
        return sample(
            head, states, generators, SAMPLING, lambda n: progress.update(task, completed=n)
        )


def caption_labels(count: int) -> dict[str, Tensor]:
    """Return different pairs of object and scene [N], each of either as often as the others."""
    number = torch.arange(count)
    period = math.lcm(len(OBJECT_NAMES), len(SCENE_NAMES))  # after which pairs would come again
    return {
        "object": number % len(OBJECT_NAMES),
        "scene": (number + number // period) % len(SCENE_NAMES),
    }


class OneWordStage(Stage):
    """From CLIP's feature of a picture to the one word of ``"a *"`` that paints it again.

    How much of a picture one word can carry, UniEmo's condition being one: a two-layer MLP, trained
    through the frozen text encoder and U-Net. Its output is scaled and moved so that words start
    among the text encoder's real ones, as in :class:`uniemo.fusion.condition.Fusion`.

    Args:
        backbone: The trained small CLIP, frozen here.
        head: The trained small Stable Diffusion.
        **arguments: Of :class:`Stage`.
    """

    large = 0.0  # objects as large as in the held-out pictures

    word_mean: Tensor  # [W]
    word_std: Tensor  # scalar

    def __init__(self, backbone: ClipBackbone, head: StableDiffusion, **arguments: Any) -> None:
        super().__init__(**arguments)
        torch.manual_seed(self.seed)
        self.backbone = backbone
        self.clip = backbone.model.requires_grad_(False).eval()  # moves to the trainer's device
        self.head = head
        feature_width = backbone.model.visual.output_dim
        self.mapper = nn.Sequential(
            nn.LayerNorm(feature_width, elementwise_affine=False),
            nn.Linear(feature_width, 4 * feature_width),
            nn.GELU(),
            nn.Linear(4 * feature_width, head.width),
        )
        mean, std = head.prompts.word_statistics()
        self.register_buffer("word_mean", mean)
        self.register_buffer("word_std", std)

    def encode(self, image: Tensor) -> Tensor:
        """Return hidden states [B, T, W] of ``"a *"`` for pictures [B, 3, 64, 64] in [0, 1]."""
        word = self.word_mean + self.word_std * self.mapper(clip_features(self.backbone, image))
        return self.head.condition(word, f"a {PSEUDO_WORD}")

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the velocity error, the object's place weighing as in pretraining."""
        latents = self.head.encode(to_unit_range(batch["image"]), self.batch_size)
        states = self.encode(batch["image"].float() / 255)
        loss, error = velocity_loss(
            self.head.unet, self.head.scheduler, latents, states, batch["mask"]
        )
        self.log("mse", error, prog_bar=True)
        return loss


def paint_from_one_word(backbone: ClipBackbone, head: StableDiffusion, image: Tensor) -> Tensor:
    """Train the map to one word, and paint pictures [N, 3, 64, 64] in [0, 1] again with it."""
    stage = OneWordStage(
        backbone,
        head,
        seed=ONE_WORD,
        steps=ONE_WORD_STEPS,
        batch_size=ONE_WORD_BATCH,
        learning_rate=1e-3,
    )
    with TemporaryDirectory() as folder:  # minutes of training: nothing is kept
        run(stage, Path(folder))
    with torch.no_grad():
        return paint(head, stage.encode(image), ONE_WORD)


def write_scores(weights: Path) -> None:
    """Measure, and write ``scores.json`` and ``samples.png`` beside the weights.

    The scores are written anew after each group, so an interrupted run leaves those it finished.

    Args:
        weights: Holds ``clip`` and ``stable_diffusion``.
    """
    backbone = load_clip(f"local-dir:{weights / 'clip'}")
    backbone.model.eval()
    head = StableDiffusion(str(weights / "stable_diffusion"))
    scores: dict[str, float] = {}

    def add(group: Mapping[str, float]) -> None:
        scores.update({name: round(value, 4) for name, value in group.items()})
        text = json.dumps(scores, indent=2)
        (weights / "scores.json").write_text(text + "\n")
        print(text)

    # 1. CLIP and autoencoder.
    test = held_out(0, N_TEST)
    decoded = reconstruct(head, test["image"])
    add(zero_shot(backbone, test) | {"reconstruction_psnr_db": psnr(test["image"], decoded)})

    # 2. The judge, and how well it reads.
    fit = held_out(N_TEST, N_FIT)
    judge = Judge(
        efficientnet_lite0(JUDGE_SIZE), fit["image"], reconstruct(head, fit["image"]), fit
    )
    add(
        judge.scores("judge_{}_real", test["image"], test)
        | judge.scores("judge_{}_reconstructed", decoded, test)
    )

    # 3. Captions of an object and a scene.
    labels = caption_labels(N_TEST)
    captions = [
        f"{object_caption(OBJECT_NAMES[o])}, {words(SCENE_NAMES[s])}"
        for o, s in zip(labels["object"].tolist(), labels["scene"].tolist(), strict=True)
    ]
    painted = paint(head, head.prompts.encode(captions), HELD_OUT)
    save_image(make_grid(painted[:64], nrow=8), weights / "samples.png")
    add(judge.scores("text_to_image_{}", painted, labels))

    # 4. One word from CLIP's feature.
    chosen = {name: values[:N_ONE_WORD] for name, values in test.items()}
    painted = paint_from_one_word(backbone, head, chosen["image"])
    add(judge.scores("one_word_{}", painted, chosen))
