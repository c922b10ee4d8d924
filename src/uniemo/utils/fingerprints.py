"""Content hashes that name cached results."""

import hashlib

import torch
from torch import Tensor


def fingerprint(*parts: str | Tensor) -> str:
    """Hash texts and tensors, the latter with their type and shape.

    Args:
        parts: Everything that the named result depends on, in a fixed order; tensors of any shape
            and on any device.

    Returns:
        32 hexadecimal digits of SHA-256.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype} {list(part.shape)}".encode())
            digest.update(part.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:32]
