"""Tiny things in the true file formats: an EmoSet tree, a Stable Diffusion, a CLIP."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from uniemo.batch import Annotations, Batch
from uniemo.config.model import (
    ClipConfig,
    DiffusionConfig,
    EmotionSpaceConfig,
    ModelConfig,
    ModelSettings,
)
from uniemo.diffusion import SamplingConfig
from uniemo.emotions import EMOTIONS
from uniemo.fusion import AttributeBase
from uniemo.model import UniEmo, build_model

# --- EmoSet's layout: every oddity that the real one has -----------------------------------------

SCENES = ["airfield", "bakery/shop", "coast"]
OBJECTS = ["Alarm clock", "Cake", "Lion", "Skull"]
SIZES = [(40, 30), (30, 44), (36, 36), (64, 48)]  # width, height


def write_emoset(root: Path, splits: dict[str, int], seed: int = 0) -> Path:
    """Write ``splits[name]`` pictures per emotion for each split."""
    generator = np.random.default_rng(seed)
    info = {
        key: {
            "label2idx": {name: index for index, name in enumerate(names)},
            "idx2label": {str(index): name for index, name in enumerate(names)},
        }
        for key, names in {"emotion": EMOTIONS, "scene": SCENES, "object": OBJECTS}.items()
    }
    root.mkdir(parents=True)
    (root / "info.json").write_text(json.dumps(info))
    for split, per_emotion in splits.items():
        rows = []
        for number in range(per_emotion * len(EMOTIONS)):
            emotion = EMOTIONS[number % len(EMOTIONS)]
            name = f"{emotion}_{split}{number:03d}"
            image, annotation = f"image/{emotion}/{name}.jpg", f"annotation/{emotion}/{name}.json"
            for path in (root / image, root / annotation):
                path.parent.mkdir(parents=True, exist_ok=True)
            width, height = SIZES[number % len(SIZES)]
            smooth = Image.fromarray(generator.integers(0, 255, (4, 5, 3), dtype=np.uint8))
            smooth.resize((width, height), Image.Resampling.BICUBIC).save(root / image, quality=95)
            content = {
                "image_id": name,
                "emotion": emotion,
                "brightness": round(number % 11 / 10, 1),
                "colorfulness": 0.5,
                "facial_expression": "happy",
            }
            if number % 3 == 0:
                content["scene"] = SCENES[number % len(SCENES)]
            elif number % 3 == 1:
                content["scene"] = "bakery/shop"
            if number % 4 == 0:
                content["object"] = ["Cake", "Skull"]
            elif number % 4 == 1:
                content["object"] = ["Lion"]
            (root / annotation).write_text(json.dumps(content))
            short = [emotion, image, annotation]
            rows.append(short if number % 5 == 0 else [emotion, name, image, annotation])
        (root / f"{split}.json").write_text(json.dumps(rows))
    return root


# --- A Stable Diffusion of 60,000 random weights, in the layout of the real ones ------------------

WORD_WIDTH = 16
TOKENS = 12
VAE = {
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "block_out_channels": [8, 8],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "latent_channels": 4,
    "scaling_factor": 0.7,
}
UNET = {
    "sample_size": 4,
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "cross_attention_dim": WORD_WIDTH,
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}
TEXT_ENCODER = {
    "hidden_size": WORD_WIDTH,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": 0.5,
}
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
MERGES = ["c a", "ca t</w>", "d o", "do g</w>", "o f</w>"]


def write_tokenizer(folder: Path) -> int:
    """Write CLIP's file format: bytes, bytes that end a word, merges, specials."""
    symbols = sorted(ByteLevel.alphabet())
    vocabulary = [*symbols, *(s + "</w>" for s in symbols), *(m.replace(" ", "") for m in MERGES)]
    specials = ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir()
    ids = {token: i for i, token in enumerate(vocabulary + specials)}
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]) + "\n")
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": TOKENS,
        "bos_token": specials[0],
        "eos_token": specials[1],
        "unk_token": specials[1],
        "pad_token": specials[1],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(ids)


def write_stable_diffusion(folder: Path, prediction_type: str = "epsilon") -> Path:
    torch.manual_seed(0)
    folder.mkdir()
    n_tokens = write_tokenizer(folder / "tokenizer")
    AutoencoderKL(**VAE).save_pretrained(folder / "vae")
    UNet2DConditionModel(**UNET).save_pretrained(folder / "unet")
    text = CLIPTextConfig(
        **TEXT_ENCODER,
        vocab_size=n_tokens,
        max_position_embeddings=TOKENS,
        bos_token_id=n_tokens - 2,
        eos_token_id=n_tokens - 1,
        pad_token_id=n_tokens - 1,
    )
    CLIPTextModel(text).save_pretrained(folder / "text_encoder")
    PNDMScheduler(
        **SCHEDULE, skip_prk_steps=True, steps_offset=1, prediction_type=prediction_type
    ).save_pretrained(folder / "scheduler")
    return folder


# --- A CLIP in open_clip's own folder format ------------------------------------------------------

CLIP: dict[str, Any] = {
    "embed_dim": WORD_WIDTH,
    "quick_gelu": True,
    "vision_cfg": {
        "image_size": 16,
        "layers": 3,
        "width": 32,
        "head_width": 16,
        "patch_size": 8,
    },
    "text_cfg": {
        "context_length": TOKENS,
        "width": 16,
        "heads": 2,
        "layers": 1,
        "hf_tokenizer_name": "the files beside this one",
    },
}


def write_clip(folder: Path) -> Path:
    """Write a CLIP of 50,000 random weights."""
    torch.manual_seed(0)
    CLIP["text_cfg"]["vocab_size"] = write_tokenizer(folder)
    save_file(open_clip.CLIP(**CLIP).state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    config = {"model_cfg": CLIP, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


# --- An attribute base ----------------------------------------------------------------------------


def filled_base(
    text: Tensor, emotion: Tensor, names: Tensor, support: int = 0, smoothing: float = 0.0
) -> AttributeBase:
    """Return a base that has seen these annotations; without smoothing, frequencies."""
    base = AttributeBase(*text.shape)
    base.fill(text, emotion, names, smoothing, support)
    return base


# --- A model on them ------------------------------------------------------------------------------

MODEL_SCENES = ["coast", "jail_cell"]
MODEL_OBJECTS = ["Lion", "Cake", "Skull"]


def tiny_model(files: Mapping[str, Path | str], space: EmotionSpaceConfig | None = None) -> UniEmo:
    """Return a model on the tiny CLIP and Stable Diffusion, its attribute bases filled."""
    torch.manual_seed(0)
    model = build_model(
        ModelSettings(
            ClipConfig(f"local-dir:{files['clip']}", None),
            DiffusionConfig(str(files["stable_diffusion"])),
            ModelConfig(n_queries=2, dropout=0.0, evidence=True),
            space or EmotionSpaceConfig(),
            sampling=SamplingConfig(num_inference_steps=2, guidance_scale=2.0),
            understanding_epochs=0,
        )
    )
    generator = torch.Generator().manual_seed(1)
    annotations = Annotations(
        torch.arange(64) % 8,
        torch.randint(-1, 2, (64,), generator=generator),
        torch.rand(64, 3, generator=generator) < 0.4,
    )
    model.fill_bases(annotations, MODEL_SCENES, MODEL_OBJECTS)
    return model


def make_batch(n: int = 8) -> Batch:
    """Return a batch of random images."""
    generator = torch.Generator().manual_seed(2)
    return {
        "clip_image": torch.randn(n, 3, 16, 16, generator=generator),
        "diffusion_image": torch.rand(n, 3, 8, 8, generator=generator) * 2 - 1,
        "emotion": torch.arange(n) % 8,
        "scene": torch.arange(n) % 3 - 1,
        "objects": torch.rand(n, 3, generator=generator) < 0.5,
        "brightness": torch.rand(n, generator=generator),
        "colorfulness": torch.rand(n, generator=generator),
        "index": torch.arange(n),
        "flipped": torch.zeros(n, dtype=torch.bool),
        "generated": torch.zeros(n, dtype=torch.bool),
        "image_id": [f"picture_{i}" for i in range(n)],
    }


def joint_batch(module: UniEmo, batch: Batch, epoch: int = 0) -> Batch:
    """Return a batch with what the loader adds in joint epochs."""
    latent = module.painter.diffusion.encode(batch["diffusion_image"])
    noise, timestep = module.noise.draw(batch["index"], epoch)
    return {**batch, "latent": latent, "noise": noise, "timestep": timestep}


def trained_tiny_model(
    files: Mapping[str, Path | str], space: EmotionSpaceConfig | None = None
) -> UniEmo:
    """Return the tiny model with an emotion space, as after the joint phase."""
    model = tiny_model(files, space).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        features = model.understanding.chain(torch.randn(32, 3, 16, 16, generator=generator))
    model.painter.space.reset()
    model.painter.space.update(features, torch.arange(32) % 8, torch.arange(32))
    model.painter.space.synchronise()
    return model


def save_run(model: UniEmo, folder: Path) -> Path:
    """Write the checkpoint of the joint phase, as Lightning does, into a run's folder."""
    checkpoint: dict[str, Any] = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
    }
    model.on_save_checkpoint(checkpoint)
    (folder / "joint").mkdir(parents=True)
    torch.save(checkpoint, folder / "joint/best.ckpt")
    return folder
