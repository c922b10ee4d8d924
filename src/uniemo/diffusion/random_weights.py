"""Stable Diffusion 1.5 with random weights: its structure, memory and speed without a download."""

import gzip
from pathlib import Path
from typing import Any

import open_clip
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from open_clip.tokenizer import bytes_to_unicode
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from uniemo.diffusion.stable_diffusion import Parts, StableDiffusion

STABLE_DIFFUSION_15: dict[str, dict[str, Any]] = {
    "vae": {
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "block_out_channels": [128, 256, 512, 512],
        "layers_per_block": 2,
        "latent_channels": 4,
        "sample_size": 512,
    },
    "unet": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    "text_encoder": {
        "vocab_size": 49408,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "eos_token_id": 49407,
    },
    "scheduler": {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
    },
}
"""The configurations of its parts, where they differ from the libraries' defaults."""


def random_stable_diffusion(
    vae: dict[str, Any],
    unet: dict[str, Any],
    text_encoder: dict[str, Any],
    scheduler: dict[str, Any],
    tokenizer: CLIPTokenizer | None = None,
    dtype: torch.dtype = torch.float32,
) -> StableDiffusion:
    """Build a Stable Diffusion from configurations, on torch's default device."""
    parts = Parts(
        vae=AutoencoderKL(**vae),
        unet=UNet2DConditionModel(**unet),
        text_encoder=CLIPTextModel(CLIPTextConfig(**text_encoder)),
        tokenizer=tokenizer,
        scheduler=DDPMScheduler.from_config(scheduler),
    )
    return StableDiffusion(parts).to(dtype)


def clip_tokenizer() -> CLIPTokenizer:
    """Return CLIP's own tokenizer, which is Stable Diffusion's, from the words in open_clip."""
    words = Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    end, special = "</w>", ["<|startoftext|>", "<|endoftext|>"]
    symbols = list(bytes_to_unicode().values())
    n_merges = STABLE_DIFFUSION_15["text_encoder"]["vocab_size"] - 2 * len(symbols) - len(special)
    lines = gzip.decompress(words.read_bytes()).decode().splitlines()[1 : 1 + n_merges]
    merges: Any = [tuple(line.split()) for line in lines]
    tokens = [*symbols, *(s + end for s in symbols), *("".join(pair) for pair in merges), *special]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)
