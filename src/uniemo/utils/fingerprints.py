"""Content hashes that name cached results."""

import hashlib

import torch
from torch import Tensor


def fingerprint(*parts: str | Tensor) -> str:
    """Hash texts and tensors, the latter with their type and shape, to 32 hexadecimal digits.

    ``parts`` is everything that the named result depends on, in a fixed order; tensors may be of
    any shape and on any device.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype} {list(part.shape)}".encode())
            digest.update(part.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:32]
