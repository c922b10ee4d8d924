"""A tokenizer as the small backbones have it, and tiny random models around it, for 64 px."""

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from tests.tiny import UNET, VAE
from uniemo.backbones.captions import CONTEXT_LENGTH, build_tokenizer
from uniemo.backbones.denoiser import SCHEDULE
from uniemo.diffusion import StableDiffusion
from uniemo.diffusion.random_weights import random_stable_diffusion

WIDTH = 16


@pytest.fixture(autouse=True)
def fixed_randomness() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tokenizer() -> CLIPTokenizer:
    return build_tokenizer()


@pytest.fixture(scope="session")
def clip_config(tokenizer: CLIPTokenizer) -> dict[str, Any]:
    vision = {"image_size": 64, "layers": 1, "width": WIDTH, "head_width": 8, "patch_size": 32}
    text = {"context_length": CONTEXT_LENGTH, "vocab_size": len(tokenizer), "layers": 2}
    text |= {"width": WIDTH, "heads": 2, "hf_tokenizer_name": "the files beside this one"}
    return {"embed_dim": WIDTH, "vision_cfg": vision, "text_cfg": text}


@pytest.fixture
def clip(clip_config: dict[str, Any]) -> open_clip.CLIP:
    return open_clip.CLIP(**clip_config)


@pytest.fixture
def head(tokenizer: CLIPTokenizer) -> StableDiffusion:
    """Latents of 16 x 16 from images of 64 x 64, as the masks of the images want."""
    vae = {
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
        "block_out_channels": [8, 8, 8],
    }
    text_encoder = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": CONTEXT_LENGTH,
    }
    return random_stable_diffusion(
        VAE | vae, UNET | {"sample_size": 16}, text_encoder, SCHEDULE, tokenizer
    )


@pytest.fixture
def weights(
    tmp_path: Path,
    clip: open_clip.CLIP,
    clip_config: dict[str, Any],
    head: StableDiffusion,
    tokenizer: CLIPTokenizer,
) -> Path:
    """What the stages write, in small: ``clip`` and ``stable_diffusion``."""
    tokenizer.save_pretrained(tmp_path / "clip")
    save_file(clip.state_dict(), tmp_path / "clip" / "open_clip_model.safetensors")
    preprocess = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    config = {"model_cfg": clip_config, "preprocess_cfg": preprocess}
    (tmp_path / "clip" / "open_clip_config.json").write_text(json.dumps(config))
    parts = {
        "vae": head.vae,
        "unet": head.unet,
        "text_encoder": head.text_encoder,
        "tokenizer": tokenizer,
        "scheduler": head.scheduler,
    }
    for name, part in parts.items():
        part.save_pretrained(tmp_path / "stable_diffusion" / name)
    return tmp_path
