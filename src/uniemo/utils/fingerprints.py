"""What results depend on: names that change with what was computed from, settings that matter."""

import hashlib
from typing import Any

import torch
from torch import Tensor

# Where work is done and kept, not what it is; and what the model itself tells the data.
IRRELEVANT = {"cache", "cache_dir", "num_workers", "clip_size", "clip_mean", "clip_std"}
IRRELEVANT |= {"diffusion_size", "crop_epochs", "seed", "images_at_once"}


def fingerprint(*parts: str | Tensor) -> str:
    """Name texts and tensors by all their bytes, in 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype} {list(part.shape)}".encode())
            digest.update(part.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:32]


def relevant_settings(content: Any) -> Any:
    """Return nested settings without those that no result depends on."""
    if isinstance(content, dict):
        return {
            key: relevant_settings(value) for key, value in content.items() if key not in IRRELEVANT
        }
    return content
