"""Evaluation of the small backbones on held-out images.

Generated images are evaluated by an independent classifier, whose own accuracy on real and on
reconstructed images is reported too.

Legend: N images, W width of the text encoder, T tokens of a caption.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from rich.progress import Progress
from torch import Tensor
from torchvision.utils import make_grid, save_image

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES
from uniemo.backbones.captions import CAPTIONS
from uniemo.backbones.classifier import NAMES, accuracy, reconstruct, train_classifier
from uniemo.backbones.composed_images import ObjectSettings, loader
from uniemo.backbones.word_mapper import clip_features, train_word_mapper
from uniemo.diffusion import SamplingConfig, StableDiffusion, image_generator, sample
from uniemo.understanding import ClipBackbone, load_clip

HELD_OUT = 99
"""Seed of the held-out images; pretraining uses 0 and 1."""

N_TEST = 640
"""Held-out images of a test, and images generated from captions."""

N_ONE_WORD = 512
"""Held-out images generated again from one word."""

SAMPLING = SamplingConfig(num_inference_steps=10, guidance_scale=3.0, batch_size=64)
"""As in ``experiments/emoscenes.yaml``."""


def held_out(count: int) -> dict[str, Tensor]:
    """Return held-out images [N, 3, 64, 64] in [0, 1] with scene and object [N]."""
    batches = list(loader(HELD_OUT, 0, count, 64, ObjectSettings(large=0)))
    joined = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    return joined | {"image": joined["image"].float() / 255}


@torch.no_grad()
def zero_shot(backbone: ClipBackbone, images: Mapping[str, Tensor]) -> dict[str, float]:
    """Return CLIP's zero-shot accuracy over all names, from the bare name as caption."""
    image = clip_features(backbone, images["image"])
    return {
        f"zero_shot_{kind}": accuracy(image @ backbone.encode_names(names, "{}").T, images[kind])
        for kind, names in NAMES.items()
    }


def psnr(image: Tensor, other: Tensor) -> float:
    """Return the mean over images [N, 3, 64, 64] of their signal-to-noise ratio in dB."""
    return (-10 * (image - other).square().mean((1, 2, 3)).log10()).mean().item()


@torch.no_grad()
def generate_images(head: StableDiffusion, states: Tensor, seed: int) -> Tensor:
    """Generate an image [N, 3, 64, 64] in [0, 1] for each caption's hidden states [N, T, W]."""
    generators = [image_generator(seed, 0, k) for k in range(len(states))]
    with Progress() as progress:
        task = progress.add_task("Generating", total=len(states))
        return sample(
            head, states, generators, SAMPLING, lambda n: progress.update(task, completed=n)
        )


def caption_labels(count: int) -> dict[str, Tensor]:
    """Return different pairs of object and scene [N], each object and each scene equally often."""
    number = torch.arange(count)
    period = math.lcm(len(OBJECT_NAMES), len(SCENE_NAMES))  # after which pairs would repeat
    return {
        "object": number % len(OBJECT_NAMES),
        "scene": (number + number // period) % len(SCENE_NAMES),
    }


def write_scores(weights: Path) -> None:
    """Write ``scores.json`` and ``samples.png`` beside the weights.

    The scores are written after each group, so an interrupted run keeps those it finished.

    Args:
        weights: Holds ``clip`` and ``stable_diffusion``.
    """
    backbone = load_clip(f"local-dir:{weights / 'clip'}")
    backbone.model.eval()
    head = StableDiffusion.from_pretrained(str(weights / "stable_diffusion"))
    scores: dict[str, float] = {}

    def add(group: Mapping[str, float]) -> None:
        scores.update({name: round(value, 4) for name, value in group.items()})
        text = json.dumps(scores, indent=2)
        (weights / "scores.json").write_text(text + "\n")
        print(text)

    # 1. CLIP and autoencoder.
    test = held_out(N_TEST)
    decoded = reconstruct(head, test["image"])
    add(zero_shot(backbone, test) | {"reconstruction_psnr_db": psnr(test["image"], decoded)})

    # 2. The classifier.
    classifier = train_classifier(head)
    add(
        classifier.scores("classifier_{}_real", test["image"], test)
        | classifier.scores("classifier_{}_reconstructed", decoded, test)
    )

    # 3. Captions of an object and a scene.
    labels = caption_labels(N_TEST)
    pairs = labels["object"] * len(SCENE_NAMES) + labels["scene"]
    captions = [CAPTIONS["pair"][pair] for pair in pairs.tolist()]
    generated = generate_images(head, head.prompts.encode(captions), HELD_OUT)
    save_image(make_grid(generated[:64], nrow=8), weights / "samples.png")
    add(classifier.scores("text_to_image_{}", generated, labels))

    # 4. One word from CLIP's feature.
    chosen = {name: values[:N_ONE_WORD] for name, values in test.items()}
    with torch.no_grad():
        states = train_word_mapper(backbone, head).encode(chosen["image"])
    generated = generate_images(head, states, HELD_OUT)
    add(classifier.scores("one_word_{}", generated, chosen))
