"""Names for caches that change with what was computed from."""

import hashlib

import torch
from torch import Tensor


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
