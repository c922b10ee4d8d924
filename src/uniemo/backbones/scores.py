"""How well the small backbones do, on pictures that no training saw.

Samples are judged by an independent classifier: probes on an ImageNet network's features, fitted on
crisp and on reconstructed pictures, with its own accuracy on both beside the result.
"""

import json
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor
from torchvision.utils import make_grid, save_image

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES, words
from uniemo.backbones.captions import object_caption
from uniemo.backbones.pictures import loader
from uniemo.diffusion import SamplingConfig, StableDiffusion, image_generator, sample
from uniemo.evaluation.features import efficientnet_features
from uniemo.evaluation.probes import LinearProbe, fit_linear_probe
from uniemo.understanding import load_clip

HELD_OUT = 99
"""Seed of the held-out pictures; pretraining uses 0 and 1."""

SAMPLING = SamplingConfig(num_inference_steps=20, guidance_scale=3.0, batch_size=64)


def held_out(start: int, count: int) -> dict[str, Tensor]:
    """Return held-out pictures [N, 3, 64, 64] in [0, 1] with scene and object [N]."""
    batches = list(loader(HELD_OUT, start, count, 64, large=0.0))
    joined = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    return joined | {"image": joined["image"].float() / 255}


def accuracy(probe: LinearProbe, features: Tensor, label: Tensor) -> float:
    """Return the share of labelled pictures (label not -1) that a probe reads right."""
    has = label >= 0
    return (probe(features[has]).argmax(1) == label[has]).float().mean().item()


@torch.no_grad()
def zero_shot(folder: Path, pictures: dict[str, Tensor]) -> dict[str, float]:
    """Return CLIP's zero-shot accuracy over all names, from the bare name as caption."""
    backbone = load_clip(f"local-dir:{folder}")
    mean, std = (torch.tensor(v)[:, None, None] for v in (backbone.mean, backbone.std))
    image = backbone.model.eval().encode_image((pictures["image"] - mean) / std, normalize=True)
    scores = {}
    for kind, names in ("object", OBJECT_NAMES), ("scene", SCENE_NAMES):
        text, label = backbone.encode_names(names, "{}"), pictures[kind]
        has = label >= 0
        found = (image[has] @ text.T).argmax(1) == label[has]
        scores[f"zero_shot_{kind}"] = found.float().mean().item()
    return scores


def write_scores(
    weights: Path, n_fit: int = 3072, n_test: int = 1024, n_samples: int = 512
) -> None:
    """Measure, and write ``scores.json`` and ``samples.png`` beside the weights.

    Args:
        weights: Holds ``clip`` and ``stable_diffusion``.
        n_fit: Pictures that the judge is fitted on.
        n_test: Held-out pictures.
        n_samples: Pictures painted from captions.
    """
    head = StableDiffusion(str(weights / "stable_diffusion"))
    test, fit = held_out(0, n_test), held_out(n_test, n_fit)
    scores: dict[str, float] = zero_shot(weights / "clip", test)

    # 1. Reconstruction.
    def reconstruct(image: Tensor) -> Tensor:
        return head.decode(head.encode(image * 2 - 1, 64), 64)

    decoded = reconstruct(test["image"])
    error = (decoded - test["image"]).square().mean((1, 2, 3))
    scores["reconstruction_psnr_db"] = (10 * torch.log10(1 / error)).mean().item()

    # 2. The judge, and how well it reads.
    crisp = efficientnet_features(torch.cat([fit["image"], reconstruct(fit["image"])]))
    real, soft = efficientnet_features(test["image"]), efficientnet_features(decoded)
    probes = {}
    for kind, names in ("object", OBJECT_NAMES), ("scene", SCENE_NAMES):
        label = torch.cat([fit[kind]] * 2)
        has = label >= 0
        probes[kind] = fit_linear_probe(crisp[has], label[has], len(names))
        scores[f"judge_{kind}_real"] = accuracy(probes[kind], real, test[kind])
        scores[f"judge_{kind}_reconstructed"] = accuracy(probes[kind], soft, test[kind])

    # 3. Text to image: captions of both, every object and scene equally often.
    object_ = torch.arange(n_samples) % len(OBJECT_NAMES)
    scene = (torch.arange(n_samples) * 5 + object_ // 3) % len(SCENE_NAMES)
    captions = [
        f"{object_caption(OBJECT_NAMES[o])}, {words(SCENE_NAMES[s])}"
        for o, s in zip(object_.tolist(), scene.tolist(), strict=True)
    ]
    images = []
    for start in track(range(0, n_samples, 64), description="Painting"):
        part = captions[start : start + 64]
        generators = [image_generator(HELD_OUT, 0, start + k) for k in range(len(part))]
        images.append(sample(head, head.prompts.encode(part), generators, SAMPLING))
    painted = torch.cat(images)
    features = efficientnet_features(painted)
    for kind, label in ("object", object_), ("scene", scene):
        scores[f"text_to_image_{kind}"] = accuracy(probes[kind], features, label)

    save_image(make_grid(painted[:64], nrow=8), weights / "samples.png")
    text = json.dumps({name: round(value, 4) for name, value in scores.items()}, indent=2)
    (weights / "scores.json").write_text(text + "\n")
    print(text)
